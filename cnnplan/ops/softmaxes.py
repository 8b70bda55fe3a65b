"""softmax, log_softmax: a distribution along one axis."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from cnnplan.ops.base import Argument, Module, Op, Shape, axis_of
from cnnplan.ops.fields import Integer
from cnnplan.ops.needs import OUTPUT, Saved
from cnnplan.ops.window import POINTWISE, WHOLE, Window


class _Softmax(Op):
    group: ClassVar[str] = "activation"
    target: ClassVar[str]

    axis: Integer = Field(0, description="axis of the sample that sums to 1; 0 = channels")

    def keeps_order(self) -> bool:
        return True

    def output(self, *xs: Shape) -> Shape:
        axis_of(self.kind, self.axis, xs[0])
        return xs[0]

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        (x,) = xs
        axis = axis_of(self.kind, self.axis, x)
        return tuple(WHOLE if axis == i + 1 else POINTWISE for i in range(x.rank))

    def channels(self, *xs: Shape) -> Window:
        return POINTWISE if axis_of(self.kind, self.axis, xs[0]) else WHOLE

    autocast: ClassVar[Mapping[str, str]] = {"cuda": "float32"}

    def saved(self, *xs: Shape) -> Saved:
        return OUTPUT

    def torch(self, *xs: Shape) -> Module:
        return Module(f"nn.{self.target}", (Argument("dim", axis_of(self.kind, self.axis, xs[0]) + 1, keyword=True),))


class Softmax(_Softmax):
    """exp(x) / sum of exp(x) along an axis.

    Source: Bridle 1990; torch.nn.Softmax.
    """

    kind: ClassVar[str] = "softmax"
    target: ClassVar[str] = "Softmax"
    formulas: ClassVar[dict[str, str]] = {
        "output": "the input's shape",
        "flops": "5 * prod(input): maximum, subtract, exp, sum, divide",
    }

    def flops(self, *xs: Shape) -> int:
        return 5 * xs[0].numel


class LogSoftmax(_Softmax):
    """x - log of the sum of exp(x) along an axis.

    Source: torch.nn.LogSoftmax.
    """

    kind: ClassVar[str] = "log_softmax"
    target: ClassVar[str] = "LogSoftmax"
    formulas: ClassVar[dict[str, str]] = {
        "output": "the input's shape",
        "flops": "5 * prod(input): maximum, subtract, exp, sum, subtract",
    }

    def flops(self, *xs: Shape) -> int:
        return 5 * xs[0].numel


OPS = {op.kind: op for op in (Softmax, LogSoftmax)}
