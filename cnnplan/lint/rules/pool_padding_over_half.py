"""S008 pool-padding-over-half."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class PoolPaddingOverHalf(Refusal):
    """A pool that pads by more than half of its window.

    Some of its windows would hold nothing but padding: a max pool gives minus infinity there, an average pool zero.
    torch stops with "pad should be at most half of effective kernel size", where the half is that of `kernel_size`,
    rounded down and without dilation.

    Use less padding, or a `pad` before the pool, which may be of any size.

    Source: torch.nn.MaxPool2d, torch.nn.AvgPool2d.
    """

    code: ClassVar[str] = "S008"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [8, 16, 16]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
          - maxpool: {kernel_size: 3, stride: 2, padding: 2}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [8, 16, 16]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
          - maxpool: {kernel_size: 3, stride: 2, padding: 1}
    """
