"""How much does CUDA's caching allocator take from the device for a step?

It asks the device for segments and cuts blocks from them: small requests (up to 1 MiB) from segments of
2 MiB, others from segments of 20 MiB, or of their own size rounded up to 2 MiB from 10 MiB on. A request
gets the smallest free block that holds it; what is left of a block is split off, but for 1 MiB or less in
a large one; free neighbours are joined. Nothing is given back, unless the device has no memory left: then
all segments without a block in use are, before it is asked again.

Source: PyTorch's documentation, "CUDA semantics: memory management", and its c10/cuda/CUDACachingAllocator.cpp.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SMALL: Final = 1 << 20
SMALL_SEGMENT: Final = 2 << 20
LARGE_SEGMENT: Final = 20 << 20
OWN_SEGMENT: Final = 10 << 20
ROUND: Final = 2 << 20
BLOCK: Final = 512


class Allocator:
    """The allocator's books.

    Attributes:
        reserved: bytes taken from the device.
        most: the most that was reserved.
        allocated: bytes of blocks in use.
        peak: the most that was allocated.
    """

    def __init__(self, *, short: bool = False) -> None:
        """`short`: as where memory is always short, so that unused segments are given back before one is asked for."""
        self.reserved = 0
        self.most = 0
        self.allocated = 0
        self.peak = 0
        self._short = short
        self._next = 0
        self._segments: dict[int, int] = {}
        self._free: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])  # (size, address)
        self._size: dict[int, int] = {}  # of every block, by address
        self._before: dict[int, int] = {}  # its neighbours in its segment
        self._after: dict[int, int] = {}
        self._unused: set[int] = set()

    def malloc(self, size: int) -> int:
        """A block for a request; its address."""
        size = -(-max(size, 1) // BLOCK) * BLOCK
        pool = self._free[size > SMALL]
        index = bisect_left(pool, (size, -1))
        if index < len(pool):
            _, address = pool.pop(index)
            self._unused.discard(address)
        else:
            address = self._segment(size)
        left = self._size[address] - size
        if left >= BLOCK and (size <= SMALL or left > SMALL):
            self._split(address, size, pool)
        self.allocated += self._size[address]
        self.peak = max(self.peak, self.allocated)
        return address

    def _segment(self, size: int) -> int:
        length = SMALL_SEGMENT if size <= SMALL else LARGE_SEGMENT if size < OWN_SEGMENT else -(-size // ROUND) * ROUND
        if self._short:
            self._give_back()
        address = self._next
        self._next += length
        self.reserved += length
        self.most = max(self.most, self.reserved)
        self._size[address] = self._segments[address] = length
        return address

    def _give_back(self) -> None:
        """Return the segments in which no block is used."""
        for pool in self._free:
            for block in [(size, at) for size, at in pool if self._segments.get(at) == size]:
                pool.remove(block)
                size, at = block
                del self._segments[at], self._size[at]
                self._unused.discard(at)
                self.reserved -= size

    def _split(self, address: int, size: int, pool: list[tuple[int, int]]) -> None:
        rest, left = address + size, self._size[address] - size
        self._size[address], self._size[rest] = size, left
        if (after := self._after.get(address)) is not None:
            self._after[rest], self._before[after] = after, rest
        self._after[address], self._before[rest] = rest, address
        self._unused.add(rest)
        insort(pool, (left, rest))

    def free(self, address: int, requested: int) -> None:
        """A block is not used any more."""
        pool = self._free[-(-max(requested, 1) // BLOCK) * BLOCK > SMALL]
        self.allocated -= self._size[address]
        before = self._before.get(address)
        if before is not None and before in self._unused:
            self._take(before, pool)
            address = self._joined(before, address)
        after = self._after.get(address)
        if after is not None and after in self._unused:
            self._take(after, pool)
            address = self._joined(address, after)
        self._unused.add(address)
        insort(pool, (self._size[address], address))

    def _take(self, address: int, pool: list[tuple[int, int]]) -> None:
        del pool[bisect_left(pool, (self._size[address], address))]
        self._unused.discard(address)

    def _joined(self, first: int, second: int) -> int:
        self._size[first] += self._size.pop(second)
        self._before.pop(second, None)
        after = self._after.pop(second, None)
        if after is None:
            self._after.pop(first, None)
        else:
            self._after[first], self._before[after] = after, first
        return first


def replay(
    sizes: Sequence[int], events: Iterable[int], persistent: int, times: int = 2, *, short: bool = False
) -> Allocator:
    """The books after a step is made `times` times.

    Args:
        sizes: bytes of each storage.
        events: their numbers from 1, negative where one is freed.
        persistent: how many of the first events make what outlives a step.
        short: whether memory is short all the time.
    """
    books = Allocator(short=short)
    every = list(events)
    for event in every[:persistent]:
        books.malloc(sizes[event - 1])
    for _ in range(times):
        at: dict[int, int] = {}
        for event in every[persistent:]:
            if event > 0:
                at[event] = books.malloc(sizes[event - 1])
            else:
                books.free(at.pop(-event), sizes[-event - 1])
        for number, address in at.items():
            books.free(address, sizes[number - 1])
    return books
