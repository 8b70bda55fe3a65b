"""Which items of two lists are the same, and which one may have become which other."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cnnplan.analyses.pieces import likeness
from cnnplan.analyses.subsequence import common, gaps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnnplan.analyses.pieces import Piece
    from cnnplan.analyses.subsequence import Pairs

MOST_CELLS = 2_500
"""So many pairs of two lists are weighed; of longer lists, those between what is equal or of equal words."""
FARTHEST = 50


def together(a: Sequence[Piece], b: Sequence[Piece]) -> Pairs:
    """The pairs of two lists, in order: what is equal, and what one may have become."""
    found = _chosen(a, b)
    found = [(i, j) for j, i in _slid([(j, i) for i, j in found], b, a)]
    return _slid(found, a, b)


def _chosen(a: Sequence[Piece], b: Sequence[Piece]) -> Pairs:
    if len(a) * len(b) <= MOST_CELLS:
        return _weighed(a, b)
    found: Pairs = []
    for words in ([x.print for x in a], [y.print for y in b]), ([x.key for x in a], [y.key for y in b]):
        more: Pairs = []
        for (i, j), (next_i, next_j) in gaps(found, len(a), len(b)):
            more += [(i + x, j + y) for x, y in common(words[0][i:next_i], words[1][j:next_j])]
        found = sorted(found + more)
    more = []
    for (i, j), (next_i, next_j) in gaps(found, len(a), len(b)):
        if (next_i - i) * (next_j - j) <= MOST_CELLS:
            more += [(i + x, j + y) for x, y in _weighed(a[i:next_i], b[j:next_j])]
    return sorted(found + more)


def _weighed(a: Sequence[Piece], b: Sequence[Piece]) -> Pairs:
    """The pairs in order that are most alike together, larger pieces before smaller ones."""
    start = end = 0
    least = min(len(a), len(b))
    while start < least and a[start].print == b[start].print:
        start += 1
    while end < least - start and a[-1 - end].print == b[-1 - end].print:
        end += 1
    found = [(i, i) for i in range(start)]
    inner = _heaviest(a[start : len(a) - end], b[start : len(b) - end])
    found += [(start + i, start + j) for i, j in inner]
    return found + [(len(a) - i, len(b) - i) for i in range(end, 0, -1)]


def _heaviest(a: Sequence[Piece], b: Sequence[Piece]) -> Pairs:
    best = [[0.0] * (len(b) + 1) for _ in range(len(a) + 1)]
    weights = [[likeness(x, y) * max(x.size, y.size) for y in b] for x in a]
    for i in range(len(a) - 1, -1, -1):
        for j in range(len(b) - 1, -1, -1):
            both = weights[i][j] + best[i + 1][j + 1] if weights[i][j] else 0.0
            best[i][j] = max(both, best[i + 1][j], best[i][j + 1])
    found, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        if weights[i][j] and best[i][j] == weights[i][j] + best[i + 1][j + 1]:
            found.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return found


def _slid(pairs: Pairs, a: Sequence[Piece], b: Sequence[Piece]) -> Pairs:
    """The same with what `a` has alone moved along equal pieces, to where it begins as blocks begin.

    Of `conv relu conv relu` a ReLU and a convolution in the middle could be new as well as the last two; what
    is added begins with a convolution, a dense layer or a block where it can, and else as late as it can.
    """
    partner: list[int | None] = [None] * len(a)
    for i, j in pairs:
        partner[i] = j
    start = 0
    while start < len(a):
        if partner[start] is not None:
            start += 1
            continue
        end = start
        while end < len(a) and partner[end] is None:
            end += 1
        before = partner[start - 1] if start else -1
        if before is not None and before + 1 == (partner[end] if end < len(a) else len(b)):
            end = _slide(partner, a, b, start, end)
        start = end + 1
    return [(i, j) for i, j in enumerate(partner) if j is not None]


def _slide(partner: list[int | None], a: Sequence[Piece], b: Sequence[Piece], start: int, end: int) -> int:
    """Move one run to its best place; the place behind it."""
    up = 0
    while up < FARTHEST and _can_move(partner, a, b, start - up - 1, end - up - 1):
        _move(partner, start - up - 1, end - up - 1)
        up += 1
    start, end = start - up, end - up
    places = [(_begins(a[start]), 0)]
    down = 0
    while down < FARTHEST + up and _can_move(partner, a, b, end + down, start + down):
        _move(partner, end + down, start + down)
        down += 1
        places.append((_begins(a[start + down]), down))
    best = max(places)[1]
    for back in range(down, best, -1):
        _move(partner, start + back - 1, end + back - 1)
    return end + best


def _can_move(partner: Sequence[int | None], a: Sequence[Piece], b: Sequence[Piece], source: int, place: int) -> bool:
    """Whether what is paired at `source` could as well be paired at `place`, at the other end of a run."""
    if not (0 <= source < len(a) and 0 <= place < len(a)):
        return False
    other = partner[source]
    return other is not None and a[source].print == a[place].print == b[other].print


def _move(partner: list[int | None], source: int, place: int) -> None:
    partner[place], partner[source] = partner[source], None


def _begins(piece: Piece) -> int:
    """How well what is new begins with a piece."""
    if piece.node is None or piece.node.op.group in ("convolution", "dense"):
        return 2
    return int(piece.size > 1)


def equally_often(a: Sequence[Piece], b: Sequence[Piece]) -> Iterator[tuple[Piece, Piece]]:
    """The pieces that are equal, and there equally often in both."""
    places: dict[int, list[Piece]] = {}
    for y in b:
        places.setdefault(y.print, []).append(y)
    counts = Counter(x.print for x in a)
    for x in a:
        others = places.get(x.print, [])
        if counts[x.print] == len(others):
            yield x, others[0]
            counts[x.print] -= 1
            del others[0]
