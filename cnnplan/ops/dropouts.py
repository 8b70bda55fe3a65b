"""dropout, dropout2d, alpha_dropout: random zeros in training."""

from typing import ClassVar

from pydantic import Field

from cnnplan.ops.base import Argument, Module, Op, Shape, require_spatial
from cnnplan.ops.fields import Probability
from cnnplan.ops.needs import NO_SCRATCH, NOTHING, PASSES, Kept, Needs, Saved, Scratch


class _Dropout(Op):
    group: ClassVar[str] = "regularization"
    layout: ClassVar[str] = "same"
    own_channels: ClassVar[bool] = True
    formulas: ClassVar[dict[str, str]] = {"output": "the input's shape", "flops": "0: nothing happens in evaluation"}

    p: Probability = Field(0.5, description="probability of a zero")

    def is_view(self, *xs: Shape) -> bool:
        return self.p == 0

    def passes_by(self, *xs: Shape) -> bool:
        return True

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return PASSES if self.p == 0 else NO_SCRATCH

    def mask(self, x: Shape) -> Kept:
        return Kept("mask", x.numel, "mask")

    def saved(self, *xs: Shape) -> Saved:
        return NOTHING if self.p == 0 else Saved(own=(self.mask(*xs),))

    def target(self, x: Shape) -> str:
        return "nn.Dropout"

    def torch(self, *xs: Shape) -> Module:
        return Module(self.target(*xs), (Argument("p", self.p, 0.5),))


class Dropout(_Dropout):
    """Sets each element to zero with probability p in training, and scales the others by 1 / (1 - p).

    Source: Srivastava et al. 2014; torch.nn.Dropout.
    """

    kind: ClassVar[str] = "dropout"


class Dropout2d(_Dropout):
    """Sets whole channels to zero with probability p in training, over 1, 2 or 3 spatial axes.

    Source: Tompson et al. 2014, arXiv:1411.4280; torch.nn.Dropout2d.
    """

    kind: ClassVar[str] = "dropout2d"

    def output(self, *xs: Shape) -> Shape:
        require_spatial(self.kind, xs[0])
        return xs[0]

    def mask(self, x: Shape) -> Kept:
        return Kept("channel mask", x.channels, "activation")

    def target(self, x: Shape) -> str:
        return f"nn.Dropout{x.rank}d"


class AlphaDropout(_Dropout):
    """Dropout that keeps mean and variance, for networks of `selu`.

    Source: Klambauer et al. 2017, arXiv:1706.02515; torch.nn.AlphaDropout.
    """

    kind: ClassVar[str] = "alpha_dropout"

    def mask(self, x: Shape) -> Kept:
        return Kept("mask", x.numel, "activation")

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        dropped = Kept("shifted input", xs[0].numel, "activation")
        return PASSES if self.p == 0 else Scratch(training=(dropped,))

    def target(self, x: Shape) -> str:
        return "nn.AlphaDropout"


OPS = {op.kind: op for op in (Dropout, Dropout2d, AlphaDropout)}
