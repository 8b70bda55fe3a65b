"""S003 missing-flatten."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class MissingFlatten(Refusal):
    """A dense layer that is fed a map instead of a vector.

    torch.nn.Linear multiplies the last axis alone: on a map it stops with "mat1 and mat2 shapes cannot be multiplied",
    or, where the width happens to fit, runs along the rows of the map without a word.

    Put `- flatten` before it, which keeps every position, or `- global_avgpool`, which keeps one number a channel and
    lets the network take any size. A dense layer over the channels of each position is a convolution with
    `kernel_size: 1`.

    Source: torch.nn.Linear, torch.nn.Flatten; Lin, Chen & Yan 2013, arXiv:1312.4400, section 3.2.
    """

    code: ClassVar[str] = "S003"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
          - relu
          - linear: 10
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
          - relu
          - global_avgpool
          - linear: 10
    """
