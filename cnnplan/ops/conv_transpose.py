"""conv_transpose: transposed convolution."""

from collections.abc import Mapping
from math import gcd, prod
from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import AXES, Argument, Module, Op, Shape, check_elements, per_axis, plain, require_spatial
from cnnplan.ops.conv import divisors, nearest_divisor
from cnnplan.ops.fields import Flag, Size, Spatial, Spatial0
from cnnplan.ops.needs import INPUT, Saved
from cnnplan.ops.window import Spread, Window, grouped


class ConvTranspose(Op):
    """Transposed convolution: every input unit adds a scaled copy of the kernel to the output.

    Source: Zeiler et al. 2010; Dumoulin & Visin 2016, arXiv:1603.07285; torch.nn.ConvTranspose2d.
    """

    kind: ClassVar[str] = "conv_transpose"
    group: ClassVar[str] = "convolution"
    layout: ClassVar[str] = "format"
    writable: ClassVar[bool] = True
    takes_norms: ClassVar[bool] = True
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "low", "cpu": "low"}
    formulas: ClassVar[dict[str, str]] = {
        "output": "(size - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1",
        "parameters": "in_channels * out_channels / groups * prod(kernel_size), and out_channels for the bias",
        "macs": "prod(input) * out_channels / groups * prod(kernel_size)",
        "flops": "2 * macs, and prod(output) for the bias",
    }

    out_channels: Size = Field(description="output channels")
    kernel_size: Spatial = Field(description="window, in units of the output")
    stride: Spatial = Field(1, description="output units from one copy of the kernel to the next")
    padding: Spatial0 = Field(0, description="output units cut off on each side")
    output_padding: Spatial0 = Field(0, description="output units added at the end; below stride or dilation")
    groups: Size = Field(1, description="groups of channels that do not see each other")
    bias: Flag = Field(True, description="add a learned number to each output channel")
    dilation: Spatial = Field(1, description="distance between the taps of the kernel")

    def spread(self, x: Shape) -> tuple[Spread, ...]:
        require_spatial(self.kind, x)
        names = ("kernel_size", "stride", "dilation", "padding", "output_padding")
        return tuple(map(Spread, *(per_axis(self.kind, n, getattr(self, n), x) for n in names)))

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        windows = self.spread(x)
        sizes = tuple(w.size(n) for w, n in zip(windows, x.spatial, strict=True))
        for axis, n, w, size in zip(AXES[x.rank], x.spatial, windows, sizes, strict=True):
            if w.output_padding >= max(w.stride, w.dilation):
                raise ShapeError(
                    "S009",
                    f"output_padding {w.output_padding} must be below the stride {w.stride} or the "
                    f"dilation {w.dilation}",
                    argument="output_padding",
                    help=f"use at most {max(w.stride, w.dilation) - 1}",
                )
            if size < 1:
                raise ShapeError(
                    "S001",
                    f"padding {w.padding} leaves nothing: the output's {axis} would be "
                    f"{w.size(n) + 2 * w.padding} - 2 * {w.padding} = {size}",
                    argument="padding",
                    help="cut off less",
                )
        shape = check_elements(self.kind, Shape((self.out_channels, *sizes)))
        for side, channels in (("input", x.channels), ("output", self.out_channels)):
            if channels % self.groups:
                raise ShapeError(
                    "S006",
                    f"groups {self.groups} does not divide the {channels} {side} channels of '{self.kind}'",
                    argument="groups",
                    instead=nearest_divisor(gcd(x.channels, self.out_channels), self.groups),
                    help=f"{channels} divides by {', '.join(map(str, divisors(channels)))}",
                    assume=shape,
                )
        return shape

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        (x,) = xs
        kernel = tuple(w.kernel for w in self.spread(x))
        weight = {"weight": (x.channels, self.out_channels // self.groups, *kernel)}
        return weight | {"bias": (self.out_channels,)} if self.bias else weight

    def macs(self, *xs: Shape) -> int:
        (x,) = xs
        return x.numel * (self.out_channels // self.groups) * prod(w.kernel for w in self.spread(x))

    def flops(self, *xs: Shape) -> int:
        return 2 * self.macs(*xs) + (self.output(*xs).numel if self.bias else 0)

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return tuple(w.window for w in self.spread(xs[0]))

    def channels(self, *xs: Shape) -> Window:
        return grouped(xs[0].channels, self.out_channels, self.groups)

    def saved(self, *xs: Shape) -> Saved:
        return INPUT

    def torch(self, *xs: Shape) -> Module:
        (x,) = xs
        required = (
            Argument("in_channels", x.channels),
            Argument("out_channels", self.out_channels),
            Argument("kernel_size", plain(self.kernel_size)),
        )
        options = self.options("stride", "padding", "output_padding", "groups", "bias", "dilation")
        return Module(f"nn.ConvTranspose{x.rank}d", required + options)
