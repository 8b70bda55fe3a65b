"""From a plan to a file."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, NamedTuple

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError
from cnnplan.runtime.exporting.agreement import agree
from cnnplan.runtime.exporting.base import NO_MEMORY, Refused
from cnnplan.runtime.exporting.blame import refusal
from cnnplan.runtime.exporting.formats import FORMATS
from cnnplan.runtime.exporting.metadata import metadata
from cnnplan.runtime.exporting.network import network
from cnnplan.runtime.exporting.place import beside
from cnnplan.runtime.exporting.quiet import quiet

if TYPE_CHECKING:
    from pathlib import Path

    from cnnplan.planning import Plan
    from cnnplan.runtime.exporting.agreement import Agreed
    from cnnplan.runtime.exporting.base import Format
    from cnnplan.runtime.exporting.network import Network


class Exported(NamedTuple):
    """What was written.

    Attributes:
        notes: lines to read: what was written, where the weights come from, what the inputs have to be.
        difference: the largest one between the outputs of the file and those of the model, over batches of 1 and 3
            random samples, relative to the largest number of an output; NaN where nothing here can run the file.
    """

    notes: tuple[str, ...]
    difference: float


def export(plan: Plan, format: str, path: Path, weights: Path | None = None) -> Exported:
    """Write a network in evaluation, for batches of any size, once the file gives what the model gives.

    Args:
        format: "onnx", or "export" for torch.export (.pt2).
        path: of the file, with the format's suffix; it is there as a whole or not at all.
        weights: a file that `cnnplan train` wrote, or another checkpoint; without, fresh weights of seed 0.

    Raises:
        UsageError: the path or the weights are not right, a package is missing, the format cannot express a layer, or
            the file gives other numbers than the model.
    """
    chosen = FORMATS[format]
    with beside(path, chosen) as place:
        chosen.need()
        try:
            with quiet():
                found = network(plan, weights)
                agreed = _written(plan, found, chosen, place.file)
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
                raise
            raise UsageError(NO_MEMORY) from None
        place.put()
    told = "" if isnan(agreed.difference) else f"; outputs differ from the model's by {agreed.difference:.1g}"
    wrote = f"wrote {printable(str(path))}: {plan.name} with {plan.parameters:,} parameters{told}"
    return Exported((wrote, *found.notes, *agreed.notes), agreed.difference)


def _written(plan: Plan, network: Network, format: Format, file: Path) -> Agreed:
    """Write a network to a file, and compare.

    Raises:
        UsageError: a layer cannot be expressed, or gives other numbers.
    """
    try:
        format.write(network.subject, file, metadata(plan, network.trained))
        return agree(plan, network, format, file)
    except Refused as error:
        raise refusal(plan, network, format, error) from None
