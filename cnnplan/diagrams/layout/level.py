"""One level: units of given sizes and links between them become places and routes.

A route is straight within rows, beside the units in them, and bends only between rows: it cannot cross a unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cnnplan.diagrams.layout.columns import columns
from cnnplan.diagrams.layout.ends import begun, spread
from cnnplan.diagrams.layout.ranks import ranks
from cnnplan.diagrams.layout.rows import Link, Rows, joints, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

Point = tuple[float, float]

GAPS = (26.0, 15.0)
"""Between units side by side, and beside an edge."""

BETWEEN = 24.0
"""Between rows, at least; more where edges go far to the side, or bear a label."""

AT_FRAME = 8.0
"""The same between a frame and what is in it, where edges go straight."""

MOST_BETWEEN = 72.0
STEEP = 0.1
"""How much of the way to the side is added to the distance of the rows."""


class Level(NamedTuple):
    """Places on one level, from its left upper corner.

    Attributes:
        width, height: of the whole.
        corners: the left upper corner of each unit.
        routes: of each link, points to go through: straight down where x stays, else in a smooth bend. Where it
            leaves the way of another link of its trunk, it begins there.
        begins: of each link, whether its route begins at its source, as the first of its trunk.
    """

    width: float
    height: float
    corners: list[Point]
    routes: list[list[Point]]
    begins: list[bool]


def level(
    sizes: Sequence[Point],
    links: Sequence[Link],
    entries: int,
    exits: int,
    fixed: Sequence[bool],
    ordered: bool,
) -> Level:
    """Lay out a level.

    Args:
        sizes: width and height of each unit.
        links: from units of lower number to those of higher.
        entries, exits: so many units are ports, at the top and at the bottom.
        fixed: whether links end at fixed places of a unit; otherwise they are spread on its upper side.
        ordered: whether the entries keep their order.

    Raises:
        UsageError: it is too large.
    """
    widths = [width for width, _ in sizes]
    found = ranks(len(sizes), {(link.source, link.target) for link in links}, entries, exits)
    made = rows(found, links, widths, ordered)
    links = begun(links, made)
    above, below = joints(len(made.rank), links, made.before, made.first, made.last)
    made = made._replace(above=above, below=below)
    x = columns(made, widths, GAPS)
    left = min((x[i] - (widths[i] / 2 if i < len(widths) else 0.0) for i in range(len(x))), default=0.0)
    right = max((x[i] + (widths[i] / 2 if i < len(widths) else 0.0) for i in range(len(x))), default=0.0)
    x = [middle - left for middle in x]
    enters = spread(links, made, x, widths, fixed)
    tops, bottoms = _bands(sizes, links, made, x, enters, entries, exits)
    middles = [(tops[rank] + bottoms[rank]) / 2 for rank in found]
    corners = [(x[i] - w / 2, middles[i] - h / 2) for i, (w, h) in enumerate(sizes)]
    routes, begins = _routes(links, made, x, enters, corners, sizes, tops, bottoms)
    return Level(right - left, bottoms[-1] if bottoms else 0.0, corners, routes, begins)


def _routes(
    links: Sequence[Link],
    made: Rows,
    x: Sequence[float],
    enters: Sequence[float],
    corners: Sequence[Point],
    sizes: Sequence[Point],
    tops: Sequence[float],
    bottoms: Sequence[float],
) -> tuple[list[list[Point]], list[bool]]:
    """The points of each link, from where it leaves those before it; and whether it is the first of its trunk."""
    routes, begins = [], []
    drawn: set[int] = set()
    begun: set[tuple[int, object]] = set()
    for link, end, last in zip(links, enters, made.last, strict=True):
        place = last
        way = [(x[link.target] + end, corners[link.target][1])]
        way.append((way[0][0], tops[made.rank[link.target]]))
        while place != link.source and place not in drawn:
            drawn.add(place)
            way += [(x[place], bottoms[made.rank[place]]), (x[place], tops[made.rank[place]])]
            place = made.before[place]
        if place == link.source:
            start = x[place] + link.leaves
            way += [(start, bottoms[made.rank[place]]), (start, corners[place][1] + sizes[place][1])]
        else:
            way.append((x[place], bottoms[made.rank[place]]))
        routes.append(way[::-1])
        begins.append(place == link.source and (place, link.trunk) not in begun)
        begun.add((link.source, link.trunk))
    return routes, begins


def _bands(
    sizes: Sequence[Point],
    links: Sequence[Link],
    made: Rows,
    x: Sequence[float],
    enters: Sequence[float],
    entries: int,
    exits: int,
) -> tuple[list[float], list[float]]:
    """The top and the bottom of each row."""
    count = len(made.order)
    heights = [0.0] * count
    for unit, (_, height) in enumerate(sizes):
        heights[made.rank[unit]] = max(heights[made.rank[unit]], height)
    aside, labels = [0.0] * count, [0.0] * count

    def bend(place: int, here: float, there: float) -> None:
        rank = made.rank[place]
        aside[rank] = max(aside[rank], round(abs(here - there), 1))

    for index, link in enumerate(links):
        place = made.last[index]
        leaves = x[link.source] + link.leaves
        bend(place, leaves if place == link.source else x[place], x[link.target] + enters[index])
        if place != link.source:
            bend(link.source, leaves, x[made.first[link.source, link.trunk]])
        if link.room:
            labels[made.rank[link.source]] = 14.0
    for place in range(len(sizes), len(x)):
        if (other := made.before[place]) >= len(sizes):
            bend(other, x[other], x[place])
    tops, bottoms, y = [], [], 0.0
    for rank in range(count):
        tops.append(y)
        bottoms.append(y + heights[rank])
        at_frame = (rank == 0 and entries) or (rank == count - 2 and exits)
        least = AT_FRAME if at_frame and not aside[rank] else BETWEEN
        y = bottoms[-1] + min(least + STEEP * aside[rank], MOST_BETWEEN) + labels[rank]
    return tops, bottoms
