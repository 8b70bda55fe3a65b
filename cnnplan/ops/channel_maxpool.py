"""channel_maxpool: the largest of each group of channels."""

from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Module, Op, Shape
from cnnplan.ops.conv import divisors, nearest_divisor
from cnnplan.ops.fields import Size
from cnnplan.ops.needs import Kept, Needs, Saved, Scratch
from cnnplan.ops.window import Window


class ChannelMaxPool(Op):
    """Maxout: the largest of each group of consecutive channels, at each position: [C, …] to [groups, …].

    Each of the `groups` has C / groups channels.

    Source: Goodfellow et al. 2013, arXiv:1302.4389.
    """

    kind: ClassVar[str] = "channel_maxpool"
    group: ClassVar[str] = "pooling"
    formulas: ClassVar[dict[str, str]] = {
        "output": "groups channels; the input's sizes",
        "flops": "prod(input) - prod(output) comparisons",
    }

    groups: Size = Field(description="groups of channels: the channels of the output")

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        shape = Shape((self.groups, *x.spatial))
        if x.channels % self.groups:
            raise ShapeError(
                "S006",
                f"groups {self.groups} does not divide the {x.channels} channels of its input {x}",
                argument="groups",
                instead=nearest_divisor(x.channels, self.groups),
                help=f"{x.channels} divides by {', '.join(map(str, divisors(x.channels)))}",
                assume=shape,
            )
        return shape

    def flops(self, *xs: Shape) -> int:
        return xs[0].numel - self.output(*xs).numel

    def channels(self, *xs: Shape) -> Window:
        each = xs[0].channels // self.groups
        return Window(each, (range(each),))

    def saved(self, *xs: Shape) -> Saved:
        return Saved((0,), output=True)

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        out = self.output(*xs).numel
        ties = Kept("which is largest", xs[0].numel, "bool"), Kept("how many are", out, "int64")
        return Scratch(backward=(*ties, Kept("shares", out, "activation")))

    def torch(self, *xs: Shape) -> Module:
        return Module("ChannelMaxPool", (Argument("groups", self.groups),))
