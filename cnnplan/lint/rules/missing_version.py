"""Y907 missing-version."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class MissingVersion(Refusal):
    """A spec that does not say which version of the language it is written in, or names one that is not known.

    A later version may give a word another meaning. With the version in the file, an old spec keeps its meaning, or is
    refused; `cnnplan check` of a directory finds specs by this key.

    Write `cnnplan: 1`, a number without quotes, at the top.

    Source: docs/language.md, The file.
    """

    code: ClassVar[str] = "Y907"
    bad: ClassVar[str] = """
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
    """
