"""gelu: x weighted by the normal distribution."""

from typing import ClassVar, Literal

from pydantic import Field

from cnnplan.ops.activations import Activation, Row
from cnnplan.ops.base import Module, Shape
from cnnplan.ops.needs import INPUT


class Gelu(Activation):
    """x * Phi(x), with the normal distribution's cumulative function, or its tanh approximation.

    Source: Hendrycks & Gimpel 2016, arXiv:1606.08415; torch.nn.GELU.
    """

    kind: ClassVar[str] = "gelu"
    row: ClassVar[Row] = Row("x / 2 * (1 + erf(x / sqrt(2)))", 5, INPUT, "nn.GELU", "")
    formulas: ClassVar[dict[str, str]] = {
        "output": "the input's shape",
        "flops": "5 * prod(input); 9 * prod(input) with the tanh approximation",
    }

    approximate: Literal["none", "tanh"] = Field("none", description="how Phi is computed")

    def flops(self, *xs: Shape) -> int:
        return (5 if self.approximate == "none" else 9) * xs[0].numel

    def formula(self, number: str, *xs: Shape) -> str:
        exact, _, tanh = super().formula(number, *xs).partition("; ")
        return tanh.partition(" with")[0] if tanh and self.approximate == "tanh" else exact

    def by_rows(self, *xs: Shape) -> str:
        return "PointwiseGELU"

    def torch(self, *xs: Shape) -> Module:
        return Module(self.row.target, self.options("approximate"))
