"""Samples that are decoded when they are fetched, from files or from what holds their bytes.

An image that cannot be decoded does not end a training that may have run for days: the next one of its class is taken
in its place, always the same one, so that a resumed run sees what the first one saw. It is counted, and named in the
log; above the limit, fetching fails.
"""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np
import torch

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError
from cnnplan.runtime.data.base import Batch, Samples
from cnnplan.runtime.data.images import pixels, reason, strict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

LEAST: Final = 10
SHARE: Final = 0.01
"""So many files may be unreadable: this share, or this number where it is more."""

_log = logging.getLogger("cnnplan.data")


def allowed(count: int) -> int:
    """How many of so many files may be unreadable."""
    return max(LEAST, int(count * SHARE))


class Unreadable(UsageError):
    """Too many files cannot be decoded.

    A DataLoader that has it from a worker raises it again with the worker's traceback as its text: that goes.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text.rpartition(f"{type(self).__name__}: ")[2].rstrip())


class Source(ABC):
    """Encoded images, by number. It can be pickled, and read by several threads."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def open(self, index: int) -> BinaryIO:
        """The bytes of an image, at their beginning."""

    @abstractmethod
    def name(self, index: int) -> str:
        """What it is called, the same on every machine."""


class Files(Source):
    """Files of a directory.

    Args:
        root: the directory.
        paths: below it, with slashes.
    """

    def __init__(self, root: Path, paths: Sequence[str]) -> None:
        self.root = root
        # one block of memory: that of a list of texts would be copied by each worker that counts references to them
        self._paths = np.array([os.fsencode(path) for path in paths], dtype=np.bytes_)

    def __len__(self) -> int:
        return len(self._paths)

    def open(self, index: int) -> BinaryIO:
        return (self.root / self.name(index)).open("rb")

    def name(self, index: int) -> str:
        return os.fsdecode(bytes(self._paths[index]))


class Pictures(Samples):
    """Images with one class each.

    Args:
        source: the encoded images.
        classes: int64, that of each image of the source.
        shape: [C, H, W] of what they are decoded to.
        index: int64, which images of the source these samples are; all by default.
        broken: uint8, for each image of the source whether it cannot be decoded; in shared memory, for what workers
            find out.
        labelled: whether a batch has the classes as targets.
    """

    def __init__(
        self,
        source: Source,
        classes: Tensor,
        shape: tuple[int, int, int],
        index: Tensor | None = None,
        broken: Tensor | None = None,
        labelled: bool = True,
    ) -> None:
        self.source = source
        self.shape = shape
        self.index = torch.arange(len(source)) if index is None else index
        self.unreadable = torch.zeros(len(source), dtype=torch.uint8) if broken is None else broken
        self.unreadable.share_memory_()  # type: ignore[no-untyped-call]
        self.classes = classes
        self._labelled = labelled
        self.labels = classes[self.index] if labelled else None

    def __len__(self) -> int:
        return len(self.index)

    def __getitems__(self, indices: list[int]) -> Batch:
        found, classes = [], []
        with strict():
            for index in indices:
                tensor, row = self._decoded(index)
                found.append(tensor)
                classes.append(row)
        targets = (self.classes[torch.tensor(classes)],) if self._labelled else ()
        return Batch((torch.stack(found),), targets)

    def subset(self, indices: Sequence[int]) -> Pictures:
        rows = self.index[torch.as_tensor(indices, dtype=torch.int64)]
        return Pictures(self.source, self.classes, self.shape, rows, self.unreadable, self._labelled)

    def blank(self) -> Batch:
        """A batch of one sample as to dtypes and shapes, of no file."""
        targets = (self.classes[:1],) if self._labelled else ()
        return Batch((torch.zeros((1, *self.shape), dtype=torch.uint8),), targets)

    def unlabelled(self) -> Pictures:
        """The same without targets."""
        return Pictures(self.source, self.classes, self.shape, self.index, self.unreadable, labelled=False)

    @property
    def replaced(self) -> tuple[str, ...]:
        """The images that could not be decoded so far, by any worker, for which others were taken."""
        return tuple(self.source.name(int(row)) for row in self.unreadable.nonzero().flatten())

    def decode(self, row: int) -> Tensor | str:
        """An image of the source; or why it cannot be decoded."""
        try:
            with self.source.open(row) as file:
                return pixels(file, self.shape)
        except Exception as error:  # decoders of broken files raise whatever they stumble over
            return reason(error)

    def _decoded(self, index: int) -> tuple[Tensor, int]:
        """The pixels of a sample, or of the one in its place, and which image of the source that is."""
        first = int(self.index[index])
        why = "so it was before"
        for row in self._places(index):
            if self.unreadable[row]:
                continue
            found = self.decode(row)
            if isinstance(found, str):
                self.unreadable[row] = 1
                why = found
                _log.warning("cannot decode %s: %s; another one is taken in its place", *self._said(row, found))
                self._check()
                continue
            return found, row
        name, why = self._said(first, why)
        raise Unreadable(f"cannot decode {name}: {why}; nor any other of the {len(self):,} images beside it")

    def _places(self, index: int) -> Iterator[int]:
        """A sample, then those that may stand for it: those of its class behind it and before it, then all others."""
        first = int(self.index[index])
        yield first
        around = torch.cat((self.index[index + 1 :], self.index[:index]))
        same = self.classes[around] == self.classes[first]
        yield from around[same].tolist()
        yield from around[~same].tolist()

    def _check(self) -> None:
        count, most = int(self.unreadable.sum()), allowed(len(self.source))
        if count > most:
            raise Unreadable(
                f"{count:,} of {len(self.source):,} images cannot be decoded, more than {most:,}: "
                f"{', '.join(map(printable, self.replaced[:3]))} …"
            )

    def _said(self, row: int, why: str) -> tuple[str, str]:
        return printable(self.source.name(row)), printable(why)
