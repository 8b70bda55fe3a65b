"""space_to_depth: space to channels."""

from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import AXES, Module, Op, Shape, module
from cnnplan.ops.fields import Size
from cnnplan.ops.pixel_shuffle import require_image
from cnnplan.ops.window import Window


class SpaceToDepth(Op):
    """Rearranges [C, r * H, r * W] to [C * r^2, H, W]; undoes `pixel_shuffle`.

    Source: Shi et al. 2016, arXiv:1609.05158; torch.nn.PixelUnshuffle.
    """

    kind: ClassVar[str] = "space_to_depth"
    group: ClassVar[str] = "unpooling and resizing"
    layout: ClassVar[str] = "format"
    formulas: ClassVar[dict[str, str]] = {
        "output": "[channels * downscale_factor^2, height / downscale_factor, width / downscale_factor]"
    }

    downscale_factor: Size = Field(description="r: how much smaller the map becomes")

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        require_image(self.kind, x)
        r = self.downscale_factor
        for axis, n in zip(AXES[2], x.spatial, strict=True):
            if n % r:
                raise ShapeError(
                    "S020",
                    f"downscale_factor {r} does not divide the {axis} {n} of the input {x}",
                    argument="downscale_factor",
                    help="pad or crop the map first",
                )
        return Shape((x.channels * r * r, *(n // r for n in x.spatial)))

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        r = self.downscale_factor
        return (Window(r, (range(r),)),) * 2

    def bounds(self, *xs: Shape) -> str:
        return "parts"

    def torch(self, *xs: Shape) -> Module:
        return module("nn.PixelUnshuffle", ("downscale_factor", self.downscale_factor))
