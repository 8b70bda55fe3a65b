"""An epoch as a line of text, in columns below those of the epochs before."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cnnplan.diagnostics import printable
from cnnplan.render.numbers import duration
from cnnplan.render.styled import Styled

if TYPE_CHECKING:
    from collections.abc import Mapping


class Columns:
    """The columns of a training of so many epochs; they widen where a number needs it.

    Args:
        epochs: how many there will be.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self._widths: dict[str, int] = {}

    def row(self, row: Mapping[str, float], best: bool, limit: int | None = None) -> Styled:
        """An epoch of the history; the best one so far has a star.

        Args:
            row: "epoch" (from 1), "train_loss", "val_loss", other metrics of both; "learning_rate"; "seconds".
            best: whether it is the best one so far.
            limit: the most columns; what can be spared goes where they are not enough.
        """
        cells: dict[str, tuple[str, str]] = {}
        for key, value in row.items():
            twin = key.replace("train_", "val_", 1)
            if key == "train_loss" or key.startswith("val_") or (twin != key and twin not in row):
                text = f"{100 * value:6.2f} %" if "accuracy" in key else number(value)
                cells[printable(key)] = text, "" if math.isfinite(value) else "bold red"
        if "learning_rate" in row:
            cells["lr"] = f"{row['learning_rate']:.3g}".ljust(8), ""
        if "seconds" in row:
            cells[""] = duration(row["seconds"]), "dim"
        for key, (text, style) in cells.items():
            self._widths[key] = width = max(self._widths.get(key, 6), len(text))
            cells[key] = text.rjust(width), style
        for spare in ("lr", ""):
            if limit and len(self._line(row, cells, best).plain) > limit:
                cells.pop(spare, None)
        return self._line(row, cells, best)

    def _line(self, row: Mapping[str, float], cells: Mapping[str, tuple[str, str]], best: bool) -> Styled:
        found = Styled((head(int(row["epoch"]), self.epochs), "bold" if best else ""))
        for key, (text, style) in cells.items():
            found.extend(Styled("  ", (f"{key} " if key else "", "dim"), (text, style)))
        if best:
            found.add(" *", "bold green")
        return found


def head(epoch: int, epochs: int) -> str:
    """epoch  3/30."""
    return f"epoch {epoch:>{len(str(epochs))}}/{epochs}"


def number(value: float) -> str:
    """0.1234, 12.3457, 1.23e-05."""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 or not math.isfinite(value) else f"{value:.2e}"
