"""Sizes: of text, boxes and frames, in pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cnnplan.diagrams.text import width

if TYPE_CHECKING:
    from cnnplan.diagrams.model import Box, Group


class Style(NamedTuple):
    """How a line of text is set: the font's size, whether it is bold, and the line's height."""

    size: float
    bold: bool
    height: float


STYLES = {"name": Style(13, True, 17), "what": Style(12, False, 16), "number": Style(11, False, 15)}

SIDE, ABOVE = 12.0, 6.0
"""Around the text of a box."""

STACK = 6.0
"""How far the edges of the copies behind a box look out."""

HEADER = 24.0
"""The height of a frame's title."""

FRAME = 12.0
"""Between a frame and what is in it."""

WORDS, CLEAR = 8.0, 8.0
"""Between the words of a frame, and between a word and an edge."""

LABEL, TITLE, WHAT = Style(10, False, 12), Style(12, True, 16), Style(11, False, 16)


def box_size(box: Box) -> tuple[float, float]:
    """Width and height of a box around its text; round ends need more room at the sides."""
    styles = [STYLES[line.style] for line in box.lines]
    wide = max(width(line.text, style.size, style.bold) for line, style in zip(box.lines, styles, strict=True))
    side = SIDE + (6.0 if box.shape in ("input", "output", "merge") else 0.0)
    return max(wide + 2 * side, 56.0), sum(style.height for style in styles) + 2 * ABOVE


def label_width(text: str) -> float:
    """The room that the label of an edge takes beside it."""
    return width(text, LABEL.size) + 16.0


def title_widths(group: Group) -> tuple[float, float]:
    """The widths of a frame's title, and of what the group is."""
    return width(group.title, TITLE.size, TITLE.bold), width(group.what, WHAT.size)
