"""What a finding is known by when the lines around it move."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING

from cnnplan.relative import relative
from cnnplan.source import LINE_BREAK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.diagnostics import Diagnostic


def fingerprints(path: str, text: str, diagnostics: Sequence[Diagnostic]) -> list[str]:
    """One for each finding of a spec, all different; the file is known by its name below the current folder."""
    return known_by(relative(path), text, diagnostics)


def known_by(name: str, text: str, diagnostics: Sequence[Diagnostic]) -> list[str]:
    """One for each finding of a file of this name, all different.

    Made of the file, the code, the line where the finding starts, and how many of the same came before it. Its
    number, its indentation, its message and the lines around it do not count.
    """
    lines = LINE_BREAK.split(text)
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for diagnostic in diagnostics:
        number = diagnostic.start.line if diagnostic.start else 0
        key = (diagnostic.code, lines[number - 1].strip() if 0 < number <= len(lines) else "")
        seen[key] += 1
        whole = "\0".join((name, *key, str(seen[key])))
        found.append(sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:32])
    return found
