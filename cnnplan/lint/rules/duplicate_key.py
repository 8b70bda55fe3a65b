"""Y902 duplicate-key."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class DuplicateKey(Refusal):
    """A key that is given twice in one mapping.

    Keys of a YAML mapping are unique, but most parsers keep the last and say nothing: the first value is lost, and
    nobody sees which counts.

    Keep one of them.

    Source: YAML 1.2.2, section 3.2.1.3, node comparison.
    """

    code: ClassVar[str] = "Y902"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv:
              out_channels: 8
              kernel_size: 3
              padding: 1
              kernel_size: 5
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv:
              out_channels: 8
              kernel_size: 3
              padding: 1
    """
