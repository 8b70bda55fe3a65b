"""S023 dtype-mismatch."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class DtypeMismatch(Refusal):
    """An operation that is fed integers, or one that merges integers with floats.

    An input with `dtype: int64` holds indices. Weights are floats, so that torch stops with "Input type (long int) and
    bias type (float) should be the same"; an activation of integers has no gradient.

    Remove `dtype`, which is float32 where nothing is said, and feed the network floats.

    Source: torch.nn.Conv2d; PyTorch's tensor attributes, torch.dtype.
    """

    code: ClassVar[str] = "S023"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: {shape: [3, 16, 16], dtype: int64}
        layers:
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: {shape: [3, 16, 16], dtype: float32}
        layers:
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
    """
