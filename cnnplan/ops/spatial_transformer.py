"""spatial_transformer: a map sampled where another value says."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Module, Op, Shape, axes, check_elements, per_axis
from cnnplan.ops.fields import Flag, Spatial
from cnnplan.ops.needs import Kept, Needs, Saved, Scratch
from cnnplan.ops.window import POINTWISE, WHOLE, Window

_PADDING = {"zeros": 0, "border": 1, "reflection": 8}
"""Operations on each coordinate."""


class SpatialTransformer(Op):
    """Samples a map, or a volume, at positions that an affine transform says: `from: [features, theta]`.

    The transform is a vector from the network itself: 6 numbers for a map, theta, which take the position (x, y) of
    an output unit, each from -1 to 1, to the position (theta0 x + theta1 y + theta2, theta3 x + theta4 y + theta5) of
    the features; 12 for a volume. The layer that gives it should start at the identity: weights zero, biases
    [1, 0, 0, 0, 1, 0].

    Which units are read depends on the data: their receptive field is bounded by the whole map.

    Source: Jaderberg et al. 2015, arXiv:1506.02025; torch.nn.functional.affine_grid and grid_sample.
    """

    kind: ClassVar[str] = "spatial_transformer"
    inputs: ClassVar[tuple[int, int | None]] = (2, 2)
    writable: ClassVar[bool] = True
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "widest", "cpu": "float32"}
    formulas: ClassVar[dict[str, str]] = {
        "output": "the features' channels, of the given size or of their own",
        "flops": "positions * grid + prod(output) * taps: where to read and with which weights, and the weighted sums",
    }

    size: Spatial | None = Field(None, description="spatial size of the output; the input's by default")
    mode: Literal["bilinear", "nearest"] = Field("bilinear", description="how units between positions are read")
    padding_mode: Literal["zeros", "border", "reflection"] = Field("zeros", description="what is read beyond the map")
    align_corners: Flag = Field(False, description="-1 and 1 are the centres of the outermost units, not their edges")

    def output(self, *xs: Shape) -> Shape:
        x, theta = xs
        if x.rank not in (2, 3):
            raise ShapeError(
                "S012",
                f"'{self.kind}' samples a map with 2 or 3 spatial axes; {{0}}, {x}, has {x.rank}",
                help="`from: [features, theta]` says the map first",
            )
        out = x if self.size is None else Shape((x.channels, *per_axis(self.kind, "size", self.size, x)))
        numbers = x.rank * (x.rank + 1)
        if theta != (numbers,):
            what = f"a vector of {theta.channels}" if not theta.rank else f"a map of {theta}"
            raise ShapeError(
                "S020",
                f"'{self.kind}' takes an affine transform of {numbers} numbers for {axes(x.rank)}; {{1}} is {what}",
                help=f"let it end in `linear: {numbers}`",
                assume=out,
            )
        return check_elements(self.kind, out)

    def flops(self, *xs: Shape) -> int:
        grid, taps = self.work(xs[0])
        out = self.output(*xs)
        return out.numel // out.channels * grid + out.numel * taps

    def work(self, x: Shape) -> tuple[int, int]:
        """Operations on each position, and on each element of the output."""
        bilinear, corners = self.mode == "bilinear", 2**x.rank
        coordinate = (
            2 * x.rank + (3 if self.align_corners else 4) + _PADDING[self.padding_mode] + (3 if bilinear else 1)
        )
        weights = corners * (x.rank - 1) if bilinear else 0
        return x.rank * coordinate + weights, 2 * corners - 1 if bilinear else 0

    def terms(self, *xs: Shape) -> dict[str, int | tuple[int, ...]]:
        out = self.output(*xs)
        grid, taps = self.work(xs[0])
        return {"positions": out.numel // out.channels, "grid": grid, "taps": taps}

    def reads(self, index: int, port: int, *xs: Shape) -> tuple[Window, ...]:
        return (WHOLE if index else POINTWISE, *(WHOLE,) * xs[0].rank)

    def bounds(self, *xs: Shape) -> str:
        return "always"

    def grid(self, x: Shape, out: Shape) -> Kept:
        return Kept("grid", x.rank * out.numel // out.channels, "activation")

    def uniform(self, *xs: Shape) -> bool:
        return False

    def saved(self, *xs: Shape) -> Saved:
        return Saved((0,), own=(self.grid(xs[0], self.output(*xs)),))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        grid = self.saved(*xs).own
        return Scratch(evaluation=grid, backward=grid if needs.inputs[1] else ())

    def torch(self, *xs: Shape) -> Module:
        size = None if self.size is None else self.output(*xs).spatial
        return Module(
            "SpatialTransformer",
            (Argument("size", size, None, True), *self.options("mode", "padding_mode", "align_corners")),
        )
