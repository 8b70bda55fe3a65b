"""channel_shuffle: channels exchanged between groups."""

from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Module, Op, Shape, require_spatial
from cnnplan.ops.conv import divisors, nearest_divisor
from cnnplan.ops.fields import Size
from cnnplan.ops.window import Window


class ChannelShuffle(Op):
    """Channel i of group g becomes channel g of group i: [groups, C / groups] transposed.

    Source: Zhang et al. 2017, arXiv:1707.01083; torch.nn.ChannelShuffle.
    """

    kind: ClassVar[str] = "channel_shuffle"
    group: ClassVar[str] = "shape"
    layout: ClassVar[str] = "format"
    formulas: ClassVar[dict[str, str]] = {"output": "the input's shape"}

    groups: Size = Field(description="groups of channels")

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        require_spatial(self.kind, x)
        if x.channels % self.groups:
            raise ShapeError(
                "S006",
                f"groups {self.groups} does not divide the {x.channels} channels of its input {x}",
                argument="groups",
                instead=nearest_divisor(x.channels, self.groups),
                help=f"{x.channels} divides by {', '.join(map(str, divisors(x.channels)))}",
                assume=x,
            )
        return x

    def channels(self, *xs: Shape) -> Window:
        apart = xs[0].channels // self.groups
        return Window(1, tuple(range(group * apart, group * apart + 1) for group in range(self.groups)))

    def torch(self, *xs: Shape) -> Module:
        return Module("nn.ChannelShuffle", (Argument("groups", self.groups),))
