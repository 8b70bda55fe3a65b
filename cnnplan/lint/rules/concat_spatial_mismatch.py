"""S004 concat-spatial-mismatch."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class ConcatSpatialMismatch(Refusal):
    """Values that differ beside the axis along which they are joined.

    `concat` puts channels behind channels: all other sizes must be equal. torch stops with "Sizes of tensors must match
    except in dimension 1". It is mostly an odd map that was halved and doubled again (9 → 4 → 8), or a branch without
    the stride or padding of the others.

    Give the branches the same stride and padding, `crop` the larger value, or resize one with `upsample: {like: …}`.

    Source: torch.cat.
    """

    code: ClassVar[str] = "S004"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 9, 9]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
            name: fine
          - maxpool: 2
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
          - upsample: 2
          - concat:
            from: [fine, previous]
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 9, 9]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
            name: fine
          - maxpool: 2
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
          - upsample: {like: fine}
          - concat:
            from: [fine, previous]
    """
