"""N207 activation-before-maxpool."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.render.numbers import size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node
    from cnnplan.lint.net import Net

POOLS = ("maxpool", "adaptive_maxpool", "global_maxpool")
RISING = frozenset(("relu", "relu6", "tanh", "sigmoid", "selu", "hardtanh", "hardsigmoid"))
"""Activations that never fall, whatever their arguments."""


class ActivationBeforeMaxpool(Rule):
    """An activation before a max pool that could run behind it, on fewer elements.

    An activation that never falls gives its largest value where its input is largest: max pool and activation can be
    swapped, and the network computes the same. Behind a pool of 2x2 the activation has a quarter of the
    work. GELU, SiLU, Mish and Hardswish fall below zero, and PReLU may learn to: they stay where they are.

    Source: torch.nn.MaxPool2d, which pads with minus infinity.
    """

    code: ClassVar[str] = "N207"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
          - relu
          - maxpool: 2
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
          - maxpool: 2
          - relu
    """

    def check(self, net: Net) -> Iterator[Finding]:
        pairs = {}
        for pool in net.of(*POOLS):
            first = net.before(pool)
            if first and net.next(first) is pool and commute(first, pool, net):
                pairs[first] = pool
        for first, pool in pairs.items():
            if first.at is not first.item.key or not net.made_by(first) <= pairs.keys():
                continue  # its word is built in, or stands before something else, too
            before, after = first.output.shape.numel, pool.output.shape.numel
            spared = ""
            if first.op.saved(*first.shapes).inputs and not first.op.overwrites(*first.shapes):
                spared = f", and training would keep {size((before - after) * 4)} a sample less, in float32"
            yield at(
                first,
                f"'{first.name}' runs over {before:,} elements a sample; behind '{pool.name}' it would run over "
                f"{after:,} and the network would compute the same{spared}",
                help=f"put `{first.item.word}` behind `{pool.item.word}`",
                change=Change(True, f"swap `{first.item.word}` and `{pool.item.word}`", ((first, ("swap", pool)),)),
            )


def commute(first: Node, pool: Node, net: Net) -> bool:
    """Whether a layer is an activation that can run behind a pool, and has less to do there."""
    if pool.output.shape.numel >= first.output.shape.numel or not rises(first):
        return False
    # with dilation a window may have nothing but padding: minus infinity, whose ReLU is 0
    return not any(w.dilation > 1 and (w.before or w.after) for w in net.slides.get(pool, ()))


def rises(node: Node) -> bool:
    """Whether an activation never falls."""
    match node.op.kind:
        case "leaky_relu":
            return bool(getattr(node.op, "negative_slope", -1) >= 0)
        case "elu" | "celu":
            return bool(getattr(node.op, "alpha", -1) >= 0)
        case "softplus":  # it falls by log(1 + exp(-threshold)) where it becomes the identity
            return bool(getattr(node.op, "threshold", 0) >= 20)
    return node.op.kind in RISING
