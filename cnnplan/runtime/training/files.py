"""Checkpoints: files that are there as a whole or not at all, and are read without running code."""

from __future__ import annotations

import zipfile
from errno import EINVAL
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError
from cnnplan.runtime.files import replace

PARTS = ("loops", "state_dict", "optimizer_states", "lr_schedulers", "history", "cnnplan")
"""What a checkpoint has."""


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
