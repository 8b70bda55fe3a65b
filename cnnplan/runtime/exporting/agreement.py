"""Does the file give what the model gives?

Both run on the same random samples, in batches of 1 and of 3. Kernels sum in their own orders, so outputs may differ by
rounding: 1e-5 of the largest number of an output is taken for that. Networks may make more of it: of the outputs of a
fresh EfficientNetV2 nothing but rounding is left, and in float64 they are others. Then each layer has to agree by
itself, on the same numbers; and the network, exported again with batch norms that fit their inputs, as a whole.
"""

from __future__ import annotations

import tempfile
from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cnnplan.errors import UsageError
from cnnplan.runtime.exporting.base import Refused, outputs_of, run
from cnnplan.runtime.exporting.blame import differing
from cnnplan.runtime.exporting.difference import difference
from cnnplan.runtime.exporting.network import samples, tamed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from cnnplan.planning import Plan
    from cnnplan.runtime.exporting.base import Format, Program
    from cnnplan.runtime.exporting.network import Network

TOLERANCE = 1e-5
"""Of the largest number of an output."""
ROUNDINGS = 4
"""So many times the model's own rounding errors, two runs that round differently may differ."""


class Agreed(NamedTuple):
    """What was found.

    Attributes:
        notes: lines to read.
        difference: the largest one; NaN where nothing ran.
    """

    notes: tuple[str, ...]
    difference: float


def agree(plan: Plan, network: Network, format: Format, file: Path) -> Agreed:
    """Load a file, run it, and compare.

    Raises:
        Refused: it does not run.
        UsageError: it gives other numbers.
    """
    program = format.loaded(file)
    if program is None:
        return Agreed(("onnxruntime is not installed: the file is checked, but has not been run",), nan)
    found = _compared(plan, network, program)
    return Agreed((), found) if found <= TOLERANCE else _explained(plan, network, format, found)


def _compared(plan: Plan, network: Network, program: Program) -> float:
    """The largest difference between a file and its model, over both batches."""
    return max(difference(run(program, xs), outputs(network.model, xs)) for xs in _batches(plan, network))


def _batches(plan: Plan, network: Network) -> list[list[Tensor]]:
    try:
        outputs(network.model, samples(plan.graph, 1))
    except Refused:  # a batch norm without statistics of its own refuses single values
        return [samples(plan.graph, count) for count in (2, 3)]
    return [samples(plan.graph, count) for count in (1, 3)]


def _explained(plan: Plan, network: Network, format: Format, worst: float) -> Agreed:
    """A fault, or the rounding of a network that makes much of it.

    Raises:
        UsageError: a fault.
    """
    if found := differing(plan, network, format, TOLERANCE):
        node, own = found
        raise UsageError(
            f"--format {format.name} gives other numbers than the model: layer '{node.name}' ({node.op.kind}, line "
            f"{node.line}) differs by {own:.1g} of its largest number, and rounding may by {TOLERANCE:.0e}; "
            f"--format {format.other} may do it"
        )
    calm = tamed(plan.graph, network)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"tamed{format.suffix}"
        format.write(calm.subject, file, {})
        program = format.loaded(file)
        apart = _compared(plan, calm, program) if program else inf
    rounding = _rounding(plan, calm)
    if not apart <= max(TOLERANCE, ROUNDINGS * rounding):
        raise UsageError(
            f"--format {format.name} gives other numbers than the model: an output of '{plan.name}' differs by "
            f"{worst:.1g} of its largest number, and rounding may by {TOLERANCE:.0e}; each layer by itself agrees; "
            f"--format {format.other} may do it"
        )
    more = f", where rounding makes {rounding:.1g}" if apart > TOLERANCE else ""
    note = (
        f"outputs differ by {worst:.1g} of their largest number, which is rounding with these weights: each layer by "
        f"itself agrees to {TOLERANCE:.0e}, and all together to {apart:.1g} with batch norms that fit the samples{more}"
    )
    return Agreed((note,), worst)


def outputs(model: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    """What the model gives.

    Raises:
        Refused: torch refuses to run it.
    """
    return run(lambda xs: outputs_of(model(*xs)), inputs)


def in_double(model: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    """What the model gives in float64; its weights are as they were afterwards."""
    try:
        return outputs(model.double(), [x.double() if x.is_floating_point() else x for x in inputs])
    finally:
        model.float()  # exact: each number was a float32


def _rounding(plan: Plan, network: Network) -> float:
    """How much the model in float64 differs from itself."""
    found = 0.0
    for inputs in _batches(plan, network):
        found = max(found, difference(outputs(network.model, inputs), in_double(network.model, inputs)))
    return found
