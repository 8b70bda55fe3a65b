"""S016 undefined-or-duplicate-ref."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class UndefinedOrDuplicateRef(Refusal):
    """A reference that names nothing visible, or a name that is given twice.

    A name is visible behind its item, in its list and in lists inside later items of that list; not inside blocks, and
    nothing from inside a group, branch or block is visible outside. So a network has no cycles, and each name one
    meaning: what reads two values of one name takes the wrong one without a word.

    Correct the name, give the item a `name`, or move it before the item that refers to it.

    Source: docs/language.md, References.
    """

    code: ClassVar[str] = "S016"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 16, 16]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
            name: early
          - relu
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
          - add:
            from: [erly, previous]
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 16, 16]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
            name: early
          - relu
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
          - add:
            from: [early, previous]
    """
