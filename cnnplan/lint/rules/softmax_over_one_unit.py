"""H307 softmax-over-one-unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.codes import WARNING
from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.heads import axis, back, is_constant, origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.net import Net


class SoftmaxOverOneUnit(Rule):
    """A softmax over a single unit, which is 1 whatever the unit is; or cross entropy of a single class.

    What is divided by itself carries nothing: nothing before it gets a gradient, and nothing behind it depends on the
    input. A classifier of yes and no has one channel and a sigmoid, or two channels and a softmax.

    Along a spatial axis it is a warning: there a larger input may have more units.

    Source: torch.nn.Softmax.
    """

    code: ClassVar[str] = "H307"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - flatten
          - linear: 1
          - softmax
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - flatten
          - linear: 1
          - sigmoid
    """

    def check(self, net: Net) -> Iterator[Finding]:
        constant = set()
        for node in net.of("softmax", "log_softmax"):
            if not is_constant(node):
                continue
            constant.add(node)
            kind, along = node.op.kind, axis(node)
            what = f"unit along axis {along} of its input {node.shapes[0]}" if along else "channel of its input"
            message = f"'{node.name}' is over the one {what}: it always gives {'1' if kind == 'softmax' else '0'}"
            help = "take a softmax over several units, or a sigmoid of one"
            change = None
            if not along and kind == "softmax":
                help = "write `sigmoid`, or give the layer before it two channels"
                alone = node.output.shape.numel == 1  # of a map, a softmax over the positions may be meant
                change = Change(alone, "write `sigmoid` instead of `softmax`", ((node, ("replace", "sigmoid")),))
            yield at(node, message, help=help, severity=WARNING if along else "", change=change)
        for name, value, loss in net.trained():
            if loss == "cross_entropy" and value.shape.channels == 1 and constant.isdisjoint(back(value)):
                last = origin(value) or value.node
                assert last
                message = f"'{name}' has one class, of which cross_entropy takes the softmax: the loss is always 0"
                yield at(last, message, help="train with `binary_cross_entropy`, or give it two classes")
