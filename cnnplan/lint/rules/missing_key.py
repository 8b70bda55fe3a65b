"""Y912 missing-key."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class MissingKey(Refusal):
    """A required key or argument that is missing.

    Arguments have PyTorch's own defaults. Where PyTorch has none, such as for `kernel_size` of a convolution, a guess
    would be another network.

    Write it. `cnnplan ops NAME` says which arguments are required; a spec itself needs `cnnplan`, `name`, `input` and
    `layers`.

    Source: torch.nn.Conv2d; docs/language.md, The file.
    """

    code: ClassVar[str] = "Y912"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, padding: 1}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
    """
