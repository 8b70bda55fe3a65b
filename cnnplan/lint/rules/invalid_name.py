"""Y914 invalid-name."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class InvalidName(Refusal):
    """A name that cannot be used.

    Names become attributes and variables of the emitted Python: they are made of letters, digits and `_`, start with no
    digit, have at most 60 characters, and are no Python keyword. A layer called like a member of torch.nn.Module, such
    as `train` or `half`, would hide it, and break `model.train()`.

    Choose another name.

    Source: Python's language reference, identifiers and keywords; torch.nn.Module.
    """

    code: ClassVar[str] = "Y914"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
            name: half
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
            name: first_half
    """
