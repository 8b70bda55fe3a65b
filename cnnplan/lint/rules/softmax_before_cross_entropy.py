"""H301 softmax-before-cross-entropy."""

from __future__ import annotations

from math import e, log
from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Finding, Rule, at
from cnnplan.lint.heads import PROBABILITIES, ending, freed, is_constant, way_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.net import Net


class SoftmaxBeforeCrossEntropy(Rule):
    """A softmax, or a sigmoid, whose output goes to cross entropy, which applies softmax itself.

    Of C numbers from 0 to 1 the softmax makes no probability above e / (e + C - 1), so that the loss of a perfect
    answer is ln(e + C - 1) - 1 instead of 0: 0.31 for 2 classes, 1.46 for 10, 5.91 for 1000. The network trains
    slowly, or not at all.

    Source: torch.nn.CrossEntropyLoss, whose input are "unnormalized logits".
    """

    code: ClassVar[str] = "H301"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - flatten
          - linear: 10
          - softmax
        train: {loss: cross_entropy}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - flatten
          - linear: 10
        train: {loss: cross_entropy}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for name, value, loss in net.trained():
            classes = value.shape.channels
            if loss != "cross_entropy" or classes == 1:
                continue
            node, behind = ending(value, PROBABILITIES)
            if node is None or is_constant(node):
                continue
            applies = "applies softmax itself and " if node.op.kind == "softmax" else ""
            floor = f"; with {classes:,} classes the loss stays above {log(e + classes - 1) - 1:.2f}"
            scaled = any(other.op.group == "regularization" for other in behind)
            yield at(
                node,
                f"'{name}' is trained with cross_entropy, which {applies}takes logits, not numbers from 0 to 1"
                f"{'' if scaled else floor}",
                help=way_out(net, node, loss),
                change=freed(net, node, value, safe=True),
            )
