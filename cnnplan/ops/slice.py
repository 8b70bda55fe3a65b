"""slice: a range of one axis."""

from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Inline, Op, Shape, axis_of
from cnnplan.ops.fields import Integer
from cnnplan.ops.window import POINTWISE, Window, shifted


class Slice(Op):
    """The entries `start` to `stop` (not included) along an axis; negative numbers count from the end.

    Source: torch.Tensor indexing; Python's slices.
    """

    kind: ClassVar[str] = "slice"
    inline: ClassVar[bool] = True
    group: ClassVar[str] = "shape"
    formulas: ClassVar[dict[str, str]] = {"output": "stop - start entries along the axis"}
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int64")

    axis: Integer = Field(0, description="axis of the sample; 0 = channels")
    start: Integer = Field(0, description="first entry")
    stop: Integer | None = Field(None, description="entry behind the last; the end by default")

    def bounds_of(self, x: Shape) -> tuple[int, int, int]:
        axis = axis_of(self.kind, self.axis, x)
        n = x[axis]
        for name, value in (("start", self.start), ("stop", self.stop)):
            if value is not None and not -n <= value <= n:
                raise ShapeError(
                    "S020", f"{name} {value} is outside the {n} entries of axis {self.axis} (input {x})", argument=name
                )
        start = self.start + n if self.start < 0 else self.start
        stop = n if self.stop is None else self.stop + n if self.stop < 0 else self.stop
        if stop <= start:
            raise ShapeError(
                "S020",
                f"nothing is left between start {self.start} and stop {'end' if self.stop is None else self.stop} "
                f"of the {n} entries of axis {self.axis} (input {x})",
                argument="start" if self.stop is None else "stop",
            )
        return axis, start, stop

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        axis, start, stop = self.bounds_of(x)
        return Shape((*x[:axis], stop - start, *x[axis + 1 :]))

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        (x,) = xs
        axis, start, _ = self.bounds_of(x)
        return tuple(shifted(start) if axis == i + 1 else POINTWISE for i in range(x.rank))

    def channels(self, *xs: Shape) -> Window:
        axis, start, _ = self.bounds_of(xs[0])
        return POINTWISE if axis else shifted(start)

    def is_view(self, *xs: Shape) -> bool:
        return True

    def torch(self, *xs: Shape) -> Inline:
        axis, _, _ = self.bounds_of(*xs)
        before = ":, " * (axis + 1)
        start = Argument("start", "" if self.start == 0 else str(self.start))
        stop = Argument("stop", "" if self.stop is None else str(self.stop))
        return Inline(f"{{0}}[{before}{{start!s}}:{{stop!s}}]", (start, stop))
