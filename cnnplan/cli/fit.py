"""cnnplan fit: will it fit, and what to do if not?"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from cnnplan.cli import common


class Format(StrEnum):
    """How results are printed."""

    text = "text"
    json = "json"


class Strategy(StrEnum):
    """How several devices share the work."""

    ddp = "ddp"
    fsdp = "fsdp"


def command(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A spec, or - for standard input.")],
    set_: common.Set = None,
    input_size: common.InputSize = None,
    target: common.Target = None,
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help="Instead of the device's own, such as 16GiB.")
    ] = None,
    batch: common.Batch = None,
    dtype: common.Dtype = None,
    mixed: common.Mixed = None,
    optimizer: common.OptimizerOption = None,
    implementation: common.Implementation = None,
    devices: Annotated[int, typer.Option("--devices", metavar="N", help="Devices that share the work.")] = 1,
    strategy: Annotated[
        Strategy, typer.Option("--strategy", help="All of the state on each device, or a shard of it.")
    ] = Strategy.ddp,
    roofline: Annotated[
        bool, typer.Option("--roofline", help="Print each layer's work, bytes and lower bound of time, too.")
    ] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Run one real step on the device that is here, and compare.")
    ] = False,
    format_: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.text,
    output: common.Output = None,
    config: common.ConfigOption = None,
    isolated: common.Isolated = False,
    stdin_filename: common.StdinFilename = None,
    color: common.ColorOption = common.Color.auto,
) -> None:
    """Plan the memory of training and inference, and hold it against a device.

    Parts, the peak and where it is, the largest batch, the layers that weigh most, what would need less,
    several devices, lower bounds of time, the size of the weights. Exit code 0: it fits; 1: it does not,
    or not for sure, or the spec is not valid; 2: wrong usage.
    """
    from cnnplan.fitting import fit

    wanted = common.asked(batch, dtype, mixed, optimizer, implementation, target)
    configured = common.configuration(config, isolated)
    plan = common.planned(spec, set_, input_size, stdin_filename, color, configured, wanted)
    found = fit(plan, memory=memory, devices=devices, strategy=strategy.value)
    measured = None
    if measure:
        from cnnplan.api import missing_torch

        try:
            from cnnplan.runtime.measure import measured as run
        except ModuleNotFoundError as error:
            raise missing_torch(error) from None
        measured = run(plan)
    if format_ is Format.json:
        from cnnplan.render import json, json_memory

        common.deliver(json.text(json_memory.fit(found, measured)), output)
    else:
        from cnnplan.render.fit import page

        text = page(found, measured, common.columns(), roofline=roofline)
        common.deliver(common.printed(text, color, output is not None), output)
    raise typer.Exit(int(not found.fits))
