"""The exceptions of cnnplan.

CnnplanError            the user can mend it; anything else is a bug of ours
├── UsageError          a wrong option, an unreadable path, a missing extra (exit code 2)
├── SpecError           the spec is not valid: `.diagnostics` says where and why (exit code 1)
├── ShapeError          an operation refuses its input; elaboration adds the place
└── ExpressionError     an `=` expression cannot be read or evaluated; elaboration adds the place
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.diagnostics import Diagnostic
    from cnnplan.ops.base import Shape


class CnnplanError(Exception):
    """Something the user can mend. Its text is one clear message."""


class UsageError(CnnplanError):
    """A wrong option, an unreadable path, or an extra that is not installed."""


class SpecError(CnnplanError):
    """A spec that is not valid.

    `diagnostics` holds every independent error found in one run, in the order of the text.
    """

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(str(d) for d in self.diagnostics))


class ShapeError(CnnplanError):
    """An operation refuses its input.

    Args:
        code: the diagnostic's code, e.g. "S001".
        message: what is wrong, with the numbers that disagree.
        help: what to write instead.
        argument: the argument to underline, if one is to blame.
        instead: a value for that argument with which it would do.
        assume: the output shape to carry on with, so that later, independent errors are found
            in the same run; None where nothing sensible can be assumed.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        help: str = "",
        argument: str | None = None,
        instead: int | None = None,
        assume: Shape | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help
        self.argument = argument
        self.instead = instead
        self.assume = assume


class ExpressionError(CnnplanError):
    """An expression cannot be read or evaluated.

    `start` and `end` are offsets into the text behind the `=`; `code` names the diagnostic.
    """

    def __init__(
        self, message: str, start: int = 0, end: int | None = None, help: str = "", code: str = "Y915"
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.start = start
        self.end = start + 1 if end is None else end
        self.help = help
