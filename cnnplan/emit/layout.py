"""Source lines that fit: breaks what is too long as a formatter would.

A piece of code is a text, or a `Call`: an opening, arguments, a closing. What fits into `WIDTH`
stays on one line; else the arguments go on a line of their own; else one a line, with a comma
behind the last.
"""

from __future__ import annotations

import textwrap
import unicodedata
from typing import NamedTuple

WIDTH = 100


class Call(NamedTuple):
    """`head` ( arguments ) `tail`; the brackets are part of head and tail."""

    head: str
    arguments: tuple[str | Call, ...]
    tail: str = ")"

    def __str__(self) -> str:
        return f"{self.head}{', '.join(map(str, self.arguments))}{self.tail}"


class Bracketed(NamedTuple):
    """`head` and an expression, which goes into brackets where it does not fit beside it."""

    head: str
    expression: str

    def __str__(self) -> str:
        return f"{self.head}{self.expression}"


Code = str | Call | Bracketed


def width(text: str) -> int:
    """Columns that a text takes; some characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text) if not text.isascii() else len(text)


class Written(str):
    """A line of source that knows which layers it writes, by their paths."""

    paths: tuple[str, ...]


def written(lines: list[str], paths: tuple[str, ...]) -> list[str]:
    """The same lines, the first of which, comments left out, knows what it writes."""
    for index, text in enumerate(lines):
        if paths and not text.lstrip().startswith("#"):
            known = Written(text)
            known.paths = paths
            return [*lines[:index], known, *lines[index + 1 :]]
    return lines


def statement(indent: int, code: Code, comment: str = "") -> list[str]:
    """The lines of one statement, with a comment behind it, or above it where it does not fit."""
    lines = broken(" " * indent, code, "")
    if not comment:
        return lines
    if len(lines) == 1 and width(lines[0]) + 4 + width(comment) <= WIDTH:
        return [f"{lines[0]}  # {comment}"]
    return [f"{' ' * indent}# {comment}", *lines]


def broken(pad: str, code: Code, end: str) -> list[str]:
    """The lines of a piece of code; `end` follows its last character."""
    flat = f"{pad}{code}{end}"
    if isinstance(code, str) or width(flat) <= WIDTH:
        return [flat]
    if isinstance(code, Bracketed):
        return [f"{pad}{code.head}(", f"{pad}    {code.expression}", f"{pad}){end}"]
    if not code.arguments:
        return [flat]
    inner = pad + "    "
    body = f"{inner}{', '.join(map(str, code.arguments))}"
    if width(body) <= WIDTH:
        lines = [body]
    else:
        lines = [line for argument in code.arguments for line in broken(inner, argument, ",")]
    return [f"{pad}{code.head}", *lines, f"{pad}{code.tail}{end}"]


def prose(text: str) -> str:
    """Text of a spec, as it may stand in a docstring or a comment: printable, on one line."""
    kept = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(kept.replace("\\", "/").replace('"', "'").split())


def docstring(indent: int, text: str) -> list[str]:
    """A docstring: one line where it fits, else the first sentence and the rest."""
    pad = " " * indent
    words = prose(text)
    if width(words) + indent + 6 <= WIDTH:
        return [f'{pad}"""{words}"""']
    first, *rest = wrapped(words, WIDTH - indent - 3)
    return [f'{pad}"""{first}', *(f"{pad}{line}" for line in rest), f'{pad}"""']


def wrapped(text: str, columns: int) -> list[str]:
    """The words of a text in lines of at most so many columns."""
    extra = (width(text) - len(text)) and columns // 2  # some characters take two columns
    return textwrap.wrap(text, columns - extra, break_on_hyphens=False) or [""]
