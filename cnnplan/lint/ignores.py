"""Comments that ignore findings.

    - linear: 1000     # cnnplan: ignore[H309] the paper's head
    # cnnplan: ignore[N201, N207] at a line of its own: for the next line
    # cnnplan: ignore-file[F602] for the whole file

YAML's reader drops comments, so they are looked for in the text: a `#` at the start of a line or behind a blank
begins one, unless it stands inside a scalar.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from cnnplan.diagnostics import Diagnostic, Edit, Fix, Position, Report, printable
from cnnplan.lint.selection import unknown
from cnnplan.source import LINE_BREAK, Mapping, Scalar, Sequence, parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence as Sequence_

    from cnnplan.lint.selection import Selection
    from cnnplan.source import Node

_MEANT = re.compile(r"(?:^|(?<=[ \t]))#[ \t]*cnnplan\b[ \t]*:?[ \t]*(ignore\b.*)", re.IGNORECASE)
_FORM = re.compile(r"ignore(-file)?[ \t]*(?:\[([^\]]*)\])?(.*)")
FORM = "write `# cnnplan: ignore[N201] reason`, or `ignore-file[N201]` for the whole file"


class Ignore(NamedTuple):
    """A comment that ignores findings.

    Attributes:
        line: the line that it is about, from 1; 0 for the whole file.
        codes: beginnings of codes; "" is all.
        start, end: the comment.
        alone: whether nothing else stands in its line.
    """

    line: int
    codes: tuple[str, ...]
    start: Position
    end: Position
    alone: bool


def without_ignored(
    found: Sequence_[Diagnostic], text: str, path: str, wanted: frozenset[str], selection: Selection
) -> list[Diagnostic]:
    """The findings that no comment ignores; and findings about comments that ignore nothing."""
    report = Report(path)
    lines = LINE_BREAK.split(text)
    comments = list(_comments(text, lines, report))
    used: set[tuple[Ignore, str]] = set()
    left = []
    for finding in found:
        line = finding.start.line if finding.start else None
        hits = [
            (comment, code)
            for comment in comments
            if comment.line in (0, line)
            for code in comment.codes
            if finding.code.startswith(code)
        ]
        used.update(hits)
        if not hits:
            left.append(finding)
    for comment in comments:
        idle = [
            code
            for code in comment.codes
            if (comment, code) not in used and any(one.startswith(code) for one in wanted)
        ]
        if idle:
            codes = ", ".join(filter(None, idle))
            what = (
                f"nothing{' of ' * bool(codes)}{codes} is found {'in this file' if not comment.line else 'in its line'}"
            )
            help = "remove it" if len(idle) == len(comment.codes) else f"remove {codes}"
            fix = Fix(True, help, (_shortened(comment, idle, lines),))
            report.add(
                "Y918", f"the comment ignores nothing: {what}", span=(comment.start, comment.end), help=help, fix=fix
            )
    own = [d._replace(severity=selection.level(d.code, d.severity)) for d in report.diagnostics if d.code in wanted]
    return left + own


def _comments(text: str, lines: Sequence_[str], report: Report) -> Iterator[Ignore]:
    """The comments of a text that are meant to ignore something; a finding for each that does not say what."""
    inside: list[tuple[Position, Position]] | None = None
    for number, line in enumerate(lines, start=1):
        match = _MEANT.search(line)
        if match is None:
            continue
        start, end = Position(number, match.start() + 1), Position(number, len(line.rstrip()) + 1)
        if inside is None:
            top = parse(text, Report(""))
            inside = [(s.start, s.end) for s in _scalars(top) if s.text] if top else []
        if any(a <= start < b for a, b in inside):
            continue
        form = _FORM.match(match[1])
        codes = tuple(c for c in re.split(r"[,\s]+", form[2] or "") if c) if form else ()
        whole = bool(form and form[1])
        if form is None or (not codes and (form[2] is not None or not whole or form[3].strip().startswith(":"))):
            message = f"'{printable(line[match.start() : match.start() + 60].rstrip())}' does not say what to ignore"
            report.add("Y919", message, span=(start, end), help=FORM)
            continue
        if wrong := unknown(codes):
            what, _, help = wrong.partition("; ")
            report.add("Y919", what, span=(start, end), help=help)
        codes = tuple(c for c in codes if not unknown([c])) if codes else ("",)
        alone = not line[: match.start()].strip()
        about = 0 if whole else _next_line(lines, number) if alone else number
        if codes:
            yield Ignore(about, codes, start, end, alone)


def _next_line(lines: Sequence_[str], number: int) -> int:
    """The next line with something in it."""
    for index in range(number, len(lines)):
        if lines[index].strip() and not lines[index].lstrip().startswith("#"):
            return index + 1
    return number


def _shortened(comment: Ignore, idle: Sequence_[str], lines: Sequence_[str]) -> Edit:
    """The comment without the codes that ignore nothing; gone where none is left."""
    left = [code for code in comment.codes if code not in idle]
    line = lines[comment.start.line - 1]
    if left:
        first, last = line.index("[", comment.start.column - 1) + 2, line.index("]", comment.start.column - 1) + 1
        return Edit(Position(comment.start.line, first), Position(comment.start.line, last), ", ".join(left))
    if comment.alone and comment.start.line < len(lines):
        return Edit(Position(comment.start.line, 1), Position(comment.start.line + 1, 1), "")
    blank = len(line[: comment.start.column - 1].rstrip()) + 1
    return Edit(Position(comment.start.line, blank), comment.end, "")


def _scalars(node: Node) -> Iterator[Scalar]:
    """All scalars of a text."""
    stack = [node]
    while stack:
        found = stack.pop()
        if isinstance(found, Scalar):
            yield found
        elif isinstance(found, Sequence):
            stack += found.items
        elif isinstance(found, Mapping):
            stack += [part for pair in found for part in pair]
