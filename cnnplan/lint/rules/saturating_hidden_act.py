"""N208 saturating-hidden-act."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.net import PASSING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node, Value
    from cnnplan.lint.net import Net

STEEPEST = {"sigmoid": 4, "hardsigmoid": 6, "tanh": 1}
"""Activations that saturate, and one over the largest slope that they have."""

MILLION = 10**6
MOST = 3
"""So many were usual before ReLU: LeNet-5 has three."""

TO_ACTIVATION = PASSING | frozenset(("avgpool", "maxpool", "scale", "layer_scale"))
"""What may stand between a convolution and its activation."""


class Trail(NamedTuple):
    """How many of them there are on the way to a value, the last one, and the way before it."""

    length: int = 0
    node: Node | None = None
    before: Trail | None = None


START = Trail()


class SaturatingHiddenAct(Rule):
    """A sigmoid or tanh behind more than three convolutions on one path.

    Where its input is large, such a function is flat. Its slope is at most 1/4 for a sigmoid and 1 for a tanh, and the
    gradient of the first layer has all of them as factors: behind four sigmoids at most 1/256 of it is left.

    Gates, which are multiplied with something, are meant to saturate. An activation behind a normalization is kept
    from it, and a skip leads the gradient around.

    Source: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks"; Glorot,
    Bordes & Bengio 2011, "Deep sparse rectifier neural networks".
    """

    code: ClassVar[str] = "N208"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - layers:
              - conv: {out_channels: 16, kernel_size: 3}
              - sigmoid
            repeat: 4
          - global_avgpool
          - linear: 10
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - layers:
              - conv: {out_channels: 16, kernel_size: 3}
              - relu
            repeat: 4
          - global_avgpool
          - linear: 10
    """

    def check(self, net: Net) -> Iterator[Finding]:
        if sum(node.op.kind in STEEPEST for node in net.nodes) <= MOST:
            return
        trails: dict[Value, Trail] = {}
        longest = START
        for node in net.nodes:
            # the gradient takes the way with the fewest
            trail = min((trails.get(value, START) for value in node.inputs), key=lambda found: found.length)
            if net.is_weighted(node) and trail.length > longest.length:
                longest = trail
            if node.op.group == "normalization" and node.op.kind != "lrn":
                trail = START
            elif node.op.kind in STEEPEST and is_hidden(node, net):
                trail = Trail(trail.length + 1, node, trail)
            if trail.length:
                trails.update(dict.fromkeys(node.outputs, trail))
        if longest.length > MOST:
            yield row(longest)


def is_hidden(node: Node, net: Net) -> bool:
    """Whether it is the activation of a convolution, and no gate."""
    source = net.ahead(node, TO_ACTIVATION)
    if source is None or source.op.group != "convolution":
        return False
    last = node
    for following in net.chain(node):
        if following.op.kind not in PASSING and following.op.kind != "upsample":
            break
        last = following
    return not any(reader.op.kind == "multiply" for reader in net.readers(last))


def row(trail: Trail) -> Finding:
    """Activations in a row."""
    nodes: list[Node] = []
    while trail.node and trail.before:
        nodes.append(trail.node)
        trail = trail.before
    first, last = nodes[-1], nodes[0]
    left = min(prod(STEEPEST[node.op.kind] for node in nodes), MILLION)
    slopes = f": their slopes leave at most 1/{left:,} of the gradient" if left > 1 else ""
    return at(
        first,
        f"{len(nodes)} convolutions on one path have a saturating activation, from '{first.name}' to "
        f"'{last.name}'{slopes}",
        help="use `relu` in hidden layers, or put `batchnorm` between convolution and activation",
        change=Change(False, "use `relu` in hidden layers", tuple((node, ("replace", "relu")) for node in nodes)),
    )
