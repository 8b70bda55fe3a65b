"""attention_pool: the mean over all positions, weighed by attention."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from cnnplan.ops.base import Argument, Module, Op, Shape, require_spatial
from cnnplan.ops.fields import Size
from cnnplan.ops.needs import Kept, Needs, Saved, Scratch
from cnnplan.ops.self_attention import check_heads, positions
from cnnplan.ops.window import Window, grouped


class AttentionPool(Op):
    """The mean of each channel over all positions, weighed by learned attention: [C, …] to [C].

    Each head has channels / num_heads of the channels, and a learned query u of as many numbers: a position of x
    weighs exp(u x) / sum of exp(u x) over all positions. Queries start at zero, where all positions weigh the same.
    They take in the constant factor that the paper divides u x by.

    Source: India, Safari & Hernando 2019, arXiv:1906.09890; of a single head Cao et al. 2019, arXiv:1904.11492.
    """

    kind: ClassVar[str] = "attention_pool"
    group: ClassVar[str] = "pooling"
    repacks: ClassVar[str] = "always"
    writable: ClassVar[bool] = True
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "low", "cpu": "low"}
    formulas: ClassVar[dict[str, str]] = {
        "output": "one number for each channel",
        "parameters": "channels: a query for each head",
        "macs": "2 * prod(input): scores and means",
        "flops": "2 * macs + 5 * num_heads * positions: the softmax of each head",
    }

    num_heads: Size = Field(1, description="heads, each with weights of its own for its share of the channels")

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        require_spatial(self.kind, x)
        check_heads(self.num_heads, x, Shape((x.channels,)))
        return Shape((x.channels,))

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        return {"query": (self.num_heads, xs[0].channels // self.num_heads)}

    def macs(self, *xs: Shape) -> int:
        return 2 * xs[0].numel

    def flops(self, *xs: Shape) -> int:
        return 2 * self.macs(*xs) + 5 * self.scores(*xs)

    def scores(self, x: Shape) -> int:
        """One for each head and position."""
        return self.num_heads * positions(x)

    def terms(self, *xs: Shape) -> dict[str, int | tuple[int, ...]]:
        return {"positions": positions(*xs)}

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return ()

    def channels(self, *xs: Shape) -> Window:
        return grouped(xs[0].channels, xs[0].channels, self.num_heads)

    def saved(self, *xs: Shape) -> Saved:
        return Saved((0,), own=(Kept("weights", self.scores(*xs), "activation"),))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        scores = Kept("scores", self.scores(*xs), "activation")
        gradients = max(xs[0].numel, 2 * scores.elements) - xs[0].channels
        backward = Kept("gradients of values and weights", gradients, "activation")
        return Scratch((scores,), (scores, *self.saved(*xs).own), (backward,))

    def torch(self, *xs: Shape) -> Module:
        return Module("AttentionPool", (Argument("channels", xs[0].channels), *self.options("num_heads")))
