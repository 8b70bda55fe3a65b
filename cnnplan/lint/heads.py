"""The ends of a network, as the rules about heads and losses ask about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.lint.base import Change
from cnnplan.lint.net import PASSING, Net

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node, Value

PROBABILITIES = frozenset(("softmax", "sigmoid", "hardsigmoid"))
"""Activations that give numbers from 0 to 1."""

BETWEEN = PASSING | frozenset(
    (
        *("maxpool", "avgpool", "global_maxpool", "global_avgpool", "adaptive_maxpool", "adaptive_avgpool"),
        *("crop", "slice", "split", "channel_shuffle", "pixel_shuffle", "space_to_depth"),
    )
)
"""Operations whose numbers lie between the least and the largest of their input, and 0, in evaluation."""


def back(value: Value) -> Iterator[Node]:
    """The layers that made a value, the last one first, as long as each has one input."""
    node = value.node
    while node:
        yield node
        node = Net.before(node)


def ending(value: Value, kinds: frozenset[str]) -> tuple[Node | None, list[Node]]:
    """The operation of one of these kinds that a value ends in; and what is behind it, which keeps its bounds."""
    behind: list[Node] = []
    for node in back(value):
        kind = node.op.kind
        if kind in kinds:
            return node, behind
        if kind not in BETWEEN and (kind != "upsample" or getattr(node.op, "mode", "") == "bicubic"):
            break
        behind.append(node)
    return None, behind


def origin(value: Value) -> Node | None:
    """The layer that a value comes from, without those that hand on all of its numbers in their order."""
    return next((node for node in back(value) if node.op.kind not in ("identity", "flatten", "reshape")), None)


def over_classes(node: Node, value: Value) -> bool:
    """Whether a softmax is over the channels, and these are still those of a value behind it that is `origin`'s."""
    return axis(node) == 0 and node.shapes[0].channels == value.shape.channels


def axis(node: Node) -> int:
    """The axis of a softmax, counted from 0."""
    found: int = getattr(node.op, "axis", 0)
    return found % len(node.shapes[0])


def is_constant(node: Node) -> bool:
    """Whether it is a softmax over one unit."""
    return node.op.kind in ("softmax", "log_softmax") and node.shapes[0][axis(node)] == 1


def serves(net: Net, node: Node, value: Value) -> bool:
    """Whether what a layer gives goes into this output of the network and nowhere else."""
    while value not in node.outputs:
        following = net.next(node)
        if following is None:
            return False
        node = following
    return not net.readers(node)


def freed(net: Net, node: Node, value: Value, *, safe: bool) -> Change | None:
    """An output without the activation that it ends in; None where that, or what is before it, is wanted elsewhere."""
    if not serves(net, node, value) or node.inputs[0] in net.wanted:
        return None
    word = node.item.word
    if node.item.name:  # it may name the output
        return Change(safe, f"write `identity` instead of `{word}`", ((node, ("replace", "identity")),))
    return Change(safe, f"remove `{word}`", ((node, ("remove",)),))


def way_out(net: Net, node: Node, loss: str) -> str:
    """What to do about an activation that a loss takes itself."""
    logits = next((name for name, value in net.graph.outputs.items() if value is node.inputs[0]), "")
    if logits:
        return f"give the loss to the logits alone: `loss: {{{logits}: {loss}}}`"
    return f"remove `{node.item.word}`; take probabilities where they are wanted, after training"


def flattening(dense: Node) -> Node | None:
    """The layer that makes a vector of a map, which a dense layer reads."""
    node = Net.before(dense)
    while node and not node.shapes[0].rank:
        if node.op.kind not in PASSING and node.op.group not in ("activation", "normalization"):
            return None
        node = Net.before(node)
    return node if node and node.op.kind in ("flatten", "reshape") else None
