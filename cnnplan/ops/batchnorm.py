"""batchnorm: normalization over the batch."""

from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Module, Op, Shape
from cnnplan.ops.fields import Epsilon, Flag, Probability
from cnnplan.ops.needs import NO_SCRATCH, Kept, Needs, Saved, Scratch
from cnnplan.ops.window import POINTWISE, WHOLE, Window


class BatchNorm(Op):
    """Batch normalization of each channel, over the batch and all positions.

    Source: Ioffe & Szegedy 2015, arXiv:1502.03167; torch.nn.BatchNorm2d.
    """

    kind: ClassVar[str] = "batchnorm"
    group: ClassVar[str] = "normalization"
    layout: ClassVar[str] = "format"
    own_channels: ClassVar[bool] = True
    folds: ClassVar[bool] = True
    writable: ClassVar[bool] = True
    formulas: ClassVar[dict[str, str]] = {
        "output": "the input's shape",
        "parameters": "2 * channels: weight and bias",
        "buffers": "2 * channels + 1: running_mean, running_var, num_batches_tracked",
        "flops": "2 * prod(input): in evaluation it is one scale and one shift",
    }

    eps: Epsilon = Field(1e-5, description="added to the variance")
    momentum: Probability = Field(0.1, description="weight of the newest batch in the running statistics")
    affine: Flag = Field(True, description="learn a weight and a bias for each channel")
    track_running_stats: Flag = Field(True, description="keep running statistics for evaluation")

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        if x.rank > 3:
            raise ShapeError("S012", f"'{self.kind}' takes up to 3 spatial axes; its input {x} has {x.rank}")
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
        return 2 * xs[0].numel

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return (POINTWISE if self.track_running_stats else WHOLE,) * xs[0].rank

    def formula(self, number: str, *xs: Shape) -> str:
        present = {"parameters": self.affine, "buffers": self.track_running_stats}
        return super().formula(number, *xs) if present.get(number, True) else "0"

    def saved(self, *xs: Shape) -> Saved:
        return Saved((0,), own=(Kept("mean and inverse deviation", 2 * xs[0].channels, "float32", False),))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return NO_SCRATCH if self.track_running_stats else Scratch(evaluation=self.saved(*xs).own)

    def torch(self, *xs: Shape) -> Module:
        (x,) = xs
        features = (Argument("num_features", x.channels),)
        options = self.options("eps", "momentum", "affine", "track_running_stats")
        return Module(f"nn.BatchNorm{max(1, x.rank)}d", features + options)
