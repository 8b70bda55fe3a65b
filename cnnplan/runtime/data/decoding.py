"""Encoded images, read by several threads: their headers, all of them into memory, or some as a probe."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError
from cnnplan.runtime.data.arrays import Arrays
from cnnplan.runtime.data.images import Header, header, reason, strict
from cnnplan.runtime.data.pictures import allowed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from torch import Tensor

    from cnnplan.runtime.data.pictures import Pictures, Source

    T = TypeVar("T")

PROBED: Final = 1000
CHUNK: Final = 64
"""Images for one thread at a time."""


class Images(NamedTuple):
    """The images of a split, and the class of each: int64 [N]."""

    source: Source
    classes: Tensor


class LeftOut:
    """The images that cannot be used, of how many, and why."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.found: list[str] = []

    def add(self, name: str, why: str) -> None:
        self.found.append(f"{printable(name)} ({printable(why)})")

    def check(self) -> None:
        most = allowed(self.count)
        if len(self.found) > most:
            raise UsageError(
                f"{len(self.found):,} of {self.count:,} images cannot be read, at most {most:,} may be left out: "
                f"{_first(self.found)}"
            )

    @property
    def notices(self) -> tuple[str, ...]:
        if not self.found:
            return ()
        count = f"{len(self.found):,} image{'s' if len(self.found) > 1 else ''}"
        return (f"{count} of {self.count:,} left out, unreadable: {_first(self.found, 10)}",)


def headers_of(images: Images, left_out: LeftOut) -> tuple[dict[int, Header], list[int]]:
    """The headers of all images that have one, by their number; and the sizes of all in bytes, -1 where unknown."""

    def read(row: int) -> tuple[Header | str, int]:
        size = -1
        try:
            with images.source.open(row) as file:
                size = file.seek(0, os.SEEK_END)  # Image.open goes back
                return header(file), size
        except Exception as error:  # decoders of broken files raise whatever they stumble over
            return reason(error), size

    found, sizes = {}, []
    for row, (one, size) in enumerate(_threaded(read, range(len(images.source)))):
        sizes.append(size)
        if isinstance(one, str):
            left_out.add(images.source.name(row), one)
        else:
            found[row] = one
    return found, sizes


def held(samples: Pictures, left_out: LeftOut) -> Arrays:
    """The samples decoded, those that can be."""
    rows = samples.index.tolist()
    tensor = torch.empty((len(rows), *samples.shape), dtype=torch.uint8)

    def decode(index: int) -> str:
        one = samples.decode(rows[index])
        if isinstance(one, str):
            return one
        tensor[index] = one
        return ""

    kept = []
    for index, why in enumerate(_threaded(decode, range(len(rows)))):
        if why:
            left_out.add(samples.source.name(rows[index]), why)
        else:
            kept.append(index)
    labels = samples.classes[samples.index[kept]]
    return Arrays((tensor if len(kept) == len(rows) else tensor[kept],), (labels,), labels)


def probe(samples: Pictures, seed: int, left_out: LeftOut) -> None:
    """Decode some images to the end; more broken ones among them than may be of all end it here.

    Those that are found are marked, so that others are taken in their place.
    """
    draw = torch.Generator().manual_seed(seed)
    rows = samples.index[torch.randperm(len(samples), generator=draw)[:PROBED]].tolist()
    found = LeftOut(len(rows))
    for row, one in zip(rows, _threaded(samples.decode, rows), strict=True):
        if isinstance(one, str):
            samples.unreadable[row] = 1
            left_out.add(samples.source.name(row), one)
            found.add(samples.source.name(row), one)
    found.check()


def _threaded(work: Callable[[int], T], rows: Sequence[int]) -> list[T]:
    """The work done for each row, in order: PIL decodes without the interpreter's lock."""
    try:
        threads = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        threads = os.cpu_count() or 1
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    with strict(), ThreadPoolExecutor(min(threads, 16)) as pool:
        return [one for found in pool.map(lambda chunk: [work(row) for row in chunk], chunks) for one in found]


def _first(names: Sequence[str], limit: int = 3) -> str:
    return f"{', '.join(names[:limit])}{', …' if len(names) > limit else ''}"
