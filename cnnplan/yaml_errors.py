"""What libyaml could not read, said in the words of those who write specs, at the place of the mistake.

libyaml reports where it gave up, which is often a line further than the slip.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.diagnostics import Position, Related
from cnnplan.names import MODIFIERS

if TYPE_CHECKING:
    from collections.abc import Sequence


class Explained(NamedTuple):
    """A message, the place from 0, the fix, and where it began."""

    message: str
    line: int
    column: int
    help: str = ""
    related: tuple[Related, ...] = ()


_STRANGE_BLANK = re.compile("[\u00a0\u2000-\u200b\u202f\u3000]")
_BARE_ITEM = re.compile(r"(\s*- +)([A-Za-z_]\w*)\s*(?:#.*)?")
_NO_BLANK = re.compile(r"(\s*)-(?=[A-Za-z_])")
_EXPRESSION = re.compile(r"(?<![\"'=<>!])=\s*[^\s,\"'{}]")
_QUOTES = (
    "YAML ends a plain text at a comma or bracket inside {…} and […], and at `: `; "
    'put the expression at column COLUMN in quotes: "=…"'
)


def explain(lines: Sequence[str], error: Any) -> Explained:
    """The mistake behind an error of libyaml in a text of these lines."""
    mark = error.problem_mark or error.context_mark
    line = min(mark.line, len(lines) - 1) if mark else 0
    column = mark.column if mark else 0
    problem, context = str(error.problem or "invalid YAML"), str(error.context or "")
    start = (error.context_mark.line, error.context_mark.column) if error.context_mark else (line, column)
    shown = lines[line]
    above = next((n for n in range(line - 1, -1, -1) if lines[n].strip() and lines[n].strip()[0] != "#"), line)
    if "\t" in shown[: column + 1] or "\\t" in problem:
        return Explained("a tab where YAML wants spaces", line, column, "indent with spaces")
    for number in (line, above):
        if blank := _STRANGE_BLANK.search(lines[number]):
            code = f"U+{ord(blank.group()):04X}"
            message = f"a blank that is none for YAML ({code})"
            return Explained(message, number, blank.start(), "replace it by a plain space")
        if dash := _NO_BLANK.match(lines[number]):
            return Explained("a blank is missing behind the dash", number, dash.end() - 1, "write `- NAME`")
    if context == "while scanning a simple key":
        return _no_colon(lines, *start)
    if "mapping values are not allowed" in problem:
        return _second_colon(lines, line, column, above)
    if "flow" in context:
        return _open_bracket(lines, line, column, *start)
    if context == "while scanning a quoted scalar":
        return Explained("quotes that open here are not closed", *start)
    if "cannot start any token" in problem:
        return Explained(f"`{shown[column : column + 1]}` cannot begin a value", line, column, "put the text in quotes")
    if context in ("while parsing a block collection", "while parsing a block mapping"):
        word = shown.strip().partition(":")[0]
        help = "the items of a list begin in one column"
        if word in MODIFIERS:
            help = f"`{word}` stands in the column of the operation's name, not of the dash"
        related = Related("what it would belong to begins here", Position(start[0] + 1, start[1] + 1))
        message = "this line is indented like nothing around it"
        return Explained(message, line, column, help, (related,) if start[0] != line else ())
    return Explained(f"not valid YAML: {problem}", line, column)


def _no_colon(lines: Sequence[str], line: int, column: int) -> Explained:
    words = lines[line][column:].split("#")[0].split()
    first = words[0] if words else ""
    message = f"`{' '.join(words)[:40]}` is neither an item nor a key"
    if len(words) > 1:
        return Explained(message, line, column, f"a colon is missing: `{first}: {' '.join(words[1:])[:40]}`")
    return Explained(message, line, column, f"an item begins with a dash: `- {first}`; a key ends in a colon")


def _second_colon(lines: Sequence[str], line: int, column: int, above: int) -> Explained:
    if above != line and (item := _BARE_ITEM.fullmatch(lines[above])):
        word = item[2]
        message = f"`{word}` has no colon, but something stands below it"
        return Explained(message, above, item.end(1), f"write `- {word}:`")
    before = lines[above].split("#")[0]
    if above != line and ":" not in before and not before.strip().startswith("-"):
        return _no_colon(lines, above, len(before) - len(before.lstrip()))
    if ": " in lines[line][:column] or lines[line][:column].rstrip().endswith(":"):
        help = "put a text that holds `: ` in quotes; one mapping inside another goes into {…} or on lines of its own"
        return Explained("a second `: ` in one value", line, column, help)
    indent = len(lines[line]) - len(lines[line].lstrip())
    help = (
        "a modifier stands in the column of the operation's name, arguments further right, below a name without value"
    )
    return Explained("this line is indented too far", line, indent, help)


def _open_bracket(lines: Sequence[str], line: int, column: int, start: int, start_column: int) -> Explained:
    for expression in _EXPRESSION.finditer(lines[line]):
        if set("[({") & set(lines[line][expression.start() : column + 1]):
            help = _QUOTES.replace("COLUMN", str(expression.start() + 1))
            return Explained("an expression without quotes", line, column, help)
    bracket = lines[start][start_column : start_column + 1]
    closing = {"{": "}", "[": "]"}.get(bracket, "the closing bracket")
    if line != start or column >= len(lines[start]):
        return Explained(f"`{bracket}` is not closed", start, start_column, f"put `{closing}` at its end")
    return Explained(f"a comma or `{closing}` is missing here", line, column)
