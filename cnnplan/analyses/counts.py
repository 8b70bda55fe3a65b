"""What textbooks count: connections, the weights a dense layer would need, what pools keep, layers with weights.

    connections(node)        edges of the network drawn without sharing: LeNet-5 has 340,908
    dense_parameters(node)   of a fully connected layer between the same units
    kept(node)               the share of its input's units that a pool gives: 1/4 for 2x2 with stride 2
    weighted_layers(graph)   layers with weights on the longest path: 16 in VGG-16, 50 in ResNet-50

Source: LeCun et al. 1998, section II.B; Simonyan & Zisserman 2015; He et al. 2015, arXiv:1512.03385, table 1.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnplan.graph import Graph, Node, Value

WEIGHTED = frozenset({"convolution", "dense"})
"""The groups of operations whose layers count as layers with weights."""


def connections(node: Node) -> int | None:
    """The edges that end in a layer's units, for one sample; None where
    they depend on the data, or are not defined: those of recurrences and attention.

    A unit of a convolution, a dense layer or a pool has one for each unit that it reads, padding left out; every
    unit that a learned bias is added to has one more. Other operations change units, and connect none.
    """
    op, shapes = node.op, node.shapes
    biases = node.output.shape.numel if "bias" in op.parameters(*shapes) else 0
    if op.group not in WEIGHTED and op.group != "pooling":
        if op.macs(*shapes):
            return None  # of a recurrence or an attention, whose weights or products are no edges between two layers
        return (biases if op.kind == "scale" else 0) * node.slices
    if op.bounds(*shapes) or len(node.inputs) > 1:
        return None
    if node.inputs[0].dtype == "int64":
        return 0  # a table is looked up
    x, y = shapes[0], node.output.shape
    edges, left = 1, dict(enumerate(x))
    for axis, (window, n) in enumerate(zip(op.reads(0, 0, *shapes), y, strict=True)):
        source = axis if axis == 0 or window.source is None else window.source + 1
        size = left.pop(source, None)
        if size is None:
            edges *= n  # a new axis: each of its units reads all that the others say
        elif (reads := window.edges(n, size)) is not None:
            edges *= reads
        else:
            return None
    for size in left.values():
        edges *= size
    return (edges + biases) * node.slices


def dense_parameters(node: Node) -> int | None:
    """The weights and biases of a fully connected layer in the place of one with weights; None of others."""
    if node.op.group not in WEIGHTED or node.inputs[0].dtype == "int64" or node.shared_with:
        return None
    x, y = node.shapes[0].numel, node.output.shape.numel
    return x * y + (y if "bias" in node.op.parameters(*node.shapes) else 0)


def kept(node: Node) -> Fraction | None:
    """How many units a pool gives for each that it takes; None of other layers."""
    if node.op.group != "pooling" or len(node.inputs) > 1:
        return None
    return Fraction(node.output.shape.numel, node.shapes[0].numel)


def weighted_layers(graph: Graph) -> int:
    """The most convolutions and dense layers that lie one behind the other on a path through the network."""
    depth: dict[Value, int] = dict.fromkeys(graph.inputs, 0)
    for node in graph.nodes:
        longest = max(depth[value] for value in node.inputs)
        weighs = node.op.group in WEIGHTED and node.inputs[0].dtype != "int64"
        depth.update(dict.fromkeys(node.outputs, longest + weighs))
    return max(depth[value] for value in graph.outputs.values())
