"""What a training prints on standard error while it runs: lines in a log, or a bar on a terminal.

progress("bar", 30, color=True, stream=sys.stderr)     callbacks for a Trainer; `Printer.epoch` prints an epoch
"""

from __future__ import annotations

import os
from typing import Literal, TextIO

from cnnplan.render.styled import Styled
from cnnplan.runtime.training.bar import Bar
from cnnplan.runtime.training.epochs import head
from cnnplan.runtime.training.printer import Moment, Printer


def progress(kind: Literal["bar", "lines", "none"], epochs: int, color: bool, stream: TextIO) -> list[Printer]:
    """The printers of a training of so many epochs.

    Args:
        kind: a bar, for which the stream has to be a terminal (a dumb one gets lines); lines; or nothing.
        epochs: how many there will be, those before a resumption included.
        color: whether to print colors.
        stream: standard error.
    """
    if kind == "none":
        return []
    dumb = os.environ.get("TERM") == "dumb"
    return [Bar(epochs, color, stream) if kind == "bar" and not dumb else Lines(epochs, color, stream)]


class Lines(Printer):
    """Lines of a log: one for each epoch, and one about every half minute of a long one."""

    interval = patience = 30.0

    def show(self, at: Moment) -> None:
        """A line of where it is."""
        words = at.words()
        words["step"] = f"{at.stage} {words['step']}"
        self.line(Styled("  ".join([head(at.epoch, self.epochs), *words.values()])))
