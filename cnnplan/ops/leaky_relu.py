"""leaky_relu: a small slope below zero."""

from typing import ClassVar

from pydantic import Field

from cnnplan.ops.activations import Activation, Row
from cnnplan.ops.base import Module, Shape
from cnnplan.ops.fields import Number
from cnnplan.ops.needs import INPUT


class LeakyRelu(Activation):
    """x where it is positive, negative_slope * x elsewhere.

    Source: Maas, Hannun & Ng 2013; torch.nn.LeakyReLU.
    """

    kind: ClassVar[str] = "leaky_relu"
    row: ClassVar[Row] = Row("max(0, x) + negative_slope * min(0, x)", 1, INPUT, "nn.LeakyReLU", "")
    formulas: ClassVar[dict[str, str]] = {"output": "the input's shape", "flops": "prod(input)"}

    negative_slope: Number = Field(0.01, description="slope below zero")

    def overwrites(self, *xs: Shape) -> bool:
        return self.negative_slope >= 0

    def torch(self, *xs: Shape) -> Module:
        (slope,) = self.options("negative_slope")
        return Module(self.row.target, (slope._replace(keyword=False),))
