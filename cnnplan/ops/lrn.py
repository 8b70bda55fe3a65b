"""lrn: local response normalization."""

from typing import ClassVar

from pydantic import Field

from cnnplan.ops.base import Argument, Module, Op, Shape, require_spatial
from cnnplan.ops.fields import Number, Size
from cnnplan.ops.needs import Kept, Needs, Saved, Scratch
from cnnplan.ops.window import Sliding, Window


class Lrn(Op):
    """Local response normalization: x / (k + alpha / size * sum of x^2 over `size` channels)^beta.

    PyTorch divides alpha by `size`; papers often do not, and mean size times as much.

    Source: Krizhevsky, Sutskever & Hinton 2012, section 3.3; torch.nn.LocalResponseNorm.
    """

    kind: ClassVar[str] = "lrn"
    group: ClassVar[str] = "normalization"
    layout: ClassVar[str] = "same"
    formulas: ClassVar[dict[str, str]] = {
        "output": "the input's shape",
        "flops": "prod(input) * (size + 4): square, sum, scale, shift, power, divide",
    }

    size: Size = Field(description="neighbouring channels in the sum")
    alpha: Number = Field(1e-4, description="weight of the sum")
    beta: Number = Field(0.75, description="exponent")
    k: Number = Field(1.0, description="added to the weighted sum")

    def output(self, *xs: Shape) -> Shape:
        require_spatial(self.kind, xs[0])
        return xs[0]

    def flops(self, *xs: Shape) -> int:
        return xs[0].numel * (self.size + 4)

    def channels(self, *xs: Shape) -> Window:
        return Sliding(self.size, before=self.size // 2).window

    def saved(self, *xs: Shape) -> Saved:
        (x,) = xs
        padded = Shape((x.channels + self.size - 1, *x.spatial)).numel
        own = [Kept("padded squares", padded, "pooled"), Kept("base", x.numel, "full")]
        return Saved((0,), own=(*own, Kept("denominator", x.numel, "full")))

    def autocasts(self, device: str, *xs: Shape) -> str:
        return "result" if device == "cuda" or xs[0].rank > 1 else ""

    def repacked(self, *xs: Shape) -> str:
        return "always" if xs[0].rank == 3 else self.repacks

    def arranged(self, *xs: Shape) -> str:
        return "" if xs[0].rank == 3 else self.layout

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        (x,) = xs
        most = max(2 * x.numel, Shape((x.channels + self.size - 1, *x.spatial)).numel)
        squares = Kept("squares", most, "full")
        return Scratch(evaluation=(squares,), backward=(Kept("products", 3 * x.numel, "full"),))

    def torch(self, *xs: Shape) -> Module:
        target = "LocalResponseNorm3d" if xs[0].rank == 3 else "nn.LocalResponseNorm"
        return Module(target, (Argument("size", self.size), *self.options("alpha", "beta", "k")))
