"""Measures again and again: until warm, then until there is enough to know the median and how far it scatters."""

from __future__ import annotations

import time
from statistics import median, quantiles
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    T = TypeVar("T")

WINDOW = 3
"""So many runs are held against as many before them."""
STEADY = 0.05
"""Warm is where the medians of two windows differ by less than this share."""
WARM_UP = 20
"""So many runs at most, until times no longer change."""
RUNS = (5, 50)
"""So many runs count at least, and at most."""


class Spread(NamedTuple):
    """A time that was measured several times, in seconds.

    Attributes:
        median: half of the runs took less.
        low, high: the middle half lies between them.
    """

    median: float
    low: float
    high: float

    @property
    def half(self) -> float:
        """Half of the distance between `low` and `high`."""
        return (self.high - self.low) / 2


class Warm(NamedTuple):
    """How a measurement went.

    Attributes:
        warm_up: runs that were thrown away.
        stable: whether they ended because times no longer changed.
        runs: that count.
    """

    warm_up: int
    stable: bool
    runs: int


def spread(values: Sequence[float]) -> Spread:
    """The median of some values, and between what the middle half of them lies."""
    if len(values) < 2:
        return Spread(values[0], values[0], values[0])
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return Spread(middle, low, high)


def repeated(
    run: Callable[[], T], took: Callable[[T], float], seconds: float, runs: int | None = None
) -> tuple[list[T], Warm]:
    """What a run gives, several times, without the first ones.

    Args:
        run: what is measured.
        took: the seconds of a run, from what it gave.
        seconds: after which no further run is started, once there are enough; a warm-up has as many.
        runs: how many count, instead.
    """
    times: list[float] = []
    stable, end = False, time.perf_counter() + seconds
    while not stable and len(times) < WARM_UP and (len(times) < 2 or time.perf_counter() < end):
        times.append(took(run()))
        if len(times) >= 2 * WINDOW:
            before, now = median(times[-2 * WINDOW : -WINDOW]), median(times[-WINDOW:])
            stable = abs(now - before) <= STEADY * before
    found: list[T] = []
    least, most = (runs, runs) if runs else RUNS
    end = time.perf_counter() + seconds
    while len(found) < least or (len(found) < most and time.perf_counter() < end):
        found.append(run())
    return found, Warm(len(times), stable, len(found))
