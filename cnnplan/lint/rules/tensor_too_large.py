"""S022 tensor-too-large."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class TensorTooLarge(Refusal):
    """A tensor with 2^63 elements or more.

    No machine holds it: 2^63 numbers in float32 are 32 EiB. torch stops with "Storage size calculation overflowed". A
    factor with some digits too many, or one that is applied in every copy of a `repeat`, leads there.

    Write the factor that is meant.

    Source: torch.Tensor.numel, an int64.
    """

    code: ClassVar[str] = "S022"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 16, 16]
        layers:
          - upsample: 2
            repeat: 30
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 16, 16]
        layers:
          - upsample: 2
            repeat: 3
    """
