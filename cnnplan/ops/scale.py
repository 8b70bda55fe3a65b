"""scale: a learned factor and offset for each channel."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from cnnplan.ops.base import Argument, Module, Op, Shape
from cnnplan.ops.fields import Flag
from cnnplan.ops.layer_scale import channel_shape
from cnnplan.ops.needs import INPUT, Kept, Needs, Saved, Scratch


class Scale(Op):
    """Multiplies each channel by a learned factor and adds a learned offset; they start at 1 and 0.

    LeNet-5's subsampling layers are `avgpool` and this.

    Source: LeCun et al. 1998, section II.B.
    """

    kind: ClassVar[str] = "scale"
    own_channels: ClassVar[bool] = True
    layout: ClassVar[str] = "same"
    keeps_for_weights: ClassVar[bool] = True
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "result", "cpu": "result"}
    formulas: ClassVar[dict[str, str]] = {
        "output": "the input's shape",
        "parameters": "channels, and channels for the bias",
        "flops": "prod(input), and prod(input) for the bias",
    }

    bias: Flag = Field(True, description="add a learned offset")

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        shape = channel_shape(*xs)
        return {"weight": shape, "bias": shape} if self.bias else {"weight": shape}

    def flops(self, *xs: Shape) -> int:
        return (2 if self.bias else 1) * xs[0].numel

    def saved(self, *xs: Shape) -> Saved:
        return INPUT

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        product = (Kept("product", xs[0].numel, "full"),)
        summed = product if self.bias else ()
        return Scratch(summed, summed, product)

    def torch(self, *xs: Shape) -> Module:
        return Module("Scale", (Argument("shape", channel_shape(*xs)), *self.options("bias")))
