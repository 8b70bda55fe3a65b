"""Files that are there as a whole or not at all: what fails leaves the old one as it was."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO


class NotWritten(UsageError):
    """A file cannot be written: the disk is full, or not ours."""


def replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file beside its place, to the disk, and put it there at once.

    Raises:
        NotWritten: it cannot be written; the old one is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except (OSError, RuntimeError) as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__cause__ or cause.__context__
        if cause is None and "writ" not in str(error):
            raise
        reason = (isinstance(cause, OSError) and cause.strerror) or "no space left, or the disk failed"
        raise NotWritten(f"cannot write {printable(str(path))}: {reason.lower()}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def swept(folder: Path) -> None:
    """Remove what processes that were killed left behind."""
    for path in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            path.unlink()
