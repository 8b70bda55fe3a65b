"""The rows of a level: long edges get a place in each row that they pass, and each row gets its order.

Orders are improved by sweeps: each place goes to the mean of its neighbours in the row before, down and up again,
and the order with the fewest crossings is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cnnplan.diagrams.layout.crossings import crossings, share
from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

MAX_PLACES = 200_000
"""Boxes, and places that long edges pass: a picture of more is read by nobody, and its layout would take minutes."""

SWEEPS = 12
PATIENCE = 4
"""Sweeps without a gain, and no more are tried."""

ENOUGH = 600_000
"""Steps of sweeping in all: large levels are swept less often."""


Joint = tuple[int, float, float]
"""Of a place: another one, where on this place the joint is, and where on the other, right of their middles."""


class Link(NamedTuple):
    """An edge of one level.

    Attributes:
        source, target: units.
        trunk: links of one source and trunk share their way as far as they can.
        leaves, enters: where on the units it begins and ends, right of their middles.
        room: what its beginning takes on the source, for a label; then `leaves` is found with the order of the rows.
    """

    source: int
    target: int
    trunk: Hashable
    leaves: float = 0.0
    enters: float = 0.0
    room: float = 0.0


class Rows(NamedTuple):
    """Places in rows.

    Attributes:
        rank: the row of each place; the units come first, then the places that edges pass.
        order: of each row, its places from left to right.
        above, below: of each place, those it is joined to in the row before and behind.
        before: of each place of an edge, the place before it on its way.
        first: of each trunk, by its source, the place that its edges pass first.
        last: of each link, the place before its target: the source, where it is short.
    """

    rank: list[int]
    order: list[list[int]]
    above: list[list[Joint]]
    below: list[list[Joint]]
    before: list[int]
    first: dict[tuple[int, Hashable], int]
    last: list[int]


def rows(rank: Sequence[int], links: Sequence[Link], widths: Sequence[float], ordered: bool) -> Rows:
    """The rows of units whose ranks are given, in a good order; `ordered`: the first row keeps its own.

    Raises:
        UsageError: there are too many places.
    """
    ranks = list(rank)
    before = list(range(len(ranks)))
    first: dict[tuple[int, Hashable], int] = {}
    lengths: dict[tuple[int, Hashable], int] = {}
    for link in links:
        key = link.source, link.trunk
        lengths[key] = max(lengths.get(key, 0), ranks[link.target] - ranks[link.source] - 1)
    if len(ranks) + sum(lengths.values()) > MAX_PLACES:
        raise UsageError(
            f"a picture of more than {MAX_PLACES:,} boxes and places that edges pass is too large to draw; "
            "draw fewer levels with --depth, or --format dot for graphviz"
        )
    for (source, trunk), length in lengths.items():
        if length:
            first[source, trunk] = len(ranks)
            before += [source, *range(len(ranks), len(ranks) + length - 1)]
            ranks += range(ranks[source] + 1, ranks[source] + 1 + length)
    last = []
    for link in links:
        passed = ranks[link.target] - ranks[link.source] - 1
        last.append(first[link.source, link.trunk] + passed - 1 if passed else link.source)
    above, below = joints(len(ranks), links, before, first, last)
    made = Rows(ranks, _first(ranks, below), above, below, before, first, last)
    return made._replace(order=_swept(made, widths, ordered))


def joints(
    count: int,
    links: Sequence[Link],
    before: Sequence[int],
    first: Mapping[tuple[int, Hashable], int],
    last: Sequence[int],
) -> tuple[list[list[Joint]], list[list[Joint]]]:
    """Of each place, its joints with the row before and with the row behind."""
    above: list[dict[Joint, None]] = [{} for _ in range(count)]
    below: list[dict[Joint, None]] = [{} for _ in range(count)]

    def join(a: int, b: int, here: float, there: float) -> None:
        below[a][b, here, there] = None
        above[b][a, there, here] = None

    for link, place in zip(links, last, strict=True):
        join(place, link.target, link.leaves if place == link.source else 0.0, link.enters)
        if place != link.source:
            start = first[link.source, link.trunk]
            join(link.source, start, link.leaves, 0.0)
    starts = set(first.values())
    for place, other in enumerate(before):
        if other != place and place not in starts:
            join(other, place, 0.0, 0.0)
    return [list(found) for found in above], [list(found) for found in below]


def _first(ranks: Sequence[int], below: Sequence[Sequence[Joint]]) -> list[list[int]]:
    """An order to begin with: depth first, so that what leaves a box early lies beside what leaves it late."""
    order: list[list[int]] = [[] for _ in range(max(ranks, default=-1) + 1)]
    seen = [False] * len(ranks)
    for start in sorted(range(len(ranks)), key=lambda place: (ranks[place], place)):
        stack = [start]
        while stack:
            place = stack.pop()
            if seen[place]:
                continue
            seen[place] = True
            order[ranks[place]].append(place)
            stack.extend(b for b, _, _ in reversed(below[place]) if not seen[b])
    return order


def _swept(made: Rows, widths: Sequence[float], ordered: bool) -> list[list[int]]:
    order = [list(row) for row in made.order]
    best, least = [list(row) for row in order], crossings(order, made.below, widths)
    work = sum(len(joints) + 1 for joints in made.above)
    idle = 0
    for sweep in range(min(SWEEPS, max(2, ENOUGH // max(work, 1)))):
        if not least or idle == PATIENCE:
            break
        idle += 1
        down = sweep % 2 == 0
        indexes = range(1, len(order)) if down else range(len(order) - 2, int(ordered) - 1, -1)
        joints = made.above if down else made.below
        for index in indexes:
            _sorted(order[index], order[index - 1 if down else index + 1], joints, widths)
        if (now := crossings(order, made.below, widths)) < least:
            best, least, idle = [list(row) for row in order], now, 0
    return best


def _sorted(row: list[int], fixed: Sequence[int], joints: Sequence[Sequence[Joint]], widths: Sequence[float]) -> None:
    """Order a row by the means of its places' neighbours; what has none keeps its index."""
    position = {place: index for index, place in enumerate(fixed)}
    wanted = {}
    for index, place in enumerate(row):
        spots = [position[other] + share(other, there, widths) for other, _, there in joints[place]]
        wanted[place] = sum(spots) / len(spots) if spots else float(index)
    row.sort(key=wanted.__getitem__)
