"""cnnplan verify: are the plan's numbers true?"""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cnnplan.cli import common
from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from cnnplan.planning import Plan
    from cnnplan.runtime.verify import Verification


class Format(StrEnum):
    """How results are printed."""

    table = "table"
    json = "json"


def command(
    paths: Annotated[
        list[str], typer.Argument(metavar="SPEC", help="Specs, directories of specs, or - for standard input.")
    ],
    set_: common.Set = None,
    input_size: common.InputSize = None,
    device: Annotated[str, typer.Option("--device", metavar="NAME", help="Where models run: cpu, cuda.")] = "cpu",
    probes: Annotated[
        int | None,
        typer.Option("--probes", min=1, help="Inputs that the receptive field is probed with; by default by size."),
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print results.")] = Format.table,
    output: common.Output = None,
    config: common.ConfigOption = None,
    isolated: common.Isolated = False,
    stdin_filename: common.StdinFilename = None,
    quiet: common.Quiet = False,
    verbose: common.Verbose = False,
    color: common.ColorOption = common.Color.auto,
) -> None:
    """Build the models and hold every number of their plans against torch, layer by layer.

    Shapes, parameters and buffers; MACs against torch's counter and fvcore; the emitted source against
    the layers one by one; gradients; receptive fields against NaNs. Exit code 0: all agree; 1: a
    difference, or a spec that is not valid; 2: wrong usage, or torch is not installed.
    """
    from cnnplan.api import missing_torch
    from cnnplan.cli.discovery import discovered

    seen, _ = discovered(paths, common.configuration(config, isolated))
    several = len(seen) > 1
    plans: list[Plan] = []
    refused: list[common.Loaded] = []
    skipped: dict[str, str] = {}
    for path in seen:
        try:
            data, name = common.read(path, stdin_filename)
            loaded = common.load(data, name, set_, input_size)
        except UsageError as error:
            if not several:
                raise
            skipped[path] = str(error)
            continue
        if loaded.plan is None:
            refused.append(loaded)
            sys.stderr.write(common.refused(loaded, color))
        else:
            plans.append(loaded.plan)
    try:
        from cnnplan.runtime.verify import verify
    except ModuleNotFoundError as error:
        raise missing_torch(error) from None
    found: list[Verification] = []
    progress = sys.stderr.isatty()
    for index, plan in enumerate(plans):
        if progress:
            sys.stderr.write(f"\r\033[K{index + 1} of {len(plans)}: {plan.name}")
            sys.stderr.flush()
        try:
            found.append(verify(plan, device=device, probes=probes))
        except UsageError as error:
            if not several:
                raise
            skipped[plan.path] = str(error)
    if progress:
        sys.stderr.write("\r\033[K")
    if format_ is Format.json:
        from cnnplan.render import json

        left = [(x.path, [d.as_dict() for d in x.diagnostics], "") for x in refused]
        left += [(path, [], why) for path, why in skipped.items()]
        common.deliver(json.text(json.verified(found, left)), output)
    elif found:
        from cnnplan.render import verify as renderer

        text = renderer.page(found, common.columns(), verbose, quiet, several)
        common.deliver(common.printed(text, color, output is not None), output)
    for path, why in skipped.items():
        sys.stderr.write(f"error: {why if path in why else f'{path}: {why}'}\n")
    raise typer.Exit(2 if skipped else int(bool(refused) or any(not one.passed for one in found)))
