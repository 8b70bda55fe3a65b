"""Findings as people read them: the message, the line of the spec with the token underlined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.diagnostics import printable
from cnnplan.render.numbers import plural
from cnnplan.render.styled import Styled
from cnnplan.source import LINE_BREAK

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cnnplan.diagnostics import Diagnostic

STYLES = {"error": "bold red", "warning": "bold yellow", "info": "bold cyan"}
WIDEST = 160


def finding(found: Diagnostic, lines: Sequence[str]) -> Styled:
    """One finding with its place, the line it stands in, where it comes from, and the fix.

    `lines` are those of the spec, as `split` gives them.
    """
    margin = " " * len(str(found.start.line)) if found.start else " "
    out = Styled((f"{found.severity}[{found.code}]", STYLES[found.severity]), (f" {found.message}\n", "bold"))
    if found.start is None:
        out.add(f"{margin}--> {printable(found.path)}\n", "dim")
    else:
        out.add(f"{margin}--> ", "blue")
        out.add(f"{printable(found.path)}:{found.start.line}:{found.start.column}\n")
        if found.start.line <= len(lines):
            _add_snippet(out, found, lines[found.start.line - 1], margin)
    for related in found.related:
        place = f" (line {related.start.line})" if related.start else ""
        out.add(f"{margin} = ", "blue")
        out.add(f"{related.message}{place}\n")
    if found.help:
        out.add(f"{margin} = ", "blue")
        out.add("help: ", "bold")
        out.add(f"{found.help}\n")
    if found.fix:
        out.add(f"{margin} = ", "blue")
        out.add("fix: ", "bold")
        out.add(f"{printable(found.fix.message)}, with {'--fix' if found.fix.safe else '--unsafe-fixes'}\n")
    out.add("\n")
    return out


def split(text: str) -> list[str]:
    """The lines of a spec, as YAML counts them."""
    return LINE_BREAK.split(text)


def _add_snippet(out: Styled, found: Diagnostic, line: str, margin: str) -> None:
    """The line, and the token underlined; a long line is cut around the token."""
    assert found.start is not None
    start = found.start.column - 1
    same_line = found.end is not None and found.end.line == found.start.line
    end = found.end.column - 1 if found.end and same_line else len(line.rstrip())
    cut = max(0, start - 60) if len(line) > WIDEST else 0
    shown = "".join(c if c.isprintable() else " " for c in line[cut : cut + WIDEST]).rstrip()
    width = max(1, min(end, cut + len(shown)) - start)
    before, after = "…" * bool(cut), "…" * (len(line.rstrip()) > cut + WIDEST)
    out.add(f"{margin} |\n{found.start.line} | ", "blue")
    out.add(f"{before}{shown}{after}\n")
    out.add(f"{margin} | ", "blue")
    out.add(" " * (start - cut + len(before)))
    out.add("^" * width + "\n", STYLES[found.severity])


def summary(found: Iterable[Diagnostic]) -> str:
    """2 errors, 1 warning; nothing where there is nothing."""
    found = list(found)
    counts = [(sum(d.severity == s for d in found), s) for s in ("error", "warning", "info")]
    words = [plural(n, s) if s != "info" else f"{n} info" for n, s in counts if n]
    return ", ".join(words)


def tally(found: Sequence[Diagnostic], hidden: bool) -> str:
    """The summary, whether some findings are not shown, and how many can be mended."""
    text = f"{summary(found)}{' (-v shows all)' if hidden else ''}"
    for option, kinds in (("--fix", (True,)), ("--unsafe-fixes", (True, False))):
        fixable = [d for d in found if d.fix is not None and d.fix.safe in kinds]
        if all(d.fix and d.fix.safe for d in fixable) and option == "--unsafe-fixes":
            continue
        shown = sum(d.severity != "info" for d in fixable) if hidden else len(fixable)
        if shown:
            text += f"; {option} mends {shown}"
        if len(fixable) > shown:  # what is not shown is not mended
            text += f"; {option} -v mends {len(fixable)}"
    return text


def concise(found: Sequence[Diagnostic]) -> str:
    """A line for each finding: path:line:col: severity[code] message; fix."""
    return "".join(f"{d}\n" for d in found)
