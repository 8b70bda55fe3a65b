"""split: one value into several."""

from typing import Annotated, Any, ClassVar

from pydantic import Field, PlainValidator, WithJsonSchema

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Inline, Op, Shape, axis_of
from cnnplan.ops.fields import Integer, integer, refuse
from cnnplan.ops.window import POINTWISE, Window, shifted

MAX_SECTIONS = 1024


def _sections(value: object) -> Any:
    if isinstance(value, list | tuple):
        if not 2 <= len(value) <= MAX_SECTIONS:
            raise refuse(f"2 to {MAX_SECTIONS} sizes", value)
        return tuple(integer(v, 1, "a size ≥ 1") for v in value)
    count = integer(value, 2, "a number of parts ≥ 2, or a list of sizes,")
    if count > MAX_SECTIONS:
        raise refuse(f"at most {MAX_SECTIONS} parts", value)
    return count


Sections = Annotated[
    int | tuple[int, ...],
    PlainValidator(_sections),
    WithJsonSchema(
        {"type": ["integer", "array"], "minimum": 2, "items": {"type": "integer", "minimum": 1}, "minItems": 2}
    ),
]


class Split(Op):
    """Cuts the value along an axis: into equal parts, or into parts of the listed sizes.

    Its outputs are NAME.0, NAME.1, …

    Source: Ma et al. 2018, arXiv:1807.11164; torch.split.
    """

    kind: ClassVar[str] = "split"
    inline: ClassVar[bool] = True
    group: ClassVar[str] = "shape"
    formulas: ClassVar[dict[str, str]] = {"output": "one value a section; the axis is shared out among them"}
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int64")

    sections: Sections = Field(description="number of equal parts, or the size of each part")
    axis: Integer = Field(0, description="axis of the sample; 0 = channels")

    def outputs(self, *xs: Shape) -> tuple[Shape, ...]:
        (x,) = xs
        axis = axis_of(self.kind, self.axis, x)
        return tuple(Shape((*x[:axis], n, *x[axis + 1 :])) for n in self.sizes(x))

    def sizes(self, x: Shape) -> tuple[int, ...]:
        n = x[axis_of(self.kind, self.axis, x)]
        if isinstance(self.sections, int):
            if n % self.sections:
                raise ShapeError(
                    "S020",
                    f"{n} does not split into {self.sections} equal sections (input {x}, axis {self.axis})",
                    argument="sections",
                    help="list the sizes of the parts",
                )
            return (n // self.sections,) * self.sections
        if sum(self.sections) != n:
            raise ShapeError(
                "S020",
                f"sections {list(self.sections)} sum to {sum(self.sections)}, not {n} (input {x}, axis {self.axis})",
                argument="sections",
            )
        return self.sections

    def output(self, *xs: Shape) -> Shape:
        return self.outputs(*xs)[0]

    def reads(self, index: int, port: int, *xs: Shape) -> tuple[Window, ...]:
        (x,) = xs
        axis = axis_of(self.kind, self.axis, x)
        start = sum(self.sizes(x)[:port])
        return tuple(shifted(start) if i == axis else POINTWISE for i in range(len(x)))

    def is_view(self, *xs: Shape) -> bool:
        return True

    def torch(self, *xs: Shape) -> Inline:
        (x,) = xs
        dim = Argument("dim", axis_of(self.kind, self.axis, x) + 1)
        if isinstance(self.sections, int):
            return Inline("{0}.chunk({sections}, {dim})", (Argument("sections", self.sections), dim))
        return Inline("{0}.split({sections}, {dim})", (Argument("sections", list(self.sections)), dim))
