"""A common subsequence of two sequences: the shortest edit where they are alike, a good one in any case.

Source: Myers 1986, doi:10.1007/BF01840446, for the shortest edit.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

Pairs: TypeAlias = list[tuple[int, int]]
"""Indexes into both sequences, rising in both."""

MOST_EDITS = 600
"""Shortest edits of more insertions and removals are not looked for: their number is squared in the time."""
DEEPEST = 4


def common(a: Sequence[Hashable], b: Sequence[Hashable], level: int = 0) -> Pairs:
    """Where equal elements stand in both, in order; in a time that does not grow with the square of the length."""
    start, end = 0, 0
    least = min(len(a), len(b))
    while start < least and a[start] == b[start]:
        start += 1
    while end < least - start and a[-1 - end] == b[-1 - end]:
        end += 1
    found = [(i, i) for i in range(start)]
    inner = _inside(a[start : len(a) - end], b[start : len(b) - end], level)
    found += [(start + i, start + j) for i, j in inner]
    found += [(len(a) - i, len(b) - i) for i in range(end, 0, -1)]
    return found


def _inside(a: Sequence[Hashable], b: Sequence[Hashable], level: int) -> Pairs:
    """The same for sequences that differ at both ends."""
    if not a or not b or set(a).isdisjoint(b):
        return []
    found = _shortest_edit(a, b)
    if found is not None:
        return found
    anchors = _by_ordinal(a, b)
    if level >= DEEPEST:
        return anchors
    found = []
    for (i, j), (next_i, next_j) in gaps(anchors, len(a), len(b)):
        inner = common(a[i:next_i], b[j:next_j], level + 1)
        found += [(i + x, j + y) for x, y in inner]
        if next_i < len(a) and next_j < len(b):
            found.append((next_i, next_j))
    return found


def gaps(pairs: Pairs, length: int, other: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """What lies before, between and behind pairs: where each part begins, and where it ends."""
    i = j = 0
    for pair in [*pairs, (length, other)]:
        yield (i, j), pair
        i, j = pair[0] + 1, pair[1] + 1


def _shortest_edit(a: Sequence[Hashable], b: Sequence[Hashable]) -> Pairs | None:
    """What the shortest edit keeps; None where that has more than `MOST_EDITS` steps."""
    n, m = len(a), len(b)
    reached = {1: 0}
    trace: list[dict[int, int]] = []
    for edits in range(min(n + m, MOST_EDITS) + 1):
        trace.append(reached.copy())
        for k in range(-edits, edits + 1, 2):
            down = k == -edits or (k != edits and reached[k - 1] < reached[k + 1])
            x = reached[k + 1] if down else reached[k - 1] + 1
            y = x - k
            while x < n and y < m and a[x] == b[y]:
                x, y = x + 1, y + 1
            reached[k] = x
            if x >= n and y >= m:
                return _walked_back(trace, n, m)
    return None


def _walked_back(trace: Sequence[dict[int, int]], x: int, y: int) -> Pairs:
    found: Pairs = []
    for edits in range(len(trace) - 1, -1, -1):
        reached, k = trace[edits], x - y
        down = k == -edits or (k != edits and reached[k - 1] < reached[k + 1])
        before = k + 1 if down else k - 1
        before_x = reached[before]
        before_y = before_x - before
        while x > before_x and y > before_y and x > 0 and y > 0:
            x, y = x - 1, y - 1
            found.append((x, y))
        x, y = before_x, before_y
    return found[::-1]


def _by_ordinal(a: Sequence[Hashable], b: Sequence[Hashable]) -> Pairs:
    """The most pairs in order among the first occurrences of each element in both, the second ones, and so on."""
    seen: dict[Hashable, int] = {}
    places: dict[tuple[Hashable, int], int] = {}
    for j, element in enumerate(b):
        seen[element] = ordinal = seen.get(element, 0) + 1
        places[element, ordinal] = j
    seen.clear()
    ends: list[int] = []  # of the chains of each length so far: the smallest last place in b, and its pair
    chains: list[int] = []
    pairs: list[tuple[int, int, int]] = []
    for i, element in enumerate(a):
        seen[element] = ordinal = seen.get(element, 0) + 1
        place = places.get((element, ordinal))
        if place is None:
            continue
        length = bisect_left(ends, place)
        pairs.append((i, place, chains[length - 1] if length else -1))
        if length == len(ends):
            ends.append(place)
            chains.append(len(pairs) - 1)
        else:
            ends[length], chains[length] = place, len(pairs) - 1
    found: Pairs = []
    at = chains[-1] if chains else -1
    while at >= 0:
        i, j, at = pairs[at]
        found.append((i, j))
    return found[::-1]
