"""lppool: the p-norm of each window."""

from typing import ClassVar

from pydantic import Field

from cnnplan.ops.avgpool import check_volume
from cnnplan.ops.base import Argument, Module, Op, Shape, plain
from cnnplan.ops.fields import Flag, Positive, Spatial
from cnnplan.ops.maxpool import pool_work
from cnnplan.ops.needs import Kept, Needs, Saved, Scratch
from cnnplan.ops.sliding import maps, pool_formula, slid, slide, sliding_terms
from cnnplan.ops.window import Sliding, Window


class LpPool(Op):
    """Power-average pooling: (sum of x^p over the window)^(1/p).

    Source: Sermanet et al. 2012, arXiv:1204.3968; torch.nn.LPPool2d.
    """

    kind: ClassVar[str] = "lppool"
    group: ClassVar[str] = "pooling"
    layout: ClassVar[str] = "format"
    own_channels: ClassVar[bool] = True
    formulas: ClassVar[dict[str, str]] = {
        "output": "floor((size - kernel_size) / stride) + 1; ceil with ceil_mode",
        "flops": "prod(output) * 2 * prod(kernel_size): powers, sums and the root",
    }

    p: Positive = Field(description="the exponent; 1 = sum, towards infinity = max")
    kernel_size: Spatial = Field(description="window, in units of the input")
    stride: Spatial | None = Field(None, description="step from one window to the next; the window by default")
    ceil_mode: Flag = Field(False, description="round the output size up")

    def sliding(self, x: Shape) -> tuple[Sliding, ...]:
        stride = self.kernel_size if self.stride is None else self.stride
        return slide(self.kind, x, self.kernel_size, stride, 1, 0, self.ceil_mode)

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        check_volume(self.kind, self.sliding(x), x)
        return slid(self.kind, self.sliding(x), x, x.channels)

    def flops(self, *xs: Shape) -> int:
        return 2 * pool_work(self, xs[0], 0)

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return maps(self.sliding(xs[0]))

    def terms(self, *xs: Shape) -> dict[str, int | tuple[int, ...]]:
        return sliding_terms(self.sliding(xs[0]), xs[0])

    def formula(self, number: str, *xs: Shape) -> str:
        text = super().formula(number, *xs)
        return pool_formula(text, self.sliding(xs[0]), xs[0]) if number == "output" else text

    def saved(self, *xs: Shape) -> Saved:
        (x,) = xs
        out = self.output(x).numel
        powers = Kept("powers", x.numel, "full")
        return Saved((0,), own=(powers, *(Kept(w, out, "full") for w in ("mean", "sign", "magnitude", "root"))))

    def autocasts(self, device: str, *xs: Shape) -> str:
        return "result" if device == "cuda" or xs[0].rank == 3 else ""

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        n, out = xs[0].numel, self.output(*xs).numel
        most = Kept("products", max(2 * n - 4 * out, 3 * out - n), "full")
        return Scratch(evaluation=(Kept("powers", max(n, 3 * out), "full"),), backward=(most,))

    def torch(self, *xs: Shape) -> Module:
        kernel = plain(self.kernel_size)
        return Module(
            f"nn.LPPool{xs[0].rank}d",
            (
                Argument("norm_type", self.p),
                Argument("kernel_size", kernel),
                Argument("stride", plain(self.stride) if self.stride is not None else kernel, kernel, True),
                *self.options("ceil_mode"),
            ),
        )
