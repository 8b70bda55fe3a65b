"""locally_connected: convolution without shared weights, or without shared biases."""

from collections.abc import Mapping
from itertools import pairwise
from math import prod
from typing import ClassVar, Literal

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Module, Op, Shape, plain
from cnnplan.ops.conv import Conv
from cnnplan.ops.fields import Flag, Padding, Size, Spatial
from cnnplan.ops.needs import NOTHING, Kept, Needs, Saved, Scratch
from cnnplan.ops.sliding import pad_module, symmetric
from cnnplan.ops.window import Sliding, Window


class LocallyConnected(Op):
    """Convolution whose weights are not shared: every output unit has a kernel and biases of its own.

    With `untied: bias`, the kernel is shared as in `conv` and the biases alone are not. The parameters depend on the
    size of the input, which is fixed with them: `weight` has the output's sizes in front of those of a convolution's,
    [height, width, out_channels, in_channels, kernel, kernel] for an image; `bias` has the output's shape.

    Source: LeCun 1989, "Generalization and network design strategies"; Taigman et al. 2014; with untied biases:
    Silver et al. 2016, doi:10.1038/nature16961.
    """

    kind: ClassVar[str] = "locally_connected"
    group: ClassVar[str] = "convolution"
    writable: ClassVar[bool] = True
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "low", "cpu": "low"}
    formulas: ClassVar[dict[str, str]] = {
        "output": "floor((size + before + after - dilation * (kernel_size - 1) - 1) / stride) + 1 along each axis",
        "parameters": "prod(output) * in_channels * prod(kernel_size), and prod(output) for the bias",
        "macs": "prod(output) * in_channels * prod(kernel_size)",
        "flops": "2 * macs, and prod(output) for the bias",
    }

    out_channels: Size = Field(description="output channels")
    kernel_size: Spatial = Field(description="window, in units of the input")
    stride: Spatial = Field(1, description="step from one window to the next")
    padding: Padding = Field(0, description="units added on each side: a number, one for each axis, pairs, half, same")
    dilation: Spatial = Field(1, description="distance between the taps of the window")
    bias: Flag = Field(True, description="add a learned number to each element of the output")
    untied: Literal["all", "bias"] = Field("all", description="what each output unit has of its own")

    @property
    def shared(self) -> Conv:
        """The convolution of the same shape. Its fields are checked already."""
        return _Shared.model_construct(bias=False, **{name: getattr(self, name) for name in _SHARED})

    def sliding(self, x: Shape) -> tuple[Sliding, ...]:
        return self.shared.sliding(x)

    def output(self, *xs: Shape) -> Shape:
        shape = self.shared.output(*xs)
        if self.untied == "bias" and not self.bias:
            raise ShapeError(
                "Y911",
                "`untied: bias` means nothing without a bias",
                argument="bias",
                help="leave out `bias: false`, or use `conv`",
                assume=shape,
            )
        return shape

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        output, shared = self.output(*xs), self.shared.parameters(*xs)
        weight = shared if self.untied == "bias" else {"weight": (*output.spatial, *shared["weight"])}
        return weight | {"bias": tuple(output)} if self.bias else weight

    def macs(self, *xs: Shape) -> int:
        return self.shared.macs(*xs)

    def flops(self, *xs: Shape) -> int:
        return 2 * self.macs(*xs) + (self.output(*xs).numel if self.bias else 0)

    def formula(self, number: str, *xs: Shape) -> str:
        text = super().formula(number, *xs)
        shares = number == "parameters" and self.untied == "bias"
        return text.replace("prod(output)", "out_channels", 1) if shares else text

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return self.shared.windows(*xs)

    def terms(self, *xs: Shape) -> dict[str, int | tuple[int, ...]]:
        return self.shared.terms(*xs)

    def arranged(self, *xs: Shape) -> str:
        return self.shared.arranged(*xs) if self.untied == "bias" else ""

    def unfolded(self, x: Shape) -> list[int]:
        """The elements of what all windows read, one beside the other, and of its gradients on the way to the input."""
        windows = self.sliding(x)
        padded = [n + w.before + w.after for n, w in zip(x.spatial, windows, strict=True)]
        out, kernel = [w.size(n) for n, w in zip(x.spatial, windows, strict=True)], [w.kernel for w in windows]
        found = [prod((x.channels, *out, *kernel))]
        for i in reversed(range(x.rank)):
            around = prod((x.channels, *out[:i], *kernel[:i], *padded[i + 1 :]))
            found += [around * out[i] * windows[i].extent] if windows[i].dilation > 1 else []
            found.append(around * padded[i])
        return found

    def uniform(self, *xs: Shape) -> bool:
        return False

    def saved(self, *xs: Shape) -> Saved:
        if self.untied == "bias":
            return self.shared.saved(*xs)
        return Saved(own=(Kept("windows", self.unfolded(*xs)[0], "activation"),))

    def kept(self, needs: Needs, *xs: Shape) -> Saved:
        if self.untied == "bias":
            return self.shared.kept(needs, *xs)
        return self.saved(*xs) if needs.parameters else NOTHING

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        (x,) = xs
        out = self.output(x).numel
        product = Kept("product", out, "activation")
        if self.untied == "bias":
            found = self.shared.scratch(needs, x)
            return found._replace(training=(product,), evaluation=(*found.evaluation, product))
        steps = self.unfolded(x)
        windows, padded = steps[0], steps[-1] if steps[-1] > x.numel else 0
        steps += [x.numel] if padded else []
        held = windows * needs.parameters  # until the gradients of the windows are there
        most = max(windows, *(a + b - held for a, b in pairwise(steps))) - x.numel  # whose own gradient counts
        before = (Kept("padded input", padded, "activation"),) if padded else ()
        return Scratch(
            (*before, product),
            (*before, product._replace(elements=max(windows, out))),
            (Kept("gradients of the windows", most * needs.inputs[0], "activation"),),
        )

    def torch(self, *xs: Shape) -> Module:
        (x,) = xs
        windows = self.sliding(x)
        sizes = (
            Argument("in_channels", x.channels),
            Argument("out_channels", self.out_channels),
            Argument("kernel_size", tuple(w.kernel for w in windows)),
            Argument("output_size", self.output(x).spatial),
        )
        stride, dilation, bias = self.options("stride", "dilation", "bias")
        pads = any(w.before or w.after for w in windows)
        if self.untied == "all":
            before = pad_module(windows) if pads else None
            return Module("LocallyConnected", (*sizes, stride, dilation, bias), before)
        even = symmetric(windows)
        padding = Argument("padding", plain(tuple(w.before for w in windows)) if even else 0, 0, True)
        return Module("UntiedBiasConv", (*sizes, stride, padding, dilation), None if even else pad_module(windows))


class _Shared(Conv):
    """A `Conv` whose messages name what the spec says."""

    kind: ClassVar[str] = "locally_connected"


_SHARED = ("out_channels", "kernel_size", "stride", "padding", "dilation")
