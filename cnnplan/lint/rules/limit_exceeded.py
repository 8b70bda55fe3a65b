"""Y910 limit-exceeded."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class LimitExceeded(Refusal):
    """A spec that is larger than any network needs.

    A spec is untrusted input, and a few lines of nested `repeat` expand to billions of layers. The limits are far above
    the largest networks that are published, and are checked before the work is done: refusing takes less than two
    seconds.

    Write the number that is meant. docs/language.md lists the limits: 20,000 layers, 2 MB, 64 levels.

    Source: docs/language.md, Limits.
    """

    code: ClassVar[str] = "Y910"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [8, 32, 32]
        layers:
          - conv_bn_relu: 8
            repeat: 10000
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [8, 32, 32]
        layers:
          - conv_bn_relu: 8
            repeat: 10
    """
