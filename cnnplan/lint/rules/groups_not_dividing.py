"""S006 groups-not-dividing."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class GroupsNotDividing(Refusal):
    """Groups that do not divide the channels.

    A grouped convolution cuts its input channels and its output channels into `groups` equal parts, and a channel
    shuffle its channels: torch stops with "in_channels must be divisible by groups". It comes with channels that were
    computed, by a width factor or a pruned model.

    Choose a divisor of both, or round the channels to a multiple of the groups: `=make_divisible(in_channels, 4)`.

    Source: Xie et al. 2016, arXiv:1611.05431; torch.nn.Conv2d, torch.nn.ChannelShuffle.
    """

    code: ClassVar[str] = "S006"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [30, 16, 16]
        layers:
          - conv: {out_channels: 32, kernel_size: 3, padding: 1, groups: 4}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [30, 16, 16]
        layers:
          - conv: {out_channels: 32, kernel_size: 3, padding: 1, groups: 2}
    """
