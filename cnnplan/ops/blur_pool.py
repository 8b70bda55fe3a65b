"""blur_pool: down-sampling behind a fixed blur."""

from collections.abc import Mapping
from math import prod
from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import AXES, Argument, Module, Op, Shape, per_axis, require_spatial
from cnnplan.ops.conv import padded_scratch
from cnnplan.ops.fields import Spatial
from cnnplan.ops.needs import Kept, Needs, Saved, Scratch
from cnnplan.ops.sliding import maps, slid, slide
from cnnplan.ops.window import Sliding, Window


class BlurPool(Op):
    """Anti-aliased down-sampling: a binomial filter over each channel, its border reflected, then every stride-th unit.

    The filter is a row of Pascal's triangle along each axis, with sum 1: [1, 2, 1] / 4 for 3, [1, 4, 6, 4, 1] / 16 for
    5. It is a buffer, and is not learned. Behind `maxpool` with stride 1 it is the paper's max pool; behind a
    convolution with stride 1 and its activation, the paper's strided convolution.

    Source: Zhang 2019, arXiv:1904.11486.
    """

    kind: ClassVar[str] = "blur_pool"
    group: ClassVar[str] = "unpooling and resizing"
    layout: ClassVar[str] = "format"
    own_channels: ClassVar[bool] = True
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "low", "cpu": "low"}
    formulas: ClassVar[dict[str, str]] = {
        "output": "ceil(size / stride) along each axis",
        "buffers": "channels * prod(kernel_size)",
        "macs": "prod(output) * prod(kernel_size)",
        "flops": "2 * macs",
    }

    kernel_size: Spatial = Field(3, description="the filter, in units of the input")
    stride: Spatial = Field(2, description="step from one output unit to the next")

    def sliding(self, x: Shape) -> tuple[Sliding, ...]:
        require_spatial(self.kind, x)
        kernels = per_axis(self.kind, "kernel_size", self.kernel_size, x)
        sides = tuple(((k - 1) // 2, k // 2) for k in kernels)
        return slide(self.kind, x, kernels, self.stride, 1, sides)

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        windows = self.sliding(x)
        for axis, n, w in zip(AXES[x.rank], x.spatial, windows, strict=True):
            if w.after >= n:
                raise ShapeError(
                    "S020",
                    f"'{self.kind}' with kernel_size {w.kernel} reflects {w.after} units beside the last one, "
                    f"but {axis} {n} has {n - 1}",
                    argument="kernel_size",
                    help="use a smaller kernel, or a larger input",
                )
        return slid(self.kind, windows, x, x.channels)

    def buffers(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        (x,) = xs
        return {"weight": (x.channels, 1, *(w.kernel for w in self.sliding(x)))}

    def macs(self, *xs: Shape) -> int:
        return self.output(*xs).numel * prod(w.kernel for w in self.sliding(*xs))

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return maps(self.sliding(*xs), "reflect")

    def saved(self, *xs: Shape) -> Saved:
        (x,) = xs
        padded = Shape((x.channels, *(n + w.before + w.after for n, w in zip(x.spatial, self.sliding(x), strict=True))))
        return Saved((0,), own=(Kept("padded input", padded.numel, "activation"),))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return padded_scratch(self.saved(*xs).own, xs[0])

    def torch(self, *xs: Shape) -> Module:
        (x,) = xs
        sizes = (Argument("channels", x.channels), Argument("rank", x.rank, 2, True))
        return Module("BlurPool", (*sizes, *self.options("kernel_size", "stride")))
