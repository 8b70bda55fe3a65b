"""elu: an exponential below zero."""

from typing import ClassVar

from pydantic import Field

from cnnplan.ops.activations import Activation, Row
from cnnplan.ops.base import Module, Shape
from cnnplan.ops.fields import Number
from cnnplan.ops.needs import INPUT


class Elu(Activation):
    """x where it is positive, alpha * (exp(x) - 1) elsewhere.

    Source: Clevert, Unterthiner & Hochreiter 2015, arXiv:1511.07289; torch.nn.ELU.
    """

    kind: ClassVar[str] = "elu"
    row: ClassVar[Row] = Row("max(0, x) + min(0, alpha * (exp(x) - 1))", 3, INPUT, "nn.ELU", "")
    formulas: ClassVar[dict[str, str]] = {"output": "the input's shape", "flops": "3 * prod(input)"}

    alpha: Number = Field(1.0, description="minus the limit towards minus infinity")

    def overwrites(self, *xs: Shape) -> bool:
        return self.alpha >= 0

    def torch(self, *xs: Shape) -> Module:
        return Module(self.row.target, self.options("alpha"))
