"""S019 value-count-mismatch."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class ValueCountMismatch(Refusal):
    """An item that is fed more or fewer values than it takes.

    `split` gives several values, and so does a block with several `outputs`; most operations take one, a merge two or
    more. Nothing says which of them is meant.

    Choose with `from`: `half.0` is the first output of the item named `half`. Merge them, or give a merge a second
    branch; the identity is written `[]`.

    Source: docs/language.md, References.
    """

    code: ClassVar[str] = "S019"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [8, 16, 16]
        layers:
          - split: 2
            name: half
          - conv: {out_channels: 4, kernel_size: 3, padding: 1}
          - concat:
            from: [half.0, previous]
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [8, 16, 16]
        layers:
          - split: 2
            name: half
          - conv: {out_channels: 4, kernel_size: 3, padding: 1}
            from: half.1
          - concat:
            from: [half.0, previous]
    """
