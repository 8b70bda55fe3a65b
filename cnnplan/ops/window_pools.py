"""mixed_pool, stochastic_pool, softmax_pool: pools between the mean and the largest value of each window."""

from collections.abc import Mapping
from math import prod
from typing import Annotated, Any, ClassVar

from pydantic import Field, PlainValidator, WithJsonSchema

from cnnplan.ops.avgpool import check_volume
from cnnplan.ops.base import Argument, Module, Op, Shape, plain
from cnnplan.ops.fields import Flag, Spatial, Spatial0, number
from cnnplan.ops.maxpool import check_pool, pool_work
from cnnplan.ops.needs import NOTHING, Kept, Needs, Saved, Scratch
from cnnplan.ops.sliding import maps, pool_formula, slid, slide, sliding_terms
from cnnplan.ops.window import Sliding, Window

LEARNED = "learned"


def _or_learned(least: float | None, most: float | None, wanted: str) -> PlainValidator:
    check = number(least, most, f"{wanted}, or `{LEARNED}`,")
    return PlainValidator(lambda value: value if value == LEARNED else check(value))


_NUMBER: dict[str, Any] = {"type": ["number", "string"], "pattern": f"^{LEARNED}$"}
Portion = Annotated[
    float | str,
    _or_learned(0, 1, "a number from 0 to 1"),
    WithJsonSchema({**_NUMBER, "minimum": 0, "maximum": 1}),
]
Factor = Annotated[float | str, _or_learned(None, None, "a number"), WithJsonSchema(_NUMBER)]


class _WindowPool(Op):
    group: ClassVar[str] = "pooling"
    own_channels: ClassVar[bool] = True

    kernel_size: Spatial = Field(description="window, in units of the input")
    stride: Spatial | None = Field(None, description="step from one window to the next; the window by default")

    def sliding(self, x: Shape) -> tuple[Sliding, ...]:
        stride = self.kernel_size if self.stride is None else self.stride
        return slide(self.kind, x, self.kernel_size, stride, 1, 0)

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        return slid(self.kind, self.sliding(x), x, x.channels)

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return maps(self.sliding(xs[0]))

    def terms(self, *xs: Shape) -> dict[str, int | tuple[int, ...]]:
        return sliding_terms(self.sliding(xs[0]), xs[0])

    def taps(self, x: Shape) -> int:
        """The values of all windows together."""
        return self.output(x).numel * prod(w.kernel for w in self.sliding(x))

    def gathering(self, x: Shape) -> int:
        """The most values at once while the gradients of the taps become those of the input, axis by axis."""
        taps, most = self.taps(x), 0
        for w, n in zip(reversed(self.sliding(x)), reversed(x.spatial), strict=True):
            fewer = taps // (w.kernel * w.size(n)) * n
            taps, most = fewer, max(most, taps + fewer)
        return most

    def moves(self) -> tuple[Argument, ...]:
        """The window and its step, as torch is told them."""
        kernel = plain(self.kernel_size)
        stride = plain(self.stride) if self.stride is not None else kernel
        return Argument("kernel_size", kernel), Argument("stride", stride, kernel, True)


class MixedPool(_WindowPool):
    """alpha * max + (1 - alpha) * mean of each window, with a fixed alpha or a learned one, which starts at 0.5.

    A learned alpha is one number for the layer, and not held between 0 and 1. Padding is never the largest value;
    its zeros count for the mean.

    Source: Lee, Gallagher & Tu 2016, arXiv:1509.08985; torch.nn.MaxPool2d, torch.nn.AvgPool2d.
    """

    kind: ClassVar[str] = "mixed_pool"
    layout: ClassVar[str] = "format"
    counts_padding: ClassVar[bool] = True
    formulas: ClassVar[dict[str, str]] = {
        "output": "floor((size + before + after - kernel_size) / stride) + 1; ceil with ceil_mode",
        "parameters": "1 where alpha is learned",
        "flops": "prod(output) * (2 * prod(kernel_size) + 2): both pools, two products and their sum",
    }

    padding: Spatial0 = Field(0, description="units added on each side: a number, or one for each axis")
    ceil_mode: Flag = Field(False, description="round the output size up")
    alpha: Portion = Field(LEARNED, description="weight of the largest value, from 0 = mean to 1 = max")

    @property
    def learns(self) -> bool:
        return self.alpha == LEARNED

    def sliding(self, x: Shape) -> tuple[Sliding, ...]:
        stride = self.kernel_size if self.stride is None else self.stride
        return slide(self.kind, x, self.kernel_size, stride, 1, self.padding, self.ceil_mode)

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        windows = self.sliding(x)
        check_pool(self.kind, windows, self.padding, self.ceil_mode)
        check_volume(self.kind, windows, x)
        return super().output(x)

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        return {"alpha": (1,)} if self.learns else {}

    def flops(self, *xs: Shape) -> int:
        return pool_work(self, xs[0], -1) + pool_work(self, xs[0], 0) + 3 * self.output(*xs).numel

    def formula(self, number: str, *xs: Shape) -> str:
        if number == "parameters":
            return str(int(self.learns))
        text = super().formula(number, *xs)
        return pool_formula(text, self.sliding(xs[0]), xs[0]) if number == "output" else text

    def saved(self, *xs: Shape) -> Saved:
        return self.kept(Needs((True,), True), *xs)

    def kept(self, needs: Needs, *xs: Shape) -> Saved:
        out, wanted = self.output(*xs).numel, needs.inputs[0]
        own: tuple[Kept, ...] = (Kept("indices", out, "int64"),) if wanted else ()
        if self.learns and needs.parameters:
            own += _pooled(out)
        if self.learns and wanted:
            own += (Kept("1 - alpha", 1, "float32", per_sample=False),)
        return Saved((0,) if wanted else (), own=own)

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        n, out = xs[0].numel, self.output(*xs).numel
        parts = (Kept("portions", 2 * out, "full"),)
        if self.learns and needs.parameters:
            most = abs(n - 2 * out) if needs.inputs[0] else out
            return Scratch(parts, (*_pooled(out), *parts), (Kept("products", most, "activation"),))
        made = (*_pooled(out), *parts)
        return Scratch(made if needs.any else (), made, (Kept("products", max(n, 2 * out - n), "activation"),))

    def autocasts(self, device: str, *xs: Shape) -> str:
        if device == "cpu" and xs[0].rank == 3:
            return "float32"
        return "result" if self.learns else ""

    def torch(self, *xs: Shape) -> Module:
        alpha = Argument("alpha", None if self.learns else self.alpha, None, True)
        padding = Argument("padding", plain(self.padding), 0, True)
        return Module("MixedPool", (*self.moves(), padding, *self.options("ceil_mode"), alpha))


def _pooled(out: int) -> tuple[Kept, ...]:
    return Kept("maximum", out, "activation"), Kept("mean", out, "activation")


class StochasticPool(_WindowPool):
    """In training one value of each window, drawn with odds in proportion to it; in evaluation their mean by the odds.

    Values below 0 count as 0, as behind a ReLU; a window without any above gives 0. Each window draws for itself.

    Source: Zeiler & Fergus 2013, arXiv:1301.3557.
    """

    kind: ClassVar[str] = "stochastic_pool"
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "result"}
    formulas: ClassVar[dict[str, str]] = {
        "output": "floor((size - kernel_size) / stride) + 1 along each axis",
        "flops": "prod(output) * (5 * prod(kernel_size) - 1): in evaluation clamps, sums, odds, and the mean",
    }

    def flops(self, *xs: Shape) -> int:
        return 5 * self.taps(*xs) - self.output(*xs).numel

    def saved(self, *xs: Shape) -> Saved:
        return Saved(own=(Kept("which is drawn", self.taps(*xs), "bool"),))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        (x,) = xs
        taps, out = self.taps(x), self.output(x).numel
        values = Kept("values", taps, "activation")
        once = Kept("taps", taps // out, "int64", per_sample=False)
        drawing = (values, Kept("ends", taps, "float32"), Kept("what is drawn", taps, "activation"))
        back = max(taps - x.numel, self.gathering(x) - taps // 4 - out - x.numel)
        return Scratch(
            (*drawing, Kept("draws", out, "int64"), once) if needs.any else (),
            (values, Kept("odds", taps, "full"), Kept("products", taps, "full")),
            (Kept("gradients of the taps", back, "activation"),),
        )

    def torch(self, *xs: Shape) -> Module:
        return Module("StochasticPool", self.moves())


class SoftmaxPool(_WindowPool):
    """The values x of each window, weighted by softmax(beta * x): their mean for beta 0, the largest towards infinity.

    A learned beta is one number for the layer, and starts at 1.

    Source: Stergiou, Poppe & Kalliatakis 2021, arXiv:2101.00440; McFee, Salamon & Bello 2018, arXiv:1804.10070.
    """

    kind: ClassVar[str] = "softmax_pool"
    formulas: ClassVar[dict[str, str]] = {
        "output": "floor((size - kernel_size) / stride) + 1 along each axis",
        "parameters": "1 where beta is learned",
        "flops": "prod(output) * (8 * prod(kernel_size) - 1): beta, the softmax's 5, products and their sum",
    }

    beta: Factor = Field(1.0, description="how much larger values count for more")

    @property
    def learns(self) -> bool:
        return self.beta == LEARNED

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        return {"beta": (1,)} if self.learns else {}

    def flops(self, *xs: Shape) -> int:
        return 8 * self.taps(*xs) - self.output(*xs).numel

    def formula(self, number: str, *xs: Shape) -> str:
        return str(int(self.learns)) if number == "parameters" else super().formula(number, *xs)

    def saved(self, *xs: Shape) -> Saved:
        return self.kept(Needs((True,), True), *xs)

    def kept(self, needs: Needs, *xs: Shape) -> Saved:
        if not needs.any:
            return NOTHING
        weights = Kept("weights", self.taps(*xs), "full")
        values = (Kept("values", self.taps(*xs), "activation"),) if self.learns and needs.parameters else ()
        return Saved((0,), own=(*values, weights))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        (x,) = xs
        taps, out = self.taps(x), self.output(x).numel
        products = Kept("products", taps, "full")
        back = max(3 * taps, self.gathering(x) - taps) - x.numel if needs.inputs[0] else 2 * taps
        return Scratch(
            (products,) if needs.any else (),
            (Kept("weights", taps, "full"), products),
            (Kept("gradients of the taps", back - out, "full"),),
        )

    def autocasts(self, device: str, *xs: Shape) -> str:
        return "result" if device == "cuda" or self.learns else ""

    def torch(self, *xs: Shape) -> Module:
        beta = Argument("beta", None if self.learns else self.beta, 1.0, True)
        return Module("SoftmaxPool", (*self.moves(), beta))


OPS = {op.kind: op for op in (MixedPool, StochasticPool, SoftmaxPool)}
