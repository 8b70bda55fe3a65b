"""cnnplan check: is this architecture right?"""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from cnnplan.cli import common
from cnnplan.errors import UsageError
from cnnplan.source import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnnplan.analyses.region import Sight
    from cnnplan.diagnostics import Diagnostic
    from cnnplan.planning import Plan
    from cnnplan.render.styled import Styled


class Format(StrEnum):
    """How results are printed."""

    table = "table"
    concise = "concise"
    json = "json"
    markdown = "markdown"


class Draw(StrEnum):
    """What is drawn."""

    field = "field"


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
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="NAMES",
            help="Columns of the table, with commas between: layer, operation, line, output, parameters, "
            "parameters_share, macs, macs_share, flops, field, min_field, stride, start, effective, coverage, bar, "
            "saved, saved_share, memory, bytes, intensity, bound, format, time, training_time.",
        ),
    ] = None,
    draw: Annotated[
        Draw | None, typer.Option("--draw", help="Draw how the receptive field grows with depth, below the table.")
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option("--unit", metavar="I,J", help="Print what this unit of a layer sees of the input, instead."),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option("--layer", metavar="NAME", help="The layer of --unit; by default the last with spatial axes."),
    ] = None,
    batch: common.Batch = None,
    dtype: common.Dtype = None,
    mixed: common.Mixed = None,
    optimizer: common.OptimizerOption = None,
    implementation: common.Implementation = None,
    target: common.Target = None,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="The level from which findings give exit code 1.")
    ] = FailOn.error,
    stdin_filename: common.StdinFilename = None,
    quiet: common.Quiet = False,
    verbose: common.Verbose = False,
    color: common.ColorOption = common.Color.auto,
) -> None:
    """Validate and analyze specs.

    For one spec: its layers, totals and findings. For several, or a directory: a line each, and the
    findings. With --unit: what one unit of a layer sees. Exit code 0: clean; 1: findings, or a spec
    that is not valid; 2: wrong usage.
    """
    from cnnplan.render.columns import chosen

    view = View(format_, 64 if verbose and depth is None else depth, chosen(columns), draw, quiet, verbose, color)
    if columns and format_ not in (Format.table, Format.markdown):
        raise UsageError(f"--columns is for tables, not for --format {format_}")
    if draw and format_ is not Format.table:
        raise UsageError(f"--draw is for the terminal, not for --format {format_}")
    if layer is not None and unit is None:
        raise UsageError(f"--layer says whose --unit is meant: give that too, such as --unit 0,0 --layer {layer}")
    wanted = {
        "batch": batch,
        "dtype": dtype,
        "mixed": mixed,
        "optimizer": optimizer,
        "implementation": implementation,
        "target": target,
    }
    found: list[common.Loaded] = []
    unreadable: list[str] = []
    seen, left_out = expanded(paths)
    for option, given in (("--unit", unit), ("--columns", columns), ("--draw", draw)):
        if given is not None and len(seen) > 1:
            raise UsageError(f"{option} is about one spec, not {len(seen)}")
    if unit is not None and (columns or draw):
        raise UsageError(f"--unit prints no table: leave out {'--columns' if columns else '--draw'}")
    for path in seen:
        try:
            data, name = common.read(path, stdin_filename)
        except UsageError as error:
            unreadable.append(str(error))
            continue
        try:
            found.append(common.load(data, name, set_, input_size, wanted))
        except UsageError as error:
            unreadable.append(f"{name}: {error}" if len(seen) > 1 else str(error))
    if found:
        sight = _sight(found[0].plan, unit, layer) if unit is not None and found[0].plan else None
        common.deliver(rendered(found, view, sight, to_file=output is not None), output)
    if left_out and not quiet:
        names = f"{left_out[0]}{f' and {len(left_out) - 1} more' if len(left_out) > 1 else ''}"
        sys.stderr.write(f"left out, without a top-level `cnnplan:` key: {names}\n")
    for message in unreadable:
        sys.stderr.write(f"error: {message}\n")
    raise typer.Exit(2 if unreadable else status(found, fail_on))


class View(NamedTuple):
    """How results are shown: the options of those names."""

    format: Format
    depth: int | None
    columns: Sequence[str] | None
    draw: Draw | None
    quiet: bool
    verbose: bool
    color: common.Color


def _sight(plan: Plan, unit: str, layer: str | None) -> Sight:
    """What `--unit 3,4 --layer NAME` asks for."""
    parts = unit.replace("x", ",").split(",")
    if not all(part.strip().isdecimal() and len(part) < 4_000 for part in parts):
        raise UsageError(f"--unit takes an index for each spatial axis, such as 3,4, not '{unit}'")
    if layer is None:
        wanted = next((found for found in reversed(plan.layers) if found.output.rank), None)
        if wanted is None:
            raise UsageError(f"no layer of '{plan.name}' has spatial axes")
    else:
        wanted = plan.layer(layer)
    return wanted.sees(tuple(map(int, parts)))


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


def rendered(found: Sequence[common.Loaded], view: View, sight: Sight | None, to_file: bool) -> str:
    """The results as text."""
    if view.format is Format.json:
        from cnnplan.render import json

        return json.document([json.spec(x.path, x.name, x.plan, x.diagnostics, sight) for x in found])
    shown = {x.path: [d for d in x.diagnostics if view.verbose or d.severity != "info"] for x in found}
    if view.format is Format.concise:
        from cnnplan.render.findings import concise

        lines = "" if view.quiet else "".join(map(_concise, found))
        return concise([d for x in found for d in shown[x.path]]) + lines + (_sight_line(found[0], sight))
    if view.format is Format.markdown:
        return _markdown(found, shown, view, sight)
    return common.printed(_table(found, shown, view, sight), view.color, to_file)


def _sight_line(loaded: common.Loaded, sight: Sight | None) -> str:
    if sight is None or loaded.plan is None:
        return ""
    from cnnplan.render import sight as renderer

    return f"{loaded.path}: {renderer.line(sight, loaded.plan)}\n"


def _concise(loaded: common.Loaded) -> str:
    plan = loaded.plan
    if plan is None:
        return ""
    return (
        f"{loaded.path}: {len(plan.layers):,} layers, {plan.parameters:,} parameters, "
        f"{plan.macs:,} MACs, {plan.flops:,} FLOPs\n"
    )


def _markdown(
    found: Sequence[common.Loaded], shown: dict[str, list[Diagnostic]], view: View, sight: Sight | None
) -> str:
    from cnnplan.render import markdown

    parts = []
    if sight and found[0].plan:
        parts.append(f"{markdown.escaped(_sight_line(found[0], sight).strip())}\n")
    elif len(found) == 1 and found[0].plan and not view.quiet:
        parts.append(markdown.plan_table(found[0].plan, view.depth, view.columns))
    elif len(found) > 1 and not view.quiet:
        parts.append(markdown.summary_table([(x.path, x.plan, shown[x.path]) for x in found]))
    parts.append(markdown.findings([d for x in found for d in shown[x.path]]))
    return "\n".join(part for part in parts if part)


def _table(
    found: Sequence[common.Loaded], shown: dict[str, list[Diagnostic]], view: View, sight: Sight | None
) -> Styled:
    from cnnplan.render import findings, table
    from cnnplan.render.styled import Styled

    out = Styled()
    if len(found) > 1 and not view.quiet:
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
    elif sight and (plan := found[0].plan):
        from cnnplan.render import sight as renderer

        out.extend(renderer.lines(sight, plan))
    elif not view.quiet and (plan := found[0].plan):
        out.extend(table.heading(plan, common.columns()))
        out.extend(table.table(plan, view.depth, common.columns(), view.columns))
        out.extend(table.totals(plan, common.columns()))
        if view.draw is Draw.field:
            from cnnplan.render.chart import growth

            out.extend(growth(plan, common.columns()))
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
