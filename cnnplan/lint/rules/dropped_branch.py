"""R409 dropped-branch."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class DroppedBranch(Refusal):
    """A branch that has layers, and is removed by its own `if`.

    A merge that is left with one branch is that branch: the sum, and what was to be added, are gone. That is meant
    where a block serves several depths, and an accident where a condition is the wrong way round. So it is told, at
    level info, and the spec stays valid.

    Nothing is to be done where it is meant; else correct the condition.

    Source: docs/language.md, Branches.
    """

    code: ClassVar[str] = "R409"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [8, 16, 16]
        variables: {residual: false}
        layers:
          - add:
              body:
                - conv: {out_channels: 8, kernel_size: 3, padding: 1}
              shortcut: {layers: [batchnorm], if: =residual}
          - relu
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [8, 16, 16]
        variables: {residual: true}
        layers:
          - add:
              body:
                - conv: {out_channels: 8, kernel_size: 3, padding: 1}
              shortcut: {layers: [batchnorm], if: =residual}
          - relu
    """
