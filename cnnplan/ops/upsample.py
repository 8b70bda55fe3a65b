"""upsample: resize by interpolation."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from cnnplan.errors import ShapeError
from cnnplan.ops.base import (
    Argument,
    Inline,
    Module,
    Op,
    Shape,
    axes,
    check_elements,
    per_axis,
    plain,
    require_one,
    require_spatial,
)
from cnnplan.ops.fields import Flag, Spatial, number
from cnnplan.ops.window import Resize, Window


def _factor(value: object) -> Any:
    check = number(0, None, "a number above 0, or one for each axis,", open_=True)
    if isinstance(value, list | tuple) and 1 <= len(value) <= 3:
        return tuple(map(check, value))
    return check(value)


_FACTOR = {"type": "number", "exclusiveMinimum": 0}
Factor = Annotated[
    float | tuple[float, ...],
    PlainValidator(_factor),
    WithJsonSchema(
        {**_FACTOR, "type": ["number", "array"], "items": _FACTOR, "minItems": 1, "maxItems": 3},
    ),
]
Reference = Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z_][A-Za-z0-9_]*(\.\w+)?$"})]

_RANKS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
_WORK = {"nearest": 0, "nearest-exact": 0, "linear": 3, "bilinear": 7, "bicubic": 31, "trilinear": 15}


class Upsample(Op):
    """Resize the map by `scale_factor`, to `size`, or to the size of another value (`like`).

    `nearest` copies each entry; the others interpolate. The output size is
    floor(size * scale_factor).

    Source: Long, Shelhamer & Darrell 2015, arXiv:1411.4038; torch.nn.Upsample.
    """

    kind: ClassVar[str] = "upsample"
    group: ClassVar[str] = "unpooling and resizing"
    layout: ClassVar[str] = "format"
    own_channels: ClassVar[bool] = True
    formulas: ClassVar[dict[str, str]] = {
        "output": "floor(size * scale_factor), size, or the size of `like`",
        "flops": "prod(output) * 3 (linear), 7 (bilinear), 15 (trilinear) or 31 (bicubic); 0 for nearest",
    }
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "float32"}
    refers: ClassVar[str] = "like"

    scale_factor: Factor | None = Field(None, description="output size / input size")
    size: Spatial | None = Field(None, description="spatial size of the output")
    like: Reference | None = Field(None, description="a value whose spatial size is taken")
    mode: Literal["nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear"] = Field(
        "nearest", description="how values between entries are found"
    )
    align_corners: Flag = Field(False, description="align the centres of the corner entries, not their edges")

    def output(self, *xs: Shape) -> Shape:
        x = xs[0]
        rank = require_spatial(self.kind, x)
        require_one(self, "scale_factor", "size", "like")
        if _RANKS.get(self.mode, rank) != rank:
            fitting = {1: "linear", 2: "bilinear or bicubic", 3: "trilinear"}[rank]
            raise ShapeError(
                "S012",
                f"mode '{self.mode}' is for maps with {axes(_RANKS[self.mode])}, but the input {x} has {rank}",
                argument="mode",
                help=f"use nearest, or {fitting}",
            )
        if self.align_corners and self.mode.startswith("nearest"):
            raise ShapeError("Y911", f"align_corners has no meaning for mode '{self.mode}'", argument="align_corners")
        return check_elements(self.kind, Shape((x.channels, *self.sizes(*xs))))

    def sizes(self, *xs: Shape) -> tuple[int, ...]:
        x = xs[0]
        if self.like is not None:
            if xs[1].rank != x.rank:
                raise ShapeError(
                    "S012", f"`like` is a map with {axes(xs[1].rank)}, but the input {x} has {x.rank}", argument="like"
                )
            return xs[1].spatial
        if self.size is not None:
            return per_axis(self.kind, "size", self.size, x)
        sizes = tuple(math.floor(n * f) for n, f in zip(x.spatial, self.factors(x), strict=True))
        if min(sizes) < 1:
            raise ShapeError(
                "S001",
                f"scale_factor leaves nothing of the input {x}",
                argument="scale_factor",
                help="use a larger one",
            )
        return sizes

    def factors(self, x: Shape) -> tuple[float, ...]:
        factor = self.scale_factor
        if isinstance(factor, tuple) and len(factor) != x.rank:
            raise ShapeError(
                "S012",
                f"'upsample' has scale_factor for {axes(len(factor))}, but its input {x} has {x.rank}",
                argument="scale_factor",
                help=f"give one number, or {x.rank}" if x.rank > 1 else "give one number",
            )
        return factor if isinstance(factor, tuple) else (factor or 1,) * x.rank

    def flops(self, *xs: Shape) -> int:
        return self.output(*xs).numel * _WORK[self.mode]

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        x = xs[0]
        out = self.output(*xs).spatial
        if self.align_corners:
            scales = [Fraction(n - 1, o - 1) if o > 1 else Fraction(0) for n, o in zip(x.spatial, out, strict=True)]
        elif self.scale_factor is not None:
            scales = [1 / Fraction(str(f)) for f in self.factors(x)]
        else:
            scales = [Fraction(n, o) for n, o in zip(x.spatial, out, strict=True)]
        return tuple(Resize(self.mode, s, self.align_corners).window for s in scales)

    def formula(self, number: str, *xs: Shape) -> str:
        if number == "flops":
            return f"prod(output) * {_WORK[self.mode]}" if _WORK[self.mode] else "0"
        if number == "output":
            return "floor(size * scale_factor)" if self.scale_factor is not None else "size of the output"
        return super().formula(number, *xs)

    def interpolates(self) -> bool:
        return not self.mode.startswith("nearest")

    def torch(self, *xs: Shape) -> Module | Inline:
        how = self.options("mode")
        align = (Argument("align_corners", self.align_corners, False, True),)
        if self.like is not None:
            return Inline("F.interpolate({0}, size={1}.shape[2:]{options})", how + align)
        if self.size is not None:
            return Module("nn.Upsample", (Argument("size", plain(self.size)), *how, *align))
        return Module("nn.Upsample", (Argument("scale_factor", plain(self.scale_factor), None, True), *how, *align))
