"""cnnplan check: is this architecture right?"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from cnnplan.cli import common
from cnnplan.cli.report import Draw, Format, View
from cnnplan.cli.run import Run
from cnnplan.errors import UsageError
from cnnplan.lint.selection import Choice, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cnnplan.config import Config
    from cnnplan.lint.baseline import Baseline


class FailOn(StrEnum):
    """From which level on findings make the exit code 1."""

    error = "error"
    warning = "warning"
    info = "info"
    never = "never"


Codes = Annotated[
    list[str] | None, typer.Option("--select", metavar="CODES", help="Look for these alone: N, or N201,H301.")
]


def command(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Specs, directories of specs, or - for standard input; without any, the configuration's `files`.",
        ),
    ] = None,
    set_: common.Set = None,
    input_size: common.InputSize = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print results.")] = Format.table,
    output: common.Output = None,
    select: Codes = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="CODES", help="Do not look for these.")
    ] = None,
    extend_select: Annotated[
        list[str] | None, typer.Option("--extend-select", metavar="CODES", help="Look for these besides.")
    ] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended without changing the function.")] = False,
    unsafe_fixes: Annotated[
        bool, typer.Option("--unsafe-fixes", help="Mend also what changes the function of the network.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show what fixes would change, and write nothing; exit 1 if anything.")
    ] = False,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", metavar="FILE", help="Report only what is not in this file.")
    ] = None,
    write_baseline: Annotated[
        bool,
        typer.Option(
            "--write-baseline", help="Write all findings to --baseline, or to cnnplan-baseline.json, as known."
        ),
    ] = False,
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
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights", metavar="FILE", help="Hold a .safetensors checkpoint against the spec, by its header."
        ),
    ] = None,
    batch: common.Batch = None,
    dtype: common.Dtype = None,
    mixed: common.Mixed = None,
    optimizer: common.OptimizerOption = None,
    implementation: common.Implementation = None,
    target: common.Target = None,
    fail_on: Annotated[
        FailOn | None,
        typer.Option("--fail-on", help="The level from which findings give exit code 1.", show_default="error"),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Check again whenever a file is saved; end with Ctrl-C.")
    ] = False,
    skip_others: Annotated[
        bool,
        typer.Option(
            "--skip-others", help="Leave out files that are no specs, or excluded: for hooks that name all files."
        ),
    ] = False,
    show_settings: Annotated[
        bool, typer.Option("--show-settings", help="Print the configuration that counts for each file, and stop.")
    ] = False,
    config: common.ConfigOption = None,
    isolated: common.Isolated = False,
    stdin_filename: common.StdinFilename = None,
    quiet: common.Quiet = False,
    verbose: common.Verbose = False,
    color: common.ColorOption = common.Color.auto,
) -> None:
    """Validate, analyze and lint specs.

    For one spec: its layers, totals and findings. For several, or a directory: a line each, and the
    findings. With --unit: what one unit of a layer sees. Exit code 0: clean; 1: findings, or a spec
    that is not valid; 2: wrong usage.
    """
    from cnnplan.render.columns import chosen

    view = View(format_, 64 if verbose and depth is None else depth, chosen(columns), draw, quiet, verbose, color)
    _consistent(view, columns, unit, layer)
    asked = Choice(
        _codes("--select", select), _codes("--extend-select", extend_select) or (), _codes("--ignore", ignore) or ()
    )
    config_of = common.configuration(config, isolated)
    run = Run(
        paths=tuple(paths or ()),
        sets=set_,
        input_size=input_size,
        wanted=common.asked(batch, dtype, mixed, optimizer, implementation, target),
        asked=asked,
        config_of=config_of,
        view=view,
        output=output,
        unit=unit,
        layer=layer,
        weights=weights,
        fail_on=fail_on.value if fail_on else None,
        baseline=baseline,
        known=None if write_baseline else _known(baseline, config_of),
        stdin_filename=stdin_filename,
        skip_others=skip_others,
    )
    if show_settings:
        from cnnplan.cli.settings import shown

        common.deliver(shown(run), output)
    elif fix or unsafe_fixes or diff:
        from cnnplan.cli.mending import mend

        if watch or write_baseline or unit is not None:
            raise UsageError("--fix and --diff go with neither --watch, --write-baseline nor --unit")
        raise typer.Exit(mend(run, unsafe=unsafe_fixes, only_show=diff))
    elif watch:
        from cnnplan.cli.watching import watching

        if "-" in run.paths or write_baseline:
            raise UsageError("--watch goes with files, and not with --write-baseline")
        watching(run)
    else:
        raise typer.Exit(run.once(write_baseline=write_baseline))


def _known(baseline: Path | None, config_of: Callable[[str], Config]) -> Baseline | None:
    """The findings that are known already."""
    here = config_of("")
    path = baseline or (here.folder / here.baseline if here.baseline else None)
    if path is None:
        return None
    from cnnplan.lint.baseline import read

    return read(path)


def _codes(option: str, given: Sequence[str] | None) -> tuple[str, ...] | None:
    """`--select N2,H301 --select G` as codes."""
    if given is None:
        return None
    codes = tuple(code for text in given for code in text.replace(",", " ").split())
    if wrong := unknown(codes):
        raise UsageError(f"{option}: {wrong}")
    return codes


def _consistent(view: View, columns: str | None, unit: str | None, layer: str | None) -> None:
    """Refuse options that exclude each other."""
    if columns and view.format not in (Format.table, Format.markdown):
        raise UsageError(f"--columns is for tables, not for --format {view.format}")
    if view.draw and view.format is not Format.table:
        raise UsageError(f"--draw is for the terminal, not for --format {view.format}")
    if layer is not None and unit is None:
        raise UsageError(f"--layer says whose --unit is meant: give that too, such as --unit 0,0 --layer {layer}")
    if unit is not None and (columns or view.draw):
        raise UsageError(f"--unit prints no table: leave out {'--columns' if columns else '--draw'}")
