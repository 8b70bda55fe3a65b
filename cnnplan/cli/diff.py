"""cnnplan diff: what did this change cost?"""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnnplan.cli import common, revisions
from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from cnnplan.differences import Difference
    from cnnplan.planning import Plan
    from cnnplan.thresholds import Condition


class Format(StrEnum):
    """How results are printed."""

    table = "table"
    json = "json"
    markdown = "markdown"


SPEC = "A spec, - for standard input, or git:REV:PATH for a spec as it was, such as git:main:specs/x.yaml."


def command(
    old: Annotated[str, typer.Argument(metavar="OLD", help=SPEC)],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The spec to compare it with, given in the same way.")],
    set_: common.Set = None,
    input_size: common.InputSize = None,
    batch: common.Batch = None,
    dtype: common.Dtype = None,
    mixed: common.Mixed = None,
    optimizer: common.OptimizerOption = None,
    implementation: common.Implementation = None,
    target: common.Target = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            help="Exit with 1 where it holds: 'macs > +5%', 'parameters > +100K', 'training_memory > 12GiB', "
            "'outputs changed'. Of layers, parameters, trainable_parameters, buffers, macs, flops, training_memory, "
            "inference_memory, saved_activations, receptive_field. May be given several times.",
        ),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Print every layer by itself, unchanged ones too.")] = False,
    format_: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.table,
    output: common.Output = None,
    config: common.ConfigOption = None,
    isolated: common.Isolated = False,
    stdin_filename: common.StdinFilename = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the conditions that hold, and errors.")] = False,
    color: common.ColorOption = common.Color.auto,
) -> None:
    """Compare two specs: which layers are new, gone or changed, and what that costs.

    Both are planned with the same options. A layer is found again however its automatic number shifts.
    Exit code 0: compared; 1: a condition of --fail-if holds, or a spec is not valid; 2: wrong usage.
    """
    from cnnplan.differences import diff
    from cnnplan.thresholds import condition

    conditions = [condition(text) for text in fail_if or ()]
    if old == new == "-":
        raise UsageError("only one of OLD and NEW can be -")
    wanted = common.asked(batch, dtype, mixed, optimizer, implementation, target)
    if defaults := common.configuration(config, isolated)("").target:  # one for both, that of the current folder
        wanted["defaults"] = defaults
    plans = [_plan(place, set_, input_size, stdin_filename, color, wanted) for place in (old, new)]
    before, behind = plans
    if before is None or behind is None:
        raise typer.Exit(1)
    found = diff(before, behind)
    failed = [one for one in conditions if one.holds(found)]
    common.deliver(_rendered(found, failed, format_, all_, quiet, color, output is not None), output)
    raise typer.Exit(int(bool(failed)))


def _plan(
    place: str,
    sets: list[str] | None,
    size: str | None,
    stdin_filename: str | None,
    color: common.Color,
    wanted: dict[str, Any],
) -> Plan | None:
    """The plan of one side; None, and why on standard error, where it is not valid."""
    from cnnplan.conditions import conditions
    from cnnplan.diagnostics import Report
    from cnnplan.planning import Plan, load

    if place.startswith(revisions.PREFIX):
        data, name = revisions.read(place), place
    else:
        data, name = common.read(place, stdin_filename)
    report = Report(name)
    try:
        graph = load(data, report, common.variables(sets), common.input_size(size))
        if graph:
            return Plan(graph, report, name, conditions(graph, **wanted))  # without what `check` finds in it
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    sys.stderr.write(common.refused(common.Loaded(name, text, None, report.diagnostics), color))
    return None


def _rendered(
    found: Difference,
    failed: list[Condition],
    format_: Format,
    every: bool,
    quiet: bool,
    color: common.Color,
    to_file: bool,
) -> str:
    if format_ is Format.json:
        from cnnplan.render import json, json_diff

        return json.text(json_diff.difference(found, failed, every))
    if format_ is Format.markdown:
        from cnnplan.render import diff_markdown

        return diff_markdown.page(found, failed, every, quiet)
    from cnnplan.render.diff import page

    return common.printed(page(found, failed, common.columns(), every, quiet), color, to_file)
