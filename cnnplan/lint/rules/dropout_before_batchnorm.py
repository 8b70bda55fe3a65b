"""N204 dropout-before-batchnorm."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.diagnostics import Related
from cnnplan.lint.base import Change, Finding, Rule, at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node, Value
    from cnnplan.lint.net import Net

ENDING = ("convolution", "dense", "merge", "normalization")
"""Groups of operations behind which the variance is no longer that of the dropout alone."""


class DropoutBeforeBatchnorm(Rule):
    """A dropout before a batch norm, with no layer with weights between them.

    In training, dropout divides what it keeps by 1 - p: the mean of the squares grows by that factor. Batch norm learns
    that variance, and in evaluation, where nothing is dropped, divides by it: each channel comes out too small.

    A sum or a concatenation between them, as in DenseNet, makes the shift small.

    Source: Li, Chen, Hu & Yang 2018, arXiv:1801.05134.
    """

    code: ClassVar[str] = "N204"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, bias: false}
          - dropout: 0.2
          - batchnorm
          - relu
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, bias: false}
          - batchnorm
          - relu
          - dropout: 0.2
    """

    def check(self, net: Net) -> Iterator[Finding]:
        dropped: dict[Value, Node] = {}
        for node in net.nodes:
            first = dropped.get(node.inputs[0])
            if node.op.kind in ("dropout", "dropout2d") and 0 < getattr(node.op, "p", 0) < 1:
                first = node
            elif first and not first.shared_with and node.op.kind == "batchnorm" and keeps_statistics(node):
                yield self.shift(first, node, net)
            if first and node.op.group not in ENDING:
                dropped.update(dict.fromkeys(node.outputs, first))

    @staticmethod
    def shift(dropout: Node, norm: Node, net: Net) -> Finding:
        """A dropout and the batch norm that it shifts."""
        p = getattr(dropout.op, "p", 0.0)
        change = Change(False, f"swap `{dropout.item.word}` and `batchnorm`", ((dropout, ("swap", norm)),))
        return at(
            dropout,
            f"'{dropout.name}' makes the mean square that '{norm.name}' sees {1 / (1 - p):.2f} times as large in "
            "training as in evaluation",
            help=f"put `{dropout.item.word}` behind the batch norm, before the next layer with weights",
            related=(Related(f"'{norm.name}' keeps the variance of training", norm.at.start),),
            change=change if net.next(dropout) is norm else None,
        )


def keeps_statistics(norm: Node) -> bool:
    """Whether it normalizes with statistics of training in evaluation."""
    return bool(getattr(norm.op, "track_running_stats", True))
