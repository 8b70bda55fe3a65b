"""flatten: a map to a vector."""

from math import prod
from typing import ClassVar

from cnnplan.ops.base import Module, Op, Shape
from cnnplan.ops.needs import PASSES, Needs, Scratch
from cnnplan.ops.strides import viewed
from cnnplan.ops.window import Window


class Flatten(Op):
    """All values of a sample in one vector: [C, …] to [C * …].

    Source: torch.nn.Flatten.
    """

    kind: ClassVar[str] = "flatten"
    group: ClassVar[str] = "shape"
    formulas: ClassVar[dict[str, str]] = {"output": "prod(input)"}
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int64")

    def output(self, *xs: Shape) -> Shape:
        return Shape((prod(xs[0]),))

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return ()

    def is_view(self, *xs: Shape) -> bool:
        return True

    def strided(self, strides: tuple[int, ...], *xs: Shape) -> tuple[int, ...] | None:
        return viewed(xs[0], strides, self.output(*xs))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return PASSES

    def bounds(self, *xs: Shape) -> str:
        return "parts"

    def torch(self, *xs: Shape) -> Module:
        return Module("nn.Flatten")
