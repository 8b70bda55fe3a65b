"""softplus: a smooth ReLU."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from cnnplan.ops.activations import Activation, Row
from cnnplan.ops.base import Module, Shape
from cnnplan.ops.fields import Number, Positive
from cnnplan.ops.needs import INPUT


class Softplus(Activation):
    """log(1 + exp(beta * x)) / beta; x itself above `threshold`.

    Source: Dugas et al. 2001; torch.nn.Softplus.
    """

    kind: ClassVar[str] = "softplus"
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "float32"}
    row: ClassVar[Row] = Row("log(1 + exp(beta * x)) / beta", 5, INPUT, "nn.Softplus", "")
    formulas: ClassVar[dict[str, str]] = {"output": "the input's shape", "flops": "5 * prod(input)"}

    beta: Positive = Field(1.0, description="sharpness")
    threshold: Number = Field(20.0, description="above this value of beta * x, x itself")

    def torch(self, *xs: Shape) -> Module:
        return Module(self.row.target, self.options("beta", "threshold"))
