"""Y916 recursive-block."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class RecursiveBlock(Refusal):
    """A block that reaches itself.

    A network is finite, and a block that contains itself has no end. A block may use other blocks, as long as the way
    does not lead back.

    Use `repeat` to run a block several times in a row. A structure that nests, such as an hourglass, takes a block for
    each level.

    Source: docs/language.md, Blocks.
    """

    code: ClassVar[str] = "Y916"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [8, 32, 32]
        blocks:
          deeper:
            layers:
              - conv_bn_relu: 8
              - deeper
        layers:
          - deeper
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [8, 32, 32]
        blocks:
          deeper:
            layers:
              - conv_bn_relu: 8
        layers:
          - deeper:
            repeat: 4
    """
