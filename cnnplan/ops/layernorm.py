"""layernorm: normalization of each sample, or of each position."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from cnnplan.ops.base import Argument, Module, Op, Shape
from cnnplan.ops.fields import Epsilon, Flag
from cnnplan.ops.needs import Kept, Needs, Saved, Scratch
from cnnplan.ops.window import POINTWISE, WHOLE, Window


class LayerNorm(Op):
    """Layer normalization over the whole sample (`all`), or at each position over its `channels`.

    Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450; Liu et al. 2022, arXiv:2201.03545 (over
    channels); torch.nn.LayerNorm.
    """

    kind: ClassVar[str] = "layernorm"
    group: ClassVar[str] = "normalization"
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "float32"}
    formulas: ClassVar[dict[str, str]] = {
        "output": "the input's shape",
        "parameters": "2 * the normalized elements: weight and bias",
        "flops": "prod(input) * (1 for the mean, 3 for the variance, 2 to normalize, 1 each for weight and bias)",
    }

    axis: Literal["all", "channels"] = Field("all", description="what is normalized together")
    eps: Epsilon = Field(1e-5, description="added to the variance")
    elementwise_affine: Flag = Field(True, description="learn a weight and a bias")
    bias: Flag = Field(True, description="learn the bias as well as the weight")

    def over_all(self, x: Shape) -> bool:
        return self.axis == "all" or x.rank == 0

    def normalized(self, x: Shape) -> tuple[int, ...]:
        return tuple(x) if self.over_all(x) else (x.channels,)

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        shape = self.normalized(*xs)
        if not self.elementwise_affine:
            return {}
        return {"weight": shape, "bias": shape} if self.bias else {"weight": shape}

    def flops(self, *xs: Shape) -> int:
        affine = (1 + self.bias) if self.elementwise_affine else 0
        return (6 + affine) * xs[0].numel

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        (x,) = xs
        return ((WHOLE if self.over_all(x) else POINTWISE),) * x.rank

    def formula(self, number: str, *xs: Shape) -> str:
        tensors = (1 + self.bias) if self.elementwise_affine else 0
        if number == "flops":
            return f"prod(input) * ({' + '.join(map(str, (1, 3, 2, *(1,) * tensors)))})"
        if number == "parameters":
            return f"{tensors} * prod(normalized)" if tensors else "0"
        return super().formula(number, *xs)

    def terms(self, *xs: Shape) -> dict[str, int | tuple[int, ...]]:
        return {"normalized": self.normalized(xs[0])}

    def uniform(self, *xs: Shape) -> bool:
        return not (self.axis == "all" and self.elementwise_affine)

    def saved(self, *xs: Shape) -> Saved:
        (x,) = xs
        rows = 1 if self.over_all(x) else x.numel // x.channels
        return Saved((0,), own=(Kept("mean and inverse deviation", 2 * rows, "float32"),))

    def arranged(self, *xs: Shape) -> str:
        return "" if self.over_all(xs[0]) else "last"

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return Scratch(evaluation=self.saved(*xs).own)

    def torch(self, *xs: Shape) -> Module:
        (x,) = xs
        shape = self.normalized(x)
        size = Argument("normalized_shape", shape[0] if len(shape) == 1 else shape)
        target = "nn.LayerNorm" if self.over_all(x) else "ChannelNorm"
        return Module(target, (size, *self.options("eps", "elementwise_affine", "bias")))
