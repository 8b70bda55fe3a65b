"""A training's progress as a bar on the last line of a terminal."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any, TextIO, cast

from cnnplan.render.styled import Styled
from cnnplan.runtime.training.epochs import head
from cnnplan.runtime.training.printer import Moment, Printer

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer


class Bar(Printer):
    """One line at the bottom of a terminal that shows how far the epoch is; epochs stay above it.

    What others write to standard error meanwhile goes above it, too. No thread, no hidden cursor: nothing is left
    behind, however the training ends. The cursor waits where the bar begins: from there it is erased to the end of
    the screen, over several lines where the terminal has become narrower.
    """

    interval, patience = 0.2, 0.0

    def __init__(self, epochs: int, color: bool, stream: TextIO) -> None:
        super().__init__(epochs, color, stream)
        self._drawn = False
        self._spared: dict[tuple[int, str], set[str]] = {}
        self.midway = False  # whether others have begun a line and not ended it
        try:
            "━─".encode(stream.encoding or "ascii")
            self._glyphs = "━─"
        except (UnicodeEncodeError, LookupError):
            self._glyphs = "#."

    def show(self, at: Moment) -> None:
        """Draw the bar; where it is narrow, without the words that can be spared."""
        if self.midway:
            return
        columns = self.columns()
        words, room, width = at.words(), columns - 1, max(8, min(40, columns // 5)) if at.total else 0
        place = head(at.epoch, self.epochs) + ("" if at.stage == "step" else f"  {at.stage}")
        spared = self._spared.setdefault((columns, at.stage), set())  # once for all: words that come and go disturb

        def tail() -> str:
            return "".join(f"  {word.removeprefix('about ')}" for key, word in words.items() if key not in spared)

        fixed = len(place) + 1 + width
        for spare in ("rate", "loss", "left"):
            if fixed + len(tail()) > room:
                spared.add(spare)
        text = Styled((place[:room], "bold"))
        if at.total and fixed + len(tail()) <= room:
            full = width * at.step // at.total
            text.extend(Styled(" ", (self._glyphs[0] * full, "cyan"), (self._glyphs[1] * (width - full), "dim")))
        text.add(tail()[: max(0, room - len(place))])
        self.write(f"\r\x1b[J{self.shown(text)}\r")
        self._drawn = True

    def clear(self) -> None:
        """Take the bar away."""
        if self._drawn:
            self._drawn = False
            self.write("\r\x1b[J")

    def line(self, text: Styled) -> None:
        """Print a line above the bar."""
        self.clear()
        self.write(("\n" if self.midway else "") + self.shown(text) + "\n")
        self.midway = False

    def columns(self) -> int:
        """The terminal's width now: it may have been resized."""
        try:
            return os.get_terminal_size(self.stream.fileno()).columns or 80
        except (OSError, ValueError):
            return shutil.get_terminal_size().columns

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Stand before standard error, where the bar is drawn."""
        super().setup(trainer, pl_module, stage)
        if sys.stderr is self.stream and not self._silent:
            sys.stderr = cast("TextIO", _Above(self))

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the terminal as it was."""
        self.clear()
        if isinstance(sys.stderr, _Above) and sys.stderr.bar is self:
            sys.stderr = self.stream

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the terminal as it was."""
        self.teardown(trainer, pl_module, "")


class _Above:
    """Standard error for others while there is a bar: they write above it."""

    def __init__(self, bar: Bar) -> None:
        self.bar = bar

    def write(self, text: str) -> int:
        self.bar.clear()
        if text:
            self.bar.midway = not text.endswith("\n")
        return self.bar.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bar.stream, name)
