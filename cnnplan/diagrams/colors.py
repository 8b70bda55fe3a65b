"""The colors of operations, by their group: a fill and a line each, on a light and on a dark page.

Text on a fill is dark in the light set and light in the dark one; in print the words say what the colors say.
"""

from __future__ import annotations

from typing import NamedTuple


class Color(NamedTuple):
    """The fill of a box and its line, on a light page and on a dark one."""

    fill: str
    line: str
    dark_fill: str
    dark_line: str


COLORS = {
    "convolution": Color("#dce9fa", "#3f74b5", "#1c3350", "#6ea3e0"),
    "pooling": Color("#fcebc5", "#b07a12", "#40310f", "#d9a94c"),
    "normalization": Color("#e8e1f7", "#7658b8", "#2e2549", "#a892e2"),
    "activation": Color("#def1dc", "#468a42", "#1d381e", "#74bd6e"),
    "merge": Color("#fadde3", "#b3485f", "#47202a", "#e0829a"),
    "dense": Color("#d3efed", "#27837c", "#113735", "#56bcb3"),
    "resizing": Color("#fce1d0", "#b9602a", "#442513", "#e39668"),
    "block": Color("#f3f4f7", "#525c6b", "#262b33", "#9aa5b5"),
    "end": Color("#e3e6eb", "#2f3742", "#39414d", "#c9d1dc"),
    "other": Color("#ececec", "#6f6f6f", "#303030", "#a5a5a5"),
}

GROUPS = {"unpooling and resizing": "resizing"}
"""Groups of operations that go by another word here."""

TEXT, DARK_TEXT = "#1b1f24", "#e8ebef"
FAINT, DARK_FAINT = "#4d5663", "#b3bcc8"
EDGE, DARK_EDGE = "#5c6673", "#98a3b1"
PAGE, DARK_PAGE = "#ffffff", "#14171c"


def color_of(group: str) -> str:
    """The key of `COLORS` for the group of an operation."""
    group = GROUPS.get(group, group)
    return group if group in COLORS else "other"
