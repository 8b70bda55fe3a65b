"""R407 self-merge."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Finding, Rule, at
from cnnplan.lint.heads import axis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Value
    from cnnplan.lint.net import Net

ALONE = {
    "add": "that is the value {times}",
    "subtract": "that is {less} times the value",
    "maximum": "that is the value",
    "mean": "that is the value",
    "concat": "that is each channel {times}",
}
"""What a merge gives of one value alone."""


class SelfMerge(Rule):
    """A value is merged with itself: a name is wrong in `from`, or both branches are empty.

    The sum is twice the value, the difference 0, the largest and the mean the value itself; what is joined with itself
    makes the next layer read everything twice. A product is a square, and left alone; so are the channels of an input
    that are repeated, as of a grey image for a network that takes colour, and what is repeated along a spatial axis.

    Source: He, Zhang, Ren & Sun 2015, arXiv:1512.03385, equation 1: what is added is a function of the value.
    """

    code: ClassVar[str] = "R407"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [16, 32, 32]
        layers:
          - conv_bn_relu: 16
            name: first
          - conv: {out_channels: 16, kernel_size: 3, padding: 1, bias: false}
          - batchnorm:
            name: second
          - add:
            from: [second, second]
          - relu
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [16, 32, 32]
        layers:
          - conv_bn_relu: 16
            name: first
          - conv: {out_channels: 16, kernel_size: 3, padding: 1, bias: false}
          - batchnorm:
            name: second
          - add:
            from: [first, second]
          - relu
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for node in net.of(*ALONE):
            kind, values = node.op.kind, [self.named(value) for value in node.inputs]
            if kind == "concat":
                values = [value for value in values if value.node and axis(node) == 0]
            if len(set(values)) == len(values):
                continue
            value = max(values, key=values.count)
            n = values.count(value)
            times = "twice" if n == 2 else f"{n} times"
            message = f"'{kind}' takes '{value.name}' {times}"
            if n == len(node.inputs):
                message = f"'{kind}' merges '{value.name}' with itself: {ALONE[kind].format(times=times, less=2 - n)}"
            yield at(node, message, help="name another value, or remove it")

    @staticmethod
    def named(value: Value) -> Value:
        """The value that only has another name."""
        while value.node and value.node.op.kind == "identity":
            value = value.node.inputs[0]
        return value
