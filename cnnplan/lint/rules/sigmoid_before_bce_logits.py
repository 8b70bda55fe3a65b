"""H303 sigmoid-before-bce-logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Finding, Rule, at
from cnnplan.lint.heads import PROBABILITIES, ending, freed, is_constant, way_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.net import Net


class SigmoidBeforeBceLogits(Rule):
    """A sigmoid, or a softmax, whose output goes to binary cross entropy, which applies the sigmoid itself here.

    The sigmoid of numbers from 0 to 1 lies between 0.50 and 0.73: the network cannot say no. The loss of a perfect no
    is ln 2 = 0.69, that of a perfect yes 0.31, instead of 0.

    Source: torch.nn.BCEWithLogitsLoss, which is what `binary_cross_entropy` is here.
    """

    code: ClassVar[str] = "H303"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - flatten
          - linear: 1
          - sigmoid
        train: {loss: binary_cross_entropy}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - flatten
          - linear: 1
        train: {loss: binary_cross_entropy}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for name, value, loss in net.trained():
            node, _ = ending(value, PROBABILITIES)
            if loss == "binary_cross_entropy" and node and not is_constant(node):
                yield at(
                    node,
                    f"'{name}' is trained with binary_cross_entropy, which applies the sigmoid itself: "
                    "0 to 1 is read as probabilities of 0.50 to 0.73",
                    help=way_out(net, node, loss),
                    change=freed(net, node, value, safe=True),
                )
