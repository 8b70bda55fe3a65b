"""depthwise_conv: one filter, or a few, for each channel."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from cnnplan.ops.base import Module, Op, Shape
from cnnplan.ops.conv import Conv
from cnnplan.ops.fields import Flag, Padding, PaddingMode, Size, Spatial
from cnnplan.ops.needs import Needs, Saved, Scratch
from cnnplan.ops.window import Window


class DepthwiseConv(Op):
    """Depthwise convolution: each channel is convolved by itself, with `multiplier` filters.

    The same as `conv` with groups = in_channels and out_channels = multiplier * in_channels.

    Source: Sifre 2014; Howard et al. 2017, arXiv:1704.04861; torch.nn.Conv2d.
    """

    kind: ClassVar[str] = "depthwise_conv"
    group: ClassVar[str] = "convolution"
    layout: ClassVar[str] = "format"
    writable: ClassVar[bool] = True
    takes_norms: ClassVar[bool] = True
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "low", "cpu": "low"}
    formulas: ClassVar[dict[str, str]] = {
        "output": "multiplier * in_channels channels; sizes as for conv",
        "parameters": "multiplier * in_channels * prod(kernel_size), and multiplier * in_channels for the bias",
        "macs": "prod(output) * prod(kernel_size)",
        "flops": "2 * macs, and prod(output) for the bias",
    }

    kernel_size: Spatial = Field(description="window, in units of the input")
    multiplier: Size = Field(1, description="filters for each input channel")
    stride: Spatial = Field(1, description="step from one window to the next")
    padding: Padding = Field(0, description="units added on each side: a number, one for each axis, pairs, half, same")
    dilation: Spatial = Field(1, description="distance between the taps of the window")
    bias: Flag = Field(True, description="add a learned number to each output channel")
    padding_mode: PaddingMode = Field("zeros", description="what the padding holds")

    def conv(self, x: Shape) -> Conv:
        """The grouped convolution that this is. Its fields are checked already."""
        return _Depthwise.model_construct(
            out_channels=self.multiplier * x.channels,
            groups=x.channels,
            **{name: getattr(self, name) for name in _SHARED},
        )

    def output(self, *xs: Shape) -> Shape:
        return self.conv(*xs).output(*xs)

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        return self.conv(*xs).parameters(*xs)

    def macs(self, *xs: Shape) -> int:
        return self.conv(*xs).macs(*xs)

    def flops(self, *xs: Shape) -> int:
        return self.conv(*xs).flops(*xs)

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return self.conv(*xs).windows(*xs)

    def channels(self, *xs: Shape) -> Window:
        return self.conv(*xs).channels(*xs)

    def formula(self, number: str, *xs: Shape) -> str:
        return self.conv(*xs).formula(number, *xs) if number == "output" else super().formula(number, *xs)

    def terms(self, *xs: Shape) -> dict[str, int | tuple[int, ...]]:
        return self.conv(*xs).terms(*xs)

    def serves(self, planned: tuple[Shape, ...], xs: tuple[Shape, ...]) -> bool:
        return planned[0].channels == xs[0].channels and self.conv(*xs).serves(planned, xs)

    def saved(self, *xs: Shape) -> Saved:
        return self.conv(*xs).saved(*xs)

    def kept(self, needs: Needs, *xs: Shape) -> Saved:
        return self.conv(*xs).kept(needs, *xs)

    def arranged(self, *xs: Shape) -> str:
        return self.conv(*xs).arranged(*xs)

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return self.conv(*xs).scratch(needs, *xs)

    def torch(self, *xs: Shape) -> Module:
        return self.conv(*xs).torch(*xs)


class _Depthwise(Conv):
    """A `Conv` whose messages name what the spec says."""

    kind: ClassVar[str] = "depthwise_conv"


_SHARED = ("kernel_size", "stride", "padding", "dilation", "bias", "padding_mode")
