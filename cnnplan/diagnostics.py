"""Diagnostics: what is wrong, where, and what to write instead.

A `Diagnostic` is plain data; `Report` collects them while a spec is read and elaborated, so that
one run shows all independent errors.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.codes import CODES, ERROR
from cnnplan.version import RULES_URL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnnplan.source import Node


class Position(NamedTuple):
    """A place in the text: line and column, both from 1."""

    line: int
    column: int


class Related(NamedTuple):
    """A second place that explains a diagnostic."""

    message: str
    start: Position | None = None


class Edit(NamedTuple):
    """A piece of the text, `end` exclusive, and what to write instead of it."""

    start: Position
    end: Position
    text: str

    def as_dict(self) -> dict[str, Any]:
        """The edit as JSON holds it."""
        return {"start": self.start._asdict(), "end": self.end._asdict(), "text": self.text}


class Fix(NamedTuple):
    """Edits that mend what was found.

    `safe` = the network computes the same with the same weights, or what is removed is certainly a mistake.
    """

    safe: bool
    message: str
    edits: tuple[Edit, ...]

    def as_dict(self) -> dict[str, Any]:
        """The fix as JSON holds it."""
        return {"safe": self.safe, "message": self.message, "edits": [edit.as_dict() for edit in self.edits]}


def url_of(code: str) -> str:
    """Where a code is explained; "" where another package has it and does not say."""
    kind = CODES[code]
    return kind.about if kind.foreign else f"{RULES_URL}/{code}.md"


class Diagnostic(NamedTuple):
    """One finding. `message` says what is wrong, `related` where it comes from, `help` the way out."""

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
    fix: Fix | None = None

    @property
    def url(self) -> str:
        """Where its rule is explained; "" where another package has it and does not say."""
        return url_of(self.code)

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
            "fix": self.fix and self.fix.as_dict(),
            "url": self.url,
        }


MAX_CHOICES = 2_000
"""So many known words are compared with an unknown one."""

MAX_FINDINGS = 1_000
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
        severity: str = "",
        fix: Fix | None = None,
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
            code,
            kind.name,
            severity or kind.severity,
            printable(message),
            self.path,
            start,
            end,
            layer,
            shown,
            printable(help),
            fix,
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
