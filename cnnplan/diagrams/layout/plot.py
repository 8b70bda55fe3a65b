"""All levels of a diagram: a group is laid out by itself, and is then a unit of the level around it.

Where an edge crosses a group's frame there is a port; a group's ports are units of its own level, at the top and at the
bottom, and fixed ends of links on the level around it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.diagrams.layout.frames import framed
from cnnplan.diagrams.layout.level import level
from cnnplan.diagrams.layout.rows import Link
from cnnplan.diagrams.layout.sizes import HEADER, STACK, box_size, label_width
from cnnplan.diagrams.model import Box, Group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.diagrams.layout.level import Level, Point
    from cnnplan.diagrams.model import Diagram, Edge, Part

Port = tuple[str, Any]
"""Where an edge crosses a frame: "in" or "out", and what flows."""


class Place(NamedTuple):
    """Where a box or a group is: its left upper corner and its size.

    `words` is, of a group, how far right of the corner its title begins, and what it is.
    """

    x: float
    y: float
    width: float
    height: float
    words: tuple[float, float] = (0.0, 0.0)


class Route(NamedTuple):
    """A piece of an edge on one level.

    Attributes:
        points: to go through: straight where x stays, else in a bend with upright ends. It may begin on another route.
        sized: as of an edge.
        ends: whether it ends at a box, with an arrow.
        label: what stands at its beginning.
        source, target: keys of what it joins; of the group whose frame it ends at.
    """

    points: tuple[Point, ...]
    sized: bool
    ends: bool
    label: str
    source: int
    target: int


class Plot(NamedTuple):
    """A laid out diagram: its size, the places of boxes and groups by their keys, and its routes."""

    width: float
    height: float
    places: dict[int, Place]
    routes: list[Route]


def plot(found: Diagram) -> Plot:
    """Lay out a diagram.

    Raises:
        UsageError: it is too large.
    """
    plotting = _Plotting(found)
    size = plotting.group(found.root)
    places: dict[int, Place] = {}
    routes: list[Route] = []
    plotting.put(found.root, 0.0, 0.0, places, routes)
    return Plot(size[0], size[1], places, routes)


class _Inside(NamedTuple):
    """A group laid out by itself: its units with their numbers, its links, and where its content begins."""

    units: dict[int | Port, int]
    links: list[tuple[int | Port, int | Port, Edge]]
    level: Level
    size: Point
    corner: Point
    words: tuple[float, float]


class _Plotting:
    def __init__(self, found: Diagram) -> None:
        self.parts: dict[int, Part] = {found.root.key: found.root}
        self.around: dict[int, int] = {}
        for group in (found.root, *found.root.groups()):
            for part in group.parts:
                self.parts[part.key] = part
                self.around[part.key] = group.key
        self.links: dict[int, dict[tuple[int | Port, int | Port, Any], Edge]] = {key: {} for key in self.parts}
        self.flows: dict[int, dict[Any, Edge]] = {}
        self.feeds: dict[tuple[int, Any], int] = {}
        for edge in found.edges:
            self.enter(edge)
        self.inside: dict[int, _Inside] = {}

    def enter(self, edge: Edge) -> None:
        """Cut an edge at the frames that it crosses."""
        flow = (edge.source, edge.values, edge.sized)
        self.flows.setdefault(edge.source, {}).setdefault(flow, edge)
        out, into = self.lineage(edge.source), self.lineage(edge.target)
        while len(out) > 1 and len(into) > 1 and out[-2] == into[-2]:
            out.pop()
            into.pop()
        for inner, group in pairwise(out[:-1]):
            self.links[group].setdefault((inner, ("out", flow), flow), edge)
        for inner, group in pairwise(into[:-1]):
            self.links[group].setdefault((("in", flow), inner, flow), edge)
        self.links[out[-1]].setdefault((out[-2], into[-2], flow), edge)
        self.feeds[into[-2], flow] = out[-2]

    def lineage(self, key: int) -> list[int]:
        """A part and the groups around it, the whole diagram last."""
        found = [key]
        while found[-1] in self.around:
            found.append(self.around[found[-1]])
        return found

    def group(self, group: Group) -> Point:
        """Lay out a group; its size."""
        sizes: dict[int | Port, Point] = {}
        links = self.links[group.key]
        entering = list(dict.fromkeys(a for a, _, _ in links if isinstance(a, tuple)))
        known = self.known(group, [flow for _, flow in entering])
        if known:
            entering.sort(key=lambda port: known[port[1]])
        sizes.update((port, (0.0, HEADER)) for port in entering)
        entries = len(sizes)
        for part in group.parts:
            sizes[part.key] = self.group(part) if isinstance(part, Group) else self.box(part)
        ports = list(dict.fromkeys(b for _, b, _ in links if isinstance(b, tuple)))
        sizes.update((port, (0.0, 0.0)) for port in ports)
        units = list(sizes)
        number = {unit: index for index, unit in enumerate(units)}
        made = [
            Link(number[a], number[b], flow, self.joint(a, "out", flow), self.joint(b, "in", flow), self.room(a, edge))
            for (a, b, flow), edge in links.items()
        ]
        fixed = [isinstance(unit, tuple) or isinstance(self.parts[unit], Group) for unit in units]
        found = level([sizes[unit] for unit in units], made, entries, len(ports), fixed, bool(known))
        if group.kind == "network":
            size, corner, words = (found.width, found.height), (0.0, 0.0), (0.0, 0.0)
        else:
            size, corner, words = framed(group, found, entries)
        kept = [(a, b, edge) for (a, b, _), edge in links.items()]
        self.inside[group.key] = _Inside(number, kept, found, size, corner, words)
        return size

    def known(self, group: Group, flows: Sequence[Any]) -> dict[Any, float]:
        """Where each flow leaves the group that all of them come from, which is laid out already; else nothing."""
        sources = {self.feeds.get((group.key, flow)) for flow in flows}
        if len(sources) != 1 or not isinstance(source := sources.pop(), int) or source not in self.inside:
            return {}
        return {flow: self.joint(source, "out", flow) for flow in flows}

    def box(self, box: Box) -> Point:
        """The size of a box: it has room for its text, and for the labels of what leaves it."""
        width, height = box_size(box)
        labels = [self.room(box.key, edge) for edge in self.flows.get(box.key, {}).values()]
        more = STACK if box.times > 1 else 0.0
        return max(width, sum(labels) + 12.0) + more, height + more

    def joint(self, unit: int | Port, side: str, flow: Any) -> float:
        """Where a flow leaves or enters a unit, right of its middle: at a group's port."""
        if isinstance(unit, tuple) or unit not in self.inside:
            return 0.0
        inside = self.inside[unit]
        return inside.corner[0] + inside.level.corners[inside.units[side, flow]][0] - inside.size[0] / 2

    def room(self, unit: int | Port, edge: Edge) -> float:
        """The room for the label of an edge where it leaves its box, if any edge that does has one."""
        if unit != edge.source or not any(other.label for other in self.flows[unit].values()):
            return 0.0
        return label_width(edge.label)

    def put(self, group: Group, x: float, y: float, places: dict[int, Place], routes: list[Route]) -> None:
        """Put a group at a place, and all that is in it."""
        inside = self.inside[group.key]
        places[group.key] = Place(x, y, *inside.size, inside.words)
        left, top = x + inside.corner[0], y + inside.corner[1]
        for unit, (dx, dy) in zip(inside.units, inside.level.corners, strict=True):
            if isinstance(unit, tuple):
                continue
            part = self.parts[unit]
            if isinstance(part, Group):
                self.put(part, left + dx, top + dy, places, routes)
            else:
                places[unit] = Place(left + dx, top + dy, *self.box(part))
        found = inside.level
        for (first, last, edge), route, begins in zip(inside.links, found.routes, found.begins, strict=True):
            points = [(left + px, top + py) for px, py in route]
            if isinstance(first, tuple) and begins:
                points[0] = (points[0][0], y)
            if isinstance(last, tuple):
                points[-1] = (points[-1][0], y + inside.size[1])
            at_box = not isinstance(last, tuple) and not isinstance(self.parts[last], Group)
            label = edge.label if first == edge.source and begins else ""
            source = group.key if isinstance(first, tuple) else first
            target = group.key if isinstance(last, tuple) else last
            routes.append(Route(tuple(points), edge.sized, at_box, label, source, target))
