"""Files that are there as a whole or not at all, after they have been read again.

They are written into a folder beside their place, whose name starts with a dot, and moved from there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.runtime.exporting.base import Format


class Place(NamedTuple):
    """Where a file is written, and where it belongs."""

    file: Path
    target: Path

    def put(self) -> None:
        """Move the file, and what belongs to it, to the disk and to its place; what was there is replaced."""
        if self.target.exists():
            self.file.chmod(self.target.stat().st_mode & 0o777)
        written = sorted(self.file.parent.iterdir(), key=self.file.__eq__)  # last the file that refers to the others
        for file in written:
            _sync(file)
        for file in written:
            file.replace(self.target.with_name(file.name))
        _sync(self.target.parent)


@contextlib.contextmanager
def beside(path: Path, format: Format) -> Iterator[Place]:
    """A place for a file. What fails inside leaves an old file as it was, and nothing else.

    Raises:
        UsageError: the name has another suffix, there is no such folder, or it cannot be written.
    """
    shown = printable(str(path))
    if path.suffix.lower() != format.suffix:
        raise UsageError(
            f"'{shown}' is no name for --format {format.name}, which writes {format.suffix}: write it to "
            f"{printable(str(path.with_suffix(format.suffix) if path.name else f'model{format.suffix}'))}"
        )
    folder = None
    try:
        target = _target(path, shown)
        folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:100]}."))
        yield Place(folder / target.name, target)
    except OSError as error:
        raise UsageError(f"cannot write {shown}: {(error.strerror or str(error)).lower()}") from None
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _target(path: Path, shown: str) -> Path:
    """Where a path leads to."""
    try:
        target = path.resolve()
    except RuntimeError:
        raise UsageError(f"cannot write {shown}: it is a link that leads to itself") from None
    if target.is_dir():
        raise UsageError(f"cannot write {shown}: it is a directory")
    if not target.parent.is_dir():
        raise UsageError(f"cannot write {shown}: there is no folder {printable(str(target.parent))}")
    if target.exists() and not target.is_file():
        raise UsageError(f"cannot write {shown}: it is no plain file")
    return target


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
