"""permute: the axes of the sample in another order."""

from typing import Annotated, ClassVar

from pydantic import Field, PlainValidator, WithJsonSchema

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Inline, Op, Shape, axes
from cnnplan.ops.fields import integer, refuse
from cnnplan.ops.needs import PASSES, Needs, Scratch
from cnnplan.ops.window import POINTWISE, WHOLE, Window


def _axes(value: object) -> tuple[int, ...]:
    if isinstance(value, list | tuple) and value:
        axes = tuple(integer(v, 0, "an axis ≥ 0") for v in value)
        if sorted(axes) == list(range(len(axes))):
            return axes
    raise refuse("each axis once, such as [1, 2, 0],", value)


Axes = Annotated[
    tuple[int, ...],
    PlainValidator(_axes),
    WithJsonSchema({"type": "array", "items": {"type": "integer", "minimum": 0}, "uniqueItems": True}),
]


class Permute(Op):
    """The axes of the sample in another order; 0 = channels.

    Source: torch.permute.
    """

    kind: ClassVar[str] = "permute"
    inline: ClassVar[bool] = True
    group: ClassVar[str] = "shape"
    formulas: ClassVar[dict[str, str]] = {"output": "the input's sizes in the order of `axes`"}
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int64")

    axes: Axes = Field(description="for each axis of the output, the axis of the input")

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        if len(self.axes) != len(x):
            raise ShapeError(
                "S012",
                f"axes has {len(self.axes)} entries, but the input {x} has {axes(len(x))}",
                argument="axes",
                help=f"list each of 0 to {len(x) - 1} once",
            )
        return Shape(x[a] for a in self.axes)

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return tuple(Window(1, (range(1),), axis - 1) if axis else WHOLE for axis in self.axes[1:])

    def channels(self, *xs: Shape) -> Window:
        return WHOLE if self.axes[0] else POINTWISE

    def bounds(self, *xs: Shape) -> str:
        return "all" if self.axes[0] else ""

    def is_view(self, *xs: Shape) -> bool:
        return True

    def strided(self, strides: tuple[int, ...], *xs: Shape) -> tuple[int, ...]:
        return tuple(strides[axis] for axis in self.axes)

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return PASSES

    def torch(self, *xs: Shape) -> Inline:
        axes = tuple(Argument(f"axis{i}", a + 1) for i, a in enumerate(self.axes))
        return Inline("{0}.permute(0, " + ", ".join(f"{{{a.name}}}" for a in axes) + ")", axes)
