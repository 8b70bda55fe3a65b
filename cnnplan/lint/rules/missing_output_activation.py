"""H304 missing-output-activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.diagnostics import Edit, Fix
from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.heads import axis, is_constant, origin, serves
from cnnplan.lint.net import Net
from cnnplan.source import Mapping, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Value


class MissingOutputActivation(Rule):
    """An output that is trained with nll, and is no log-probability: there is no log-softmax at its end.

    This loss is minus the output of the right class, nothing more. Of logits it has no minimum: it falls for ever,
    while all logits grow. Of probabilities it has no gradient where the network is quite wrong.

    Source: torch.nn.NLLLoss, whose input "is expected to contain log-probabilities of each class".
    """

    code: ClassVar[str] = "H304"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - flatten
          - linear: 10
        train: {loss: nll}
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
        trained = [(name, value) for name, value, loss in net.trained() if loss == "nll" and value.shape.channels > 1]
        wrong = [(name, value, why) for name, value in trained if (why := self.why(value))]
        one_for_all = not isinstance(net.said("train", "loss"), dict)
        for name, value, why in wrong:
            node = origin(value) or value.node
            assert node
            help, change, fix = "train with `cross_entropy`, which takes logits, or end with `log_softmax`", None, None
            if node.op.kind == "softmax":
                help = "write `log_softmax` instead of `softmax`"
                new = f"log_softmax: {{axis: {axis(node)}}}" if axis(node) else "log_softmax"
                if serves(net, node, value) and node.inputs[0] not in net.wanted:
                    change = Change(True, help, ((node, ("replace", new)),))
            elif node.op.kind == "log_softmax":
                help = "leave `axis` out, or put the classes in front with `permute`"
            elif not one_for_all or len(wrong) == len(net.graph.outputs):
                fix = self.as_cross_entropy(net, None if one_for_all else name)
            message = f"'{name}' is trained with nll, which takes log-probabilities, but {why}"
            yield at(node, message, help=help, change=change)._replace(fix=fix)

    @staticmethod
    def why(value: Value) -> str:
        """Why a value is no log-probability of classes; "" where it may be one."""
        last = origin(value)
        if last and last.op.kind == "softmax":
            return "gives probabilities"
        if last and last.op.kind == "log_softmax":
            if axis(last) and last.shapes[0] == value.shape and not is_constant(last):
                return f"takes its softmax along axis {axis(last)}: the classes are along axis 0"
            return ""
        stack, seen = [value], {value}
        while stack:
            node = stack.pop().node
            if node is None or Net.is_weighted(node):
                continue
            if node.op.kind in ("log_softmax", "softplus"):  # also -softplus(-x) is a logarithm
                return ""
            stack += [v for v in node.inputs if v not in seen]
            seen.update(node.inputs)
        return "has no log_softmax at its end"

    @staticmethod
    def as_cross_entropy(net: Net, output: str | None) -> Fix | None:
        """The loss of an output, or of all, as cross entropy of its logits."""
        node = net.place("train", "loss")
        if output is not None:
            node = node.get(output) if isinstance(node, Mapping) else None
        if isinstance(node, Mapping) and len(node.entries) == 1:
            node = next(iter(node))[0]
        if not isinstance(node, Scalar) or node.value != "nll" or not node.plain:
            return None
        return Fix(True, "train with `cross_entropy`", (Edit(node.start, node.end, "cross_entropy"),))
