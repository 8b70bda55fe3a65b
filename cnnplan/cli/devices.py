"""cnnplan devices: which accelerators are known, with their figures and where these are from."""

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
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A device: its figures and their sources.")
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.text,
    output: common.Output = None,
    color: common.ColorOption = common.Color.auto,
) -> None:
    """List the devices that `--target` knows, or show one with the source of each figure."""
    from cnnplan.devices import device, devices

    found = [device(name)] if name is not None else list(devices().values())
    if format_ is Format.json:
        from cnnplan.render import json, json_memory

        common.deliver(json.text({"devices": [json_memory.device(one) for one in found]}), output)
        return
    from cnnplan.render import devices as renderer

    text = renderer.one(found[0], common.columns()) if name is not None else renderer.table(found, common.columns())
    common.deliver(common.printed(text, color, output is not None), output)
