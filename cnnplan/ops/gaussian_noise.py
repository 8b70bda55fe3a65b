"""gaussian_noise: normal noise in training."""

from typing import Annotated, ClassVar

from pydantic import Field, PlainValidator, WithJsonSchema

from cnnplan.ops.base import Argument, Module, Op, Shape
from cnnplan.ops.fields import number
from cnnplan.ops.needs import PASSES, Kept, Needs, Scratch

Deviation = Annotated[
    float, PlainValidator(number(0, None, "a number ≥ 0")), WithJsonSchema({"type": "number", "minimum": 0})
]


class GaussianNoise(Op):
    """Adds noise of mean 0 and standard deviation `std` to each element in training.

    Source: Bishop 1995; torch.randn_like.
    """

    kind: ClassVar[str] = "gaussian_noise"
    group: ClassVar[str] = "regularization"
    layout: ClassVar[str] = "same"
    own_channels: ClassVar[bool] = True
    formulas: ClassVar[dict[str, str]] = {"output": "the input's shape", "flops": "0: nothing happens in evaluation"}

    std: Deviation = Field(description="standard deviation of the noise, in units of the input")

    def is_view(self, *xs: Shape) -> bool:
        return self.std == 0

    def passes_by(self, *xs: Shape) -> bool:
        return True

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return PASSES if self.std == 0 else PASSES._replace(training=(Kept("noise", xs[0].numel, "activation"),))

    def torch(self, *xs: Shape) -> Module:
        return Module("GaussianNoise", (Argument("std", self.std),))
