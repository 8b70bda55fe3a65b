"""S020 size-mismatch."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class SizeMismatch(Refusal):
    """A value whose size does not allow this rearrangement.

    `reshape`, `split`, `slice`, `crop` and `space_to_depth` move numbers and make none: the sizes must come out even.
    torch stops with "is invalid for input of size", or "expects split_sizes to sum exactly to".

    Choose sizes whose product, or sum, is that of the input; one size of `reshape` may be -1, the rest.

    Source: torch.nn.Unflatten, torch.Tensor.reshape, torch.split, torch.narrow.
    """

    code: ClassVar[str] = "S020"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [100]
        layers:
          - linear: 1000
          - relu
          - reshape: [128, 4, 4]
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [100]
        layers:
          - linear: =128 * 4 * 4
          - relu
          - reshape: [128, 4, 4]
    """
