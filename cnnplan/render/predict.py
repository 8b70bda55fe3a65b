"""Predictions as a table, as CSV or as JSON, row by row: results are printed while others are computed."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from cnnplan.diagnostics import printable
from cnnplan.render.json import FORMAT_VERSION
from cnnplan.render.styled import Styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.runtime.prediction.answers import Reading
    from cnnplan.runtime.prediction.images import Unreadable
    from cnnplan.runtime.prediction.predict import Prediction

SHOWN = 8
"""So many values, labels or shares of a sample are in a row of a table."""


RANKED = {"classes": "probability", "scores": "value"}
"""Kinds that have a class and a number of that name, or several."""


def name_of(found: Prediction) -> str:
    """Its path, and its number where the file is an array: `x.npy[3]`."""
    return found.path if found.number is None else f"{found.path}[{found.number}]"


class Table:
    """For people.

    Args:
        reading: what the numbers mean.
        paths: that will come, for the width of their column.
        width: of the table.
    """

    def __init__(self, reading: Reading, paths: Sequence[str], width: int) -> None:
        self.kind = reading.kind
        self.count = min(reading.top or 1, len(reading.names))
        numbered = len("[00000]") if any(path.endswith((".npy", ".npz")) for path in paths) else 0
        self.path = max(4, min(max(map(len, map(printable, paths)), default=4) + numbered, width // 2))
        room = (width - self.path) // self.count - len("  " * 2 + "probability")
        self.name = max(5, min(room, max(len(printable(name)) for name in reading.names)))

    def first(self) -> Styled:
        """The titles."""
        pair = f"  {'class':<{self.name}}  {RANKED.get(self.kind, ''):>11}"
        title = pair * self.count if self.kind in RANKED else f"  {self.kind}"
        return Styled((f"{'path':<{self.path}}{title}\n", "dim"))

    def row(self, found: Prediction) -> Styled:
        """One sample."""
        name = printable(name_of(found))
        out = Styled(f"{name if len(name) <= self.path else f'…{name[1 - self.path :]}':<{self.path}}")
        if self.kind in RANKED:
            for place, (word, number) in enumerate(found.pairs):
                cut = printable(word) if len(printable(word)) <= self.name else f"{printable(word)[: self.name - 1]}…"
                out.add(f"  {cut:<{self.name}}", "" if place else "bold")
                out.add(f"  {number:11.4f}" if self.kind == "classes" else f"  {number:11g}")
        elif self.kind == "values":
            out.add("".join(f"  {number:g}" for _, number in found.pairs[:SHOWN]))
        elif found.pairs:
            style = "g" if self.kind == "range" else ".4f"
            out.add("  " + ", ".join(f"{printable(word)} {n:{style}}" for word, n in found.pairs[:SHOWN]))
        else:
            out.add("  none at or above 0.5", "dim")
        if self.kind not in RANKED and len(found.pairs) > SHOWN:
            out.add(f" and {len(found.pairs) - SHOWN:,} more", "dim")
        out.add("\n")
        return out

    def last(self, skipped: Sequence[Unreadable]) -> Styled:
        """Nothing."""
        return Styled()


class Csv:
    """For spreadsheets: a row for each sample; of labels and shares, one for each class of a sample."""

    def __init__(self, reading: Reading) -> None:
        self.kind = reading.kind
        self.names = reading.names
        self.count = min(reading.top or 1, len(reading.names))

    def first(self) -> Styled:
        """The titles."""
        if self.kind in RANKED:
            word = RANKED[self.kind]
            more = [title for n in range(2, self.count + 1) for title in (f"class{n}", f"{word}{n}")]
            return _lines([["path", "class", word, *more]])
        if self.kind in ("labels", "shares"):
            return _lines([["path", "class", "probability" if self.kind == "labels" else "share"]])
        return _lines([["path", *self.names]])

    def row(self, found: Prediction) -> Styled:
        """One sample."""
        name = name_of(found)
        if self.kind in RANKED:
            style = ".4f" if self.kind == "classes" else "g"
            return _lines([[name, *(cell for word, n in found.pairs for cell in (word, f"{n:{style}}"))]])
        if self.kind in ("labels", "shares"):
            return _lines([[name, word, f"{n:.4f}"] for word, n in found.pairs] or [[name, "", ""]])
        return _lines([[name, *(f"{n:g}" for _, n in found.pairs)]])

    def last(self, skipped: Sequence[Unreadable]) -> Styled:
        """Nothing."""
        return Styled()


def _lines(rows: Sequence[Sequence[str]]) -> Styled:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return Styled(_encodable(out.getvalue()))


class Json:
    """For programs: one document, a prediction a line."""

    def __init__(self, reading: Reading) -> None:
        self.kind = reading.kind
        self.between = ""

    def first(self) -> Styled:
        """How it begins."""
        return Styled(f'{{"format_version": "{FORMAT_VERSION}", "predictions": [')

    def row(self, found: Prediction) -> Styled:
        """One sample."""
        out: dict[str, Any] = {"path": found.path} | ({} if found.number is None else {"index": found.number})
        if self.kind == "values":
            out["values"] = [n for _, n in found.pairs]
        elif self.kind == "range":
            out |= found.pairs
        elif self.kind == "shares":
            out["shares"] = [{"class": word, "share": n} for word, n in found.pairs]
        else:
            number = RANKED.get(self.kind, "probability")
            top = [{"class": word, number: n} for word, n in found.pairs]
            out |= (top[0] if top else {"class": None, number: None}) | {"top": top}
        text = f"{self.between}\n {json.dumps(out, ensure_ascii=False)}"
        self.between = ","
        return Styled(_encodable(text))

    def last(self, skipped: Sequence[Unreadable]) -> Styled:
        """What was skipped, and the end."""
        left = [{"path": one.path, "reason": one.reason} for one in skipped]
        return Styled(_encodable(f'\n], "skipped": {json.dumps(left, ensure_ascii=False)}}}\n'))


def _encodable(text: str) -> str:
    r"""The bytes of names that are no UTF-8 as \udc80: JSON's own escape for them."""
    return text.encode("utf-8", "backslashreplace").decode()
