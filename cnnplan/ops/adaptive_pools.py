"""adaptive_avgpool, adaptive_maxpool: a given output size, whatever the input's."""

from collections.abc import Mapping
from math import prod
from typing import ClassVar

from pydantic import Field

from cnnplan.ops.base import Argument, Module, Op, Shape, check_elements, per_axis, plain, require_spatial
from cnnplan.ops.fields import Spatial
from cnnplan.ops.needs import INPUT, NOTHING, Kept, Needs, Saved, Scratch
from cnnplan.ops.window import Adaptive, Window


class _AdaptivePool(Op):
    group: ClassVar[str] = "pooling"
    layout: ClassVar[str] = "format"
    own_channels: ClassVar[bool] = True
    autocast: ClassVar[Mapping[str, str]] = {"cpu": "volumes"}
    target: ClassVar[str]

    output_size: Spatial = Field(description="spatial size of the output")

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        require_spatial(self.kind, x)
        return check_elements(self.kind, Shape((x.channels, *per_axis(self.kind, "output_size", self.output_size, x))))

    def values(self, x: Shape) -> int:
        """How many input values all windows of one channel read together."""
        return prod(Adaptive(n, out).reads for n, out in zip(x.spatial, self.output(x).spatial, strict=True))

    def formula(self, number: str, *xs: Shape) -> str:
        return "channels * values" if number == "flops" else super().formula(number, *xs)

    def terms(self, *xs: Shape) -> dict[str, int | tuple[int, ...]]:
        return {"values": self.values(xs[0])}

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        (x,) = xs
        return tuple(Adaptive(n, out).window for n, out in zip(x.spatial, self.output(x).spatial, strict=True))

    def torch(self, *xs: Shape) -> Module:
        return Module(f"nn.{self.target}{xs[0].rank}d", (Argument("output_size", plain(self.output_size)),))


class AdaptiveAvgPool(_AdaptivePool):
    """Average pooling to a given size: output o is the mean of inputs floor(o*n/out) to ceil((o+1)*n/out) - 1.

    Source: torch.nn.AdaptiveAvgPool2d; He et al. 2014, arXiv:1406.4729.
    """

    kind: ClassVar[str] = "adaptive_avgpool"
    target: ClassVar[str] = "AdaptiveAvgPool"
    formulas: ClassVar[dict[str, str]] = {"output": "output_size", "flops": "the sizes of all windows, summed"}

    def flops(self, *xs: Shape) -> int:
        return xs[0].channels * self.values(xs[0])

    def saved(self, *xs: Shape) -> Saved:
        return NOTHING if prod(self.output(*xs).spatial) == 1 else INPUT


class AdaptiveMaxPool(_AdaptivePool):
    """Max pooling to a given size, over the windows of `adaptive_avgpool`.

    Source: torch.nn.AdaptiveMaxPool2d.
    """

    kind: ClassVar[str] = "adaptive_maxpool"
    target: ClassVar[str] = "AdaptiveMaxPool"
    formulas: ClassVar[dict[str, str]] = {
        "output": "output_size",
        "flops": "the sizes of all windows, less one each, summed",
    }

    def flops(self, *xs: Shape) -> int:
        return xs[0].channels * self.values(xs[0]) - self.output(*xs).numel

    def formula(self, number: str, *xs: Shape) -> str:
        text = super().formula(number, *xs)
        return f"{text} - prod(output)" if number == "flops" else text

    def saved(self, *xs: Shape) -> Saved:
        return Saved((0,), own=(Kept("indices", self.output(*xs).numel, "int64"),))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return Scratch(evaluation=self.saved(*xs).own)


OPS = {op.kind: op for op in (AdaptiveAvgPool, AdaptiveMaxPool)}
