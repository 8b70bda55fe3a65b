"""pad: units added around the map."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Module, Op, Shape, check_elements, plain
from cnnplan.ops.fields import Number, Padding
from cnnplan.ops.needs import INPUT, NO_SCRATCH, NOTHING, Kept, Needs, Saved, Scratch
from cnnplan.ops.sliding import check_padding_mode, slide, sliding_terms
from cnnplan.ops.window import POINTWISE, WHOLE, Sliding, Window, around, shifted

_NAMES = {"reflect": "ReflectionPad", "replicate": "ReplicationPad", "circular": "CircularPad"}


class Pad(Op):
    """Adds units on each side of each spatial axis.

    Mode `mean` gives them the mean of the channel's whole map, as R-CNN fills up the boxes it cuts from an image.

    Source: torch.nn.functional.pad; Girshick et al. 2013, arXiv:1311.2524, appendix A (`mean`).
    """

    kind: ClassVar[str] = "pad"
    group: ClassVar[str] = "shape"
    layout: ClassVar[str] = "format"
    own_channels: ClassVar[bool] = True
    formulas: ClassVar[dict[str, str]] = {
        "output": "size + before + after along each axis",
        "flops": "0; prod(input) for the mean",
    }

    padding: Padding = Field(
        description="units on each side: a number, one for each axis, or pairs [[before, after], …]"
    )
    mode: Literal["constant", "reflect", "replicate", "circular", "mean"] = Field(
        "constant", description="what they hold"
    )
    value: Number = Field(0.0, description="the number they hold, for mode constant")

    def sides(self, x: Shape) -> tuple[Sliding, ...]:
        if isinstance(self.padding, str):
            raise ShapeError(
                "Y911",
                f"`pad` has no kernel that '{self.padding}' could refer to",
                argument="padding",
                help="give the units on each side as numbers",
            )
        return slide(self.kind, x, 1, 1, 1, self.padding)

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        sides = self.sides(x)
        if self.mode != "constant":
            check_padding_mode(self.kind, sides, x, self.mode)
            if self.value != 0:
                raise ShapeError("Y911", f"value has no meaning for mode '{self.mode}'", argument="value")
        return check_elements(
            self.kind, Shape((x.channels, *(n + s.before + s.after for n, s in zip(x.spatial, sides, strict=True))))
        )

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        if self.ways(0, 0, *xs):
            return (WHOLE,) * xs[0].rank
        beyond = "" if self.mode in ("constant", "mean") else self.mode
        return tuple(shifted(-s.before, beyond) for s in self.sides(xs[0]))

    def ways(self, index: int, port: int, *xs: Shape) -> tuple[tuple[Window, ...], ...]:
        """Of mode `mean`: a unit of the input is read by its own; those added along an axis read all of them."""
        sides = self.sides(xs[0])
        added = [axis for axis, side in enumerate(sides) if side.before or side.after]
        if self.mode != "mean" or not added:
            return ()
        own = (POINTWISE, *(shifted(-side.before) for side in sides))
        around_it = [
            (POINTWISE, *(around(side.before) if i == axis else WHOLE for i, side in enumerate(sides)))
            for axis in added
        ]
        return (own, *around_it)

    def keeps_order(self) -> bool:
        return self.mode == "mean"

    def flops(self, *xs: Shape) -> int:
        return xs[0].numel if self.mode == "mean" else 0

    def formula(self, number: str, *xs: Shape) -> str:
        if number == "flops":
            return "prod(input)" if self.mode == "mean" else "0"
        return super().formula(number, *xs)

    def terms(self, *xs: Shape) -> dict[str, int | tuple[int, ...]]:
        return sliding_terms(self.sides(xs[0]), xs[0])

    def saved(self, *xs: Shape) -> Saved:
        return INPUT if self.mode in ("reflect", "replicate") else NOTHING

    def autocasts(self, device: str, *xs: Shape) -> str:
        wide = self.mode == "replicate" or (self.mode == "reflect" and xs[0].rank < 3)
        return "float32" if device == "cpu" and wide else ""

    def arranged(self, *xs: Shape) -> str:
        return "" if self.mode in ("circular", "mean") else self.layout

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        if self.mode == "mean":
            mean = (Kept("mean", xs[0].channels, "activation"),)
            return Scratch(mean, mean, (Kept("copies", self.output(*xs).numel + xs[0].numel, "activation"),))
        if self.mode != "circular":
            return NO_SCRATCH
        return Scratch(backward=(Kept("copies", 2 * self.output(*xs).numel, "activation"),))

    def torch(self, *xs: Shape) -> Module:
        sides = self.sides(xs[0])
        each = tuple(p for s in reversed(sides) for p in (s.before, s.after))
        if self.mode == "mean":
            return Module("MeanPad", (Argument("padding", each),))
        amounts: Any = plain(each)
        rank = len(sides)
        if self.mode != "constant":
            return Module(f"nn.{_NAMES[self.mode]}{rank}d", (Argument("padding", amounts),))
        if self.value == 0:
            return Module(f"nn.ZeroPad{rank}d", (Argument("padding", amounts),))
        return Module(f"nn.ConstantPad{rank}d", (Argument("padding", amounts), Argument("value", self.value)))
