"""grn: global response normalization."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from cnnplan.ops.base import Argument, Module, Op, Shape, require_spatial
from cnnplan.ops.fields import Epsilon
from cnnplan.ops.layer_scale import channel_shape
from cnnplan.ops.needs import Kept, Needs, Saved, Scratch
from cnnplan.ops.window import WHOLE, Window


class Grn(Op):
    """Global response normalization: weight * x * response + bias + x; weight and bias start at 0.

    The response of a channel is its Euclidean norm over the map, divided by the mean of those of all channels.

    Source: Woo et al. 2023, arXiv:2301.00808.
    """

    kind: ClassVar[str] = "grn"
    group: ClassVar[str] = "normalization"
    layout: ClassVar[str] = "same"
    writable: ClassVar[bool] = True
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "result", "cpu": "result"}
    formulas: ClassVar[dict[str, str]] = {
        "output": "the input's shape",
        "parameters": "2 * channels: weight and bias",
        "flops": "4 * prod(input) + 4 * channels + 1: norms, product and sum; the responses",
    }

    eps: Epsilon = Field(1e-6, description="added to the mean of the norms")

    def output(self, *xs: Shape) -> Shape:
        require_spatial(self.kind, xs[0])
        return xs[0]

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        shape = channel_shape(*xs)
        return {"weight": shape, "bias": shape}

    def flops(self, *xs: Shape) -> int:
        return 4 * xs[0].numel + 4 * xs[0].channels + 1

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return (WHOLE,) * xs[0].rank

    def saved(self, *xs: Shape) -> Saved:
        return self.kept(Needs((True,), True), *xs)

    def kept(self, needs: Needs, *xs: Shape) -> Saved:
        c = xs[0].channels
        own = [Kept("responses", c, "reduced")] if needs.parameters else []
        if needs.inputs[0]:
            own += [Kept("norms", c, "reduced"), Kept("their mean", 1, "reduced"), Kept("factors", c, "full")]
        return Saved((0,) if needs.any else (), own=tuple(own))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        made = Kept("norms, responses and factors", 3 * xs[0].channels, "full")
        return Scratch(evaluation=(made,), backward=(Kept("products", 2 * xs[0].numel, "full"),))

    def torch(self, *xs: Shape) -> Module:
        return Module("GlobalResponseNorm", (Argument("shape", channel_shape(*xs)), *self.options("eps")))
