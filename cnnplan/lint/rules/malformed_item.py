"""Y917 malformed-item."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class MalformedItem(Refusal):
    """An item of a list of layers that is not formed as one.

    An item is a word, or a mapping with one operation, block, `layers` or `share`, beside which modifiers stand. Two
    operations in one item have no order: YAML's mappings are unordered.

    Start a new item with `- ` for each operation; a name with modifiers below it takes a colon: `- relu:`.

    Source: docs/language.md, Items; YAML 1.2.2, section 3.2.2.1, mapping key order.
    """

    code: ClassVar[str] = "Y917"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
            relu:
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
          - relu
    """
