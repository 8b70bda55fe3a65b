"""x of each place: as straight as can be, the means of four layouts that lean to each side.

Each layout aligns every place with the median of its neighbours in the row before, or behind, from one side: a unit
with a unit rather than with an edge that comes from afar, an edge with itself. Aligned places form columns that move
as one, which are pushed together as far as the distances allow. Joints away from the middle of a unit shift it within
its column; units with several joints have their middles aligned.

Source: Brandes & Köpf 2002, doi:10.1007/3-540-45848-4_3; Rüegg et al. 2016, doi:10.1007/978-3-319-27261-0_12 (joints).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.diagrams.layout.rows import Joint, Rows


MOST_LEANING = 400.0
"""How far a column leans to a side, in all, where units are joined away from their middles."""


def columns(made: Rows, widths: Sequence[float], gaps: tuple[float, float]) -> list[float]:
    """The middle of each place.

    Args:
        widths: of the units, which come first; places behind them are those of edges.
        gaps: between two units, and between anything and an edge.
    """
    crossed = _conflicts(made, len(widths))
    found = []
    for upward in (False, True):
        for rightmost in (False, True):
            root, shift = _aligned(made, len(widths), crossed, upward, rightmost)
            found.append(_packed(made, root, shift, widths, gaps, rightmost))
    return _balanced(found, widths)


def _conflicts(made: Rows, units: int) -> set[tuple[int, int]]:
    """Joints that cross one between two places of long edges: those are to be straight."""
    found: set[tuple[int, int]] = set()
    for upper, lower in pairwise(made.order):
        position = {place: index for index, place in enumerate(upper)}
        start, left = 0, 0
        for index, place in enumerate(lower):
            inner = next((a for a, _, _ in made.above[place] if a >= units), None) if place >= units else None
            if inner is None and index < len(lower) - 1:
                continue
            right = position[inner] if inner is not None else len(upper) - 1
            for other in lower[start : index + 1]:
                for a, _, _ in made.above[other]:
                    if not left <= position[a] <= right and not (a >= units and other >= units):
                        found.add((a, other))
            start, left = index + 1, right
    return found


def _aligned(
    made: Rows, units: int, crossed: set[tuple[int, int]], upward: bool, rightmost: bool
) -> tuple[list[int], list[float]]:
    """For each place the first of its column, and how far right of that it stands."""
    root = list(range(len(made.rank)))
    shift = [0.0] * len(root)
    order = made.order[::-1] if upward else made.order
    joints, back = (made.below, made.above) if upward else (made.above, made.below)
    position = {place: index for row in made.order for index, place in enumerate(row)}
    taken: set[int] = set()
    for row in order:
        limit = len(position) if rightmost else -1
        for place in reversed(row) if rightmost else row:
            near = sorted(_fitting(place, joints, back, units), key=lambda joint: (position[joint[0]], joint[2]))
            if not near:
                continue
            middle = (len(near) - 1) // 2, len(near) // 2
            for index in dict.fromkeys(reversed(middle) if rightmost else middle):
                other, here, there = near[index]
                pair = (place, other) if upward else (other, place)
                beyond = position[other] < limit if rightmost else position[other] > limit
                leans = shift[other]
                if sum(joint[0] == other for joint in near) == 1:
                    leans += there - here
                if other not in taken and beyond and pair not in crossed and abs(leans) < MOST_LEANING:
                    taken.add(other)
                    root[place] = root[other]
                    shift[place] = leans
                    limit = position[other]
                    break
    return root, shift


def _fitting(
    place: int, joints: Sequence[Sequence[Joint]], back: Sequence[Sequence[Joint]], units: int
) -> Sequence[Joint]:
    """The joints that a place may be straight with: a unit with a unit, an edge with itself.

    With the other kind only where neither of the two has one of its own.
    """
    is_edge = place >= units
    own = [joint for joint in joints[place] if (joint[0] >= units) == is_edge]
    return own or [
        joint for joint in joints[place] if all((other >= units) == is_edge for other, _, _ in back[joint[0]])
    ]


def _packed(
    made: Rows,
    root: Sequence[int],
    shift: Sequence[float],
    widths: Sequence[float],
    gaps: tuple[float, float],
    rightmost: bool,
) -> list[float]:
    """x of each place, where columns are pushed to the left, or to the right, as far as their distances allow."""
    units = len(widths)
    sign = -1.0 if rightmost else 1.0
    before: dict[int, dict[int, float]] = {}
    behind: dict[int, dict[int, float]] = {}
    for row in made.order:
        ordered = row[::-1] if rightmost else row
        for a, b in pairwise(ordered):
            apart = (widths[a] if a < units else 0.0) / 2 + (widths[b] if b < units else 0.0) / 2
            apart += gaps[0] if a < units and b < units else gaps[1]
            apart += sign * (shift[a] - shift[b])
            first, second = root[a], root[b]
            known = before.setdefault(second, {})
            known[first] = max(known.get(first, -1e18), apart)
            behind.setdefault(first, {})[second] = known[first]
    roots = list(dict.fromkeys(root))
    sorted_roots = _topological(roots, before, behind)
    x: dict[int, float] = {}
    for column in sorted_roots:
        x[column] = max((x[other] + apart for other, apart in before.get(column, {}).items()), default=0.0)
    for column in reversed(sorted_roots):  # what has room is drawn near to what follows
        if column in behind:
            nearest = min(x[other] - before[other][column] for other in behind[column])
            x[column] = max(x[column], nearest)
    return [sign * x[root[place]] + shift[place] for place in range(len(root))]


def _topological(
    roots: Sequence[int], before: dict[int, dict[int, float]], behind: dict[int, dict[int, float]]
) -> list[int]:
    missing = {column: len(before.get(column, {})) for column in roots}
    ready = [column for column in roots if not missing[column]]
    for column in ready:
        for other in behind.get(column, {}):
            missing[other] -= 1
            if not missing[other]:
                ready.append(other)
    assert len(ready) == len(roots), "columns cross"
    return ready


def _balanced(found: Sequence[list[float]], widths: Sequence[float]) -> list[float]:
    """The four layouts moved over the narrowest of them; of each place, the mean of the two in the middle."""

    def ends(xs: Sequence[float]) -> tuple[float, float]:
        half = [(w / 2) for w in widths] + [0.0] * (len(xs) - len(widths))
        pairs = list(zip(xs, half, strict=True))
        return min(x - h for x, h in pairs), max(x + h for x, h in pairs)

    spans = [ends(xs) for xs in found]
    narrow = min(range(len(found)), key=lambda i: (spans[i][1] - spans[i][0], i))
    low, high = spans[narrow]
    moved = []
    for index, xs in enumerate(found):
        by = low - spans[index][0] if index % 2 == 0 else high - spans[index][1]
        moved.append([x + by for x in xs])
    return [sum(sorted(four)[1:3]) / 2 for four in zip(*moved, strict=True)]
