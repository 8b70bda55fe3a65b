"""S021 share-shape-mismatch."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class ShareShapeMismatch(Refusal):
    """An item that is run again on a value that would need other parameters.

    `share` applies the same weights once more, as a siamese network does to its two images: their shapes are those of
    the first run. torch stops where it expects the input "to have 3 channels, but got 8 channels instead". Where a
    module is derived from the size of its input, that size must be the same too.

    Feed it a value with as many channels as the first, or write the item once more, with weights of its own.

    Source: Bromley et al. 1993, Signature verification using a "siamese" time delay neural network; torch.nn.Conv2d.
    """

    code: ClassVar[str] = "S021"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 16, 16]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
            name: filter
          - relu
          - share: filter
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [8, 16, 16]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
            name: filter
          - relu
          - share: filter
    """
