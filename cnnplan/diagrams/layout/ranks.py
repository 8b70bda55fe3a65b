"""In which row a unit is drawn: below all that it reads, by the longest path."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def ranks(count: int, links: Collection[tuple[int, int]], entries: int, exits: int) -> list[int]:
    """The row of each unit, from 0.

    Args:
        count: how many units there are; links lead from lower numbers to higher ones.
        links: from which unit to which.
        entries: so many units, the first ones, share a row of their own at the top.
        exits: so many, the last ones, share one at the bottom.
    """
    before: list[list[int]] = [[] for _ in range(count)]
    behind: list[list[int]] = [[] for _ in range(count)]
    for a, b in links:
        before[b].append(a)
        behind[a].append(b)
    inner = range(entries, count - exits)
    found = [0] * count
    top = 1 if entries else 0
    for unit in inner:
        found[unit] = max([top, *(found[a] + 1 for a in before[unit])])
    for unit in reversed(inner):  # what reads nothing stands just above its first reader
        if not before[unit] and (readers := [found[b] for b in behind[unit] if b in inner]):
            found[unit] = max(top, min(readers) - 1)
    bottom = max((found[unit] for unit in inner), default=top - 1) + 1
    found[count - exits :] = [bottom] * exits
    return _compact(found)


def _compact(found: Sequence[int]) -> list[int]:
    """The same without empty rows."""
    numbers = {rank: index for index, rank in enumerate(sorted(set(found)))}
    return [numbers[rank] for rank in found]
