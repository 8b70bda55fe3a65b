"""Samples are read while the network runs: by several threads, in order, a bounded number ahead."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from cnnplan.runtime.prediction.images import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from torch import Tensor

    from cnnplan.runtime.prediction.given import Item

THREADS = 8
"""So many images are decoded at once, at most."""


class Loaded(NamedTuple):
    """A sample with its tensors, or why it has none."""

    item: Item | None
    found: tuple[Tensor, ...] | Unreadable


def loaded(several: Iterable[Item | Unreadable], ahead: int) -> Iterator[Loaded]:
    """Every sample, in order; at most so many are read before they are asked for."""
    waiting: deque[tuple[Item, Future[tuple[Tensor, ...]]] | Unreadable] = deque()
    pool = ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1))
    try:
        for item in several:
            waiting.append(item if isinstance(item, Unreadable) else (item, pool.submit(item.load)))
            if len(waiting) > ahead:
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _result(one: tuple[Item, Future[tuple[Tensor, ...]]] | Unreadable) -> Loaded:
    if isinstance(one, Unreadable):
        return Loaded(None, one)
    try:
        return Loaded(one[0], one[1].result())
    except Unreadable as error:
        return Loaded(one[0], error)


def batches(several: Iterable[Loaded], size: int) -> Iterator[list[Loaded]]:
    """Groups with at most so many samples, of equal shapes and dtypes."""
    group: list[Loaded] = []
    kind, count = None, 0
    for one in several:
        if not isinstance(one.found, Unreadable):
            own = [(x.shape, x.dtype) for x in one.found]
            if count == size or (count and own != kind):
                yield group
                group, count = [], 0
            kind, count = own, count + 1
        group.append(one)
    if group:
        yield group
