"""prelu: a learned slope below zero."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.activations import Activation, Row
from cnnplan.ops.base import Argument, Module, Shape
from cnnplan.ops.fields import Number, Size
from cnnplan.ops.needs import INPUT, Kept, Needs, Scratch


class Prelu(Activation):
    """x where it is positive, weight * x elsewhere; one weight, or one for each channel.

    Source: He et al. 2015, arXiv:1502.01852; torch.nn.PReLU.
    """

    kind: ClassVar[str] = "prelu"
    row: ClassVar[Row] = Row("max(0, x) + weight * min(0, x)", 1, INPUT, "nn.PReLU", "", 1)
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "low", "cpu": "low"}
    formulas: ClassVar[dict[str, str]] = {
        "output": "the input's shape",
        "parameters": "num_parameters",
        "flops": "prod(input)",
    }

    num_parameters: Size = Field(1, description="1, or the number of channels")
    init: Number = Field(0.25, description="slope at the start of training")

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        if self.num_parameters not in (1, x.channels):
            raise ShapeError(
                "S020",
                f"num_parameters {self.num_parameters} is neither 1 nor the {x.channels} channels of the input {x}",
                argument="num_parameters",
                help=f"use 1 or {x.channels}",
                assume=x,
            )
        return x

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.num_parameters,)}

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        made = 1 if needs.inputs[0] else 2  # the gradient of the input is made all the same
        return Scratch(backward=(Kept("product", made * xs[0].numel, "activation"),))

    def torch(self, *xs: Shape) -> Module:
        (init,) = self.options("init")
        return Module(self.row.target, (Argument("num_parameters", self.num_parameters, 1, True), init))
