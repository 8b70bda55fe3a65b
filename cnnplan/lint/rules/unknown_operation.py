"""Y913 unknown-operation."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class UnknownOperation(Refusal):
    """A word that names neither an operation nor a block.

    Names are those of PyTorch's modules in small letters, without their dimension: `conv` is Conv1d, Conv2d or Conv3d,
    as the input has axes.

    The help names the nearest word, also for the names of other frameworks. `cnnplan ops` lists the operations; blocks
    of the file are used by their names.

    Source: docs/ops/README.md.
    """

    code: ClassVar[str] = "Y913"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - Conv2D: {out_channels: 8, kernel_size: 3}
          - relu
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
          - relu
    """
