"""What a picture shows, read from the SVG itself: rectangles, texts and lines, with no help from what drew it."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMESPACE = "{http://www.w3.org/2000/svg}"
NEAR = 0.25  # coordinates are written to a tenth


class Rect(NamedTuple):
    x: float
    y: float
    width: float
    height: float

    def holds(self, x: float, y: float, border: float = 0.0) -> bool:
        """Whether a point is inside, further from the border than so much."""
        across = self.x + border < x < self.x + self.width - border
        return across and self.y + border < y < self.y + self.height - border

    def around(self, other: Rect) -> bool:
        return (
            self.x <= other.x
            and self.y <= other.y
            and other.x + other.width <= self.x + self.width
            and other.y + other.height <= self.y + self.height
        )

    def apart(self, other: Rect) -> bool:
        return (
            self.x + self.width <= other.x
            or other.x + other.width <= self.x
            or self.y + self.height <= other.y
            or other.y + other.height <= self.y
        )


class Text(NamedTuple):
    x: float
    y: float
    style: str
    text: str


class Shown(NamedTuple):
    """A box or a frame: its rectangle, copies behind it included, its texts and its tooltip."""

    rect: Rect
    texts: list[Text]
    details: str


class Line(NamedTuple):
    """A line: its corners, points all along it, whether it is dashed, whether it ends in an arrow."""

    corners: list[tuple[float, float]]
    points: list[tuple[float, float]]
    dashed: bool
    arrow: bool


class Picture(NamedTuple):
    boxes: list[Shown]
    frames: list[Shown]
    lines: list[Line]
    width: float
    height: float


def read(svg: str) -> Picture:
    """The picture; coordinates are those of the whole."""
    root = ET.fromstring(svg)
    (body,) = root.findall(f"{NAMESPACE}g")
    boxes: list[Shown] = []
    frames: list[Shown] = []
    lines: list[Line] = []
    for element in body:
        if element.tag == f"{NAMESPACE}g":
            shown = _shown(element)
            kinds = element.findall(f"{NAMESPACE}rect")[0].attrib["class"].split()
            (frames if "frame" in kinds else boxes).append(shown)
        elif element.attrib["class"].startswith("edge"):
            lines.append(_line(element.attrib["d"], "sized" in element.attrib["class"]))
        elif element.attrib["class"] == "arrow":
            lines[-1] = lines[-1]._replace(arrow=True)
    return Picture(boxes, frames, lines, float(root.attrib["width"]), float(root.attrib["height"]))


def _shown(element: ET.Element) -> Shown:
    rects = [
        Rect(*(float(rect.attrib[name]) for name in ("x", "y", "width", "height")))
        for rect in element.findall(f"{NAMESPACE}rect")
    ]
    low = min(r.x for r in rects), min(r.y for r in rects)
    high = max(r.x + r.width for r in rects), max(r.y + r.height for r in rects)
    texts = [
        Text(float(t.attrib["x"]), float(t.attrib["y"]), t.attrib["class"], t.text or "")
        for t in element.findall(f"{NAMESPACE}text")
    ]
    title = element.find(f"{NAMESPACE}title")
    assert title is not None
    return Shown(Rect(*low, high[0] - low[0], high[1] - low[1]), texts, title.text or "")


def _line(data: str, dashed: bool) -> Line:
    steps = re.findall(r"([MVC])([^MVC]*)", data)
    assert "".join(letter + numbers for letter, numbers in steps) == data
    (x, y), corners, points = (0.0, 0.0), [], []
    for letter, numbers in steps:
        values = [float(n) for n in numbers.split()]
        if letter == "C":
            end = values[4], values[5]
            points += list(_bezier((x, y), (values[0], values[1]), (values[2], values[3]), end))
        else:
            end = (x, values[0]) if letter == "V" else (values[0], values[1])
            if letter == "V":
                points += [(x, y + (end[1] - y) * i / 16) for i in range(17)]
        x, y = end
        corners.append(end)
        points.append(end)
    return Line(corners, points, dashed, False)


def _bezier(*controls: tuple[float, float]) -> Iterator[tuple[float, float]]:
    for i in range(25):
        t = i / 24
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        yield (
            sum(w * x for w, (x, _) in zip(weights, controls, strict=True)),
            sum(w * y for w, (_, y) in zip(weights, controls, strict=True)),
        )


def joined(picture: Picture) -> set[tuple[int, int, bool]]:
    """Which boxes are joined by lines, as the eye follows them: from box, to box, dashed.

    A line begins at the lower side of a box or on another line, and ends in an arrow at the upper side of a box, or
    where the next begins.
    """
    leaving: dict[float, list[tuple[float, int]]] = {}
    for index, line in enumerate(picture.lines):
        leaving.setdefault(round(line.corners[0][0], 1), []).append((line.corners[0][1], index))
    found = set()
    for number, box in enumerate(picture.boxes):
        bottom = box.rect.y + box.rect.height
        starts = [
            index
            for index, line in enumerate(picture.lines)
            if abs(line.corners[0][1] - bottom) < NEAR
            and box.rect.x <= line.corners[0][0] <= box.rect.x + box.rect.width
        ]
        seen = set(starts)
        while starts:
            line = picture.lines[starts.pop()]
            if line.arrow:
                (target,) = [
                    other
                    for other, shown in enumerate(picture.boxes)
                    if 0 < shown.rect.y - line.corners[-1][1] < 8
                    and shown.rect.x < line.corners[-1][0] < shown.rect.x + shown.rect.width
                ]
                found.add((number, target, line.dashed))
            more = {i for i in _leaving(line, leaving) if picture.lines[i].dashed == line.dashed} - seen
            seen |= more
            starts += more
    return found


def _leaving(line: Line, leaving: dict[float, list[tuple[float, int]]]) -> Iterator[int]:
    """The lines that begin on a line: where it is straight, or at its end."""
    straight = [((x, y), (a, b)) for (x, y), (a, b) in pairwise(line.corners) if x == a]
    for (x, low), (_, high) in [*straight, (line.corners[-1], line.corners[-1])]:
        for near in (x - 0.1, x, x + 0.1):
            for y, index in leaving.get(round(near, 1), ()):
                if low + (0.05 if (x, low) == line.corners[0] else -NEAR) < y < high + NEAR:
                    yield index
