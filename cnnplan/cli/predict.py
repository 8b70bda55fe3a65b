"""cnnplan predict: what does the trained network say of these files?"""

from __future__ import annotations

import gc
import sys
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated

import typer

from cnnplan.cli import common
from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.render.predict import Csv, Json, Table
    from cnnplan.render.styled import Styled
    from cnnplan.runtime.prediction.given import Files
    from cnnplan.runtime.prediction.images import Unreadable
    from cnnplan.runtime.prediction.predict import Predictor


class Format(StrEnum):
    """How predictions are printed."""

    table = "table"
    csv = "csv"
    json = "json"


def command(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A spec, or - for standard input.")],
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH", help="Images, folders of them; .npy or .npz arrays of samples.")
    ],
    weights: Annotated[
        Path,
        typer.Option("--weights", metavar="FILE", help="model.safetensors of `cnnplan train`, or another checkpoint."),
    ],
    top: Annotated[
        int | None, typer.Option("--top", min=1, metavar="K", help="The K likeliest classes, not the likeliest alone.")
    ] = None,
    batch: Annotated[
        int, typer.Option("--batch", min=1, metavar="N", help="Samples in a batch; results do not depend on it.")
    ] = 32,
    device: common.RunsOn = common.Device.auto,
    format_: Annotated[Format, typer.Option("--format", help="How to print predictions.")] = Format.table,
    output: common.Output = None,
    set_: common.Set = None,
    input_size: common.InputSize = None,
    config: common.ConfigOption = None,
    isolated: common.Isolated = False,
    stdin_filename: common.StdinFilename = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print predictions and errors only.")] = False,
    color: common.ColorOption = common.Color.auto,
) -> None:
    """Predict files with a trained network.

    Images are turned, resized and normalized as in training; folders are read at any depth, in the order of
    names, and what is no image by its name is left out. By the loss that the network was trained with: the likeliest
    class (cross_entropy, nll), all classes at or above 0.5 (binary_cross_entropy), values (mse, l1); of a map, the
    share of positions of each class. Probabilities have 4 decimals, values 5 digits.
    Exit code 0: all were read; 1: a file could not be read, or the spec is not valid; 2: wrong usage.
    """
    from cnnplan.api import missing_train

    plan = common.planned(spec, set_, input_size, stdin_filename, color, common.configuration(config, isolated))
    try:
        from cnnplan.runtime.data.images import strict
        from cnnplan.runtime.prediction.given import listed
        from cnnplan.runtime.prediction.predict import Predictor
    except ModuleNotFoundError as error:
        raise missing_train(error) from None
    gc.enable()  # much comes and goes
    to_file = output is not None and str(output) != "-"
    if to_file and output is not None:
        _check(output)
    files = listed(paths, plan)
    predictor = Predictor(plan, weights, device.value, top)
    skipped: list[Unreadable] = []
    pieces = _rows(predictor, files, batch, _format(format_, predictor, files), skipped, quiet)
    with strict():
        if to_file:
            common.deliver("".join([common.printed(piece, color, to_file) for piece in pieces]), output)
        else:
            for piece in pieces:
                common.deliver(common.printed(piece, color), None)
    raise typer.Exit(int(len(skipped) > len(files.others)))


def _check(output: Path) -> None:
    """Say what is wrong with a place for results before they are computed."""
    if output.is_dir() or not output.parent.is_dir():
        reason = "it is a directory" if output.is_dir() else f"there is no folder {output.parent}"
        raise UsageError(f"cannot write {output}: {reason}")


def _format(format_: Format, predictor: Predictor, files: Files) -> Table | Csv | Json:
    from cnnplan.render.predict import Csv, Json, Table

    if format_ is Format.table:
        return Table(predictor.reading, files.read, common.columns())
    return (Csv if format_ is Format.csv else Json)(predictor.reading)


def _rows(
    predictor: Predictor,
    files: Files,
    batch: int,
    writer: Table | Csv | Json,
    skipped: list[Unreadable],
    quiet: bool,
) -> Iterator[Styled]:
    """What is printed, piece by piece; meanwhile standard error has what is skipped, and progress on a terminal."""
    from cnnplan.diagnostics import printable
    from cnnplan.runtime.prediction.images import Unreadable

    def tell(line: str) -> None:
        sys.stderr.write(f"{clear}{line}\n")

    progress = sys.stderr.isatty() and not sys.stdout.isatty() and not quiet
    clear = "\r\033[K" if progress else ""
    if not quiet:
        for notice in predictor.notices:
            tell(f"note: {notice}")
        if files.others:
            more = f" and {len(files.others) - 1:,} more" if len(files.others) > 1 else ""
            tell(f"left out, by its name no sample: {printable(files.others[0])}{more}")
    done, last = 0, None
    yield writer.first()
    for found in predictor(files.read, batch):
        if isinstance(found, Unreadable):
            skipped.append(found)
            tell(f"error: {found}")
        else:
            yield writer.row(found)
        done, last = done + (found.path != last), found.path
        if progress:
            sys.stderr.write(f"\r\033[K{done:,} of {len(files.read):,} files")
            sys.stderr.flush()
    if progress:
        sys.stderr.write("\r\033[K")
    skipped += [Unreadable(path, "no sample by its name") for path in files.others]
    yield writer.last(skipped)
