"""cnnplan rule: what can be found, and why it matters."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from cnnplan.cli import common


class Format(StrEnum):
    """How it is printed."""

    text = "text"
    json = "json"
    markdown = "markdown"


def command(
    codes: Annotated[
        list[str] | None,
        typer.Argument(metavar="CODE", help="Codes, names, or how codes begin: N201, bias-before-batchnorm, N2."),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Explain every rule.")] = False,
    format_: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.text,
    output: common.Output = None,
    color: common.ColorOption = common.Color.auto,
) -> None:
    """List the rules, or explain some: what is found, why, a spec that has it and one that has not."""
    from cnnplan.errors import UsageError
    from cnnplan.render import rules
    from cnnplan.render.styled import Styled

    if all_ and codes:
        raise UsageError(f"--all explains every rule: leave out {codes[0]}")
    found = [rules.about(rule) for rule in rules.chosen(codes or ())]
    whole = all_ or bool(codes)
    if format_ is Format.json:
        text = rules.document(found)
    elif format_ is Format.markdown:
        text = "\n".join(map(rules.markdown, found)) if whole else rules.index(found)
    else:
        width = common.columns()
        out = Styled()
        if whole:
            for number, rule in enumerate(found):
                out.add("\n\n" if number else "")
                out.extend(rules.page(rule, width))
        else:
            out = rules.listing(found, width)
        text = common.printed(out, color, output is not None)
    common.deliver(text, output)
