"""avgpool: the mean of each window."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import AXES, Argument, Module, Op, Shape, plain
from cnnplan.ops.conv import padded_scratch
from cnnplan.ops.fields import Flag, Padding, Spatial
from cnnplan.ops.maxpool import check_pool, pads_itself, pool_work
from cnnplan.ops.needs import INPUT, Kept, Needs, Saved, Scratch
from cnnplan.ops.sliding import maps, pad_module, padded_alike, pool_formula, slid, slide, sliding_terms
from cnnplan.ops.window import Sliding, Window


class AvgPool(Op):
    """Average pooling. Padded zeros count, unless `count_include_pad` is false or padding is `same`.

    Source: LeCun et al. 1998; torch.nn.AvgPool2d.
    """

    kind: ClassVar[str] = "avgpool"
    group: ClassVar[str] = "pooling"
    layout: ClassVar[str] = "format"
    autocast: ClassVar[Mapping[str, str]] = {"cpu": "volumes"}
    own_channels: ClassVar[bool] = True
    formulas: ClassVar[dict[str, str]] = {
        "output": "floor((size + before + after - kernel_size) / stride) + 1; ceil with ceil_mode",
        "flops": "prod(output) * prod(kernel_size)",
    }

    kernel_size: Spatial = Field(description="window, in units of the input")
    stride: Spatial | None = Field(None, description="step from one window to the next; the window by default")
    padding: Padding = Field(0, description="units added on each side: a number, one for each axis, pairs, half, same")
    ceil_mode: Flag = Field(False, description="round the output size up")
    count_include_pad: Flag = Field(True, description="count padded zeros; never for `same`")

    def sliding(self, x: Shape) -> tuple[Sliding, ...]:
        stride = self.kernel_size if self.stride is None else self.stride
        return slide(self.kind, x, self.kernel_size, stride, 1, self.padding, self.ceil_mode)

    @property
    def counts_padding(self) -> bool:
        return self.count_include_pad and self.padding != "same"

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        windows = self.sliding(x)
        check_pool(self.kind, windows, self.padding, self.ceil_mode)
        if pads_itself(windows, self.padding):
            check_volume(self.kind, windows, x)
        return slid(self.kind, windows, x, x.channels)

    def flops(self, *xs: Shape) -> int:
        return pool_work(self, xs[0], 0)

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
        windows = self.sliding(x)
        if pads_itself(windows, self.padding):
            return INPUT
        padded = tuple(n + w.before + w.after for n, w in zip(x.spatial, windows, strict=True))
        kept = (Kept("padded input", Shape((x.channels, *padded)).numel, "activation"),)
        if self.counts_padding:
            return Saved(own=kept)
        counts = Kept("pixels in each window", Shape((1, *self.output(x).spatial)).numel, "activation", False)
        return Saved(own=(*kept, counts))

    def arranged(self, *xs: Shape) -> str:
        return "" if xs[0].rank == 3 else self.layout

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        own = self.saved(*xs).own
        found = padded_scratch(own, xs[0])
        if len(own) < 2:
            return found
        sums = Kept("sums", self.output(*xs).numel, "activation")  # before they are divided by the counts
        return found._replace(evaluation=(*own, sums))

    def torch(self, *xs: Shape) -> Module:
        (x,) = xs
        windows = self.sliding(x)
        kernel = plain(self.kernel_size)
        stride = Argument("stride", plain(self.stride) if self.stride is not None else kernel, kernel, True)
        if not pads_itself(windows, self.padding) and not self.counts_padding:
            sides = tuple(p for w in reversed(windows) for p in (w.before, w.after))
            return Module(
                "UnpaddedAvgPool", (Argument("kernel_size", kernel), stride, Argument("padding", sides, keyword=True))
            )
        before = None
        padding: tuple[int, ...] = tuple(w.before for w in windows)
        if not pads_itself(windows, self.padding):
            before, padding = pad_module(windows), (0,)
        counted = self.counts_padding or not any(padding)
        return Module(
            f"nn.AvgPool{x.rank}d",
            (
                Argument("kernel_size", kernel),
                stride,
                Argument("padding", plain(padding), 0, True),
                *self.options("ceil_mode"),
                Argument("count_include_pad", counted, True, True),
            ),
            before,
        )


def check_volume(kind: str, windows: tuple[Sliding, ...], x: Shape) -> None:
    """Torch averages a volume only where the kernel fits without padding (avg_pool3d's own check).

    Raises:
        ShapeError: it does not.
    """
    for axis, n, w in zip(AXES[x.rank], x.spatial, windows, strict=True):
        if x.rank == 3 and n < w.kernel:
            raise ShapeError(
                "S001",
                f"kernel {w.kernel} of '{kind}' is larger than the {axis} {n} of the volume {x}, "
                "which torch refuses whatever the padding",
                argument="kernel_size",
                help="use a smaller kernel, or `pad` before it",
            )
