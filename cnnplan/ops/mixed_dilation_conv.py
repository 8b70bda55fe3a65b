"""mixed_dilation_conv: convolutions of several dilations side by side."""

from collections.abc import Mapping
from math import gcd, prod
from typing import Annotated, Any, ClassVar

from pydantic import Field, PlainValidator, WithJsonSchema

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Module, Op, Shape, plain
from cnnplan.ops.fields import Flag, Padding, Size, Spatial, per_axis, refuse
from cnnplan.ops.needs import Kept, Needs, Saved, Scratch
from cnnplan.ops.sliding import padded_alike, slid, slide, sliding_terms, symmetric
from cnnplan.ops.window import WHOLE, Sliding, Window

_dilation = per_axis(1, "a dilation ≥ 1")


def _dilations(value: object) -> tuple[int | tuple[int, ...], ...]:
    if isinstance(value, list | tuple) and value:
        return tuple(map(_dilation, value))
    raise refuse("a list of dilations", value)


_ONE: dict[str, Any] = {"type": "integer", "minimum": 1}
Dilations = Annotated[
    tuple[int | tuple[int, ...], ...],
    PlainValidator(_dilations),
    WithJsonSchema(
        {
            "type": "array",
            "items": {**_ONE, "type": ["integer", "array"], "items": _ONE, "minItems": 1, "maxItems": 3},
            "minItems": 1,
        }
    ),
]


class MixedDilationConv(Op):
    """Convolutions of one kernel size and several dilations side by side; each has an equal share of the filters.

    Their maps are joined in the order of `dilations`, and must be of one size: with `padding: half` or `same` they
    are, with numbers only where the stride makes up for what the larger windows lose.

    Source: Yu & Koltun 2015, arXiv:1511.07122; Chen et al. 2017, arXiv:1706.05587, section 3.3; torch.nn.Conv2d.
    """

    kind: ClassVar[str] = "mixed_dilation_conv"
    group: ClassVar[str] = "convolution"
    layout: ClassVar[str] = "format"
    writable: ClassVar[bool] = True
    takes_norms: ClassVar[bool] = True
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "low", "cpu": "low"}
    formulas: ClassVar[dict[str, str]] = {
        "output": "floor((size + before + after - dilation * (kernel_size - 1) - 1) / stride) + 1 along each axis",
        "parameters": "out_channels * in_channels * prod(kernel_size), and out_channels for the bias",
        "macs": "prod(output) * in_channels * prod(kernel_size)",
        "flops": "2 * macs, and prod(output) for the bias",
    }

    out_channels: Size = Field(description="output channels, shared out evenly among the dilations")
    kernel_size: Spatial = Field(description="window of each dilation")
    dilations: Dilations = Field(description="distances between the taps of the windows")
    stride: Spatial = Field(1, description="step from one window to the next")
    padding: Padding = Field("half", description="units added on each side: half, same, numbers, or pairs of them")
    bias: Flag = Field(True, description="add a learned number to each output channel")

    def branches(self, x: Shape) -> tuple[tuple[Sliding, ...], ...]:
        """The windows of each dilation, one for each spatial axis."""
        return tuple(slide(self.kind, x, self.kernel_size, self.stride, d, self.padding) for d in self.dilations)

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        shapes = [slid(self.kind, windows, x, self.out_channels) for windows in self.branches(x)]
        for dilation, shape in zip(self.dilations, shapes, strict=True):
            if shape != shapes[0]:
                dilations = f"{plain(self.dilations[0])} and {plain(dilation)}"
                sizes = " and ".join("x".join(map(str, s.spatial)) for s in (shapes[0], shape))
                raise ShapeError(
                    "S004",
                    f"the dilations {dilations} of '{self.kind}' make maps of {sizes}, which cannot be joined",
                    argument="padding",
                    help="write `padding: half` for an odd kernel, `padding: same` for any",
                    assume=shapes[0],
                )
        if rest := self.out_channels % len(shapes):
            raise ShapeError(
                "S006",
                f"{self.out_channels} filters cannot be shared out evenly among {len(shapes)} dilations",
                argument="out_channels",
                instead=max(self.out_channels - rest, len(shapes)),
                help=f"use a multiple of {len(shapes)}",
                assume=shapes[0],
            )
        return shapes[0]

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        (x,) = xs
        kernel = tuple(w.kernel for w in self.branches(x)[0])
        weight: dict[str, tuple[int, ...]] = {"weight": (self.out_channels, x.channels, *kernel)}
        return weight | {"bias": (self.out_channels,)} if self.bias else weight

    def macs(self, *xs: Shape) -> int:
        (x,) = xs
        return self.output(x).numel * x.channels * prod(w.kernel for w in self.branches(x)[0])

    def flops(self, *xs: Shape) -> int:
        return 2 * self.macs(*xs) + (self.output(*xs).numel if self.bias else 0)

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return tuple(_around([w.window for w in along]) for along in zip(*self.branches(*xs), strict=True))

    def ways(self, index: int, port: int, *xs: Shape) -> tuple[tuple[Window, ...], ...]:
        found = dict.fromkeys((WHOLE, *(w.window for w in windows)) for windows in self.branches(*xs))
        return tuple(found) if len(found) > 1 else ()

    def bounds(self, *xs: Shape) -> str:
        return "parts" if self.ways(0, 0, *xs) else ""

    def terms(self, *xs: Shape) -> dict[str, int | tuple[int, ...]]:
        first = self.branches(*xs)[0]
        return {**sliding_terms(first, *xs), "dilation": tuple(w.dilation for w in first)}

    def serves(self, planned: tuple[Shape, ...], xs: tuple[Shape, ...]) -> bool:
        if super().serves(planned, xs):
            return True
        pairs = zip(self.branches(*planned), self.branches(*xs), strict=True)
        return self.parameters(*planned) == self.parameters(*xs) and all(padded_alike(a, b, *xs) for a, b in pairs)

    def padded(self, x: Shape) -> list[int]:
        """The elements of the padded copy that each dilation needs; 0 where both sides are padded alike."""
        return [
            0 if symmetric(b) else x.channels * prod(n + w.before + w.after for n, w in zip(x.spatial, b, strict=True))
            for b in self.branches(x)
        ]

    def saved(self, *xs: Shape) -> Saved:
        copies = self.padded(*xs)
        own = tuple(Kept("padded input", copy, "activation") for copy in copies if copy)
        return Saved(() if all(copies) else (0,), own=own)

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        (x,) = xs
        out, several = self.output(x).numel, len(self.dilations)
        maps = Kept("maps of the dilations", out, "activation")
        copies = self.padded(x)
        most = max(copy - (several - i - 1) * (out // several) for i, copy in enumerate(copies))
        gradient = self.gradients(x, copies) * needs.inputs[0]
        kernels = sum(map(prod, self.parameters(x).values())) * (several > 1 and needs.parameters)
        return Scratch(
            (maps,),
            (maps._replace(elements=max(out, most)),),
            (
                Kept("gradients of the dilations", gradient, "activation"),
                Kept("gradients of the kernels", kernels, "activation", per_sample=False),
            ),
        )

    @staticmethod
    def gradients(x: Shape, copies: list[int]) -> int:
        """The elements of gradients that are there at once, beside the padded copies and the gradient of the input."""
        held, summed, most = sum(copies), 0, 0
        for copy in reversed(copies):  # the last dilation is the first
            most = max(most, held + summed + (copy or x.numel), held + summed + x.numel)
            held, summed = held - copy, x.numel
        return most - sum(copies) - x.numel

    def torch(self, *xs: Shape) -> Module:
        (x,) = xs
        branches = self.branches(x)
        even = [symmetric(windows) for windows in branches]
        padding = tuple(plain(tuple(w.before for w in b)) if e else 0 for b, e in zip(branches, even, strict=True))
        sides = tuple(
            () if e else tuple(side for w in reversed(b) for side in (w.before, w.after))
            for b, e in zip(branches, even, strict=True)
        )
        stride, bias = self.options("stride", "bias")
        return Module(
            "MixedDilationConv",
            (
                Argument("in_channels", x.channels),
                Argument("out_channels", self.out_channels),
                Argument("kernel_size", tuple(w.kernel for w in branches[0])),
                Argument("dilations", tuple(map(plain, self.dilations))),
                stride,
                Argument("padding", padding if any(p != 0 for p in padding) else (), (), True),
                Argument("sides", () if all(even) else sides, (), True),
                bias,
            ),
        )


def _around(several: list[Window]) -> Window:
    """One window around those of several dilations: from the first tap to the last, by what divides all steps."""
    taps = sorted({tap for window in several for tap in window.phases[0][:2]} | {w.phases[0][-1] for w in several})
    step = gcd(*(tap - taps[0] for tap in taps)) or 1
    return Window(several[0].advance, (range(taps[0], taps[-1] + 1, step),))
