"""S001 spatial-collapse."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class SpatialCollapse(Refusal):
    """A window that does not fit into the padded map.

    Every stride and every window without padding makes the map smaller, until nothing is left for the next kernel:
    torch stops with "Kernel size can't be greater than actual input size", or "Output size is too small". A network
    made for 224x224 fails so on images of 32x32.

    Use a larger input, a smaller kernel, more padding, or fewer strides before it. `cnnplan sizes` says which sizes of
    the input are legal, and which layer refuses the others.

    Source: Dumoulin & Visin 2016, arXiv:1603.07285; torch.nn.Conv2d, torch.nn.MaxPool2d.
    """

    code: ClassVar[str] = "S001"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 5, stride: 4}
          - relu
          - conv: {out_channels: 16, kernel_size: 5, stride: 2}
          - relu
          - conv: {out_channels: 32, kernel_size: 3}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 5, stride: 2, padding: 2}
          - relu
          - conv: {out_channels: 16, kernel_size: 5, stride: 2, padding: 2}
          - relu
          - conv: {out_channels: 32, kernel_size: 3, padding: 1}
    """
