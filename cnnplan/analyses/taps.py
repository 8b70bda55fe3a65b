"""Does a unit see all of its receptive field, or has the field holes?

Dilated convolutions skip inputs; stacks of them may skip the same ones (gridding). `Comb` is a span
together with the set of units that are really read, on a map without ends.

Source: Wang et al. 2018, arXiv:1702.08502 (gridding); Yu, Koltun & Funkhouser 2017, arXiv:1705.09914.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import gcd, lcm
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from cnnplan.analyses.field import MAX_PHASES
from cnnplan.analyses.paths import Paths, follow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.graph import Graph, Value
    from cnnplan.ops.window import Window

MAX_WIDTH = 1 << 15
"""Sets of units further apart are not followed."""


class Comb(NamedTuple):
    """Unit period · q + r reads advance · q + first[r] + i for each bit i of taps[r].

    Attributes:
        axis: the input's spatial axis, from 0.
        advance: how far the units that are read move from one period to the next.
        first, taps: of each unit of a period; bit 0 is set unless nothing is read.
    """

    axis: int
    advance: int
    first: tuple[int, ...]
    taps: tuple[int, ...]

    @property
    def coverage(self) -> Fraction:
        """The share of the units from the first to the last that is read; of the unit that reads least."""
        return min((Fraction(taps.bit_count(), taps.bit_length()) for taps in self.taps if taps), default=Fraction(1))

    def at(self, unit: int) -> tuple[int, int]:
        """The first unit that a unit reads, and all of them as bits from there on."""
        period, phase = divmod(unit, len(self.taps))
        return self.first[phase] + self.advance * period, self.taps[phase]


Known: TypeAlias = "Comb | str | None"
"""The comb of an axis; None where no local path reaches it; "unknown" where it is not followed."""

UNKNOWN = "unknown"


def combs(graph: Graph) -> dict[Value, tuple[Paths[Known] | None, ...]]:
    """For every value and each input: the comb of each axis, through local paths."""
    return follow(graph, _Combs())


class _Combs:
    nowhere: Known = None

    def start(self, axis: int) -> Known:
        return Comb(axis, 1, (0,), (1,))

    def through(self, known: Known, window: Window) -> Known:
        return _composed(known, window) if isinstance(known, Comb) else known

    def united(self, several: Sequence[Known], channels: Sequence[int]) -> Known:
        found = list(dict.fromkeys(known for known in several if known is not None))
        if len(found) <= 1:
            return found[0] if found else None
        whole: Known = found[0]
        for other in found[1:]:
            whole = _union(whole, other) if isinstance(whole, Comb) and isinstance(other, Comb) else UNKNOWN
        return whole

    def joined(self, known: Known) -> Known:
        return UNKNOWN

    def is_global(self, known: Known) -> bool:
        return False


@lru_cache(maxsize=4096)
def _composed(comb: Comb, window: Window) -> Known:
    phases, advance = window.phases, window.advance
    period = len(comb.taps)
    repeat = period // gcd(period, advance) if advance else 1
    length = repeat * len(phases)
    if length > MAX_PHASES:
        return UNKNOWN
    first, taps = [], []
    for unit in range(length):
        shift, phase = divmod(unit, len(phases))
        read = phases[phase]
        if len(read) > MAX_WIDTH or (read and (read[-1] - read[0]) * comb.advance // period > 2 * MAX_WIDTH):
            return UNKNOWN
        together = _together([comb.at(advance * shift + tap) for tap in read])
        if together is None:
            return UNKNOWN
        first.append(together[0])
        taps.append(together[1])
    return _reduced(Comb(comb.axis, comb.advance * advance * repeat // period, tuple(first), tuple(taps)))


def _together(several: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """Sets of units, each from its first on, as one; None where they are too far apart."""
    found = [(at, bits) for at, bits in several if bits]
    first = min((at for at, _ in found), default=0)
    if max((at - first + bits.bit_length() for at, bits in found), default=0) > MAX_WIDTH:
        return None
    whole = 0
    for at, bits in found:
        whole |= bits << (at - first)
    return first, whole


def _reduced(comb: Comb) -> Comb:
    """The same comb with its smallest period."""
    whole = len(comb.taps)
    for period in range(1, whole // 2 + 1):
        if whole % period or comb.advance * period % whole:
            continue
        step = comb.advance * period // whole
        if all(
            comb.taps[i] == comb.taps[i + period] and comb.first[i] + step == comb.first[i + period]
            for i in range(whole - period)
        ):
            return Comb(comb.axis, step, comb.first[:period], comb.taps[:period])
    return comb


def _union(a: Comb, b: Comb) -> Known:
    """What two paths read together; not known where their strides differ."""
    period = lcm(len(a.taps), len(b.taps))
    if a.axis != b.axis or a.advance * len(b.taps) != b.advance * len(a.taps) or period > MAX_PHASES:
        return UNKNOWN
    first, taps = [], []
    for unit in range(period):
        together = _together([a.at(unit), b.at(unit)])
        if together is None:
            return UNKNOWN
        first.append(together[0])
        taps.append(together[1])
    return _reduced(Comb(a.axis, a.advance * period // len(a.taps), tuple(first), tuple(taps)))
