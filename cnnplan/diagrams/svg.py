"""A diagram as SVG: one file without scripts or fonts, for light and dark pages and for print."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from cnnplan.diagnostics import printable
from cnnplan.diagrams.colors import (
    COLORS,
    DARK_EDGE,
    DARK_FAINT,
    DARK_PAGE,
    DARK_TEXT,
    EDGE,
    FAINT,
    PAGE,
    TEXT,
)
from cnnplan.diagrams.layout.plot import plot
from cnnplan.diagrams.layout.sizes import ABOVE, LABEL, STACK, STYLES, TITLE, WHAT
from cnnplan.diagrams.text import width

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnnplan.diagrams.layout.level import Point
    from cnnplan.diagrams.layout.plot import Place, Plot
    from cnnplan.diagrams.model import Box, Diagram, Group

MARGIN = 24.0
HEAD = 46.0
"""The height of the title above the picture."""

ARROW = 7.0


def svg(found: Diagram) -> str:
    """The SVG of a diagram.

    Raises:
        UsageError: it is too large.
    """
    placed = plot(found)
    titles = width(found.title, 17, bold=True), width(found.subtitle, 12)
    wide = max(placed.width, *titles) + 2 * MARGIN
    high = placed.height + HEAD + 2 * MARGIN
    left = (wide - placed.width) / 2
    size = f'width="{_n(wide)}" height="{_n(high)}" viewBox="0 0 {_n(wide)} {_n(high)}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" class="cnnplan">',
        f"<title>{_text(found.title)}</title>",
        f"<style>{_style(found)}</style>",
        '<rect class="page" width="100%" height="100%"/>',
        f'<text class="title" x="{_n(wide / 2)}" y="{_n(MARGIN + 14)}">{_text(found.title)}</text>',
        f'<text class="number" x="{_n(wide / 2)}" y="{_n(MARGIN + 32)}">{_text(found.subtitle)}</text>',
        f'<g transform="translate({_n(left)} {_n(MARGIN + HEAD)})">',
        *(_frame(group, placed.places[group.key]) for group in found.root.groups()),
        *_edges(placed),
        *(_box(box, placed.places[box.key]) for box in found.root.boxes()),
        "</g>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _style(found: Diagram) -> str:
    """The style sheet, with the colors that occur."""
    colors = {key: COLORS[key] for key in dict.fromkeys(box.color for box in found.root.boxes())}
    light = [f".{key}{{fill:{c.fill};stroke:{c.line}}}" for key, c in colors.items()]
    dark = [f".{key}{{fill:{c.dark_fill};stroke:{c.dark_line}}}" for key, c in colors.items()]
    return "".join(
        (
            'text{font-family:Helvetica,Arial,"Liberation Sans",sans-serif;text-anchor:middle;',
            f"fill:{TEXT}}}",
            ".title{font-size:17px;font-weight:bold}",
            *(f".{name}{{font-size:{s.size}px{';font-weight:bold' if s.bold else ''}}}" for name, s in STYLES.items()),
            f".number,.label,.of{{fill:{FAINT}}}",
            f".label{{font-size:{LABEL.size}px;text-anchor:start;paint-order:stroke;stroke:{PAGE};stroke-width:3px}}",
            f".on{{font-size:{TITLE.size}px;font-weight:bold;text-anchor:start}}",
            f".of{{font-size:{WHAT.size}px;text-anchor:start}}",
            f".page{{fill:{PAGE}}}",
            f".frame{{fill:{FAINT};fill-opacity:.06;stroke:{FAINT};stroke-opacity:.45}}",
            ".branch{stroke-dasharray:3 3}",
            f".edge{{fill:none;stroke:{EDGE};stroke-width:1.4}}.sized{{stroke-dasharray:4 3}}",
            f".arrow{{fill:{EDGE}}}",
            ".shared{stroke-dasharray:5 3}",
            *light,
            "@media (prefers-color-scheme:dark){",
            f"text{{fill:{DARK_TEXT}}}.number,.label,.of{{fill:{DARK_FAINT}}}.page{{fill:{DARK_PAGE}}}",
            f".label{{stroke:{DARK_PAGE}}}",
            f".frame{{fill:{DARK_FAINT};stroke:{DARK_FAINT}}}.edge{{stroke:{DARK_EDGE}}}.arrow{{fill:{DARK_EDGE}}}",
            *dark,
            "}",
        )
    )


def _frame(group: Group, place: Place) -> str:
    kind = "frame branch" if group.kind == "branch" else "frame"
    words = (("on", group.title), ("of", group.what))
    texts = "".join(
        f'<text class="{style}" x="{_n(place.x + at)}" y="{_n(place.y + 16)}">{_text(word)}</text>'
        for (style, word), at in zip(words, place.words, strict=True)
        if word
    )
    return (
        f"<g><title>{_text(group.details, several=True)}</title>"
        f'<rect class="{kind}" x="{_n(place.x)}" y="{_n(place.y)}" width="{_n(place.width)}" '
        f'height="{_n(place.height)}" rx="10"/>{texts}</g>'
    )


def _box(box: Box, place: Place) -> str:
    more = STACK if box.times > 1 else 0.0
    wide, high = place.width - more, place.height - more
    curve = {"input": high / 2, "output": high / 2, "merge": min(high / 2, 16.0), "block": 4.0}.get(box.shape, 7.0)
    kind = f"{box.color} shared" if box.shared else box.color
    rects = [
        f'<rect class="{kind}" x="{_n(place.x + by)}" y="{_n(place.y + by)}" width="{_n(wide)}" height="{_n(high)}" '
        f'rx="{_n(curve)}"/>'
        for by in ((more, more / 2, 0.0) if more else (0.0,))
    ]
    middle, y = place.x + wide / 2, place.y + ABOVE + (high - _height(box)) / 2
    texts = []
    for line in box.lines:
        style = STYLES[line.style]
        y += style.height
        texts.append(f'<text class="{line.style}" x="{_n(middle)}" y="{_n(y - 4)}">{_text(line.text)}</text>')
    return f"<g><title>{_text(box.details, several=True)}</title>{''.join(rects)}{''.join(texts)}</g>"


def _height(box: Box) -> float:
    return sum(STYLES[line.style].height for line in box.lines) + 2 * ABOVE


def _edges(placed: Plot) -> Iterator[str]:
    for route in placed.routes:
        points = route.points
        kind = "edge sized" if route.sized else "edge"
        if route.ends:
            x, y = points[-1]
            tip = y - ARROW + 1
            points = (*((a, min(b, tip)) for a, b in points[:-1]), (x, tip))
            arrow = f"M{_n(x)} {_n(y)}l-4 {_n(-ARROW)}h8z"
        else:
            arrow = ""
        yield f'<path class="{kind}" d="{path(points)}"/>'
        if arrow:
            yield f'<path class="arrow" d="{arrow}"/>'
        if route.label:
            x, y = route.points[0]
            yield f'<text class="label" x="{_n(x + 4)}" y="{_n(y + 12)}">{_text(route.label)}</text>'


def path(points: Sequence[Point]) -> str:
    """The data of a path through these points: lines straight down, and bends whose ends are upright."""
    found = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for (x, y), (a, b) in pairwise(points):
        if abs(x - a) < 0.05:
            if b > y:
                found.append(f"V{_n(b)}")
        else:
            middle = _n((y + b) / 2)
            found.append(f"C{_n(x)} {middle} {_n(a)} {middle} {_n(a)} {_n(b)}")
    kept = [found[0]]
    for step in found[1:]:
        if step[0] == "V" == kept[-1][0]:
            kept[-1] = step
        else:
            kept.append(step)
    return "".join(kept)


def _n(number: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{round(number, 1) + 0.0:g}" if abs(number) < 1e5 else f"{number:.1f}".removesuffix(".0")


def _text(text: str, several: bool = False) -> str:
    """A text as XML holds it."""
    return (
        "\n".join(escape(printable(line), quote=False) for line in text.split("\n"))
        if several
        else escape(printable(text), quote=False)
    )
