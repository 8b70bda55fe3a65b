"""The arrays of an .npz file, and how they may be called."""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cnnplan.runtime.data.npz_inputs import Array

SPLITS: Final = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


class Archive:
    """The arrays of a file, read when they are asked for.

    Attributes:
        names: of all arrays.
        used: those that were read.

    Raises:
        UsageError: the file cannot be read, or holds more than this machine's memory does.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shown = printable(str(path))
        try:
            with zipfile.ZipFile(path) as archive:
                needed = sum(info.file_size for info in archive.infolist())
            self._arrays: Any = np.load(path, allow_pickle=False)
        except OSError as error:
            raise UsageError(f"cannot read {self.shown}: {(error.strerror or str(error)).lower()}") from None
        except Exception:  # broken archives raise whatever their parser stumbles over
            raise UsageError(f"cannot read {self.shown}: it is no .npz file, as numpy.savez writes it") from None
        self.names: tuple[str, ...] = tuple(self._arrays.files)
        self.used: set[str] = set()
        if needed > (most := _memory()):
            self.close()
            raise UsageError(f"{self.shown} holds {needed / 2**30:,.1f} GiB, this machine has {most / 2**30:,.1f} GiB")

    def close(self) -> None:
        self._arrays.close()

    def __getitem__(self, name: str) -> Array:
        """An array.

        Raises:
            UsageError: it cannot be read, holds objects, or is empty.
        """
        self.used.add(name)
        shown = f"'{printable(name)}' in {self.shown}"
        try:
            array = self._arrays[name]
        except Exception as error:  # the same
            if "allow_pickle" in str(error):
                raise UsageError(f"{shown} holds objects: save it as numbers") from None
            raise UsageError(f"cannot read {shown}: {printable(str(error) or type(error).__name__)}") from None
        if not isinstance(array, np.ndarray):
            raise UsageError(f"{shown} is no array")
        if not array.ndim or not array.size:
            raise UsageError(f"{shown} is empty: its shape is {array.shape}")
        return array

    def find(self, words: Sequence[str], split: str) -> str | None:
        """The array of these words in a split; in none of them, where that is ""."""
        if not split:
            return next((word for word in words if word in self.names), None)
        wanted = (form for word in words for part in SPLITS[split] for form in (f"{word}_{part}", f"{part}_{word}"))
        return next((name for name in wanted if name in self.names), None)


def _memory() -> int:
    """Bytes of memory that this machine has."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not told on this system
        return 1 << 62
