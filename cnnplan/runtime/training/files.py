"""Files that are there as a whole or not at all: what fails leaves the old one as it was."""

from __future__ import annotations

import contextlib
import os
import zipfile
from errno import EINVAL
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO


PARTS = ("loops", "state_dict", "optimizer_states", "lr_schedulers", "history", "cnnplan")
"""What a checkpoint has."""


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


class Checkpoints(TorchCheckpointIO):
    """Lightning's checkpoints, written so, and read without running code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        replace(Path(path), lambda file: torch.save(checkpoint, file))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return read(Path(path), map_location or "cpu")


def read(path: Path, place: Any = "cpu") -> dict[str, Any]:
    """A checkpoint of a training.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    shown = printable(str(path))
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load does not look at its checksums
            if archive.testzip() is not None:
                raise zipfile.BadZipFile
        found = torch.load(path, map_location=place, weights_only=True)
    except Exception as error:  # whatever a damaged zip file, or a pickle that runs code, makes of it
        if isinstance(error, OSError) and error.errno != EINVAL:
            raise UsageError(f"cannot read {shown}: {(error.strerror or str(error)).lower()}") from None
        hostile = "weights only" in str(error).lower().replace("_", " ")
        why = "it holds what may run code" if hostile else "it is damaged, or not whole"
        raise UsageError(f"{shown} is no checkpoint that can be read: {why}") from None
    if not isinstance(found, dict) or not all(found.get(part) for part in PARTS):
        raise UsageError(f"{shown} is no checkpoint that `cnnplan train` wrote: --weights starts from other ones")
    return found
