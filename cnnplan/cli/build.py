"""cnnplan build: a spec as readable PyTorch source, as a file that other programs run, or as a diagram."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnnplan.cli import common
from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.planning import Plan


class Format(StrEnum):
    """What to build."""

    torch = "torch"
    onnx = "onnx"
    export = "export"
    svg = "svg"
    dot = "dot"
    mermaid = "mermaid"


SUFFIXES = {
    Format.torch: (".py",),
    Format.onnx: (".onnx",),
    Format.export: (".pt2",),
    Format.svg: (".svg",),
    Format.dot: (".dot", ".gv"),
    Format.mermaid: (".mmd", ".mermaid", ".md"),
}
"""What the names of files end in, the usual one first."""

IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".pdf")
"""Nothing that is built is one of them."""

OPTIONS = {
    "--optimize": (Format.torch,),
    "--meta": (Format.torch,),
    "--weights": (Format.onnx, Format.export),
    "--depth": (Format.svg, Format.dot, Format.mermaid),
}
"""What each option is about."""


def command(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A spec, or - for standard input.")],
    output: common.Output = None,
    set_: common.Set = None,
    input_size: common.InputSize = None,
    format_: Annotated[
        Format | None, typer.Option("--format", help="What to build; by default what FILE ends in, or torch.")
    ] = None,
    optimize: Annotated[
        bool,
        typer.Option("--optimize", help="Add a function that folds batch norms and sets channels_last, for inference."),
    ] = False,
    meta: Annotated[
        bool, typer.Option("--meta", help="Run the source on torch's meta device, which allocates nothing, too.")
    ] = False,
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="Trained weights, for onnx and export.")
    ] = None,
    depth: Annotated[
        int | None, typer.Option("--depth", metavar="N", min=0, help="Open blocks to this depth, in diagrams.")
    ] = None,
    config: common.ConfigOption = None,
    isolated: common.Isolated = False,
    stdin_filename: common.StdinFilename = None,
    quiet: common.Quiet = False,
    color: common.ColorOption = common.Color.auto,
) -> None:
    """Write the network as PyTorch source that needs torch alone; as ONNX or .pt2; as a diagram.

    Exit code 0: written; 1: the spec is not valid; 2: wrong usage, the file cannot be written, or the format cannot
    express a layer.
    """
    format = _format(format_, output)
    asked = {"--optimize": optimize, "--meta": meta, "--weights": weights is not None, "--depth": depth is not None}
    for option in (name for name, given in asked.items() if given and format not in OPTIONS[name]):
        raise UsageError(f"{option} is for --format {' or '.join(OPTIONS[option])}, not {format}")
    _check(output, Path(spec), format)
    plan = common.planned(spec, set_, input_size, stdin_filename, color, common.configuration(config, isolated))
    if format in OPTIONS["--weights"]:
        assert output is not None
        notes = _exported(plan, format, output, weights)
    elif format in OPTIONS["--depth"]:
        from cnnplan.diagrams import draw

        common.deliver(draw(plan, format.value, depth), output)
        notes = [f"wrote {_shown(output)}: {plan.name} with {len(plan.layers):,} layers"]
    else:
        from cnnplan.emit import emit

        source = emit(plan.graph, optimize=optimize)
        tried = [_tried(plan)] if meta else []
        common.deliver(source.text, output)
        notes = [f"wrote {_shown(output)}: class {source.model}, {plan.parameters:,} parameters", *tried]
        if output is None and meta and not quiet:
            sys.stderr.write(f"{tried[0]}\n")
    if output is not None and not quiet:
        sys.stderr.writelines(f"{note}\n" for note in notes)


def _format(given: Format | None, output: Path | None) -> Format:
    """What to build: as asked, or what the file's name ends in."""
    if given or output is None:
        return given or Format.torch
    return next((format for format, ends in SUFFIXES.items() if output.suffix.lower() in ends), Format.torch)


def _check(output: Path | None, spec: Path, format: Format) -> None:
    """Refuse a file that would be another thing than its name says.

    Raises:
        UsageError: it is the spec, is named as one or as another format, or there is none and the format is no text.
    """
    usual = SUFFIXES[format][0]
    if output is None or str(output) == "-":
        if format in OPTIONS["--weights"]:
            raise UsageError(f"{format} is no text: name a file, such as -o {spec.stem or 'model'}{usual}")
        return
    shown = _shown(output)
    if common.same_file(output, spec):
        raise UsageError(f"{shown} is the spec itself; write the {_noun(format)} to another file")
    if output.suffix in (".yaml", ".yml"):
        raise UsageError(
            f"{shown} is the name of a spec; write the {_noun(format)} to {_shown(output.with_suffix(usual))}"
        )
    if output.suffix.lower() in IMAGES:
        drawn = _shown(output.with_suffix(".svg"))
        raise UsageError(f"{shown} is the name of a picture, and {format} is none: name an SVG, such as {drawn}")
    for other, ends in SUFFIXES.items():
        if other is not format and output.suffix.lower() in ends:
            raise UsageError(f"{shown} is the name of a file of --format {other}, not {format}")


def _noun(format: Format) -> str:
    return "source" if format is Format.torch else "diagram" if format in OPTIONS["--depth"] else "model"


def _shown(path: Path | None) -> str:
    return printable(str(path))


def _exported(plan: Plan, format: Format, output: Path, weights: Path | None) -> Sequence[str]:
    from cnnplan.api import missing_export

    try:
        from cnnplan.runtime.exporting import export
    except ModuleNotFoundError as error:
        raise missing_export(error) from None
    return export(plan, format.value, output, weights).notes


def _tried(plan: Plan) -> str:
    """Build and run the source without allocating, and say what came of it."""
    from cnnplan.api import missing_torch

    try:
        from cnnplan.runtime.meta import tried
    except ModuleNotFoundError as error:
        raise missing_torch(error) from None
    return tried(plan)
