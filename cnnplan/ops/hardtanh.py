"""hardtanh: clamping."""

from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.activations import Activation, Row
from cnnplan.ops.base import Module, Shape
from cnnplan.ops.fields import Number
from cnnplan.ops.needs import INPUT


class Hardtanh(Activation):
    """x, but no less than min_val and no more than max_val.

    Source: Collobert 2004; torch.nn.Hardtanh.
    """

    kind: ClassVar[str] = "hardtanh"
    row: ClassVar[Row] = Row("min(max(min_val, x), max_val)", 1, INPUT, "nn.Hardtanh", "")
    formulas: ClassVar[dict[str, str]] = {"output": "the input's shape", "flops": "prod(input)"}

    min_val: Number = Field(-1.0, description="the smallest value")
    max_val: Number = Field(1.0, description="the largest value")

    def output(self, *xs: Shape) -> Shape:
        if self.max_val <= self.min_val:
            raise ShapeError(
                "Y911", f"max_val {self.max_val} must be above min_val {self.min_val}", argument="max_val", assume=xs[0]
            )
        return xs[0]

    def torch(self, *xs: Shape) -> Module:
        return Module(self.row.target, self.options("min_val", "max_val"))
