"""Sets of sizes that repeat after a period, found by asking about few of them.

After a period, the least common multiple of a network's strides, every size in it is moved by a
constant. So for the sizes that leave the same remainder each condition is a comparison with a
line, and those that are legal are all from one on, or an interval: one legal size and two
bisections give it. Small sizes, where maps of one unit broadcast, are asked about one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Legal(NamedTuple):
    """The legal sizes along one axis of the input, the others as they are planned.

    Attributes:
        modulus: after how many units legal and refused sizes repeat; 0 where none is legal from some size on.
        remainders: of the legal sizes, in order.
        at_least: from where on all of them are legal.
        others: further legal sizes, as intervals (first, last, step): smaller ones, or all there are.
        tried: up to where every size was tried, where the sizes follow no period; else 0. What was not
            tried, but around the planned size, counts as not legal.
    """

    modulus: int
    remainders: tuple[int, ...]
    at_least: int
    others: tuple[tuple[int, int, int], ...]
    tried: int = 0

    def __contains__(self, size: object) -> bool:
        if not isinstance(size, int):
            return False
        if self.modulus and size >= self.at_least and size % self.modulus in self.remainders:
            return True
        return any(first <= size <= last and (size - first) % step == 0 for first, last, step in self.others)

    def next_below(self, size: int) -> int | None:
        """The largest legal size below this one."""
        reach = range(size - 1, max(0, size - 1 - max(self.modulus, 1)), -1)
        near = [n for n in reach if self.modulus and n >= self.at_least and n % self.modulus in self.remainders][:1]
        for first, last, step in self.others:
            if first < size:
                top = min(last, size - 1)
                near.append(top - (top - first) % step)
        return max(near, default=None)

    def next_above(self, size: int) -> int | None:
        """The smallest legal size above this one."""
        near = []
        if self.modulus:
            start = max(size + 1, self.at_least)
            near = [n for n in range(start, start + self.modulus) if n % self.modulus in self.remainders][:1]
        for first, last, step in self.others:
            if last > size:
                n = first if first > size else size + 1 + (first - size - 1) % step
                near += [n] if n <= last else []
        return min(near, default=None)


def legal_set(runs: Callable[[int], bool], planned: int, period: int, small: int) -> Legal:
    """The legal sizes, remainder by remainder; those up to `small`, where maps of one unit broadcast, one by one."""
    far = (2 * planned // period + 4) * period
    unbounded: dict[int, int] = {}
    others = {n for n in range(1, small + 1) if runs(n)}
    guess = 0
    for remainder in range(period):

        def at(k: int, remainder: int = remainder) -> bool:
            return runs(k * period + remainder)

        if at(top := far // period):
            first = guess = _first(at, top, guess)
            while first and at(first - 1):  # a guess may be past a gap
                first -= 1
            unbounded[remainder] = first * period + remainder
            continue
        below = (planned - remainder) // period
        seed = next((k for k in (below, below + 1, below - 1) if k >= 0 and at(k)), None)
        if seed is not None:
            others.update(k * period + remainder for k in range(_first(at, seed, seed), _last(at, seed, top) + 1))
    others = {n for n in others if n < unbounded.get(n % period, n + 1)}
    return _summary(unbounded, sorted(others), period)


def _first(at: Callable[[int], bool], legal: int, guess: int) -> int:
    """The first k from which on `at` holds, up to one where it does."""
    if 0 < guess <= legal and at(guess) and not at(guess - 1):
        return guess
    low, high = -1, legal
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if at(middle) else (middle, high)
    return high


def _last(at: Callable[[int], bool], legal: int, refused: int) -> int:
    low, high = legal, refused
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if at(middle) else (low, middle)
    return low


def _summary(unbounded: dict[int, int], others: list[int], period: int) -> Legal:
    if not unbounded:
        return Legal(0, (), 0, tuple(intervals(others)))
    modulus = next(m for m in range(1, period + 1) if period % m == 0 and _repeats(unbounded, period, m))
    remainders = tuple(sorted({r % modulus for r in unbounded}))
    last_refused = max((n - period for n in unbounded.values()), default=-1)
    at_least = last_refused + 1
    while at_least < 1 or at_least % modulus not in remainders:
        at_least += 1
    smaller = [n for r, first in unbounded.items() for n in range(first, at_least, period) if n > 0]
    return Legal(modulus, remainders, at_least, tuple(intervals(sorted({*smaller, *others}))))


def _repeats(unbounded: dict[int, int], period: int, modulus: int) -> bool:
    return all((r in unbounded) == (r % modulus in unbounded) for r in range(period))


def intervals(sizes: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Sizes as runs of the same step."""
    start = 0
    while start < len(sizes):
        end = start + 1
        step = sizes[end] - sizes[start] if end < len(sizes) else 1
        while end < len(sizes) and sizes[end] - sizes[end - 1] == step:
            end += 1
        if end - start == 2 and step > 1:  # two sizes are no pattern
            end, step = start + 1, 1
        yield sizes[start], sizes[end - 1], step
        start = end
