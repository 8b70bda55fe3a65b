"""cnnplan profile: where do time and memory go, on the device that is here?"""

from __future__ import annotations

import gc
import sys
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads annotations
from typing import TYPE_CHECKING, Annotated

import typer

from cnnplan.cli import common
from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


class Format(StrEnum):
    """How results are printed."""

    table = "table"
    json = "json"
    trace = "trace"


def command(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A spec, or - for standard input.")],
    device: Annotated[
        str, typer.Option("--device", metavar="NAME", help="What runs it: auto, cpu, cuda, cuda:1.")
    ] = "auto",
    set_: common.Set = None,
    input_size: common.InputSize = None,
    batch: common.Batch = None,
    dtype: common.Dtype = None,
    mixed: common.Mixed = None,
    optimizer: common.OptimizerOption = None,
    implementation: common.Implementation = None,
    inference: Annotated[
        bool, typer.Option("--inference", help="Measure an inference alone, without a backward pass.")
    ] = False,
    sweep: Annotated[
        bool,
        typer.Option(
            "--sweep", help="Run it in other ways, too: channels_last, torch.compile, mixed precision, folded norms."
        ),
    ] = False,
    batches: Annotated[bool, typer.Option("--batches", help="Double the batch until memory ends.")] = False,
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help="Use no more than this, such as 8GiB.")
    ] = None,
    runs: Annotated[
        int | None, typer.Option("--runs", metavar="N", min=1, help="Runs that count; by default 5 to 50, by time.")
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="How to print it; trace is for chrome://tracing and Perfetto.")
    ] = Format.table,
    output: common.Output = None,
    trace: Annotated[
        Path | None, typer.Option("--trace", metavar="FILE", help="Write a Chrome trace of a step, too.")
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", metavar="FILE.png", help="Draw the roofline and memory over the step, too."),
    ] = None,
    config: common.ConfigOption = None,
    isolated: common.Isolated = False,
    stdin_filename: common.StdinFilename = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Leave the table of the layers out.")] = False,
    color: common.ColorOption = common.Color.auto,
) -> None:
    """Measure each layer's time and memory, beside the plan's bound, and the whole network.

    Forward and backward pass, their spread, the share of the roofline's bound, FLOP/s, bandwidth, memory beside the
    planned one; the layers that cost most, and why. Exit code 0: measured; 1: the spec is not valid; 2: wrong usage,
    no such device, the batch does not fit, or torch is not installed.
    """
    if picture is not None and picture.suffix.lower() != ".png":
        raise UsageError(f"--picture draws a PNG: name it {picture.with_suffix('.png')}, not {picture}")
    given = [path for path in (output, trace, picture) if path is not None]
    for named in given:
        common.writable(named, spec)
    if len({named.resolve() for named in given}) < len(given):
        raise UsageError("--output, --trace and --picture are to be different files")
    from cnnplan.api import missing_profile, missing_torch
    from cnnplan.fitting import amount_of

    limit = amount_of(memory) if memory is not None else None
    kind = "cpu" if device == "cpu" else None
    wanted = common.asked(batch, dtype, mixed, optimizer, implementation, kind)
    configured = common.configuration(config, isolated)
    plan = common.planned(spec, set_, input_size, stdin_filename, color, configured, wanted)
    try:
        from cnnplan.runtime.profiling.profile import profile
    except ModuleNotFoundError as error:
        raise missing_torch(error) from None
    if picture is not None:
        try:
            from cnnplan.runtime.profiling.picture import draw
        except ModuleNotFoundError as error:
            raise missing_profile(error) from None
    gc.enable()  # much comes and goes
    say = _progress() if sys.stderr.isatty() and not quiet else lambda text: None
    try:
        found = profile(
            plan,
            device=device,
            inference=inference,
            sweep=sweep,
            batches=batches,
            memory=limit,
            runs=runs,
            say=say,
        )
    finally:
        say("")
    if format_ is Format.json:
        from cnnplan.render import json, json_profile

        common.deliver(json.text({"profile": json_profile.profile(found)}), output)
    elif format_ is Format.table:
        from cnnplan.render.profile import page

        text = page(found, common.columns(), quiet=quiet)
        common.deliver(common.printed(text, color, output is not None), output)
    if format_ is Format.trace or trace is not None:
        from cnnplan.render.trace import trace as render

        text_ = render(found)
        if format_ is Format.trace:
            common.deliver(text_, output)
        if trace is not None:
            common.write(trace, text_)
    if picture is not None:
        draw(found, picture)
    for path in (trace, picture):
        if path is not None and not quiet:
            sys.stderr.write(f"wrote {path}\n")


def _progress() -> Callable[[str], None]:
    """What is measured, on one line of a terminal."""

    def say(text: str) -> None:
        sys.stderr.write(f"\r\033[K{text and f'measuring: {text}'}")
        sys.stderr.flush()

    return say
