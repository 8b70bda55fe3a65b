"""S012 rank-mismatch."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class RankMismatch(Refusal):
    """An operation that is fed a value with the wrong number of axes.

    Convolutions, pools and resizing slide over one to three spatial axes; behind `flatten`, `linear` or a global pool
    there are none left. torch stops with "Expected 3D (unbatched) or 4D (batched) input to conv2d".

    Put it before the layer that takes the axes away, keep them (`global_avgpool: {keepdim: true}`), or make new ones
    with `reshape`.

    Source: torch.nn.Conv2d, torch.nn.Unflatten.
    """

    code: ClassVar[str] = "S012"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [64]
        layers:
          - linear: 128
          - relu
          - conv: {out_channels: 4, kernel_size: 3, padding: 1}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [64]
        layers:
          - linear: 128
          - relu
          - reshape: [8, 4, 4]
          - conv: {out_channels: 4, kernel_size: 3, padding: 1}
    """
