"""spatial_pyramid_pool: grids of bins of several sizes, joined into one vector."""

from collections.abc import Mapping
from math import prod
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, PlainValidator, WithJsonSchema

from cnnplan.errors import ShapeError
from cnnplan.ops.base import AXES, Argument, Module, Op, Shape, check_elements, per_axis, plain, require_spatial
from cnnplan.ops.fields import per_axis as per_axis_of
from cnnplan.ops.fields import refuse
from cnnplan.ops.needs import NOTHING, Kept, Needs, Saved, Scratch
from cnnplan.ops.window import Adaptive, Sliding, Window

_bins = per_axis_of(1, "a number of bins ≥ 1")


def _levels(value: object) -> tuple[Any, ...]:
    if isinstance(value, list | tuple) and value:
        return tuple(map(_bins, value))
    raise refuse("a list of numbers of bins", value)


_BINS = {"type": "integer", "minimum": 1}
Levels = Annotated[
    tuple[int | tuple[int, ...], ...],
    PlainValidator(_levels),
    WithJsonSchema(
        {
            "type": "array",
            "minItems": 1,
            "items": {**_BINS, "type": ["integer", "array"], "items": _BINS, "minItems": 1, "maxItems": 3},
        }
    ),
]


class Grid(NamedTuple):
    """The bins of one level.

    Attributes:
        counts: along each axis.
        work: the input values that all bins of a channel read together.
    """

    counts: tuple[int, ...]
    work: int

    @property
    def bins(self) -> int:
        return prod(self.counts)


class SpatialPyramidPool(Op):
    """Pools a map into n bins along each axis, for each n of `levels`, into one vector, whatever the map's size.

    Its order is level by level, in each channel by channel, in each the bins row by row. Adaptive bins are those of
    `adaptive_maxpool`: together they read the whole map. Sliding ones are SPP-net's, windows of ceil(size / n) that are
    floor(size / n) apart: they make n bins only where size % n <= size // n, and leave out size % n - 1 units at the
    end.

    Source: He et al. 2014, arXiv:1406.4729; torch.nn.AdaptiveMaxPool2d.
    """

    kind: ClassVar[str] = "spatial_pyramid_pool"
    group: ClassVar[str] = "pooling"
    autocast: ClassVar[Mapping[str, str]] = {"cpu": "volumes"}
    formulas: ClassVar[dict[str, str]] = {
        "output": "channels * the bins of all levels",
        "flops": "the sizes of all bins, summed; less one each for max",
    }

    levels: Levels = Field((1, 2, 4), description="bins along each axis, level by level: one number, or several")
    mode: Literal["max", "avg"] = Field("max", description="what is taken of each bin")
    bins: Literal["adaptive", "sliding"] = Field("adaptive", description="torch's bins, or SPP-net's")

    def grids(self, x: Shape) -> list[Grid]:
        require_spatial(self.kind, x)
        return [self.grid(per_axis(self.kind, "levels", level, x), x) for level in self.levels]

    def grid(self, counts: tuple[int, ...], x: Shape) -> Grid:
        pairs = list(zip(x.spatial, counts, strict=True))
        if self.bins == "adaptive":
            return Grid(counts, prod(Adaptive(a, n).reads for a, n in pairs))
        for axis, (a, n) in zip(AXES[x.rank], pairs, strict=True):
            if a % n > a // n:
                found = f"{Sliding(-(-a // n), a // n).size(a)} of {-(-a // n)}" if a >= n else "none"
                raise ShapeError(
                    "S020",
                    f"sliding bins of {axis} {a} are {found}, not {n}: the window is ceil({a} / {n}), "
                    f"its step floor({a} / {n})",
                    argument="levels",
                    help="use `bins: adaptive`, or fewer bins",
                )
        return Grid(counts, prod(-(-a // n) * n for a, n in pairs))

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        return check_elements(self.kind, Shape((x.channels * sum(grid.bins for grid in self.grids(x)),)))

    def flops(self, *xs: Shape) -> int:
        (x,) = xs
        work = x.channels * sum(grid.work for grid in self.grids(x))
        return work - self.output(x).numel if self.mode == "max" else work

    def formula(self, number: str, *xs: Shape) -> str:
        if number == "flops":
            return "channels * values" + " - prod(output)" * (self.mode == "max")
        return "channels * bins" if number == "output" else super().formula(number, *xs)

    def terms(self, *xs: Shape) -> dict[str, int | tuple[int, ...]]:
        grids = self.grids(xs[0])
        return {"values": sum(grid.work for grid in grids), "bins": sum(grid.bins for grid in grids)}

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return ()

    def bounds(self, *xs: Shape) -> str:
        (x,) = xs
        grids = self.grids(x)
        left = any(a % n > 1 for grid in grids for a, n in zip(x.spatial, grid.counts, strict=True))
        return "all" if self.bins == "sliding" and left else "parts"

    def saved(self, *xs: Shape) -> Saved:
        (x,) = xs
        if self.mode == "max":
            return Saved((0,), own=tuple(self.indices(x)))
        keeps = self.bins == "sliding" or any(grid.bins > 1 for grid in self.grids(x))
        return Saved((0,)) if keeps else NOTHING

    def indices(self, x: Shape) -> list[Kept]:
        return [Kept("indices", x.channels * grid.bins, "int64") for grid in self.grids(x)]

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        (x,) = xs
        sizes = [x.channels * grid.bins for grid in self.grids(x)]
        grids, own = Kept("grids", sum(sizes), "activation"), 2 * sizes[-1] if self.mode == "max" else 0
        most = max(sum(sizes[: i + 1]) + 2 * n for i, n in enumerate(sizes)) if own else 0
        indices = Kept("indices", max(0, most - 2 * sum(sizes)), "activation")
        second = (Kept("gradient", max(0, x.numel - own), "activation"),) if len(sizes) > 1 else ()
        return Scratch((grids,) if needs.any else (), (grids, indices), second)

    def torch(self, *xs: Shape) -> Module:
        levels = Argument("levels", tuple(map(plain, self.levels)), (1, 2, 4))
        return Module("SpatialPyramidPool", (levels, *self.options("mode", "bins")))
