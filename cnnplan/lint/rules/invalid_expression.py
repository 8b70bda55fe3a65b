"""Y915 invalid-expression."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class InvalidExpression(Refusal):
    """An `=` expression that cannot be read or evaluated.

    Expressions have Python's operators and a few functions, and nothing that could reach outside the spec. They see the
    variables, the params of their block, counters, `in_channels` and `in_size`; a block sees nothing of its caller.

    The message marks the part that is wrong. An expression with a comma inside `{…}` or `[…]` takes quotes.

    Source: docs/language.md, Expressions.
    """

    code: ClassVar[str] = "Y915"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        variables: {width: 8}
        layers:
          - conv: {out_channels: =2 * widht, kernel_size: 3}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        variables: {width: 8}
        layers:
          - conv: {out_channels: =2 * width, kernel_size: 3}
    """
