"""R402 residual-ends-in-relu."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.diagnostics import Related
from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.net import WEIGHTED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node, Value
    from cnnplan.lint.net import Net

PROJECTING = frozenset(("identity", "batchnorm", "groupnorm", "layernorm", "instancenorm", "avgpool"))
"""What a projection may have beside its 1x1 convolution."""

LONGEST = 24
"""Layers of a branch that are looked at."""


class ResidualEndsInRelu(Rule):
    """A residual branch whose last layer is a ReLU, so that it can add to its shortcut and never take away.

    From block to block the values grow, and a block cannot correct the one before it: on CIFAR-10, with 110 layers, the
    error rises from 6.61 % to 7.84 %. The ReLU belongs behind the sum, or before the first convolution.

    A branch is taken for residual where the other path is the value that enters it, or a 1x1 convolution of that value,
    and where it is a plain row of layers that makes no map larger again; beside a projection, two or more of them
    have weights.

    Source: He et al. 2016, arXiv:1603.05027, table 2, "ReLU before addition".
    """

    code: ClassVar[str] = "R402"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [16, 32, 32]
        layers:
          - add:
              body:
                - conv_bn_relu: 16
                - conv: {out_channels: 16, kernel_size: 3, padding: 1, bias: false}
                - batchnorm
                - relu
              shortcut: []
          - conv: {out_channels: 8, kernel_size: 3}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [16, 32, 32]
        layers:
          - add:
              body:
                - conv_bn_relu: 16
                - conv: {out_channels: 16, kernel_size: 3, padding: 1, bias: false}
                - batchnorm
              shortcut: []
          - relu
          - conv: {out_channels: 8, kernel_size: 3}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for merge in net.of("add"):
            if len(merge.inputs) != 2 or merge.shared_with:
                continue
            for value, other in (merge.inputs, merge.inputs[::-1]):
                last = value.node
                if (
                    last
                    and last.op.kind in ("relu", "relu6")
                    and net.next(last) is merge
                    and is_residual(last, other, net)
                ):
                    yield self.finding(last, merge, other, net)

    @staticmethod
    def finding(last: Node, merge: Node, other: Value, net: Net) -> Finding:
        """A branch that ends in a ReLU."""
        word = last.item.word
        behind = net.next(merge)
        steps: list[tuple[Node, tuple[str | Node, ...]]] = [(last, ("remove",))]
        if behind is None or behind.op.group != "activation":
            steps.append((merge, ("after", last.op.kind)))
        return at(
            last,
            f"'{last.name}' is the end of the branch that '{merge.name}' adds to '{other.name}': "
            "it can add and never take away",
            help=f"put `{word}` behind `{merge.item.word}`"
            if len(steps) > 1
            else f"remove `{word}`: one is behind the sum",
            related=(Related(f"'{merge.name}' adds it", merge.at.start),),
            change=Change(False, f"put `{last.op.kind}` behind the sum", tuple(steps)),
        )


def is_residual(last: Node, other: Value, net: Net) -> bool:
    """Whether the branch that ends in a layer begins where the other path begins, which has no activation."""
    starts = origins(other, net)
    weighted = 0
    node: Node | None = last
    for _ in range(LONGEST):
        if node is None or len(node.inputs) > 1:
            return False
        if node.op.group == "unpooling and resizing" or node.op.kind == "conv_transpose":
            return False
        weighted += node.op.group in WEIGHTED
        if node.inputs[0] in starts:
            return weighted >= 2 or (weighted == 1 and node.inputs[0] is other)
        node = node.inputs[0].node
    return False


def origins(value: Value, net: Net) -> list[Value]:
    """A value, and the one that it is projected from."""
    node, found, projected = value.node, [value], False
    while node:
        if node.op.kind == "conv" and not projected:
            if any(w.kernel > 1 for w in net.slides[node]):
                break
            projected = True
        elif node.op.kind not in PROJECTING:
            break
        found.append(node.inputs[0])
        node = node.inputs[0].node
    return found
