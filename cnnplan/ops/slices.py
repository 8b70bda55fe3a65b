"""The two ends of `each: AXIS`: an axis is folded into the batch, and put back.

No spec writes them; the modifier stands for them. Between the two, every layer runs on slices: its shapes
are those of a slice, its work and activations count once for each.
"""

from typing import ClassVar

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Inline, Op, Shape, axis_of, check_elements
from cnnplan.ops.needs import PASSES, Needs, Scratch
from cnnplan.ops.strides import Strides
from cnnplan.ops.window import POINTWISE, WHOLE, Window


class Each(Op):
    """Folds an axis of the sample into the batch: what follows runs on every slice along it.

    Source: torch.Tensor.movedim, torch.flatten.
    """

    kind: ClassVar[str] = "each"
    group: ClassVar[str] = "shape"
    inline: ClassVar[bool] = True
    folds_axis: ClassVar[int] = 1
    formulas: ClassVar[dict[str, str]] = {"output": "the input's sizes without that of the axis"}
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int64")

    axis: int

    def at(self, x: Shape) -> int:
        """The axis, from 0 = channels."""
        return axis_of(self.kind, self.axis, x)

    def slices(self, *xs: Shape) -> int:
        """How many slices there are."""
        return xs[0][self.at(xs[0])]

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        if len(x) == 1:
            raise ShapeError(
                "S012",
                f"`each` takes slices of a map, but its input is a vector of {x.channels}",
                help=f"give it axes first: `reshape: [1, {x.channels}]`",
            )
        axis = self.at(x)
        return Shape((*x[:axis], *x[axis + 1 :]))

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        sources = [axis for axis in range(len(xs[0])) if axis != self.at(xs[0])]
        return tuple(Window(1, (range(1),), axis - 1) for axis in sources[1:])

    def channels(self, *xs: Shape) -> Window:
        return POINTWISE if self.at(xs[0]) else WHOLE

    def bounds(self, *xs: Shape) -> str:
        return "" if self.at(xs[0]) else "all"

    def is_view(self, *xs: Shape) -> bool:
        return True

    def folded(self, strides: Strides, step: int, *xs: Shape) -> tuple[Strides | None, int]:
        """The strides of a slice, and from one to the next, where samples are `step` apart; None where it copies."""
        axis, n = self.at(xs[0]), self.slices(*xs)
        rest = (*strides[:axis], *strides[axis + 1 :])
        if n == 1:
            return rest, step
        return (rest if strides[axis] * n == step else None), strides[axis]

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return PASSES

    def torch(self, *xs: Shape) -> Inline:
        axis = self.at(xs[0])
        moved = (Argument("dim", axis + 1),) if axis else ()
        return Inline(f"{{0}}{'.movedim({dim}, 1)' if axis else ''}.flatten(0, 1)", moved)


class EachEnd(Op):
    """Puts back the axis that was folded into the batch: the results of all slices, in their order.

    Source: torch.Tensor.unflatten, torch.Tensor.movedim.
    """

    kind: ClassVar[str] = "each_end"
    group: ClassVar[str] = "shape"
    inline: ClassVar[bool] = True
    folds_axis: ClassVar[int] = -1
    formulas: ClassVar[dict[str, str]] = {"output": "the sizes of a result, with the axis put back"}
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int64")

    axis: int

    def place(self, *xs: Shape) -> int:
        """Where the axis goes: where it was, or behind the last axis of a result that has fewer."""
        return min(axis_of("each", self.axis, xs[1]), len(xs[0]))

    def slices(self, *xs: Shape) -> int:
        """How many slices there were."""
        return xs[1][axis_of("each", self.axis, xs[1])]

    def output(self, *xs: Shape) -> Shape:
        x, place = xs[0], self.place(*xs)
        return check_elements("each", Shape((*x[:place], self.slices(*xs), *x[place:])))

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        place = self.place(*xs)
        sources = [*range(place), None, *range(place, len(xs[0]))]
        return tuple(WHOLE if axis in (None, 0) else Window(1, (range(1),), axis - 1) for axis in sources[1:])

    def channels(self, *xs: Shape) -> Window:
        return POINTWISE if self.place(*xs) else WHOLE

    def bounds(self, *xs: Shape) -> str:
        return "" if self.place(*xs) else "all"

    def is_view(self, *xs: Shape) -> bool:
        return True

    def folded(self, strides: Strides, step: int, *xs: Shape) -> tuple[Strides, int]:
        """The strides of the whole, and from one sample to the next, where slices are `step` apart."""
        place = self.place(*xs)
        return (*strides[:place], step, *strides[place:]), step * self.slices(*xs)

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return PASSES

    def torch(self, *xs: Shape) -> Inline:
        place = self.place(*xs)
        moved = (Argument("dim", place + 1),) if place else ()
        return Inline(f"{{0}}.unflatten(0, ({{1}}.shape[0], -1)){'.movedim(1, {dim})' if place else ''}", moved)
