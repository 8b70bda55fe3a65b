"""Y919 invalid-ignore."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class InvalidIgnore(Refusal):
    """A comment that is meant to ignore findings, and does not say which.

    `# cnnplan: ignore` alone would hide every finding of its line, those that come later too, and a code with a slip in
    it hides nothing.

    Write the codes in brackets, and the reason behind them: `# cnnplan: ignore[N201] as published`. The beginning of a
    code stands for all that begin so. `# cnnplan: ignore-file` alone is for files that are not to be checked.

    Source: docs/lint.md, Ignoring findings.
    """

    code: ClassVar[str] = "Y919"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, bias: false}  # cnnplan: ignore
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
