"""H302 log-softmax-before-cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Finding, Rule, at
from cnnplan.lint.heads import freed, is_constant, origin, over_classes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.net import Net


class LogSoftmaxBeforeCrossEntropy(Rule):
    """A log-softmax whose output goes to cross entropy, which takes the log-softmax itself.

    Taken twice it is the same as taken once, so that the loss and its gradients are right: only the work is done
    twice, and one more value of the size of the output is kept. `nll` is the loss that takes log-probabilities.

    Source: torch.nn.CrossEntropyLoss, torch.nn.NLLLoss.
    """

    code: ClassVar[str] = "H302"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - flatten
          - linear: 10
          - log_softmax
        train: {loss: cross_entropy}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - flatten
          - linear: 10
          - log_softmax
        train: {loss: nll}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for name, value, loss in net.trained():
            node = origin(value)
            if loss != "cross_entropy" or node is None or node.op.kind != "log_softmax" or is_constant(node):
                continue
            if over_classes(node, value):
                yield at(
                    node,
                    f"'{name}' is trained with cross_entropy, which takes the log-softmax itself: it is taken twice",
                    help="remove `log_softmax`, or train with `nll`",
                    change=freed(net, node, value, safe=False),
                )
