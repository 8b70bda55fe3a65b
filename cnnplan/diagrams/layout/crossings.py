"""How many edges cross between rows."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.diagrams.layout.rows import Joint


def share(place: int, offset: float, widths: Sequence[float]) -> float:
    """An offset as a share of the place's width, so that joints of one place keep their order."""
    return 0.9 * offset / widths[place] if place < len(widths) and widths[place] else 0.0


def crossings(order: Sequence[Sequence[int]], below: Sequence[Sequence[Joint]], widths: Sequence[float]) -> int:
    """Pairs of joints between neighbouring rows that cross.

    Source: Barth, Mutzel & Jünger 2004, doi:10.7155/jgaa.00088.
    """
    total = 0
    for row, following in pairwise(order):
        position = {place: index for index, place in enumerate(following)}
        ends = [
            (index + share(place, here, widths), position[other] + share(other, there, widths))
            for index, place in enumerate(row)
            for other, here, there in below[place]
        ]
        ends.sort()
        total += _inversions([end for _, end in ends])
    return total


def _inversions(ends: Sequence[float]) -> int:
    """Pairs that stand in falling order, counted with a tree of sums."""
    numbers = {end: index + 1 for index, end in enumerate(sorted(set(ends)))}
    tree = [0] * (len(numbers) + 1)
    total = 0
    for seen, end in enumerate(ends):
        index = numbers[end]
        not_above = 0
        while index:
            not_above += tree[index]
            index &= index - 1
        total += seen - not_above
        index = numbers[end]
        while index < len(tree):
            tree[index] += 1
            index += index & -index
    return total
