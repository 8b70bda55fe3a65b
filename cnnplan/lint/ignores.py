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

from cnnplan.codes import INFO
from cnnplan.diagnostics import Diagnostic, Edit, Fix, Position, Report, TooManyFindings, printable
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
    places: dict[int | None, list[Ignore]] = {}
    try:
        for comment in _comments(text, lines, report):
            places.setdefault(comment.line, []).append(comment)
    except TooManyFindings:
        report.cut(INFO)
    used: set[tuple[Ignore, str]] = set()
    left = []
    for finding in found:
        here = places.get(finding.start.line, []) if finding.start else []
        hits = [(c, code) for c in (*places.get(0, []), *here) for code in c.codes if finding.code.startswith(code)]
        used.update(hits)
        if not hits:
            left.append(finding)
    try:
        for comment in (comment for several in places.values() for comment in several):
            _judge(comment, used, wanted, lines, report)
    except TooManyFindings:
        report.cut(INFO)
    own = [d._replace(severity=selection.level(d.code, d.severity)) for d in report.diagnostics if d.code in wanted]
    return left + own


def _judge(
    comment: Ignore, used: set[tuple[Ignore, str]], wanted: frozenset[str], lines: Sequence_[str], report: Report
) -> None:
    """A finding about a comment that ignores nothing, or has codes that ignore nothing."""
    idle = [c for c in comment.codes if (comment, c) not in used and any(one.startswith(c) for one in wanted)]
    if not idle:
        return
    codes = ", ".join(filter(None, idle))
    what = f"nothing{' of ' * bool(codes)}{codes} is found {'in this file' if not comment.line else 'in its line'}"
    help = "remove it" if len(idle) == len(comment.codes) else f"remove {codes}"
    fix = Fix(True, help, (_shortened(comment, idle, lines),))
    report.add("Y918", f"the comment ignores nothing: {what}", span=(comment.start, comment.end), help=help, fix=fix)


def _comments(text: str, lines: Sequence_[str], report: Report) -> Iterator[Ignore]:
    """The comments of a text that are meant to ignore something; a finding for each that does not say what."""
    inside: list[tuple[Position, Position]] | None = None
    following: list[int] = []
    for number, line in enumerate(lines, start=1):
        match = _MEANT.search(line)
        if match is None:
            continue
        start, end = Position(number, match.start() + 1), Position(number, len(line.rstrip()) + 1)
        if inside is None:
            following = _next_lines(lines)
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
        about = 0 if whole else following[number - 1] if alone else number
        if codes:
            yield Ignore(about, codes, start, end, alone)


def _next_lines(lines: Sequence_[str]) -> list[int]:
    """For each line, the next one with something in it, from 1; the line itself where there is none."""
    found, behind = [], 0
    for number in range(len(lines), 0, -1):
        found.append(behind or number)
        if lines[number - 1].strip() and not lines[number - 1].lstrip().startswith("#"):
            behind = number
    return found[::-1]


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
