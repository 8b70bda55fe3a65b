"""N206 dropout-on-logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.net import PASSING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node
    from cnnplan.lint.net import Net

READING = PASSING | frozenset(
    (
        "softmax",
        "log_softmax",
        "sigmoid",
        "avgpool",
        "adaptive_avgpool",
        "global_avgpool",
        "global_maxpool",
        "upsample",
        "crop",
    )
)
"""What may stand behind the layer of the logits: what reads, pools or resizes them."""


class DropoutOnLogits(Rule):
    """A dropout behind the last layer with weights, where nothing can make up for what it drops.

    In training it sets outputs to zero at random and scales the others by 1 / (1 - p): the loss is taken of logits, or
    of probabilities that no longer sum to 1, that the network did not give. Inside a network, the layer behind a
    dropout learns to do with what is left; here is none.

    Behind an activation at the end it is not looked for: such a network is made to give features.

    Source: Srivastava et al. 2014, section 4, where each layer behind a dropout has weights; torch.nn.Dropout.
    """

    code: ClassVar[str] = "N206"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [64, 8, 8]
        layers:
          - global_avgpool
          - linear: 10
          - dropout: 0.5
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [64, 8, 8]
        layers:
          - global_avgpool
          - dropout: 0.5
          - linear: 10
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for node in net.of("dropout", "dropout2d", "alpha_dropout"):
            p = getattr(node.op, "p", 0.0)
            source = net.ahead(node, READING)
            if p == 0 or node.shared_with or source not in net.last_weighted or not self.ends(node, net):
                continue
            yield at(
                node,
                f"'{node.name}' sets {p:.0%} of what '{source.name}' gives to zero, and no layer with weights follows",
                help=f"remove `{node.item.word}`, or put it before '{source.name}'",
                change=Change(True, f"remove `{node.item.word}`", ((node, ("remove",)),)),
            )

    @staticmethod
    def ends(node: Node, net: Net) -> bool:
        """Whether what it gives is an output, or is made one without anything else."""
        last = node
        for following in net.chain(node):
            if following.op.kind not in READING:
                return False
            last = following
        return net.is_output(last)
