"""self_attention: every position attends to all."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Module, Op, Shape, require_spatial
from cnnplan.ops.conv import divisors, nearest_divisor
from cnnplan.ops.fields import Flag, Probability, Size
from cnnplan.ops.needs import NOTHING, Kept, Needs, Saved, Scratch
from cnnplan.ops.window import WHOLE, Window


class SelfAttention(Op):
    """Multi-head self-attention: the positions of a sequence, map or volume are tokens, its channels their embedding.

    Each head has channels / num_heads of the projected queries q, keys k and values v, and gives at each position
    the mean of all v, weighed with softmax(q k' / sqrt(channels / num_heads)) over the positions; `out_proj` mixes
    the heads. Positions are not told apart: add them before, where their order matters. Parameters are those of
    torch.nn.MultiheadAttention, whose checkpoints fit.

    With `dropout`, a CPU keeps the weights of all pairs of positions for the backward pass; without, and on CUDA,
    a fused kernel makes them again.

    Source: Vaswani et al. 2017, arXiv:1706.03762; torch.nn.MultiheadAttention.
    """

    kind: ClassVar[str] = "self_attention"
    layout: ClassVar[str] = "last"
    repacks: ClassVar[str] = "last"
    writable: ClassVar[bool] = True
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "low", "cpu": "low"}
    formulas: ClassVar[dict[str, str]] = {
        "output": "the input's shape",
        "parameters": "4 * channels * channels, and 4 * channels for the bias",
        "macs": "4 * prod(input) * channels + 2 * prod(input) * positions: projections, and both products of all pairs",
        "flops": "2 * macs + 6 * num_heads * positions * positions, and 4 * prod(input) for the bias",
    }

    num_heads: Size = Field(description="heads, which share out the channels")
    bias: Flag = Field(True, description="add learned numbers to the projections")
    dropout: Probability = Field(0.0, description="probability of a zero among the weights of attention")

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        require_spatial(self.kind, x)
        check_heads(self.num_heads, x, x)
        return x

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        c = xs[0].channels
        biases: tuple[dict[str, tuple[int, ...]], ...] = ({"in_proj_bias": (3 * c,)}, {"out_proj.bias": (c,)})
        first, last = biases if self.bias else ({}, {})
        return {"in_proj_weight": (3 * c, c), **first, "out_proj.weight": (c, c), **last}

    def macs(self, *xs: Shape) -> int:
        (x,) = xs
        return 4 * x.numel * x.channels + 2 * x.numel * positions(x)

    def flops(self, *xs: Shape) -> int:
        (x,) = xs
        return 2 * self.macs(x) + 6 * self.pairs(x) + (4 * x.numel if self.bias else 0)

    def pairs(self, x: Shape) -> int:
        """Weights of attention: of each head, of all pairs of positions."""
        return self.num_heads * positions(x) ** 2

    def terms(self, *xs: Shape) -> dict[str, int | tuple[int, ...]]:
        return {"positions": positions(xs[0])}

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return (WHOLE,) * xs[0].rank

    def keeps_order(self) -> bool:
        return True

    def saved(self, *xs: Shape) -> Saved:
        (x,) = xs
        out = Kept("values attended to", x.numel, "activation")
        packed = Kept("queries, keys and values", 3 * x.numel, "activation")
        sums = Kept("log of sums", self.num_heads * positions(x), "float32")
        if not self.dropout:
            return Saved((0,), own=(packed, out, sums))
        own = [
            packed,
            out,
            sums._replace(dtype="cuda"),
            Kept("weights", (2 + (self.dropout < 1)) * self.pairs(x), "cpu"),
        ]
        own += [Kept("scaled queries and keys", 2 * x.numel, "cpu")] if self.num_heads == 1 else []
        own += [Kept("zero", 1, "cpu", per_sample=False)] if self.dropout == 1 else []
        return Saved((0,), own=tuple(own))

    def kept(self, needs: Needs, *xs: Shape) -> Saved:
        if not needs.any:
            return NOTHING
        saved = self.saved(*xs)
        if needs.parameters:
            return saved
        return Saved(own=tuple(k for k in saved.own if not self.dropout or k.what != "values attended to"))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        n, sums = xs[0].numel, self.num_heads * positions(xs[0])
        products = Kept("products", n - sums, "activation")
        gradients = Kept("gradients", 2 * n, "activation")
        if self.dropout:
            products = Kept("products", 4 * n * (self.num_heads > 1), "cpu")
            gradients = Kept("gradients of weights", self.pairs(*xs) - n, "cpu")
        evaluation = Kept("queries, keys, values and those attended to", 4 * n, "activation")
        unkept = self.saved(*xs).own if self.dropout else ()
        return Scratch((products,), (evaluation,), (gradients,), unkept=unkept)

    def torch(self, *xs: Shape) -> Module:
        sizes = (Argument("embed_dim", xs[0].channels), Argument("num_heads", self.num_heads))
        return Module("SelfAttention", sizes + self.options("bias", "dropout"))


def positions(x: Shape) -> int:
    """How many positions a map has."""
    return x.numel // x.channels


def check_heads(heads: int, x: Shape, output: Shape) -> None:
    """Refuse heads that do not share out the channels evenly.

    Raises:
        ShapeError: they do not.
    """
    if x.channels % heads:
        raise ShapeError(
            "S007",
            f"num_heads {heads} does not divide the {x.channels} channels of its input {x}",
            argument="num_heads",
            instead=nearest_divisor(x.channels, heads),
            help=f"{x.channels} divides by {', '.join(map(str, divisors(x.channels)))}",
            assume=output,
        )
