"""cnnplan explain: how did the numbers of a layer come about?"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from cnnplan.cli import common


class Format(StrEnum):
    """How results are printed."""

    text = "text"
    json = "json"


def command(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A spec, or - for standard input.")],
    layer: Annotated[
        str, typer.Argument(metavar="LAYER", help="A layer by its name in `check`, such as stage1.conv2.")
    ],
    set_: common.Set = None,
    input_size: common.InputSize = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.text,
    output: common.Output = None,
    config: common.ConfigOption = None,
    isolated: common.Isolated = False,
    stdin_filename: common.StdinFilename = None,
    color: common.ColorOption = common.Color.auto,
) -> None:
    """Explain the numbers of one layer: formulas with its values, its field, its neighbours, its lines.

    Exit code 0: explained; 1: the spec is not valid; 2: wrong usage, such as a layer that is not there.
    """
    plan = common.planned(spec, set_, input_size, stdin_filename, color, common.configuration(config, isolated))
    found = plan.layer(layer)
    if format_ is Format.json:
        from cnnplan.render import json

        common.deliver(json.text(json.explained(found, plan)), output)
        return
    from cnnplan.render.explain import page

    common.deliver(common.printed(page(found, plan, common.columns()), color, output is not None), output)
