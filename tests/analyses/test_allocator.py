"""The caching allocator: worked by hand, against a plain model of the same rules, and what holds of any books.

The rules are those of PyTorch's c10/cuda/CUDACachingAllocator.cpp with its default settings: blocks of 512
bytes; requests up to 1 MiB from segments of 2 MiB, others from segments of 20 MiB, from 10 MiB on from segments
of their own, rounded up to 2 MiB; the smallest free block that is large enough, the one at the lowest address
first; what is left is split off, from large blocks only where it is more than 1 MiB.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnnplan.analyses import allocator
from cnnplan.analyses.allocator import Allocator, replay

KIB, MIB = 1 << 10, 1 << 20

Steps = list[tuple[int, int, int]]
"""What is asked for, or minus the number of the request that is given back; then what is reserved and allocated."""

SEQUENCES: dict[str, Steps] = {
    "a byte": [(1, 2 * MIB, 512)],
    "nothing": [(0, 2 * MIB, 512)],
    "a block": [(512, 2 * MIB, 512)],
    "a byte more": [(513, 2 * MIB, 1024)],
    "a MiB is small": [(MIB, 2 * MIB, MIB), (MIB, 2 * MIB, 2 * MIB), (MIB, 4 * MIB, 3 * MIB)],
    "a byte over a MiB is large": [(MIB + 1, 20 * MIB, MIB + 512)],
    "small ones fill no large segment": [(5 * MIB, 20 * MIB, 5 * MIB), (512, 22 * MIB, 5 * MIB + 512)],
    "below 10 MiB, a segment of 20": [(10 * MIB - 512, 20 * MIB, 10 * MIB - 512)],
    "10 MiB take the rest of it, 512 bytes more": [
        (10 * MIB - 512, 20 * MIB, 10 * MIB - 512),
        (10 * MIB, 20 * MIB, 20 * MIB),
    ],
    "10 MiB, a segment of its own": [(10 * MIB, 10 * MIB, 10 * MIB)],
    "11 MiB are 12, and the rest of a MiB is not split off": [(11 * MIB, 12 * MIB, 12 * MIB)],
    "13 MiB are 14, of which a MiB stays": [
        (13 * MIB - 512, 14 * MIB, 13 * MIB - 512),
        (MIB + 512, 14 * MIB, 14 * MIB),
    ],
    "two large ones in one segment": [(9 * MIB, 20 * MIB, 9 * MIB), (9 * MIB, 20 * MIB, 18 * MIB)],
    "what is left, 2 MiB, takes one more": [
        (9 * MIB, 20 * MIB, 9 * MIB),
        (9 * MIB, 20 * MIB, 18 * MIB),
        (2 * MIB, 20 * MIB, 20 * MIB),
        (2 * MIB, 40 * MIB, 22 * MIB),
    ],
    "given back, and taken again": [
        (300 * KIB, 2 * MIB, 300 * KIB),
        (-1, 2 * MIB, 0),
        (2 * MIB - 512, 22 * MIB, 2 * MIB - 512),
        (MIB, 22 * MIB, 3 * MIB - 512),
        (MIB, 22 * MIB, 4 * MIB - 512),
    ],
    "the smallest hole that holds it": [
        (1 * MIB + 512, 20 * MIB, 1 * MIB + 512),  # four in a row, 20 MiB in all
        (4 * MIB, 20 * MIB, 5 * MIB + 512),
        (3 * MIB, 20 * MIB, 8 * MIB + 512),
        (2 * MIB, 20 * MIB, 10 * MIB + 512),
        (-2, 20 * MIB, 6 * MIB + 512),  # holes of 4 MiB, and of 10 MiB less 512 bytes at the end
        (4 * MIB, 20 * MIB, 10 * MIB + 512),  # fills the first hole
        (9 * MIB, 20 * MIB, 20 * MIB),  # the last: less than a MiB would be left, and is not split off
    ],
    "neighbours are joined": [
        (2 * MIB, 20 * MIB, 2 * MIB),
        (2 * MIB, 20 * MIB, 4 * MIB),
        (2 * MIB, 20 * MIB, 6 * MIB),
        (-1, 20 * MIB, 4 * MIB),
        (-2, 20 * MIB, 2 * MIB),
        (4 * MIB, 20 * MIB, 6 * MIB),  # the hole of both
        (13 * MIB, 20 * MIB, 20 * MIB),  # 14 MiB are left: one is not split off
    ],
    "three holes become one": [
        (6 * MIB, 20 * MIB, 6 * MIB),
        (6 * MIB, 20 * MIB, 12 * MIB),
        (6 * MIB, 20 * MIB, 18 * MIB),
        (-1, 20 * MIB, 12 * MIB),
        (-3, 20 * MIB, 6 * MIB),
        (-2, 20 * MIB, 0),
        (20 * MIB, 20 * MIB, 20 * MIB),
    ],
}


def follow(steps: list[int]) -> list[tuple[int, int]]:
    """What is reserved and allocated after each request."""
    books, at, found = Allocator(), {}, []
    asked = 0
    for step in steps:
        if step >= 0:
            asked += 1
            at[asked] = books.malloc(step), step
        else:
            books.free(*at.pop(-step))
        found.append((books.reserved, books.allocated))
    return found


@pytest.mark.parametrize("name", SEQUENCES)
def test_by_hand(name: str) -> None:
    steps = SEQUENCES[name]
    assert follow([step for step, _, _ in steps]) == [(reserved, allocated) for _, reserved, allocated in steps]


def test_the_constants_are_those_of_torch() -> None:
    """Its own header has them, since it has one."""
    header = Path(torch.__file__).parent / "include/c10/core/AllocatorConfig.h"
    text = header.read_text(encoding="utf-8") if header.exists() else ""
    found = {name: int(size) for name, size in re.findall(r"constexpr size_t (k\w+) = (\d+);", text)}
    found |= {name: int(size) for name, size in re.findall(r"(large_segment_size_)\{(\d+)\}", text)}
    if len(found) < 6:
        pytest.skip("this torch keeps them in its sources alone")
    assert found == {
        "kMinBlockSize": allocator.BLOCK,
        "kSmallSize": allocator.SMALL,
        "kSmallBuffer": allocator.SMALL_SEGMENT,
        "kMinLargeAlloc": allocator.OWN_SEGMENT,
        "kRoundLarge": allocator.ROUND,
        "large_segment_size_": allocator.LARGE_SEGMENT,
    }


# ------------------------------------------------------------------------- a plain model


class Block(NamedTuple):
    """A part of a segment."""

    address: int
    size: int
    used: bool


class Plain:
    """Segments as lists of blocks, searched from end to end.

    Where memory is `short`, segments that are free as a whole go back before another one is asked for.
    """

    def __init__(self, *, short: bool = False) -> None:
        self.segments: list[tuple[bool, list[Block]]] = []
        self.short = short
        self.end = 0
        self.most = 0

    @property
    def reserved(self) -> int:
        return sum(b.size for _, blocks in self.segments for b in blocks)

    @property
    def allocated(self) -> int:
        return sum(b.size for _, blocks in self.segments for b in blocks if b.used)

    def malloc(self, request: int) -> int:
        size = max(512, (request + 511) // 512 * 512)
        small = size <= MIB
        free = [
            (b.size, b.address, blocks, i)
            for kind, blocks in self.segments
            for i, b in enumerate(blocks)
            if kind == small and not b.used and b.size >= size
        ]
        if not free:
            whole = 2 * MIB if small else 20 * MIB if size < 10 * MIB else (size + 2 * MIB - 1) // (2 * MIB) * (2 * MIB)
            if self.short:
                self.segments = [one for one in self.segments if any(b.used for b in one[1])]
            blocks = [Block(self.end, whole, False)]
            self.end += whole
            self.segments.append((small, blocks))
            self.most = max(self.most, self.reserved)
            free = [(whole, blocks[0].address, blocks, 0)]
        found, address, blocks, i = min(free, key=lambda one: one[:2])
        left = found - size
        if left >= 512 if small else left > MIB:
            blocks[i : i + 1] = [Block(address, size, True), Block(address + size, left, False)]
        else:
            blocks[i] = Block(address, found, True)
        return address

    def free(self, address: int) -> None:
        for _, blocks in self.segments:
            for i, block in enumerate(blocks):
                if block.address == address:
                    blocks[i] = block._replace(used=False)
            i = 0
            while i + 1 < len(blocks):
                one, other = blocks[i], blocks[i + 1]
                if one.used or other.used:
                    i += 1
                else:
                    blocks[i : i + 2] = [Block(one.address, one.size + other.size, False)]


near = st.sampled_from(
    [512, 4 * KIB, 128 * KIB, MIB, 2 * MIB, 9 * MIB, 10 * MIB, 11 * MIB, 12 * MIB, 20 * MIB, 33 * MIB]
)
requests = st.one_of(
    st.integers(0, 4 * KIB),
    st.integers(0, 2 * MIB),
    st.integers(0, 30 * MIB),
    st.builds(int.__add__, near, st.sampled_from([-512, -1, 0, 1, 512, MIB, MIB + 512])),
)
steps = st.lists(st.tuples(st.booleans(), requests, st.integers(0, 1 << 30)), max_size=60)
"""Whether something is asked for, how much; or which of what is in use is given back."""


@given(steps, st.booleans())
def test_any_requests(taken: list[tuple[bool, int, int]], short: bool) -> None:
    """Address by address as the plain model; and blocks that are in use never overlap."""
    books, plain = Allocator(short=short), Plain(short=short)
    used: dict[int, int] = {}
    most = 0
    for wanted, size, which in taken:
        if wanted or not used:
            address = books.malloc(size)
            assert address == plain.malloc(size)
            for other, length in used.items():
                assert address + size <= other or other + length <= address
            assert address not in used
            used[address] = size
        else:
            address = list(used)[which % len(used)]
            books.free(address, used.pop(address))
            plain.free(address)
        assert (books.reserved, books.allocated, books.most) == (plain.reserved, plain.allocated, plain.most)
        assert books.reserved >= books.allocated >= sum(used.values())
        most = max(most, books.allocated)
        assert books.peak == most
    reserved = books.reserved
    for address, size in used.items():
        books.free(address, size)
    assert books.allocated == 0
    assert books.reserved == reserved  # nothing is given back to the device
    for address in used:
        plain.free(address)
    for _, blocks in plain.segments:
        (whole,) = blocks  # joined again
        assert whole.size % (2 * MIB) == 0


def test_short_of_memory() -> None:
    """By hand: 12 MiB given back do not hold 14, so 26 are taken; where memory is short, 12 go back before."""
    for short, reserved in ((False, 26 * MIB), (True, 14 * MIB)):
        books = Allocator(short=short)
        books.free(books.malloc(12 * MIB), 12 * MIB)
        books.malloc(14 * MIB)
        assert (books.reserved, books.most, books.allocated) == (reserved, reserved, 14 * MIB)
    books = Allocator(short=True)
    books.malloc(512)  # it shares its segment with nothing, but uses it
    kept, gone = books.malloc(9 * MIB), books.malloc(12 * MIB)
    books.free(gone, 12 * MIB)
    books.malloc(16 * MIB)
    assert (books.reserved, books.most) == ((2 + 20 + 16) * MIB, (2 + 20 + 16) * MIB)
    books.free(kept, 9 * MIB)
    books.malloc(18 * MIB)  # fits into the 20 MiB that are free
    assert books.reserved == (2 + 20 + 16) * MIB


# ------------------------------------------------------------------------- steps


def test_a_step_twice() -> None:
    """3 MiB stay; a step takes 8 MiB, gives them back, and takes 9 and 4: by hand.

    The first of 20 MiB: 3, then 8 of 17. Given back, 17 are free: 9, then 4, and 4 are left. The second step
    finds the 4 and 13 joined again: the same places. So 20 MiB are enough, and 16 are in use at most.
    """
    sizes = [3 * MIB, 8 * MIB, 9 * MIB, 4 * MIB]
    books = replay(sizes, [1, 2, -2, 3, 4, -3], persistent=1)
    assert (books.reserved, books.peak, books.allocated) == (20 * MIB, 16 * MIB, 3 * MIB)


def test_pieces_cost_a_segment() -> None:
    """9 and 9 MiB fill the first segment to 2; one given back leaves a hole that 9.5 MiB do not fit into."""
    sizes = [9 * MIB, 9 * MIB, 9 * MIB + MIB // 2]
    books = replay(sizes, [1, 2, -1, 3], persistent=0, times=1)
    assert (books.reserved, books.peak) == (40 * MIB, 18 * MIB + MIB // 2)


events = st.lists(st.tuples(st.integers(1, 12 * MIB), st.integers(0, 12)), min_size=1, max_size=12)


@given(events, st.integers(0, 3), st.integers(1, 3), st.booleans())
def test_any_step(storages: list[tuple[int, int]], persistent: int, times: int, short: bool) -> None:
    """As the plain model, with what lives on between steps made once, and all else given back in between."""
    sizes = [size for size, _ in storages]
    persistent = min(persistent, len(sizes))
    made = [*range(1, len(sizes) + 1)]
    for number, (_, when) in enumerate(storages, start=1):
        if number > persistent and when < 10:  # the others live to the end of the step
            at = next(i for i, event in enumerate(made) if event == number)
            made.insert(min(len(made), at + 1 + when), -number)
    books = replay(sizes, made, persistent, times, short=short)
    plain, most = Plain(short=short), 0
    for number in range(1, persistent + 1):
        plain.malloc(sizes[number - 1])
    held = plain.allocated
    for _ in range(times):
        at_step: dict[int, int] = {}
        for event in made[persistent:]:
            if event > 0:
                at_step[event] = plain.malloc(sizes[event - 1])
            else:
                plain.free(at_step.pop(-event))
            most = max(most, plain.allocated)
        for address in at_step.values():
            plain.free(address)
    assert (books.reserved, books.most) == (plain.reserved, plain.most)
    assert (books.peak, books.allocated) == (max(most, held), held)
