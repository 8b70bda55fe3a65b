"""Y909 unsupported-yaml."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class UnsupportedYaml(Refusal):
    """Anchors, aliases, merge keys, tags and complex keys.

    They make a file that cannot be read from top to bottom, aliases of aliases expand without bound, and tags ask a
    parser to make objects. The language has what they are used for.

    Use a variable for a value, a block with params for layers that come again, `repeat` for copies in a row, `share`
    for the same weights.

    Source: YAML 1.2.2, section 3.2.2.2, anchors and aliases, and section 3.2.1.2, tags.
    """

    code: ClassVar[str] = "Y909"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: &same {out_channels: 8, kernel_size: 3, padding: 1}
          - relu
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        blocks:
          same:
            layers:
              - conv: {out_channels: 8, kernel_size: 3, padding: 1}
        layers:
          - same
          - relu
    """
