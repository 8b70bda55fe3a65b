"""gem_pool: the generalized mean of each channel. It runs without torch, as all of cnnplan's planning does."""

from typing import ClassVar

from pydantic import Field

from cnnplan.ops.base import Argument, Module, Op, Shape, require_spatial
from cnnplan.ops.fields import Epsilon, Positive
from cnnplan.ops.needs import NOTHING, Kept, Needs, Saved, Scratch
from cnnplan.ops.window import Window


class GemPool(Op):
    """The generalized mean of each channel, (mean of x^p)^(1/p), with a learned exponent.

    Source: Radenović, Tolias & Chum 2018, arXiv:1711.02512.
    """

    kind: ClassVar[str] = "gem_pool"
    group: ClassVar[str] = "pooling"
    own_channels: ClassVar[bool] = True
    formulas: ClassVar[dict[str, str]] = {
        "output": "channels",
        "parameters": "1",
        "flops": "3 * prod(input) + channels: clamp, power and mean, and the root",
    }

    p: Positive = Field(3.0, description="the exponent at the start; 1 = average, towards infinity = max")
    eps: Epsilon = Field(1e-6, description="smaller values count as this")

    def output(self, *xs: Shape) -> Shape:
        require_spatial(self.kind, xs[0])
        return Shape((xs[0].channels,))

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        return {"p": (1,)}

    def flops(self, *xs: Shape) -> int:
        return 3 * xs[0].numel + xs[0].channels

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return ()

    def saved(self, *xs: Shape) -> Saved:
        return self.kept(Needs((True,), True), *xs)

    def kept(self, needs: Needs, *xs: Shape) -> Saved:
        if not needs.any:
            return NOTHING
        (x,) = xs
        own = [Kept(what, x.numel, "full") for what in ("clamped", "powers")] + [Kept("mean", x.channels, "full")]
        once = ("1 / p", "reciprocal of p") if needs.parameters else ("1 / p",)
        own += [Kept(what, 1, "float32", per_sample=False) for what in once]
        return Saved((0,) if needs.inputs[0] else (), True, tuple(own))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        powers = Kept("powers", 2 * xs[0].numel, "full")
        return Scratch(evaluation=(powers,), backward=(powers,))

    def torch(self, *xs: Shape) -> Module:
        exponent = Argument("p", float(self.p), 3.0, keyword=True)
        return Module("gem_cnnplan.layers:GemPool", (exponent, *self.options("eps")))
