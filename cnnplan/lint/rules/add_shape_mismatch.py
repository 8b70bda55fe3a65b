"""S005 add-shape-mismatch."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class AddShapeMismatch(Refusal):
    """Merged values whose shapes do not broadcast.

    `add`, `multiply` and the other merges but `concat` work element by element: sizes are equal, or 1. torch stops with
    "The size of tensor a (16) must match the size of tensor b (32)". It is mostly a shortcut that leaves out the stride
    or the new channels of the branch beside it.

    Give both branches the same stride and padding, and a shortcut its projection: a 1x1 convolution with that stride
    and those channels.

    Source: He et al. 2015, arXiv:1512.03385, section 3.2; torch's broadcasting semantics.
    """

    code: ClassVar[str] = "S005"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [8, 32, 32]
        layers:
          - add:
              body:
                - conv: {out_channels: 16, kernel_size: 3, stride: 2, padding: 1, bias: false}
                - batchnorm
              shortcut: []
          - relu
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [8, 32, 32]
        layers:
          - add:
              body:
                - conv: {out_channels: 16, kernel_size: 3, stride: 2, padding: 1, bias: false}
                - batchnorm
              shortcut:
                - conv: {out_channels: 16, kernel_size: 1, stride: 2, bias: false}
                - batchnorm
          - relu
    """
