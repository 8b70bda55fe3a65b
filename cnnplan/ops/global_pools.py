"""global_avgpool, global_maxpool: one number for each channel."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from cnnplan.ops.base import Argument, Module, Op, Shape, require_spatial
from cnnplan.ops.fields import Flag
from cnnplan.ops.needs import NOTHING, Kept, Needs, Saved, Scratch
from cnnplan.ops.window import WHOLE, Window

_FLATTEN = Module("nn.Flatten")


class _GlobalPool(Op):
    group: ClassVar[str] = "pooling"
    own_channels: ClassVar[bool] = True
    autocast: ClassVar[Mapping[str, str]] = {"cpu": "volumes"}
    target: ClassVar[str]

    keepdim: Flag = Field(False, description="keep the spatial axes, with size 1")

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        rank = require_spatial(self.kind, x)
        return Shape((x.channels, *((1,) * rank if self.keepdim else ())))

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return (WHOLE,) * xs[0].rank if self.keepdim else ()

    def formula(self, number: str, *xs: Shape) -> str:
        text = super().formula(number, *xs)
        return f"one number for each channel{', the axes kept' * self.keepdim}" if number == "output" else text

    def torch(self, *xs: Shape) -> Module:
        target = f"nn.{self.target}{xs[0].rank}d"
        return Module(target, (Argument("output_size", 1),), after=None if self.keepdim else _FLATTEN)


class GlobalAvgPool(_GlobalPool):
    """The mean of each channel over the whole map: [C, …] to [C].

    Source: Lin, Chen & Yan 2013, arXiv:1312.4400; torch.nn.AdaptiveAvgPool2d.
    """

    kind: ClassVar[str] = "global_avgpool"
    target: ClassVar[str] = "AdaptiveAvgPool"
    formulas: ClassVar[dict[str, str]] = {"output": "[channels]; [channels, 1, …] with keepdim", "flops": "prod(input)"}

    def flops(self, *xs: Shape) -> int:
        return xs[0].numel

    def saved(self, *xs: Shape) -> Saved:
        return NOTHING


class GlobalMaxPool(_GlobalPool):
    """The largest value of each channel over the whole map: [C, …] to [C].

    Source: Oquab et al. 2015; torch.nn.AdaptiveMaxPool2d.
    """

    kind: ClassVar[str] = "global_maxpool"
    target: ClassVar[str] = "AdaptiveMaxPool"
    formulas: ClassVar[dict[str, str]] = {
        "output": "[channels]; [channels, 1, …] with keepdim",
        "flops": "prod(input) - channels comparisons",
    }

    def flops(self, *xs: Shape) -> int:
        return xs[0].numel - xs[0].channels

    def saved(self, *xs: Shape) -> Saved:
        return Saved((0,), own=(Kept("indices", xs[0].channels, "int64"),))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return Scratch(evaluation=self.saved(*xs).own)


OPS = {op.kind: op for op in (GlobalAvgPool, GlobalMaxPool)}
