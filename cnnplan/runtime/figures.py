"""A figure as a PNG: its style, its fonts, and how it is written.

matplotlib's objects are used without pyplot, and without the user's settings: nothing global changes, and a picture
looks the same everywhere.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cnnplan.diagnostics import printable
from cnnplan.runtime.files import replace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.figure import Figure

INK, FAINT, GRID = "#333333", "#8a8a8a", "#e6e6e6"
TRAIN, VAL, RATE = "#9db4cc", "#1f5a96", "#b08a3c"
"""Colours: text, what matters less, lines behind; training, validation, the learning rate."""

STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called `$x_1$`
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}

FALLBACKS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Microsoft YaHei", "Hiragino Sans GB",
             "Arial Unicode MS", "Noto Sans Devanagari", "Noto Sans Thai", "Noto Emoji")  # fmt: skip
"""Fonts that are asked, where they are installed, for what the first one does not have."""


class Legible:
    """Texts as the fonts can show them, of which the first has Latin, Greek, Cyrillic and some more."""

    def __init__(self, weight: str = "normal") -> None:
        from matplotlib import rcParams
        from matplotlib.font_manager import FontProperties, findfont, get_font

        fonts = [get_font(findfont(FontProperties(family=name, weight=weight))) for name in rcParams["font.family"]]
        self.known = {code for font in fonts for code in font.get_charmap()}

    def __call__(self, text: str, longest: int) -> str:
        """A text, cut where it is long; "" where nothing of it can be shown."""
        text = printable(text).strip()
        if all(ord(char) not in self.known for char in text):
            return ""
        text = "".join(char if ord(char) in self.known else "□" for char in text)
        return text if len(text) <= longest else f"{text[: longest - 1]}…"


@contextmanager
def picture(path: Path, title: str, width: float, height: float, fine: bool = False) -> Iterator[Figure]:
    """A figure of so many inches, at 100 pixels each, 200 where it is fine; it is written when it is drawn."""
    import logging

    logger = logging.getLogger("matplotlib.font_manager")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it tells of each weight that a font does not have
    try:
        with _figure(title, width, height, fine) as figure:
            yield figure
            buffer = io.BytesIO()
            canvas: Any = figure.canvas
            canvas.print_png(buffer)  # `savefig` would draw twice
    finally:
        logger.setLevel(level)
    replace(path, lambda file: file.write(buffer.getvalue()))


@contextmanager
def _figure(title: str, width: float, height: float, fine: bool) -> Iterator[Figure]:
    """A figure with its title, and the style while it is drawn."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.font_manager import fontManager
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    installed = {entry.name for entry in fontManager.ttflist}
    with mpl.rc_context():
        settings: Any = mpl.rcParams
        mpl.rcdefaults()
        settings.update(STYLE)
        settings["font.family"] = ["DejaVu Sans", *(name for name in FALLBACKS if name in installed)]
        figure = Figure(
            figsize=(width, height), dpi=200 if fine else 100, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08)
        )
        FigureCanvasAgg(figure)
        figure.suptitle(Legible("bold")(title, int(7 * width)), x=0.012, ha="left", fontsize=13, fontweight="bold")
        yield figure
