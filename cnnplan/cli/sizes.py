"""cnnplan sizes: which input sizes are legal, and why the others are not."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cnnplan.cli import common
from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from cnnplan.planning import Plan


class Format(StrEnum):
    """How results are printed."""

    text = "text"
    json = "json"


def command(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A spec, or - for standard input.")],
    set_: common.Set = None,
    input_size: Annotated[
        str | None,
        typer.Option("--input-size", metavar="SIZE", help="Ask about this size: exit code 1 where it is not legal."),
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.text,
    output: common.Output = None,
    config: common.ConfigOption = None,
    isolated: common.Isolated = False,
    stdin_filename: common.StdinFilename = None,
    color: common.ColorOption = common.Color.auto,
) -> None:
    """List the legal sizes of the input, and the layers and formulas that refuse others.

    Legal for one model, whose weights have to fit at every size; where the spec is valid at more sizes,
    each with a model of its own, that is said too. Exit code 0: answered; 1: the size asked for is not
    legal, or the spec is not valid; 2: wrong usage.
    """
    from cnnplan.analyses.sizes import asked, legal_sizes

    common.configuration(config, isolated)(spec)  # nothing in it is about sizes, but it must be right
    data, path = common.read(spec, stdin_filename)
    loaded = common.load(data, path, set_, None)
    plan = loaded.plan
    if plan is None:
        sys.stderr.write(common.refused(loaded, color))
        plan = _elsewhere(data, path, set_)
        if plan is None:
            raise typer.Exit(1)
        sys.stderr.write("the spec is not valid at its own size; it is at those that follow\n\n")
    axes = legal_sizes(plan.graph)
    size = common.input_size(input_size)
    answer = asked(plan.graph, axes, size) if size and loaded.plan else None
    if format_ is Format.json:
        from cnnplan.render import json

        common.deliver(json.text(json.sizes(plan, axes, answer, own=loaded.plan is not None)), output)
    else:
        from cnnplan.render.sizes import page

        text = page(plan, axes, answer, common.columns(), own=loaded.plan is not None)
        common.deliver(common.printed(text, color, output is not None), output)
    raise typer.Exit(int(loaded.plan is None or (answer is not None and not answer.legal)))


def _elsewhere(data: bytes, path: str, sets: list[str] | None) -> Plan | None:
    """The plan at the first size of some common ones at which the spec is valid."""
    for form in ("{n}", "{n}x{n}", "{n}x{n}x{n}"):
        for n in (32, 64, 96, 128, 160, 192, 224, 256, 299, 320, 384, 512, 572, 640, 1024, 48, 28, 16, 8):
            try:
                found = common.load(data, path, sets, form.format(n=n))
            except UsageError:
                break  # the input has another number of axes
            if found.plan:
                return found.plan
    return None
