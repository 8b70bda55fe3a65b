"""cnnplan check: is this architecture right?"""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnnplan.cli import common
from cnnplan.errors import UsageError
from cnnplan.source import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnnplan.diagnostics import Diagnostic
    from cnnplan.render.styled import Styled


class Format(StrEnum):
    """How results are printed."""

    table = "table"
    concise = "concise"
    json = "json"
    markdown = "markdown"


class FailOn(StrEnum):
    """From which level on findings make the exit code 1."""

    error = "error"
    warning = "warning"
    info = "info"
    never = "never"


SEVERITIES = ("error", "warning", "info")


def command(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH", help="Specs, directories of specs, or - for standard input.")
    ],
    set_: common.Set = None,
    input_size: common.InputSize = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print results.")] = Format.table,
    output: common.Output = None,
    depth: Annotated[
        int | None, typer.Option("--depth", min=1, help="Levels of blocks to show; 1 = the top-level items.")
    ] = None,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="The level from which findings give exit code 1.")
    ] = FailOn.error,
    stdin_filename: Annotated[
        str | None, typer.Option("--stdin-filename", metavar="NAME", help="What to call standard input.")
    ] = None,
    quiet: common.Quiet = False,
    verbose: common.Verbose = False,
    color: common.ColorOption = common.Color.auto,
) -> None:
    """Validate and analyze specs.

    For one spec: its layers, totals and findings. For several, or a directory: a line each, and the
    findings. Exit code 0: clean; 1: findings, or a spec that is not valid; 2: wrong usage.
    """
    found: list[common.Loaded] = []
    unreadable: list[str] = []
    seen, left_out = expanded(paths)
    for path in seen:
        try:
            data, name = common.read(path, stdin_filename)
        except UsageError as error:
            unreadable.append(str(error))
            continue
        try:
            found.append(common.load(data, name, set_, input_size))
        except UsageError as error:
            unreadable.append(f"{name}: {error}" if len(seen) > 1 else str(error))
    if found:
        text = rendered(found, format_, 64 if verbose and depth is None else depth, quiet, verbose, color, output)
        common.deliver(text, output)
    if left_out and not quiet:
        names = f"{left_out[0]}{f' and {len(left_out) - 1} more' if len(left_out) > 1 else ''}"
        sys.stderr.write(f"left out, without a top-level `cnnplan:` key: {names}\n")
    for message in unreadable:
        sys.stderr.write(f"error: {message}\n")
    raise typer.Exit(2 if unreadable else status(found, fail_on))


def expanded(paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """The files to check, each once, those of a directory in order; and the YAML files there that are no specs.

    Raises:
        UsageError: a directory holds no spec.
    """
    seen: dict[str, None] = {}
    left_out: list[str] = []
    for path in paths:
        files = [path]
        if not path:
            raise UsageError("a path is empty")
        if path != "-" and is_directory(path):
            below = list(yaml_below(Path(path)))
            files = [str(file) for file, is_spec in below if is_spec]
            left_out += [str(file) for file, is_spec in below if not is_spec]
            if not files:
                raise UsageError(f"no spec in {path}: a spec is a .yaml file with a top-level `cnnplan:` key")
        seen.update(dict.fromkeys(files))
    return list(seen), left_out


def is_directory(path: str) -> bool:
    """Whether there is a directory of this name; reading says what is wrong with a name that can be none."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


_MARK = re.compile(rb"^[\"']?cnnplan[\"']?[ \t]*:", re.MULTILINE)


def yaml_below(directory: Path) -> Iterator[tuple[Path, bool]]:
    """The YAML files below a directory, and whether each is a spec: it has a top-level key `cnnplan`.

    What is hidden is left out.
    """
    for path in sorted(directory.iterdir()):
        if path.name.startswith(".") or path.name in ("node_modules", "__pycache__"):
            continue
        if path.is_dir():
            yield from yaml_below(path)
        elif path.suffix in (".yaml", ".yml") and path.is_file():
            try:
                with path.open("rb") as file:
                    yield path, bool(_MARK.search(file.read(MAX_BYTES)))
            except OSError:
                yield path, True  # reading it again says why


def status(found: Sequence[common.Loaded], fail_on: FailOn) -> int:
    """The exit code: a spec that is not valid counts whatever the level."""
    if any(loaded.plan is None for loaded in found):
        return 1
    if fail_on is FailOn.never:
        return 0
    counted = SEVERITIES[: SEVERITIES.index(fail_on.value) + 1]
    return int(any(d.severity in counted for loaded in found for d in loaded.diagnostics))


def rendered(
    found: Sequence[common.Loaded],
    format_: Format,
    depth: int | None,
    quiet: bool,
    verbose: bool,
    color: common.Color,
    output: Path | None,
) -> str:
    """The results as text."""
    if format_ is Format.json:
        from cnnplan.render import json

        return json.document([json.spec(x.path, x.name, x.plan, x.diagnostics) for x in found])
    shown = {x.path: [d for d in x.diagnostics if verbose or d.severity != "info"] for x in found}
    if format_ is Format.concise:
        from cnnplan.render.findings import concise

        return concise([d for x in found for d in shown[x.path]]) + ("" if quiet else "".join(map(_concise, found)))
    if format_ is Format.markdown:
        return _markdown(found, shown, depth, quiet)
    return common.printed(_table(found, shown, depth, quiet), color, to_file=output is not None)


def _concise(loaded: common.Loaded) -> str:
    plan = loaded.plan
    if plan is None:
        return ""
    return (
        f"{loaded.path}: {len(plan.layers):,} layers, {plan.parameters:,} parameters, "
        f"{plan.macs:,} MACs, {plan.flops:,} FLOPs\n"
    )


def _markdown(
    found: Sequence[common.Loaded], shown: dict[str, list[Diagnostic]], depth: int | None, quiet: bool
) -> str:
    from cnnplan.render import markdown

    parts = []
    if len(found) == 1 and found[0].plan and not quiet:
        parts.append(markdown.plan_table(found[0].plan, depth))
    elif len(found) > 1 and not quiet:
        parts.append(markdown.summary_table([(x.path, x.plan, shown[x.path]) for x in found]))
    parts.append(markdown.findings([d for x in found for d in shown[x.path]]))
    return "\n".join(part for part in parts if part)


def _table(
    found: Sequence[common.Loaded], shown: dict[str, list[Diagnostic]], depth: int | None, quiet: bool
) -> Styled:
    from cnnplan.render import findings, table
    from cnnplan.render.styled import Styled

    out = Styled()
    if len(found) > 1 and not quiet:
        width = max(len(x.path) for x in found)
        for loaded in found:
            said = findings.summary(shown[loaded.path])
            worst = next((s for s in SEVERITIES if any(d.severity == s for d in loaded.diagnostics)), "")
            out.extend(
                table.line(loaded.plan, loaded.path, width, worst)
                if loaded.plan
                else table.failed(loaded.path, said, width)
            )
        out.add("\n")
    elif not quiet and (plan := found[0].plan):
        out.extend(table.heading(plan, common.columns()))
        out.extend(table.table(plan, depth, common.columns()))
        out.extend(table.totals(plan))
    for loaded in found:
        if shown[loaded.path]:
            lines = findings.split(loaded.text)
            for diagnostic in shown[loaded.path]:
                out.extend(findings.finding(diagnostic, lines))
    everything = [d for loaded in found for d in loaded.diagnostics]
    if said := findings.summary(everything):
        hidden = sum(map(len, shown.values())) < len(everything)
        out.add(f"{said}{' (-v shows all)' if hidden else ''}\n")
    return out
