"""S007 groupnorm-not-dividing."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class GroupnormNotDividing(Refusal):
    """A group norm whose `num_groups` does not divide the channels.

    Each group takes the mean and variance of as many channels as the others: torch stops where num_channels "must be
    divisible by num_groups". 32 groups are the usual default, and fit neither 48 nor 80 channels.

    Choose a divisor, or write the channels of a group instead: `=in_channels // 16`.

    Source: Wu & He 2018, arXiv:1803.08494; torch.nn.GroupNorm.
    """

    code: ClassVar[str] = "S007"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 16, 16]
        layers:
          - conv: {out_channels: 48, kernel_size: 3, padding: 1}
          - groupnorm: 32
          - relu
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 16, 16]
        layers:
          - conv: {out_channels: 48, kernel_size: 3, padding: 1}
          - groupnorm: =in_channels // 16
          - relu
    """
