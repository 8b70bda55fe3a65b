"""groupnorm: normalization of groups of channels, sample by sample."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Module, Op, Shape
from cnnplan.ops.conv import divisors, nearest_divisor
from cnnplan.ops.fields import Epsilon, Flag, Size
from cnnplan.ops.needs import Kept, Needs, Saved, Scratch
from cnnplan.ops.window import WHOLE, Window, grouped


class GroupNorm(Op):
    """Group normalization: each sample and group of channels, over all positions.

    Source: Wu & He 2018, arXiv:1803.08494; torch.nn.GroupNorm.
    """

    kind: ClassVar[str] = "groupnorm"
    group: ClassVar[str] = "normalization"
    layout: ClassVar[str] = "format"
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "float32"}
    repacks: ClassVar[str] = "cuda"
    writable: ClassVar[bool] = True
    formulas: ClassVar[dict[str, str]] = {
        "output": "the input's shape",
        "parameters": "2 * channels: weight and bias",
        "flops": "prod(input) * (1 for the mean, 3 for the variance, 2 to normalize, 2 for weight and bias)",
    }

    num_groups: Size = Field(description="groups of channels that are normalized together")
    eps: Epsilon = Field(1e-5, description="added to the variance")
    affine: Flag = Field(True, description="learn a weight and a bias for each channel")

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        if x.channels % self.num_groups:
            raise ShapeError(
                "S007",
                f"num_groups {self.num_groups} does not divide the {x.channels} channels of its input {x}",
                argument="num_groups",
                instead=nearest_divisor(x.channels, self.num_groups),
                help=f"{x.channels} divides by {', '.join(map(str, divisors(x.channels)))}",
                assume=x,
            )
        return x

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        c = xs[0].channels
        return {"weight": (c,), "bias": (c,)} if self.affine else {}

    def flops(self, *xs: Shape) -> int:
        return (8 if self.affine else 6) * xs[0].numel

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return (WHOLE,) * xs[0].rank

    def channels(self, *xs: Shape) -> Window:
        return grouped(xs[0].channels, xs[0].channels, self.num_groups)

    def formula(self, number: str, *xs: Shape) -> str:
        if number == "flops":
            return "prod(input) * (1 + 3 + 2 + 2)" if self.affine else "prod(input) * (1 + 3 + 2)"
        return "0" if number == "parameters" and not self.affine else super().formula(number, *xs)

    def saved(self, *xs: Shape) -> Saved:
        return Saved((0,), own=(Kept("mean and inverse deviation", 2 * self.num_groups, "float32"),))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return Scratch(evaluation=self.saved(*xs).own)

    def torch(self, *xs: Shape) -> Module:
        sizes = (Argument("num_groups", self.num_groups), Argument("num_channels", xs[0].channels))
        return Module("nn.GroupNorm", sizes + self.options("eps", "affine"))
