"""celu: an exponential below zero whose slope is continuous for every alpha."""

from typing import Annotated, ClassVar

from pydantic import Field, PlainValidator, WithJsonSchema

from cnnplan.ops.activations import Activation, Row
from cnnplan.ops.base import Module, Shape
from cnnplan.ops.fields import number, refuse
from cnnplan.ops.needs import INPUT


def _nonzero(value: object) -> float:
    checked = number(None, None, "a number other than 0")(value)
    if checked == 0:
        raise refuse("a number other than 0", value)
    return checked


NonZero = Annotated[float, PlainValidator(_nonzero), WithJsonSchema({"type": "number", "not": {"const": 0}})]


class Celu(Activation):
    """x where it is positive, alpha * (exp(x / alpha) - 1) elsewhere.

    Source: Barron 2017, arXiv:1704.07483; torch.nn.CELU.
    """

    kind: ClassVar[str] = "celu"
    row: ClassVar[Row] = Row("max(0, x) + min(0, alpha * (exp(x / alpha) - 1))", 4, INPUT, "nn.CELU", "")
    formulas: ClassVar[dict[str, str]] = {"output": "the input's shape", "flops": "4 * prod(input)"}

    alpha: NonZero = Field(1.0, description="minus the limit towards minus infinity")

    def overwrites(self, *xs: Shape) -> bool:
        return self.alpha > 0

    def torch(self, *xs: Shape) -> Module:
        return Module(self.row.target, self.options("alpha"))
