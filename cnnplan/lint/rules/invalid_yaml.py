"""Y908 invalid-yaml."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class InvalidYaml(Refusal):
    """A file that is not one YAML document of plain text in UTF-8.

    Brackets that do not close, indentation that does not match, tabs that indent, a second document, control
    characters, another encoding: what follows cannot be trusted, so that reading ends at the first of them.

    The message says what the reader met, and where the collection it was in begins.

    Source: YAML 1.2.2, chapter 5, character productions, and section 6.1, indentation spaces.
    """

    code: ClassVar[str] = "Y908"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3
          - relu
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
          - relu
    """
