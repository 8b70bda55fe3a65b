"""Y901 unknown-key."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class UnknownKey(Refusal):
    """A key that the language does not know at this place.

    An argument with a slip in its name would otherwise be left out, and the default would stand in its place: a network
    that trains, and is another one. So nothing is silently ignored.

    The help names the nearest key; `cnnplan ops NAME` lists the arguments of an operation. Arguments stand below the
    operation's name, modifiers (`name`, `from`, `if`, `repeat`, `trainable`, `checkpoint`) beside it.

    Source: docs/language.md, Items.
    """

    code: ClassVar[str] = "Y901"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, paddding: 1}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
    """
