"""Fixes of what makes a spec invalid: a letter that is wrong, a vector that is missing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cnnplan.diagnostics import Edit, Fix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.diagnostics import Diagnostic
    from cnnplan.lint.edits import Sheet

_MEANT = re.compile(r"did you mean '(\w+)'\?")


def repaired(found: Sequence[Diagnostic], text: str | bytes) -> tuple[Diagnostic, ...]:
    """The findings of a spec that is not valid, with fixes where it is plain what was meant."""
    if all(d.fix or d.code not in ("S003", "Y901", "Y913") for d in found):
        return tuple(found)
    from cnnplan.lint.edits import Sheet

    sheet = Sheet(text.decode("utf-8", "replace").removeprefix("\ufeff") if isinstance(text, bytes) else text)
    return tuple(d if d.fix else d._replace(fix=_fix(d, sheet)) for d in found)


def _fix(found: Diagnostic, sheet: Sheet) -> Fix | None:
    if not found.start or not found.end:
        return None
    if found.code == "S003":
        edits = sheet.inserted(found.start, "flatten")
        return Fix(True, "insert `flatten` before it", tuple(edits)) if edits else None
    match = _MEANT.fullmatch(found.help)
    if found.code not in ("Y901", "Y913") or not match:
        return None
    if not one_letter(sheet.text[sheet.offset(found.start) : sheet.offset(found.end)], match[1]):
        return None
    return Fix(True, f"write `{match[1]}`", (Edit(found.start, found.end, match[1]),))


def one_letter(word: str, other: str) -> bool:
    """Whether two words are one letter apart: another, one more, or two that have changed places."""
    if len(word) > len(other):
        word, other = other, word
    if len(other) - len(word) > 1 or word == other:
        return False
    at = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), len(word))
    rest, others = word[at:], other[at:]
    if len(word) < len(other):
        return rest == others[1:]
    return rest[1:] == others[1:] or (rest[:2] == others[1::-1] and rest[2:] == others[2:])
