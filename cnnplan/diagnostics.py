"""Diagnostics: what is wrong, where, and what to write instead.

A `Diagnostic` is plain data; `Report` collects them while a spec is read and elaborated, so that
one run shows all independent errors.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnnplan.source import Node

ERROR, WARNING, INFO = "error", "warning", "info"


class Code(NamedTuple):
    """A kind of finding: its kebab-case name, default severity, and what it means."""

    name: str
    severity: str
    meaning: str


CODES: dict[str, Code] = {
    "S001": Code("spatial-collapse", ERROR, "a window does not fit into the padded map"),
    "S003": Code("missing-flatten", ERROR, "a dense layer is fed a map instead of a vector"),
    "S004": Code("concat-spatial-mismatch", ERROR, "joined values differ beside the joined axis"),
    "S005": Code("add-shape-mismatch", ERROR, "merged values have shapes that do not broadcast"),
    "S006": Code("groups-not-dividing", ERROR, "groups do not divide the channels"),
    "S007": Code("groupnorm-not-dividing", ERROR, "num_groups does not divide the channels"),
    "S008": Code("pool-padding-over-half", ERROR, "PyTorch pools with at most half a window of padding"),
    "S009": Code("output-padding-too-large", ERROR, "output_padding must be below the stride or dilation"),
    "S012": Code("rank-mismatch", ERROR, "an operation is fed a value with the wrong number of axes"),
    "S013": Code("squeeze-to-zero", ERROR, "a computed size is zero or negative"),
    "S015": Code("pixelshuffle-channels", ERROR, "channels do not divide by upscale_factor squared"),
    "S016": Code("undefined-or-duplicate-ref", ERROR, "a reference names nothing that is visible here"),
    "S018": Code("declared-sizes-illegal", ERROR, "a size that the input declares does not work"),
    "S019": Code("value-count-mismatch", ERROR, "an item is fed more or fewer values than it takes"),
    "S020": Code("size-mismatch", ERROR, "a value's size does not allow this rearrangement"),
    "S021": Code("share-shape-mismatch", ERROR, "a shared item would need other parameters"),
    "S022": Code("tensor-too-large", ERROR, "a tensor would have 2^63 elements or more"),
    "S023": Code("dtype-mismatch", ERROR, "an operation is fed integers, or the reverse"),
    "R401": Code("dead-layer", WARNING, "a layer's output reaches no output of the network"),
    "R409": Code("dropped-branch", INFO, "a branch that has layers is removed by its `if`"),
    "P709": Code("budget-exceeded", ERROR, "the architecture breaks its own budget"),
    "P710": Code("exceeds-device-memory", ERROR, "a training step needs more memory than its device has"),
    "Y901": Code("unknown-key", ERROR, "a key that the language does not know here"),
    "Y902": Code("duplicate-key", ERROR, "a key given twice in one mapping"),
    "Y907": Code("missing-version", ERROR, "`cnnplan: 1` is missing or names another version"),
    "Y908": Code("invalid-yaml", ERROR, "the file is not one YAML document of plain text in UTF-8"),
    "Y909": Code("unsupported-yaml", ERROR, "anchors, aliases, tags, `<<` and complex keys are refused"),
    "Y910": Code("limit-exceeded", ERROR, "the spec is larger than any network needs"),
    "Y911": Code("invalid-value", ERROR, "a value of the wrong type or outside its range"),
    "Y912": Code("missing-key", ERROR, "a required key or argument is missing"),
    "Y913": Code("unknown-operation", ERROR, "neither an operation nor a block has this name"),
    "Y914": Code("invalid-name", ERROR, "a name that cannot be used"),
    "Y915": Code("invalid-expression", ERROR, "an `=` expression that cannot be read or evaluated"),
    "Y916": Code("recursive-block", ERROR, "a block that reaches itself"),
    "Y917": Code("malformed-item", ERROR, "an item of a list of layers is not formed as one"),
}


class Position(NamedTuple):
    """A place in the text: line and column, both from 1."""

    line: int
    column: int


class Related(NamedTuple):
    """A second place that explains a diagnostic."""

    message: str
    start: Position | None = None


class Diagnostic(NamedTuple):
    """One finding. `message` says what is wrong, `related` where it comes from, `help` the fix."""

    code: str
    name: str
    severity: str
    message: str
    path: str
    start: Position | None
    end: Position | None
    layer: str | None = None
    related: tuple[Related, ...] = ()
    help: str = ""

    def __str__(self) -> str:
        path = printable(self.path)
        place = f"{path}:{self.start.line}:{self.start.column}" if self.start else path
        text = f"{place}: {self.severity}[{self.code}] {self.message}"
        return f"{text}; {self.help}" if self.help else text

    def as_dict(self) -> dict[str, Any]:
        """The diagnostic as JSON holds it."""
        return {
            "code": self.code,
            "name": self.name,
            "severity": self.severity,
            "message": self.message,
            "help": self.help or None,
            "path": self.path,
            "start": self.start and self.start._asdict(),
            "end": self.end and self.end._asdict(),
            "layer": self.layer,
            "related": [{"message": r.message, "start": r.start and r.start._asdict()} for r in self.related],
            "fix": None,
            "url": None,
        }


MAX_CHOICES = 2_000
"""So many known words are compared with an unknown one."""

MAX_FINDINGS = 100
"""So many are reported of one spec: nobody reads more, and looking for more would take long."""


class TooManyFindings(Exception):
    """A spec has more findings than are reported."""


class Report:
    """Collects diagnostics; the same finding at the same place counts once."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._found: dict[tuple[str, Position | None, str], Diagnostic] = {}

    def cut(self, severity: str = ERROR) -> None:
        """Say that there are more findings than these."""
        message = f"more than {MAX_FINDINGS} findings: the others are not looked for"
        found = Diagnostic("Y910", CODES["Y910"].name, severity, message, self.path, None, None)
        self._found[("Y910", None, message)] = found

    def add(
        self,
        code: str,
        message: str,
        node: Node | None = None,
        *,
        help: str = "",
        layer: str | None = None,
        related: Iterable[Related] = (),
        span: tuple[Position, Position] | None = None,
        about: str = "",
    ) -> None:
        """Add a finding at `node`, or at `span` where it is narrower than a node.

        One mistake inside a block shows again in every use of the block: findings with the same
        code and place count once, unless they are `about` different things. A node that is spoiled
        is blamed already.

        Raises:
            TooManyFindings: there are enough.
        """
        if node is not None and node.spoiled:
            return
        start, end = span or ((node.start, node.end) if node else (None, None))
        kind = CODES[code]
        key = (code, start, about if start else message)
        if key in self._found:
            return
        if len(self._found) >= MAX_FINDINGS:
            raise TooManyFindings
        shown = tuple(r._replace(message=printable(r.message)) for r in related)
        self._found[key] = Diagnostic(
            code, kind.name, kind.severity, printable(message), self.path, start, end, layer, shown, printable(help)
        )

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """All findings, in the order of the text."""
        last = Position(1 << 60, 0)
        return tuple(sorted(self._found.values(), key=lambda d: (d.start or last, d.code)))

    @property
    def failed(self) -> bool:
        """Whether any finding is an error."""
        return any(d.severity == ERROR for d in self._found.values())


def printable(text: str) -> str:
    """The text without what a terminal would obey: control characters and the like, as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` most probably meant, if any is close."""
    from difflib import get_close_matches  # slow to import, and needed for errors only

    lower = {name.lower(): name for name in islice(known, MAX_CHOICES)}
    found = get_close_matches(word.lower(), lower, n=1, cutoff=0.7)
    return lower[found[0]] if found else None


def suggest(word: str, known: Iterable[str], limit: int = 12) -> str:
    """A help text: the nearest known word, else the list of them."""
    choices = list(known)
    if match := nearest(word, choices):
        return f"did you mean '{match}'?"
    if not choices:
        return ""
    shown = ", ".join(choices[:limit])
    return f"known here: {shown}{', …' if len(choices) > limit else ''}"


def some(names: Iterable[str], limit: int = 8) -> str:
    """The names quoted and joined, cut where there are many."""
    names = list(names)
    text = ", ".join(f"'{n}'" for n in names[:limit])
    return f"{text}, … ({len(names)} in all)" if len(names) > limit else text
