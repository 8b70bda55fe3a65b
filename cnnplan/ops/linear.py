"""linear: a dense layer."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Module, Op, Shape, module
from cnnplan.ops.fields import Flag, Size
from cnnplan.ops.needs import INPUT, Saved


class Linear(Op):
    """A dense (fully connected) layer over a vector.

    Source: torch.nn.Linear.
    """

    kind: ClassVar[str] = "linear"
    group: ClassVar[str] = "dense"
    keeps_for_weights: ClassVar[bool] = True
    writable: ClassVar[bool] = True
    takes_norms: ClassVar[bool] = True
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "low", "cpu": "low"}
    formulas: ClassVar[dict[str, str]] = {
        "output": "out_features",
        "parameters": "out_features * in_features, and out_features for the bias",
        "macs": "out_features * in_features",
        "flops": "2 * macs, and out_features for the bias",
    }

    out_features: Size = Field(description="output features")
    bias: Flag = Field(True, description="add a learned number to each output feature")

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        if x.rank:
            raise ShapeError(
                "S003",
                f"'{self.kind}' takes a vector, but its input is a map of {x}",
                help=f"put `- flatten` before it ({x.numel:,} features), or `- global_avgpool` ({x.channels:,})",
                assume=Shape((self.out_features,)),
            )
        return Shape((self.out_features,))

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        weight: dict[str, tuple[int, ...]] = {"weight": (self.out_features, xs[0].channels)}
        return weight | {"bias": (self.out_features,)} if self.bias else weight

    def macs(self, *xs: Shape) -> int:
        return self.out_features * xs[0].channels

    def flops(self, *xs: Shape) -> int:
        return 2 * self.macs(*xs) + (self.out_features if self.bias else 0)

    def saved(self, *xs: Shape) -> Saved:
        return INPUT

    def torch(self, *xs: Shape) -> Module:
        return module(
            "nn.Linear",
            ("in_features", xs[0].channels),
            ("out_features", self.out_features),
            bias=(self.bias, True),
        )
