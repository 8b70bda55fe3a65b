"""conv: convolution."""

from collections.abc import Mapping
from math import gcd, prod
from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Module, Op, Shape
from cnnplan.ops.fields import Flag, Padding, PaddingMode, Size, Spatial
from cnnplan.ops.needs import INPUT, NO_SCRATCH, Kept, Needs, Saved, Scratch
from cnnplan.ops.sliding import (
    check_padding_mode,
    maps,
    pad_module,
    padded_alike,
    slid,
    slide,
    sliding_terms,
    symmetric,
)
from cnnplan.ops.window import Sliding, Window, grouped


class Conv(Op):
    """Convolution over 1, 2 or 3 spatial axes: dense, grouped, strided or dilated.

    Source: Dumoulin & Visin 2016, arXiv:1603.07285; torch.nn.Conv2d.
    """

    kind: ClassVar[str] = "conv"
    group: ClassVar[str] = "convolution"
    layout: ClassVar[str] = "format"
    writable: ClassVar[bool] = True
    takes_norms: ClassVar[bool] = True
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "low", "cpu": "low"}
    formulas: ClassVar[dict[str, str]] = {
        "output": "floor((size + before + after - dilation * (kernel_size - 1) - 1) / stride) + 1 along each axis",
        "parameters": "out_channels * in_channels / groups * prod(kernel_size), and out_channels for the bias",
        "macs": "prod(output) * in_channels / groups * prod(kernel_size)",
        "flops": "2 * macs, and prod(output) for the bias",
    }

    out_channels: Size = Field(description="output channels")
    kernel_size: Spatial = Field(description="window, in units of the input")
    stride: Spatial = Field(1, description="step from one window to the next")
    padding: Padding = Field(0, description="units added on each side: a number, one for each axis, pairs, half, same")
    dilation: Spatial = Field(1, description="distance between the taps of the window")
    groups: Size = Field(1, description="groups of channels that do not see each other")
    bias: Flag = Field(True, description="add a learned number to each output channel")
    padding_mode: PaddingMode = Field("zeros", description="what the padding holds")

    def sliding(self, x: Shape) -> tuple[Sliding, ...]:
        return slide(self.kind, x, self.kernel_size, self.stride, self.dilation, self.padding)

    def by_rows(self, *xs: Shape) -> str:
        (x,) = xs
        ones = all(n in (1, (1,) * x.rank) for n in (self.kernel_size, self.stride))
        dense = ones and x.rank == 2 and self.groups == 1 and self.output(x).spatial == x.spatial
        return "PointwiseConv2d" if dense else ""

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        windows = self.sliding(x)
        shape = slid(self.kind, windows, x, self.out_channels)
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
        if self.padding_mode != "zeros":
            check_padding_mode(self.kind, windows, x, self.padding_mode)
        return shape

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        (x,) = xs
        kernel = tuple(w.kernel for w in self.sliding(x))
        weight = {"weight": (self.out_channels, x.channels // self.groups, *kernel)}
        return weight | {"bias": (self.out_channels,)} if self.bias else weight

    def macs(self, *xs: Shape) -> int:
        (x,) = xs
        taps = prod(w.kernel for w in self.sliding(x))
        return self.output(x).numel * (x.channels // self.groups) * taps

    def flops(self, *xs: Shape) -> int:
        return 2 * self.macs(*xs) + (self.output(*xs).numel if self.bias else 0)

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return maps(self.sliding(xs[0]), "" if self.padding_mode == "zeros" else self.padding_mode)

    def channels(self, *xs: Shape) -> Window:
        return grouped(xs[0].channels, self.out_channels, self.groups)

    def terms(self, *xs: Shape) -> dict[str, int | tuple[int, ...]]:
        return sliding_terms(self.sliding(xs[0]), xs[0])

    def serves(self, planned: tuple[Shape, ...], xs: tuple[Shape, ...]) -> bool:
        if super().serves(planned, xs):
            return True
        alike = self.parameters(*planned) == self.parameters(*xs) and self.padding_mode == "zeros"
        return alike and padded_alike(self.sliding(*planned), self.sliding(*xs), *xs)

    def saved(self, *xs: Shape) -> Saved:
        (x,) = xs
        windows = self.sliding(x)
        padded = Shape((x.channels, *(n + w.before + w.after for n, w in zip(x.spatial, windows, strict=True))))
        if padded == x or (self.padding_mode == "zeros" and symmetric(windows)):
            return INPUT
        kept = (Kept("padded input", padded.numel, "activation"),)
        return Saved((0,) if self.padding_mode in ("reflect", "replicate") else (), own=kept)

    def kept(self, needs: Needs, *xs: Shape) -> Saved:
        kept = super().kept(needs, *xs)
        padded_from = kept.own and not needs.inputs[0]  # the padding alone needs its input
        return kept._replace(inputs=()) if padded_from else kept

    def arranged(self, *xs: Shape) -> str:
        return "" if self.padding_mode == "circular" else self.layout

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        own = self.saved(*xs).own
        return padded_scratch(own, xs[0], self.padding_mode == "circular")

    def torch(self, *xs: Shape) -> Module:
        (x,) = xs
        windows = self.sliding(x)
        sides = tuple(w.before for w in windows)
        before = None
        if not symmetric(windows):
            before, sides = pad_module(windows, self.padding_mode), (0,) * x.rank
        padding = sides[0] if len(set(sides)) == 1 else sides
        stride, dilation, groups, bias, mode = self.options("stride", "dilation", "groups", "bias", "padding_mode")
        if before or not any(sides):
            mode = Argument("padding_mode", "zeros", "zeros", True)
        channels = (Argument("in_channels", x.channels), Argument("out_channels", self.out_channels))
        kernel = (Argument("kernel_size", plain_kernel(windows)),)
        options = (stride, Argument("padding", padding, 0, True), dilation, groups, bias, mode)
        return Module(f"nn.Conv{x.rank}d", channels + kernel + options, before)


def padded_scratch(own: tuple[Kept, ...], x: Shape, circular: bool = False) -> Scratch:
    """Of an operation that pads its input first: the copy, and its gradient before it is cut."""
    cut = 0 if circular else x.numel
    beyond = tuple(k._replace(elements=k.elements - cut) for k in own if k.what == "padded input")
    return Scratch(evaluation=own, backward=beyond) if own else NO_SCRATCH


def plain_kernel(windows: tuple[Sliding, ...]) -> int | tuple[int, ...]:
    """The kernel as torch is told it: one number where all axes agree."""
    kernel = tuple(w.kernel for w in windows)
    return kernel[0] if len(set(kernel)) == 1 else kernel


def divisors(n: int, most: int = 12) -> list[int]:
    """Divisors of n up to 4096, at most `most` of them, the largest ones last."""
    found = [d for d in range(1, min(n, 4096) + 1) if n % d == 0]
    return found[:most]


def nearest_divisor(n: int, wanted: int) -> int:
    """The divisor of n that is nearest to a number; the smaller one of two."""
    for distance in range(4096):
        for divisor in (wanted - distance, wanted + distance):
            if 1 <= divisor <= n and n % divisor == 0:
                return divisor
    return 1
