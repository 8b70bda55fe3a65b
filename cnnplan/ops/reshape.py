"""reshape: the same values in another shape."""

from typing import Annotated, ClassVar

from pydantic import Field, PlainValidator, WithJsonSchema

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Inline, Module, Op, Shape
from cnnplan.ops.fields import integer, refuse
from cnnplan.ops.needs import PASSES, Needs, Scratch
from cnnplan.ops.strides import viewed
from cnnplan.ops.window import POINTWISE, WHOLE, Window


def _shape(value: object) -> tuple[int, ...]:
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= 4:
        raise refuse("a list of 1 to 4 sizes", value)
    sizes = tuple(v if type(v) is int and v == -1 else integer(v, 1, "a size ≥ 1, or -1 once,") for v in value)
    if sizes.count(-1) > 1:
        raise refuse("at most one -1", value)
    return sizes


Target = Annotated[
    tuple[int, ...],
    PlainValidator(_shape),
    WithJsonSchema({"type": "array", "items": {"type": "integer", "minimum": -1}, "minItems": 1, "maxItems": 4}),
]


class Reshape(Op):
    """The same values, in row-major order, in another shape of the sample; one size may be -1.

    Source: torch.reshape.
    """

    kind: ClassVar[str] = "reshape"
    group: ClassVar[str] = "shape"
    formulas: ClassVar[dict[str, str]] = {"output": "shape, where -1 stands for what is left"}
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int64")

    shape: Target = Field(description="the sample's new shape: [channels, *spatial]")

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        known = 1
        for n in self.shape:
            known *= n if n != -1 else 1
        if (x.numel % known if -1 in self.shape else x.numel != known) or x.numel < known:
            raise ShapeError(
                "S020",
                f"the {x.numel:,} values of the input {x} do not fill {'x'.join(map(str, self.shape))}"
                f" ({known:,} values{' or a multiple' if -1 in self.shape else ''})",
                argument="shape",
                help="use -1 for one of the sizes" if -1 not in self.shape else "",
            )
        return Shape(x.numel // known if n == -1 else n for n in self.shape)

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        (x,) = xs
        shape = self.output(x)
        return ((POINTWISE if shape.spatial == x.spatial else WHOLE),) * shape.rank

    def channels(self, *xs: Shape) -> Window:
        return POINTWISE if self.output(*xs) == xs[0] else WHOLE

    def bounds(self, *xs: Shape) -> str:
        return "" if self.output(*xs) == xs[0] else "all"

    def is_view(self, *xs: Shape) -> bool:
        return True

    def strided(self, strides: tuple[int, ...], *xs: Shape) -> tuple[int, ...] | None:
        return viewed(xs[0], strides, self.output(*xs))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return PASSES

    def torch(self, *xs: Shape) -> Module | Inline:
        shape = tuple(self.output(*xs))
        if len(shape) == 1:
            return Module("nn.Flatten")
        if xs[0].rank == 0:
            return Module("nn.Unflatten", (Argument("dim", 1), Argument("unflattened_size", tuple(self.shape))))
        sizes = tuple(Argument(f"size{i}", n) for i, n in enumerate(self.shape))
        holes = ", ".join(f"{{{a.name}}}" for a in sizes)
        if -1 in self.shape:  # at another size, as where it is shared, something else is left
            return Inline(f"reshape_samples({{0}}, {holes})", sizes, "reshape_samples")
        return Inline(f"{{0}}.reshape(-1, {holes})", sizes)
