"""Y918 unused-ignore."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class UnusedIgnore(Refusal):
    """A comment that ignores findings where none of them is.

    It is left over from a mistake that is mended by now, or stands in the wrong line. It would hide the next such
    mistake in its line, and says of the network what is not true.

    Remove it. A comment at the end of a line is about that line, one in a line of its own about the next line, and
    `ignore-file` about the whole file.

    Source: docs/lint.md, Ignoring findings.
    """

    code: ClassVar[str] = "Y918"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, bias: false}  # cnnplan: ignore[N201] as published
          - batchnorm
          - relu
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}  # cnnplan: ignore[N201] as published
          - batchnorm
          - relu
    """
