"""layer_scale: a learned factor for each channel of a residual branch."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from cnnplan.ops.base import Argument, Module, Op, Shape
from cnnplan.ops.fields import Number
from cnnplan.ops.needs import INPUT, Kept, Needs, Saved, Scratch


class LayerScale(Op):
    """Multiplies each channel by a learned factor that starts small.

    Source: Touvron et al. 2021, arXiv:2103.17239.
    """

    kind: ClassVar[str] = "layer_scale"
    own_channels: ClassVar[bool] = True
    layout: ClassVar[str] = "same"
    writable: ClassVar[bool] = True
    keeps_for_weights: ClassVar[bool] = True
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "result", "cpu": "result"}
    formulas: ClassVar[dict[str, str]] = {
        "output": "the input's shape",
        "parameters": "channels",
        "flops": "prod(input)",
    }

    init: Number = Field(1e-6, description="the factors at the start of training")

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        return {"weight": channel_shape(*xs)}

    def flops(self, *xs: Shape) -> int:
        return xs[0].numel

    def saved(self, *xs: Shape) -> Saved:
        return INPUT

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return Scratch(backward=(Kept("product", xs[0].numel, "full"),))

    def torch(self, *xs: Shape) -> Module:
        return Module("LayerScale", (Argument("shape", channel_shape(*xs)), Argument("init", self.init, 1e-6, True)))


def channel_shape(x: Shape) -> tuple[int, ...]:
    """[channels, 1, …]: broadcasts over the positions."""
    return (x.channels, *(1,) * x.rank)
