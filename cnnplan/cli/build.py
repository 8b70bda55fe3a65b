"""cnnplan build: a spec as readable PyTorch source."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cnnplan.cli import common
from cnnplan.errors import UsageError


class Format(StrEnum):
    """What to build."""

    torch = "torch"


def command(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A spec, or - for standard input.")],
    output: common.Output = None,
    set_: common.Set = None,
    input_size: common.InputSize = None,
    format_: Annotated[Format, typer.Option("--format", help="What to build.")] = Format.torch,
    config: common.ConfigOption = None,
    isolated: common.Isolated = False,
    stdin_filename: common.StdinFilename = None,
    quiet: common.Quiet = False,
    color: common.ColorOption = common.Color.auto,
) -> None:
    """Write the network as PyTorch source that needs torch alone.

    Exit code 0: written; 1: the spec is not valid; 2: wrong usage, or the file cannot be written.
    """
    if output is not None and _same_file(output, Path(spec)):
        raise UsageError(f"{output} is the spec itself; write the source to another file")
    if output is not None and output.suffix in (".yaml", ".yml"):
        raise UsageError(
            f"{output} is the name of a spec; the source is Python: write it to {output.with_suffix('.py')}"
        )
    plan = common.planned(spec, set_, input_size, stdin_filename, color, common.configuration(config, isolated))
    from cnnplan.emit import emit

    source = emit(plan.graph)
    common.deliver(source.text, output)
    if output is not None and not quiet:
        sys.stderr.write(f"wrote {output}: class {source.model}, {plan.parameters:,} parameters\n")


def _same_file(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except (OSError, ValueError):  # one of them is not there: reading or writing says why
        return False
