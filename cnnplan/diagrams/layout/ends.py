"""Where edges begin and end on a unit: side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.diagrams.layout.rows import Link, Rows

ASIDE = 5.0
"""Between the left end of the room for a label and its edge."""

SPREAD = 14.0
"""Between the ends of edges on one unit."""


def begun(links: Sequence[Link], made: Rows) -> list[Link]:
    """The links, where those that bear labels begin side by side on their source, in the order of where they go."""
    position = {place: index for row in made.order for index, place in enumerate(row)}
    leaving: dict[int, dict[object, list[int]]] = {}
    for index, link in enumerate(links):
        if link.room:
            leaving.setdefault(link.source, {}).setdefault(link.trunk, []).append(index)
    found = list(links)
    for flows in leaving.values():
        goals = [
            sum(position[made.first.get((links[i].source, trunk), links[i].target)] for i in indexes) / len(indexes)
            for trunk, indexes in flows.items()
        ]
        ordered = sorted(zip(goals, flows.values(), strict=True), key=lambda pair: (pair[0], pair[1]))
        x = -sum(links[indexes[0]].room for indexes in flows.values()) / 2
        for _, indexes in ordered:
            for index in indexes:
                found[index] = links[index]._replace(leaves=x + ASIDE)
            x += links[indexes[0]].room
    return found


def spread(
    links: Sequence[Link], made: Rows, x: Sequence[float], widths: Sequence[float], fixed: Sequence[bool]
) -> list[float]:
    """Where each link ends, right of the middle of its target: what comes straight from above stays straight."""
    enters = [link.enters for link in links]
    arriving: dict[int, dict[tuple[int, object], list[int]]] = {}
    for index, link in enumerate(links):
        if not fixed[link.target]:
            before = made.last[index]
            key = (before, link.trunk if before == link.source else None)
            arriving.setdefault(link.target, {}).setdefault(key, []).append(index)
    for target, ends in arriving.items():
        if len(ends) < 2:
            continue
        ordered = sorted(ends.items(), key=lambda end: (_from(end, links, x), end[1]))
        step = min(SPREAD, widths[target] / (len(ordered) + 1))
        straight = [i for i, end in enumerate(ordered) if abs(_from(end, links, x) - x[target]) < 1]
        middle = float(straight[0]) if straight else (len(ordered) - 1) / 2
        step = min(step, (widths[target] / 2 - 4) / max(middle, len(ordered) - 1 - middle))
        for index, (_, same) in enumerate(ordered):
            for one in same:
                enters[one] = (index - middle) * step
    return enters


def _from(end: tuple[tuple[int, object], list[int]], links: Sequence[Link], x: Sequence[float]) -> float:
    """The x from which links arrive."""
    (before, _), indexes = end
    link = links[indexes[0]]
    return x[before] + (link.leaves if before == link.source else 0.0)
