"""What the formats for machines take: the findings of each spec, with its text."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cnnplan.diagnostics import Diagnostic, Position
from cnnplan.relative import relative
from cnnplan.source import LINE_BREAK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Checked(NamedTuple):
    """A spec that was checked: where it was read, its text, and what was found."""

    path: str
    text: str
    diagnostics: Sequence[Diagnostic]

    @property
    def name(self) -> str:
        """Its path as reports have it."""
        return relative(self.path)

    def spans(self) -> Iterator[tuple[Diagnostic, Position, Position]]:
        """Each finding with the places where it starts and ends; one without a place stands in the first line."""
        lines = LINE_BREAK.split(self.text)
        for found in self.diagnostics:
            start = found.start or Position(1, 1)
            yield found, start, _end(found.end, start, lines)


def _end(end: Position | None, start: Position, lines: Sequence[str]) -> Position:
    """Where a finding ends, exclusive: the end of its line where it does not say.

    YAML ends a block where the next one begins: blank lines between them are taken off, as a platform shows a finding
    at its last line, or only where all its lines have changed.
    """

    def line(number: int) -> str:
        return lines[number - 1] if number <= len(lines) else ""

    if end is None:
        end = Position(start.line, len(line(start.line)) + 1)
    while end.line > start.line and not line(end.line)[: end.column - 1].strip():
        end = Position(end.line - 1, len(line(end.line - 1)) + 1)
    written = line(end.line)[: end.column - 1]
    blank = len(written) - len(written.rstrip())
    return max(start, end._replace(column=end.column - blank))


def said(found: Diagnostic) -> str:
    """A finding in a line: what is wrong, and the way out."""
    return f"{found.message}; {found.help}" if found.help else found.message
