"""How much does each layer hold and compute? Parameters, buffers, MACs and FLOPs."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cnnplan.graph import Graph


class Work(NamedTuple):
    """What one layer holds and computes for one sample.

    Attributes:
        tensors: its parameters by name, as PyTorch names and shapes them.
        parameters: their elements; 0 for a `share` run, whose first run counts them.
        trainable_parameters: those that training changes.
        buffers: elements of its registered buffers.
        macs: multiply-accumulates of convolutions and matrix products.
        flops: 2 · macs, and the elementwise work.
    """

    tensors: Mapping[str, tuple[int, ...]]
    parameters: int
    trainable_parameters: int
    buffers: int
    macs: int
    flops: int


def work(graph: Graph) -> tuple[Work, ...]:
    """The work of each layer, in the order of `graph.nodes`."""
    known: dict[Any, tuple[Mapping[str, tuple[int, ...]], int, int, int, int]] = {}
    found = []
    for node in graph.nodes:
        op, shapes = node.op, node.shapes
        key = (id(op), shapes)
        if key not in known:
            tensors: Mapping[str, tuple[int, ...]] = op.parameters(*shapes)
            buffers = op.buffers(*shapes)
            known[key] = (
                tensors,
                sum(map(prod, tensors.values())),
                sum(map(prod, buffers.values())),
                op.macs(*shapes),
                op.flops(*shapes),
            )
        tensors, parameters, held, macs, flops = known[key]
        if node.shared_with:
            parameters = held = 0
        if (slices := node.slices) > 1:
            macs, flops = macs * slices, flops * slices
        found.append(Work(tensors, parameters, parameters if node.trainable else 0, held, macs, flops))
    return tuple(found)
