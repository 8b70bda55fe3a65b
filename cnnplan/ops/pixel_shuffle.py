"""pixel_shuffle: channels to space."""

from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Module, Op, Shape, check_elements, module
from cnnplan.ops.fields import Size
from cnnplan.ops.window import Window


class PixelShuffle(Op):
    """Rearranges [C * r^2, H, W] to [C, r * H, r * W]: sub-pixel convolution's last step.

    Source: Shi et al. 2016, arXiv:1609.05158; torch.nn.PixelShuffle.
    """

    kind: ClassVar[str] = "pixel_shuffle"
    group: ClassVar[str] = "unpooling and resizing"
    layout: ClassVar[str] = "format"
    formulas: ClassVar[dict[str, str]] = {
        "output": "[channels / upscale_factor^2, upscale_factor * height, upscale_factor * width]"
    }

    upscale_factor: Size = Field(description="r: how much larger the map becomes")

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        require_image(self.kind, x)
        r = self.upscale_factor
        if x.channels % (r * r):
            raise ShapeError(
                "S015",
                f"{x.channels} channels do not divide by upscale_factor^2 = {r * r}",
                argument="upscale_factor",
                help=f"give the layer before it a multiple of {r * r} channels",
            )
        return check_elements(self.kind, Shape((x.channels // (r * r), *(n * r for n in x.spatial))))

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return (Window(1, (range(1),) * self.upscale_factor),) * 2

    def bounds(self, *xs: Shape) -> str:
        return "channels"

    def torch(self, *xs: Shape) -> Module:
        return module("nn.PixelShuffle", ("upscale_factor", self.upscale_factor))


def require_image(kind: str, x: Shape) -> None:
    """Torch's pixel (un)shuffle knows images only.

    Raises:
        ShapeError: the input has other than two spatial axes.
    """
    if x.rank != 2:
        raise ShapeError("S012", f"'{kind}' takes an image, two spatial axes; its input {x} has {x.rank}")
