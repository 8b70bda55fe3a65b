"""roi_pool: the largest values in the bins of boxes."""

from collections.abc import Mapping
from math import prod
from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Module, Op, Shape, check_elements, per_axis, plain
from cnnplan.ops.fields import Positive, Spatial
from cnnplan.ops.needs import NOTHING, Kept, Needs, Saved, Scratch
from cnnplan.ops.window import POINTWISE, WHOLE, Adaptive, Window


class RegionPool(Op):
    """What the pools of regions share: a map and boxes [R, 4] to [channels, R, height, width]."""

    group: ClassVar[str] = "pooling"
    inputs: ClassVar[tuple[int, int | None]] = (2, 2)
    detached: ClassVar[frozenset[int]] = frozenset({1})
    layout: ClassVar[str] = "regions"
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "inside", "cpu": "inside"}

    output_size: Spatial = Field(description="bins along each axis of a box")
    spatial_scale: Positive = Field(1.0, description="units of the map for each unit of the boxes")

    def output(self, *xs: Shape) -> Shape:
        x, boxes = xs
        if x.rank != 2 or boxes.rank != 1 or boxes[1] != 4:
            swapped = boxes.rank == 2 and x.rank == 1 and x[1] == 4
            raise ShapeError(
                "S012",
                f"'{self.kind}' takes a map with 2 spatial axes and boxes Rx4; its inputs are {x} and {boxes}",
                help="give the map first: `from: [features, boxes]`"
                if swapped
                else "the columns of the boxes are x1, y1, x2, y2",
            )
        return check_elements(self.kind, Shape((*self.counted(x, boxes), *self.size(x))))

    def size(self, x: Shape) -> tuple[int, ...]:
        """The bins along each axis."""
        return per_axis(self.kind, "output_size", self.output_size, x)

    @staticmethod
    def counted(x: Shape, boxes: Shape) -> tuple[int, int]:
        """How many channels and boxes there are."""
        return x.channels, boxes.channels

    def reads(self, index: int, port: int, *xs: Shape) -> tuple[Window, ...]:
        return (WHOLE if index else POINTWISE, WHOLE, WHOLE, WHOLE)

    def uniform(self, *xs: Shape) -> bool:
        return False

    def bounds(self, *xs: Shape) -> str:
        return "always"

    def saved(self, *xs: Shape) -> Saved:
        boxes = Kept("boxes and their samples", 5 * xs[1].channels, "int32")  # four bytes, whatever the model's
        return Saved(own=(boxes,))

    def kept(self, needs: Needs, *xs: Shape) -> Saved:
        return self.saved(*xs) if needs.inputs[0] else NOTHING

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return Scratch(evaluation=self.saved(*xs).own)


class RoiPool(RegionPool):
    """Max pooling of each box: its corners are rounded, and each bin gives its largest value, an empty one 0.

    Boxes are x1, y1, x2, y2; `spatial_scale` makes them units of the map. No gradient passes to them. It runs
    torchvision's kernel where that is installed, whose memory is planned, and the same in plain torch elsewhere.

    Source: Girshick 2015, arXiv:1504.08083; torchvision.ops.roi_pool.
    """

    kind: ClassVar[str] = "roi_pool"
    formulas: ClassVar[dict[str, str]] = {
        "output": "output_size for each channel and box",
        "flops": "channels * boxes * values - prod(output) comparisons, for boxes as large as the map",
    }

    def values(self, x: Shape) -> int:
        """How many values all bins of a box as large as the map read together, of one channel."""
        return prod(Adaptive(n, out).reads for n, out in zip(x.spatial, self.size(x), strict=True))

    def flops(self, *xs: Shape) -> int:
        return prod(self.counted(*xs)) * self.values(xs[0]) - self.output(*xs).numel

    def formula(self, number: str, *xs: Shape) -> str:
        return super().formula(number, *xs).partition(" comparisons")[0]

    def terms(self, *xs: Shape) -> dict[str, int | tuple[int, ...]]:
        return {"boxes": xs[1].channels, "values": self.values(xs[0])}

    def saved(self, *xs: Shape) -> Saved:
        saved = super().saved(*xs)
        return saved._replace(own=(*saved.own, Kept("indices", self.output(*xs).numel, "int32")))

    def torch(self, *xs: Shape) -> Module:
        return Module("RoiPool", (Argument("output_size", plain(self.output_size)), *self.options("spatial_scale")))
