"""H305 activation-on-logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.codes import INFO
from cnnplan.lint.base import Finding, Rule, at
from cnnplan.lint.heads import ending, freed, serves
from cnnplan.lint.net import Net

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node, Value

LEAST = {"relu": 0, "relu6": 0, "gelu": -0.17, "silu": -0.28, "mish": -0.31, "hardswish": -0.375, "selu": -1.76}
"""What activations of hidden layers give at least."""

HIDDEN = frozenset((*LEAST, "elu", "celu", "leaky_relu", "prelu"))
POSITIVE = frozenset(("softplus", "abs"))
"""Those that an output may end in on purpose, where what is wanted is positive."""

ENDS = frozenset(("softmax", "log_softmax", "sigmoid"))
LOSSES = ("cross_entropy", "binary_cross_entropy", "nll")


class ActivationOnLogits(Rule):
    """An activation of hidden layers behind the last layer, where it cuts the logits.

    A ReLU there gives no class a logit below 0: of a sample whose logits are all negative nothing is left, and no
    gradient comes back. With a sigmoid behind it no probability is below 0.5.

    What a spec ends in is taken for logits where it says a loss for classes, where a softmax or sigmoid follows,
    where a 1x1 convolution is pooled to one number a channel, and behind a dense layer at the end. Where that one
    gives as many numbers as it takes and no loss is said, it is information: it may be made to give features.

    Source: torch.nn.CrossEntropyLoss takes "unnormalized logits"; Lin, Chen & Yan 2013, arXiv:1312.4400, section 3.2.
    """

    code: ClassVar[str] = "H305"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 64, kernel_size: 3}
          - relu
          - conv: {out_channels: 10, kernel_size: 1}
          - relu
          - global_avgpool
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 64, kernel_size: 3}
          - relu
          - conv: {out_channels: 10, kernel_size: 1}
          - global_avgpool
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for name, value in net.graph.outputs.items():
            loss = net.losses[name].name if name in net.losses else ""
            last, _ = ending(value, ENDS)
            node, _ = ending(last.inputs[0] if last else value, HIDDEN | POSITIVE if loss in LOSSES else HIDDEN)
            if node is None or not serves(net, node, value):
                continue
            severity = ""
            if loss in LOSSES:
                taker = f"which {loss} takes"
            elif last:
                taker = f"which '{last.name}' takes"
            elif not loss and self.is_head(node, value):
                taker = "which are pooled to one number a channel"
            elif not loss and self.is_dense(node, value):
                taker, severity = "if that is a classifier", "" if self.narrows(node) else INFO
            else:
                continue
            source = Net.ahead(node)
            of = f"of '{source.name}'" if source else "of the network"
            yield at(
                node,
                f"'{node.name}' {self.does(node)} the logits {of}, {taker}",
                help=f"remove `{node.item.word}`",
                severity=severity,
                change=freed(net, node, value, safe=False),
            )

    @staticmethod
    def does(node: Node) -> str:
        """What an activation does to logits."""
        kind = node.op.kind
        if kind in ("leaky_relu", "prelu"):
            return "shrinks the negative ones among"
        least = min(0, -getattr(node.op, "alpha", 0)) if kind in ("elu", "celu") else LEAST.get(kind, 0)
        return f"leaves nothing below {least:g} of"

    @staticmethod
    def is_head(node: Node, value: Value) -> bool:
        """Whether it is behind a 1x1 convolution, and pooled to one number a channel."""
        source, shape = Net.ahead(node), node.output.shape
        if source is None or source.op.kind != "conv" or value.shape != shape[:1] or shape.numel == shape.channels:
            return False
        kernel = getattr(source.op, "kernel_size", 0)
        return set(kernel if isinstance(kernel, tuple) else (kernel,)) == {1}

    @staticmethod
    def narrows(node: Node) -> bool:
        """Whether the dense layer that it is behind gives fewer numbers than it takes, as classifiers do."""
        source = Net.ahead(node)
        return source is not None and source.output.shape.numel < source.shapes[0].numel

    @staticmethod
    def is_dense(node: Node, value: Value) -> bool:
        """Whether it is behind a dense layer, at the end."""
        source = Net.ahead(node)
        return source is not None and source.op.group == "dense" and value.shape == node.output.shape
