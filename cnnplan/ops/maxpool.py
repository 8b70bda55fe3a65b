"""maxpool: the largest value of each window."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Module, Op, Shape, plain
from cnnplan.ops.conv import padded_scratch
from cnnplan.ops.fields import Flag, Padding, Spatial
from cnnplan.ops.needs import Kept, Needs, Saved, Scratch
from cnnplan.ops.sliding import (
    check_pool_padding,
    maps,
    pad_module,
    padded_alike,
    pool_formula,
    slid,
    slide,
    sliding_terms,
    symmetric,
)
from cnnplan.ops.window import Sliding, Window


class MaxPool(Op):
    """Max pooling. Padding is never the largest value.

    Source: Riesenhuber & Poggio 1999; torch.nn.MaxPool2d.
    """

    kind: ClassVar[str] = "maxpool"
    group: ClassVar[str] = "pooling"
    layout: ClassVar[str] = "format"
    autocast: ClassVar[Mapping[str, str]] = {"cpu": "volumes"}
    own_channels: ClassVar[bool] = True
    formulas: ClassVar[dict[str, str]] = {
        "output": "floor((size + before + after - dilation * (kernel_size - 1) - 1) / stride) + 1; ceil with ceil_mode",
        "flops": "prod(output) * (prod(kernel_size) - 1) comparisons",
    }

    kernel_size: Spatial = Field(description="window, in units of the input")
    stride: Spatial | None = Field(None, description="step from one window to the next; the window by default")
    padding: Padding = Field(0, description="units added on each side: a number, one for each axis, pairs, half, same")
    dilation: Spatial = Field(1, description="distance between the taps of the window")
    ceil_mode: Flag = Field(False, description="round the output size up")

    def sliding(self, x: Shape) -> tuple[Sliding, ...]:
        stride = self.kernel_size if self.stride is None else self.stride
        return slide(self.kind, x, self.kernel_size, stride, self.dilation, self.padding, self.ceil_mode)

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        windows = self.sliding(x)
        check_pool(self.kind, windows, self.padding, self.ceil_mode)
        return slid(self.kind, windows, x, x.channels)

    def flops(self, *xs: Shape) -> int:
        return pool_work(self, xs[0], -1)

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return maps(self.sliding(xs[0]))

    def terms(self, *xs: Shape) -> dict[str, int | tuple[int, ...]]:
        return sliding_terms(self.sliding(xs[0]), xs[0])

    def formula(self, number: str, *xs: Shape) -> str:
        text = super().formula(number, *xs)
        return pool_formula(text, self.sliding(xs[0]), xs[0]) if number == "output" else text

    def serves(self, planned: tuple[Shape, ...], xs: tuple[Shape, ...]) -> bool:
        return super().serves(planned, xs) or padded_alike(self.sliding(*planned), self.sliding(*xs), *xs)

    def saved(self, *xs: Shape) -> Saved:
        (x,) = xs
        indices = Kept("indices", self.output(x).numel, "int64")
        windows = self.sliding(x)
        if pads_itself(windows, self.padding):
            return Saved((0,), own=(indices,))
        padded = Shape((x.channels, *(n + w.before + w.after for n, w in zip(x.spatial, windows, strict=True))))
        return Saved(own=(Kept("padded input", padded.numel, "activation"), indices))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return padded_scratch(self.saved(*xs).own, xs[0])

    def torch(self, *xs: Shape) -> Module:
        (x,) = xs
        windows = self.sliding(x)
        before = None
        padding: tuple[int, ...] = tuple(w.before for w in windows)
        if not pads_itself(windows, self.padding):
            before, padding = pad_module(windows, value=float("-inf")), (0,)
        kernel = plain(self.kernel_size)
        return Module(
            f"nn.MaxPool{x.rank}d",
            (
                Argument("kernel_size", kernel),
                Argument("stride", plain(self.stride) if self.stride is not None else kernel, kernel, True),
                Argument("padding", plain(padding), 0, True),
                *self.options("dilation", "ceil_mode"),
            ),
            before,
        )


def pads_itself(windows: tuple[Sliding, ...], padding: object) -> bool:
    """Whether torch's pooling can pad so: alike on both sides, and for `same` by at most half a kernel."""
    return symmetric(windows) and (padding != "same" or all(w.before <= w.kernel // 2 for w in windows))


def check_pool(kind: str, windows: tuple[Sliding, ...], padding: object, ceil_mode: bool) -> None:
    """What torch's pools ask of padding.

    Raises:
        ShapeError: more than half a kernel of it, or `ceil_mode` with padding that has no
            defined meaning beside it.
    """
    if padding != "same":
        check_pool_padding(kind, windows)
    if ceil_mode and (padding == "same" or not symmetric(windows)):
        raise ShapeError(
            "S008",
            f"'{kind}' cannot round up with ceil_mode and also pad "
            + ("for `same`, which fixes the output size" if padding == "same" else "its two sides differently"),
            argument="ceil_mode",
            help="leave out one of the two",
        )


def pool_work(op: "Op", x: Shape, less: int) -> int:
    """Operations of a pooling: for each output, the kernel's values, less `-less`."""
    windows = op.sliding(x)  # type: ignore[attr-defined]
    taps = 1
    for w in windows:
        taps *= w.kernel
    return op.output(x).numel * (taps + less)
