"""cnnplan ops: which operations there are, and what one of them does."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cnnplan.cli import common

if TYPE_CHECKING:
    from collections.abc import Iterator


class Format(StrEnum):
    """How it is printed."""

    text = "text"
    markdown = "markdown"


def command(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="An operation or built-in block.")] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.text,
    output: common.Output = None,
) -> None:
    """List the operations, or explain one: arguments, defaults, formulas, source."""
    from cnnplan.render import ops

    width = common.columns()
    if name is None:
        text = "\n".join(_listed(width)) + "\n"
    elif format_ is Format.markdown:
        text = ops.page(name)
    else:
        text = "\n".join(_plain(ops.page(name), width)) + "\n"
    common.deliver(text, output)


def _listed(width: int) -> Iterator[str]:
    from cnnplan.render.ops import listing

    found = listing()
    wide = max(len(name) for rows in found.values() for name, _, _ in rows)
    for group, rows in found.items():
        yield f"{group}"
        for name, arguments, summary in rows:
            text = f"  {name:<{wide}}  {summary}"
            room = width - len(text) - 4
            if arguments and room >= len(arguments.partition(",")[0]) + 3:
                text += f"  ({arguments if len(arguments) <= room else _cut(arguments, room)})"
            yield text if len(text) <= width else f"{text[: width - 1]}…"
        yield ""
    yield "`cnnplan ops NAME` explains one."


def _cut(arguments: str, room: int) -> str:
    """As many arguments as there is room for."""
    found = arguments[: room - 2].rpartition(",")[0]
    return f"{found}, …" if found else "…"


def _plain(page: str, width: int) -> Iterator[str]:
    """A page of Markdown as plain text: tables aligned, marks left out."""
    import textwrap

    lines = page.splitlines()
    index = 0
    while index < len(lines):
        line = lines[index]
        if line.startswith("|"):
            table = []
            while index < len(lines) and lines[index].startswith("|"):
                table.append([cell.strip().replace("`", "") for cell in lines[index].strip("|").split("|")])
                index += 1
            yield from _aligned([row for row in table if not row[0].startswith(":")], width)
            continue
        if line.startswith("```"):
            index += 1
            while not lines[index].startswith("```"):
                yield f"    {lines[index]}"
                index += 1
        elif line.startswith("#"):
            yield line.lstrip("# ")
        elif line.startswith("- **"):
            word, _, rest = line[4:].partition("**: ")
            yield from textwrap.wrap(f"  {word:<11} {rest}", width, subsequent_indent=" " * 14)
        else:
            yield from textwrap.wrap(line.replace("`", ""), width) or [""]
        index += 1


def _aligned(rows: list[list[str]], width: int) -> Iterator[str]:
    import textwrap

    columns = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        head = "  " + "  ".join(cell.ljust(w) for cell, w in zip(row[:-1], columns, strict=False))
        room = max(20, width - len(head) - 2)
        first, *rest = textwrap.wrap(row[-1], room) or [""]
        yield f"{head}  {first}".rstrip()
        yield from (f"{' ' * len(head)}  {part}" for part in rest)
