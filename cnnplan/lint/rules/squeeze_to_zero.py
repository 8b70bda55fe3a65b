"""S013 squeeze-to-zero."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class SqueezeToZero(Refusal):
    """A computed size that is zero or negative.

    An expression such as `=in_channels // 16` gives 0 where there are fewer than 16 channels. torch builds layers
    without channels, with a warning at most, and fails when they run, or silently computes nothing.

    Keep a floor: `=max(1, in_channels // 16)`, or round with `make_divisible`, which never gives less than its divisor.

    Source: Hu et al. 2017, arXiv:1709.01507, section 3.3, where C / r is taken; torch.nn.Conv2d.
    """

    code: ClassVar[str] = "S013"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [8, 16, 16]
        layers:
          - conv: {out_channels: =in_channels // 16, kernel_size: 1}
          - relu
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [8, 16, 16]
        layers:
          - conv: {out_channels: "=max(4, in_channels // 16)", kernel_size: 1}
          - relu
    """
