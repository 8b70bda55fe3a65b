"""crop: the middle of the map."""

from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import AXES, Argument, Inline, Op, Shape, axes, per_axis, require_one, require_spatial
from cnnplan.ops.fields import Spatial
from cnnplan.ops.needs import Kept, Needs, Scratch
from cnnplan.ops.upsample import Reference
from cnnplan.ops.window import Window, shifted


class Crop(Op):
    """The centred part of the map with a given `size`, or the size of another value (`like`).

    Where an odd number of units is cut, the extra one goes at the end.

    Source: Ronneberger, Fischer & Brox 2015, arXiv:1505.04597.
    """

    kind: ClassVar[str] = "crop"
    group: ClassVar[str] = "shape"
    own_channels: ClassVar[bool] = True
    inline: ClassVar[bool] = True
    formulas: ClassVar[dict[str, str]] = {"output": "size, or the size of `like`; starts at (input - output) // 2"}
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int64")
    refers: ClassVar[str] = "like"

    size: Spatial | None = Field(None, description="spatial size of the output")
    like: Reference | None = Field(None, description="a value whose spatial size is taken")

    def output(self, *xs: Shape) -> Shape:
        x = xs[0]
        rank = require_spatial(self.kind, x)
        require_one(self, "size", "like")
        if self.like is not None and xs[1].rank != rank:
            raise ShapeError(
                "S012", f"`like` is a map with {axes(xs[1].rank)}, but the input {x} has {rank}", argument="like"
            )
        size = xs[1].spatial if self.size is None else per_axis(self.kind, "size", self.size, x)
        for axis, n, out in zip(AXES[rank], x.spatial, size, strict=True):
            if out > n:
                raise ShapeError(
                    "S020",
                    f"'crop' cannot cut {axis} {n} of the input {x} to {out}",
                    argument="size" if self.like is None else "like",
                    help="crop the larger value to the smaller, or use `pad`",
                )
        return Shape((x.channels, *size))

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return tuple(shifted((n - out) // 2) for n, out in zip(xs[0].spatial, self.output(*xs).spatial, strict=True))

    def formula(self, number: str, *xs: Shape) -> str:
        return "the middle of the map" if number == "output" else super().formula(number, *xs)

    def is_view(self, *xs: Shape) -> bool:
        return True

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        x, out = xs[0], self.output(*xs)
        cut = Shape((*out[:2], *x[2:])).numel  # axis after axis; the first cut is the largest
        return Scratch(backward=(Kept("cut along one axis", cut, "activation"),) if x.rank > 1 else ())

    def torch(self, *xs: Shape) -> Inline:
        if self.like is not None:
            return Inline("center_crop({0}, {1}.shape[2:])", helper="center_crop")
        size = Argument("size", self.output(*xs).spatial)
        return Inline("center_crop({0}, {size})", (size,), helper="center_crop")
