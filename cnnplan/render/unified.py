"""What changed in a text, as a unified diff.

difflib compares all lines that are alike with one another, and layers are alike: Myers's algorithm looks for the
shortest script instead, in time that grows with what has changed.

Source: Myers 1986, doi:10.1007/BF01840446.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONTEXT = 3
MAX_CHANGES = 4_000
"""Beyond, the rest is shown as replaced."""


def unified(old: str, new: str, path: str) -> str:
    """The unified diff of two texts; "" where they are equal."""
    a, b = old.splitlines(keepends=True), new.splitlines(keepends=True)
    hunks = "".join(_hunk(group, a, b) for group in _grouped(changes(a, b)))
    return f"--- {path}\n+++ {path}\n{hunks}" if hunks else ""


def changes(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """What to replace: lines a1 … a2 of the old text by lines b1 … b2 of the new one, in order."""
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    end = 0
    while end < min(len(a), len(b)) - start and a[-1 - end] == b[-1 - end]:
        end += 1
    found: list[tuple[int, int, int, int]] = []
    i = j = start
    for x, y in (
        *_kept(a[start : len(a) - end], b[start : len(b) - end]),
        (len(a) - end - start, len(b) - end - start),
    ):
        if (i, j) != (x + start, y + start):
            found.append((i, x + start, j, y + start))
        i, j = x + start + 1, y + start + 1
    return found


def _kept(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int]]:
    """The lines that stay, on a shortest way from one text to the other: their indexes in both."""
    n, m = len(a), len(b)
    furthest = {1: 0}
    trace: list[dict[int, int]] = []
    for d in range(min(n + m, MAX_CHANGES) + 1):
        trace.append(dict(furthest) if d == 0 else {k: furthest[k] for k in range(-d, d + 1) if k in furthest})
        for k in range(-d, d + 1, 2):
            down = k == -d or (k != d and furthest[k - 1] < furthest[k + 1])
            x = furthest[k + 1] if down else furthest[k - 1] + 1
            while x < n and x - k < m and a[x] == b[x - k]:
                x += 1
            furthest[k] = x
            if x >= n and x - k >= m:
                return _back(trace, n, m)
    return []


def _back(trace: list[dict[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    """The diagonals of the way that the trace tells."""
    kept = []
    for d in range(len(trace) - 1, -1, -1):
        before, k = trace[d], x - y
        if d == 0:
            px = py = 0
        else:
            down = k == -d or (k != d and before[k - 1] < before[k + 1])
            pk = k + 1 if down else k - 1
            px, py = before[pk], before[pk] - pk
        mx, my = (px, py) if d == 0 else (px, py + 1) if down else (px + 1, py)
        while x > mx and y > my:
            x, y = x - 1, y - 1
            kept.append((x, y))
        x, y = px, py
    return kept[::-1]


def _grouped(found: Sequence[tuple[int, int, int, int]]) -> Iterator[list[tuple[int, int, int, int]]]:
    """Changes whose context touches stand in one hunk."""
    group: list[tuple[int, int, int, int]] = []
    for change in found:
        if group and change[0] - group[-1][1] > 2 * CONTEXT:
            yield group
            group = []
        group.append(change)
    if group:
        yield group


def _hunk(group: Sequence[tuple[int, int, int, int]], a: Sequence[str], b: Sequence[str]) -> str:
    first, last = group[0], group[-1]
    before, after = min(CONTEXT, first[0]), min(CONTEXT, len(a) - last[1])
    out = [f"@@ -{_range(first[0] - before, last[1] + after)} +{_range(first[2] - before, last[3] + after)} @@\n"]
    at = first[0] - before
    for a1, a2, b1, b2 in group:
        out += [_line(" ", line) for line in a[at:a1]]
        out += [_line("-", line) for line in a[a1:a2]]
        out += [_line("+", line) for line in b[b1:b2]]
        at = a2
    out += [_line(" ", line) for line in a[at : last[1] + after]]
    return "".join(out)


def _line(sign: str, line: str) -> str:
    return f"{sign}{line}" if line.endswith("\n") else f"{sign}{line}\n\\ No newline at end of file\n"


def _range(start: int, end: int) -> str:
    """Lines as the head of a hunk has them."""
    if end - start == 1:
        return str(start + 1)
    return f"{start + (end > start)},{end - start}"
