"""instancenorm: normalization of each channel, sample by sample."""

from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Module, Op, Shape, require_spatial
from cnnplan.ops.fields import Epsilon, Flag, Probability
from cnnplan.ops.needs import Kept, Needs, Saved, Scratch
from cnnplan.ops.window import POINTWISE, WHOLE, Window


class InstanceNorm(Op):
    """Instance normalization: each sample and channel, over all positions.

    Source: Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022; torch.nn.InstanceNorm2d.
    """

    kind: ClassVar[str] = "instancenorm"
    group: ClassVar[str] = "normalization"
    own_channels: ClassVar[bool] = True
    repacks: ClassVar[str] = "always"
    formulas: ClassVar[dict[str, str]] = {
        "output": "the input's shape",
        "parameters": "0; 2 * channels with affine",
        "buffers": "0; 2 * channels + 1 with track_running_stats",
        "flops": "prod(input) * (1 for the mean, 3 for the variance, 2 to normalize, 2 with affine)",
    }

    eps: Epsilon = Field(1e-5, description="added to the variance")
    momentum: Probability = Field(0.1, description="weight of the newest batch in the running statistics")
    affine: Flag = Field(False, description="learn a weight and a bias for each channel")
    track_running_stats: Flag = Field(False, description="keep running statistics for evaluation")

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        require_spatial(self.kind, x)
        if x.numel == x.channels:
            raise ShapeError(
                "S020",
                f"'instancenorm' needs more than one position to normalize over; its input is {x}",
                help="use `batchnorm` or `groupnorm` here",
                assume=x,
            )
        return x

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        c = xs[0].channels
        return {"weight": (c,), "bias": (c,)} if self.affine else {}

    def buffers(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        c = xs[0].channels
        if not self.track_running_stats:
            return {}
        return {"running_mean": (c,), "running_var": (c,), "num_batches_tracked": ()}

    def flops(self, *xs: Shape) -> int:
        return (8 if self.affine else 6) * xs[0].numel

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return (POINTWISE if self.track_running_stats else WHOLE,) * xs[0].rank

    def formula(self, number: str, *xs: Shape) -> str:
        if number == "flops":
            return "prod(input) * (1 + 3 + 2 + 2)" if self.affine else "prod(input) * (1 + 3 + 2)"
        present = {"parameters": self.affine, "buffers": self.track_running_stats}
        none, _, some = super().formula(number, *xs).partition("; ")
        return some.partition(" with")[0] if present.get(number) else none

    def saved(self, *xs: Shape) -> Saved:
        c = xs[0].channels
        own = [Kept("mean and inverse deviation", 2 * c, "float32")]
        if self.affine:
            own.append(Kept("weight of each sample", c, "float32"))
        if self.track_running_stats:
            own.append(Kept("running statistics of each sample", 2 * c, "float32"))
        return Saved((0,), own=tuple(own))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        own = self.saved(*xs).own  # without running statistics, those of the sample
        made = tuple(k for k in own if not self.track_running_stats or "each sample" in k.what)
        return Scratch(evaluation=made)

    def torch(self, *xs: Shape) -> Module:
        (x,) = xs
        features = (Argument("num_features", x.channels),)
        options = self.options("eps", "momentum", "affine", "track_running_stats")
        return Module(f"nn.InstanceNorm{x.rank}d", features + options)
