"""The frame of a group: its size, and where its words are, so that no edge crosses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.diagrams.layout.sizes import CLEAR, FRAME, HEADER, WORDS, title_widths

if TYPE_CHECKING:
    from cnnplan.diagrams.layout.level import Level, Point
    from cnnplan.diagrams.model import Group


def framed(group: Group, found: Level, entries: int) -> tuple[Point, Point, tuple[float, float]]:
    """The size of a framed group, where its content begins, and where its two words do: beside the edges that come in.

    The title stands left of them, and what the group is behind it where there is room, else right of them.
    """
    title, what = title_widths(group)
    ports = [x for x, _ in found.corners[:entries]]
    low, high = min(ports, default=found.width + FRAME), max(ports, default=found.width + FRAME)
    both = title + (what + WORDS if what else 0.0)
    left = max(FRAME, FRAME + title + CLEAR - low)
    right = FRAME
    if not ports:
        right = max(FRAME, both + 2 * FRAME - left - found.width)
    at = FRAME + title + WORDS
    if ports and what and FRAME + both + CLEAR > left + low:
        at = left + high + CLEAR
        right = max(FRAME, at + what + FRAME - left - found.width)
    top = 0.0 if entries else HEADER
    return (left + found.width + right, top + found.height + FRAME), (left, top), (FRAME, at)
