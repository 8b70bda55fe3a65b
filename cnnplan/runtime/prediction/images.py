"""One image file as a network takes it: decoded as for training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError
from cnnplan.runtime.data.images import pixels, reason

if TYPE_CHECKING:
    from torch import Tensor

CHANNELS: Final = (1, 3)
"""Gray, and red, green and blue."""


class Unreadable(UsageError):
    """A file that cannot be predicted.

    Attributes:
        path: the file.
        reason: what is wrong with it.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"cannot read {printable(path)}: {reason}")


def decode(path: str, shape: tuple[int, int, int]) -> Tensor:
    """The image of a file, uint8 [C, H, W] of this shape.

    Raises:
        Unreadable: the file is no image, or a damaged one.
    """
    try:
        if Path(path).exists() and not Path(path).is_file():  # a pipe would be waited for
            raise Unreadable(path, "no plain file")
        with Path(path).open("rb") as file:
            return pixels(file, shape)
    except Unreadable:
        raise
    except Exception as error:  # each of PIL's formats fails in ways of its own
        raise Unreadable(path, printable(reason(error))[:120]) from None
