"""S015 pixelshuffle-channels."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class PixelshuffleChannels(Refusal):
    """Channels that do not divide by the square of `upscale_factor`.

    A pixel shuffle makes one channel of r² of them, so that the map is r times as high and wide: torch stops with
    "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor".

    Give the layer before it r² times the channels that are wanted behind it.

    Source: Shi et al. 2016, arXiv:1609.05158; torch.nn.PixelShuffle.
    """

    code: ClassVar[str] = "S015"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 16, 16]
        layers:
          - conv: {out_channels: 3, kernel_size: 3, padding: 1}
          - pixel_shuffle: 2
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 16, 16]
        layers:
          - conv: {out_channels: =3 * 2 ** 2, kernel_size: 3, padding: 1}
          - pixel_shuffle: 2
    """
