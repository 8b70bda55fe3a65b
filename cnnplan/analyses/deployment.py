"""What has to be shipped? The bytes of the weights, in several formats, and with batch norms folded.

A batch norm behind a convolution or a dense layer is a factor and an offset for each output channel in
evaluation, which that layer's weights and bias take in. Source: Jacob et al. 2018, arXiv:1712.05877,
section 3.2; in int8, weights are one byte each with a float32 scale for each output channel, and
everything else stays float32 (Krishnamoorthi 2018, arXiv:1806.08342).
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cnnplan.graph import Graph, Node


class Weights(NamedTuple):
    """The bytes of parameters and buffers, without a file's header."""

    float32: int
    float16: int
    int8: int


class Deployment(NamedTuple):
    """Weights as they are and with batch norms folded.

    Attributes:
        weights, folded: bytes by format.
        norms: how many batch norms are folded.
    """

    weights: Weights
    folded: Weights
    norms: int


def deployment(graph: Graph) -> Deployment:
    """What has to be shipped of a network."""
    users = graph.users()
    outputs = set(graph.outputs.values())
    shared = {node.path for node in graph.nodes if node.shared_with}
    folded: dict[Node, Node] = {}
    for node in graph.nodes:
        if not node.op.folds or node.path in shared:
            continue
        maker = node.inputs[0].node
        alone = maker and maker.output not in outputs and users[maker.output] == [node]
        known = node.op.buffers(*node.shapes)  # without running statistics there is no fixed factor
        if maker and alone and known and maker.op.takes_norms and maker.path not in shared:
            folded[node] = maker
    makers = set(folded.values())
    return Deployment(_weights(graph, set(), set()), _weights(graph, set(folded), makers), len(folded))


def _weights(graph: Graph, gone: set[Node], biased: set[Node]) -> Weights:
    wide = narrow = int8 = 0
    for node in graph.nodes:
        if node.shared_with or node in gone:
            continue
        tensors = dict(node.op.parameters(*node.shapes))
        if node in biased:
            tensors.setdefault("bias", (node.output.shape.channels,))
        products = node.op.macs(*node.shapes)
        for name, shape in tensors.items():
            n = prod(shape)
            wide += 4 * n
            narrow += 2 * n
            int8 += n + 4 * node.output.shape.channels if products and name == "weight" else 4 * n
        for shape in node.op.buffers(*node.shapes).values():
            count = 8 * (not shape)
            n = prod(shape) if shape else 0
            wide += 4 * n + count
            narrow += 2 * n + count
            int8 += 4 * n + count
    return Weights(wide, narrow, int8)
