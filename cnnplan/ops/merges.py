"""The six merges: several values into one."""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Inline, Op, Shape, axes, axis_of, check_elements
from cnnplan.ops.fields import Integer
from cnnplan.ops.needs import NOTHING, Kept, Needs, Saved, Scratch
from cnnplan.ops.window import FIRST, POINTWISE, Window, shifted


class Merge(Op):
    """Merges the values that `from` lists, or runs branches and merges their results."""

    group: ClassVar[str] = "merge"
    inline: ClassVar[bool] = True
    inputs: ClassVar[tuple[int, int | None]] = (2, None)
    layer: ClassVar[str]
    """The module of cnnplan.layers that runs branches and merges their results."""


class Row(NamedTuple):
    """An elementwise merge of values that broadcast."""

    formula: str
    template: str
    layer: str
    keeps_inputs: bool
    source: str


TABLE: dict[str, Row] = {
    "add": Row("a + b + …", " + ", "Add", False, "He et al. 2015, arXiv:1512.03385"),
    "multiply": Row("a * b * …", " * ", "Multiply", True, "Hu et al. 2017, arXiv:1709.01507"),
    "subtract": Row("a - b - …", " - ", "Subtract", False, "torch.sub"),
    "maximum": Row("max(a, b, …)", "torch.maximum", "Maximum", True, "Goodfellow et al. 2013, arXiv:1302.4389"),
    "mean": Row("(a + b + …) / n", " + ", "Mean", False, "Larsson et al. 2016, arXiv:1605.07648"),
}


class Elementwise(Merge):
    """An elementwise merge; `row` says which."""

    row: ClassVar[Row]
    own_channels: ClassVar[bool] = True
    layout: ClassVar[str] = "same"
    writable: ClassVar[bool] = True

    def output(self, *xs: Shape) -> Shape:
        first = xs[0]
        sizes = list(first)
        for index, x in enumerate(xs[1:], start=1):
            if len(x) != len(sizes):
                raise ShapeError(
                    "S005",
                    f"'{self.kind}' cannot merge {self.named(0, xs)} and {self.named(index, xs)}: "
                    f"{axes(len(first))} and {len(x)}",
                    help="keep the axes of a pooled value with `keepdim: true`" if 1 in (len(first), len(x)) else "",
                    assume=first,
                )
            for axis, (a, b) in enumerate(zip(sizes, x, strict=True)):
                if a != b and 1 not in (a, b):
                    unit = "channels" if axis == 0 else "positions"
                    both = f"{self.named(0, xs)} and {self.named(index, xs)}"
                    raise ShapeError(
                        "S005",
                        f"'{self.kind}' cannot merge {both}: {a} {unit} and {b}",
                        help="project one of them with a 1x1 convolution"
                        if axis == 0
                        else "give both the same stride and padding, or resize one of them",
                        assume=first,
                    )
                sizes[axis] = max(a, b)
        return check_elements(self.kind, Shape(sizes))

    @staticmethod
    def named(index: int, xs: tuple[Shape, ...]) -> str:
        """A placeholder that elaboration replaces by the branch's name and shape."""
        return f"{{{index}}} ({xs[index]})"

    def overwrites(self, *xs: Shape) -> bool:
        return self.kind == "add" and len(xs) == 2 and xs[0] == self.output(*xs)

    def flops(self, *xs: Shape) -> int:
        work = (len(xs) - 1) * self.output(*xs).numel
        return work + self.output(*xs).numel if self.kind == "mean" else work

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return (POINTWISE,) * self.output(*xs).rank

    def reads(self, index: int, port: int, *xs: Shape) -> tuple[Window, ...]:
        return tuple(FIRST if n == 1 < size else POINTWISE for n, size in zip(xs[index], self.output(*xs), strict=True))

    def saved(self, *xs: Shape) -> Saved:
        if not self.row.keeps_inputs:
            return NOTHING
        partial = tuple(
            Kept("partial result", self.output(*xs[:count]).numel, "activation") for count in range(2, len(xs))
        )
        return Saved(tuple(range(len(xs))), own=partial)

    def kept(self, needs: Needs, *xs: Shape) -> Saved:
        if not needs.any or self.kind != "multiply":
            return super().kept(needs, *xs)
        own, inputs, before = [], [], False  # a factor is kept for the gradient of the other
        for index, needed in enumerate(needs.inputs):
            if index and needed:
                partial = Kept("partial result", self.output(*xs[:index]).numel, "activation")
                inputs += [0] if index == 1 else []
                own += [partial] if index > 1 else []
            inputs += [index] if index and before else []
            before = before or needed
        return Saved(tuple(sorted(inputs)), own=tuple(own))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        out = self.output(*xs)
        partial: tuple[Kept, ...] = ()
        if len(xs) > 2 or self.kind == "mean":
            partial = (
                Kept("partial result", (out if self.kind == "mean" else self.output(*xs[:-1])).numel, "activation"),
            )
        alike = tuple(i for i, x in enumerate(xs) if x == out)
        passes = alike if self.kind == "add" else alike[:1] if self.kind == "subtract" and alike[:1] == (0,) else ()
        work: tuple[Kept, ...] = ()
        broadcast = any(needed and x != out for needed, x in zip(needs.inputs, xs, strict=True))
        if self.kind == "maximum":
            masks = Kept("masks", 2 * out.numel, "bool")
            work = (masks, Kept("masked gradient", out.numel * (2 if broadcast else 1), "activation"))
        elif self.kind != "add" and broadcast:
            work = (Kept("product", out.numel, "activation"),)
        kept = self.row.keeps_inputs
        return Scratch(() if kept else partial, partial, work, passes, self.kind == "mean")

    def torch(self, *xs: Shape) -> Inline:
        if self.kind == "maximum":
            template = "{0}"
            for i in range(1, len(xs)):
                template = f"torch.maximum({template}, {{{i}}})"
            return Inline(template)
        terms = self.row.template.join(f"{{{i}}}" for i in range(len(xs)))
        in_place = "{0}.add_({1})" if self.kind == "add" else ""  # of two
        return Inline(f"({terms}) / {len(xs)}" if self.kind == "mean" else terms, in_place=in_place)


class Concat(Merge):
    """Joins values along an axis, in the order given.

    Source: Szegedy et al. 2014, arXiv:1409.4842; torch.cat.
    """

    kind: ClassVar[str] = "concat"
    layer: ClassVar[str] = "Concat"
    layout: ClassVar[str] = "format"
    writable: ClassVar[bool] = True
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "widest", "cpu": "widest"}
    formulas: ClassVar[dict[str, str]] = {"output": "the sizes along the axis summed; all others agree", "flops": "0"}
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int64")

    axis: Integer = Field(0, description="axis of the sample; 0 = channels")

    def along(self, *xs: Shape) -> int:
        """The axis, from 0 = channels."""
        return axis_of(self.kind, self.axis, xs[0])

    def output(self, *xs: Shape) -> Shape:
        first = xs[0]
        axis = self.along(*xs)
        joined = sum(x[axis] for x in xs if len(x) == len(first))
        shape = Shape((*first[:axis], joined, *first[axis + 1 :]))
        for index, x in enumerate(xs[1:], start=1):
            help = "give both the same stride and padding, `crop` the larger one, or resize one of them"
            if len(x) != len(first):
                problem = f"{axes(len(first))} and {len(x)}"
                help = "keep the axes of a pooled value with `keepdim: true`, or `flatten` the map"
            else:
                differ = [i for i, (a, b) in enumerate(zip(first, x, strict=True)) if a != b and i != axis]
                if not differ:
                    continue
                problem = f"axis {differ[0]} is {first[differ[0]]} and {x[differ[0]]}"
            raise ShapeError(
                "S004",
                f"'concat' cannot join {{0}} ({first}) and {{{index}}} ({x}) along axis {self.axis}: {problem}",
                help=help,
                assume=shape,
            )
        return check_elements(self.kind, shape)

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return (POINTWISE,) * self.output(*xs).rank

    def reads(self, index: int, port: int, *xs: Shape) -> tuple[Window, ...]:
        axis = self.along(*xs)
        start = self.offsets(*xs)[index]
        return tuple(shifted(-start) if i == axis else POINTWISE for i in range(len(xs[0])))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return Scratch(passes=tuple(range(len(xs))))

    def offsets(self, *xs: Shape) -> tuple[int, ...]:
        """Where each input starts along the joined axis."""
        axis = self.along(*xs)
        starts = [0]
        for x in xs[:-1]:
            starts.append(starts[-1] + x[axis])
        return tuple(starts)

    def torch(self, *xs: Shape) -> Inline:
        return Inline("torch.cat([{all}], {dim})", (Argument("dim", self.along(*xs) + 1),))


def define(kind: str) -> type[Op]:
    """The merge of one row of the table, or `concat`."""
    if kind == "concat":
        return Concat
    row = TABLE[kind]
    namespace = {
        "__module__": __name__,
        "__doc__": f"{row.formula}, at each element; sizes of 1 broadcast.\n\n    Source: {row.source}.",
        "__annotations__": dict.fromkeys(("kind", "layer"), ClassVar[str])
        | {"pairwise": ClassVar[bool], "row": ClassVar[Row], "formulas": ClassVar[dict[str, str]]},
        "kind": kind,
        "layer": row.layer,
        "pairwise": kind != "mean",
        "row": row,
        "formulas": {
            "output": "the inputs' shape, sizes of 1 broadcast",
            "flops": "inputs * prod(output)" if kind == "mean" else "(inputs - 1) * prod(output)",
        },
    }
    return type(kind.title(), (Elementwise,), namespace)


MERGES = ("add", "multiply", "concat", "subtract", "maximum", "mean")
OPS = MERGES
