"""Y911 invalid-value."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class InvalidValue(Refusal):
    """A value of the wrong type, or outside its range.

    torch takes many of them and fails later, or never: `True` is the integer 1 to Python, a float kernel is cut, a
    probability of 50 is found when the first batch runs.

    Write a value as the message says. An integer argument refuses every float: divide with `//`. `cnnplan ops NAME`
    says what each argument takes.

    Source: docs/language.md, Values and Expressions.
    """

    code: ClassVar[str] = "Y911"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
          - relu
          - dropout: 50
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
          - relu
          - dropout: 0.5
    """
