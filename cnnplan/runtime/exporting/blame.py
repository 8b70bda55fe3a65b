"""Which layer is it? The layers of a network stand side by side, each with an input of its own.

Side       runs some layers, none on the output of another
refusal    halves them until one is left that the format refuses
differing  exports them all, and compares each with the model's layer on the same numbers
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from cnnplan.errors import UsageError
from cnnplan.runtime.exporting.base import Refused, Subject, outputs_of, run
from cnnplan.runtime.exporting.difference import difference
from cnnplan.runtime.exporting.formats import FORMATS
from cnnplan.runtime.exporting.network import samples
from cnnplan.runtime.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.graph import Node
    from cnnplan.planning import Plan
    from cnnplan.runtime.exporting.base import Format
    from cnnplan.runtime.exporting.network import Network


class Ran(NamedTuple):
    """A layer as it ran on a batch of two."""

    node: Node
    runner: nn.Module
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class Side(nn.Module):
    """Layers side by side."""

    def __init__(self, layers: Sequence[Ran]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layer.runner for layer in layers)
        self.counts = [len(layer.inputs) for layer in layers]

    def forward(self, *xs: Tensor) -> tuple[Tensor, ...]:
        """The outputs of all, from the inputs of all."""
        found: list[Tensor] = []
        for layer, count in zip(self.layers, self.counts, strict=True):
            found += outputs_of(layer(*xs[:count]))
            xs = xs[count:]
        return tuple(found)


def refusal(plan: Plan, network: Network, format: Format, error: Refused) -> UsageError:
    """What to say where a format refuses a network: which layer, why, and what can do it."""
    kinds: dict[object, Ran] = {}
    for layer in _ran(plan, network):
        kinds.setdefault((layer.node.op, layer.node.shapes), layer)
    layers = list(kinds.values())
    why = _refused(layers, format)
    if why is None:
        return UsageError(
            f"--format {format.name} cannot express '{plan.name}', though it can each of its layers: {error}; "
            f"--format torch writes its source"
        )
    while len(layers) > 1:
        half = layers[: len(layers) // 2]
        found = _refused(half, format)
        layers, why = (half, found) if found else (layers[len(half) :], why)
    (layer,) = layers
    why = _refused(layers, format) or why
    other = format.other
    if other in FORMATS and _refused(layers, FORMATS[other]):
        other = "torch"
    node = layer.node
    return UsageError(
        f"--format {format.name} cannot express '{node.op.kind}' of layer '{node.name}' (line {node.line}): {why}; "
        f"--format {other} can"
    )


def differing(plan: Plan, network: Network, format: Format, tolerance: float) -> tuple[Node, float] | None:
    """The first layer that differs from the model's by itself, and by how much; None where all agree.

    Raises:
        Refused: the format cannot express them side by side.
    """
    layers = _ran(plan, network)
    found = _run(layers, format)
    for layer in layers:
        own, found = found[: len(layer.outputs)], found[len(layer.outputs) :]
        if not (apart := difference(own, layer.outputs)) <= tolerance:
            return layer.node, apart
    return None


@torch.no_grad()
def _ran(plan: Plan, network: Network) -> list[Ran]:
    interpreter = Interpreter(plan.graph, network.model)
    found: list[Ran] = []

    def watch(node: Node, values: Sequence[Tensor], outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        inputs = tuple(x.clone() for x in values)  # one tensor may be the input of several
        found.append(Ran(node, interpreter.runners[node.index], inputs, outputs))
        return outputs

    interpreter.run(samples(plan.graph, 2), watch)
    return found


def _refused(layers: Sequence[Ran], format: Format) -> str | None:
    """Why a format refuses some layers; None where it takes them."""
    try:
        _run(layers, format)
    except Refused as error:
        return str(error)
    return None


def _run(layers: Sequence[Ran], format: Format) -> list[Tensor]:
    """Export layers side by side, and run what was written."""
    inputs = [x for layer in layers for x in layer.inputs]
    subject = Subject(
        Side(layers),
        tuple(inputs),
        (tuple({0: torch.export.Dim.AUTO} for _ in inputs),),
        tuple(f"x{i}" for i in range(len(inputs))),
        tuple(f"y{i}" for i in range(sum(len(layer.outputs) for layer in layers))),
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"layers{format.suffix}"
        format.write(subject, file, {})
        program = format.loaded(file)
        return run(program, inputs) if program else [y for layer in layers for y in layer.outputs]
