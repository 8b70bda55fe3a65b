"""How much of its field does a unit use? An estimate of the effective receptive field.

The influence of the inputs on a unit falls off from the centre like a Gaussian. Its variance along
an axis is estimated for a network at initialization whose windows weigh all their inputs alike and
whose activations are linear: each window of k taps, d apart, adds d² (k² - 1) / 12, scaled by the
square of the stride in front of it. Where paths meet, their distributions are mixed, each with the
share of its channels. Max pooling counts as average pooling; behind up-sampling, that units of a
period see a little to the left or right of the straight line through them is left out. Training
widens the field.

Source: Luo, Li, Urtasun & Zemel 2016, arXiv:1701.04128.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from cnnplan.analyses.field import MAX_PHASES
from cnnplan.analyses.paths import Paths, follow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.graph import Graph, Value
    from cnnplan.ops.window import Window


class Spread(NamedTuple):
    """The influence of an input's axis on unit u: around stride · u + mean, with a variance.

    Attributes:
        axis: the input's spatial axis, from 0.
        stride: input units from one unit to the next.
        mean: the centre of what unit 0 sees, in input units.
        variance: of the influence, in input units squared.
    """

    axis: int
    stride: Fraction
    mean: float
    variance: float

    @property
    def size(self) -> float:
        """Four standard deviations: 95.45 % of a Gaussian's influence; at least one unit."""
        return max(1.0, 4 * sqrt(self.variance))


Known: TypeAlias = "Spread | str | None"
"""The spread of an axis; None where no local path reaches it; "unknown" where it is not followed."""

UNKNOWN = "unknown"

MAX_STRIDE = 1 << 62
"""Strides beyond this are not followed: no input is so large."""


def spreads(graph: Graph) -> dict[Value, tuple[Paths[Known] | None, ...]]:
    """For every value and each input: the spread of each axis, through local paths."""
    return follow(graph, _Spreads())


class _Spreads:
    nowhere: Known = None

    def start(self, axis: int) -> Known:
        return Spread(axis, Fraction(1), 0.0, 0.0)

    def through(self, known: Known, window: Window) -> Known:
        if not isinstance(known, Spread):
            return known
        if len(window.phases) > MAX_PHASES:
            return UNKNOWN
        mean, variance = _moments(window)
        stride = known.stride * window.advance / len(window.phases)
        if stride > MAX_STRIDE:
            return UNKNOWN
        scale = float(known.stride)
        return Spread(known.axis, stride, known.mean + scale * mean, known.variance + scale * scale * variance)

    def united(self, several: Sequence[Known], channels: Sequence[int]) -> Known:
        found = [(known, n) for known, n in zip(several, channels, strict=True) if isinstance(known, Spread)]
        if UNKNOWN in several or len({(spread.axis, spread.stride) for spread, _ in found}) > 1:
            return UNKNOWN
        if not found:
            return None
        total = sum(n for _, n in found)
        mean = sum(n * spread.mean for spread, n in found) / total
        second = sum(n * (spread.variance + spread.mean * spread.mean) for spread, n in found) / total
        return found[0][0]._replace(mean=mean, variance=max(0.0, second - mean * mean))

    def joined(self, known: Known) -> Known:
        return UNKNOWN

    def is_global(self, known: Known) -> bool:
        return False


@lru_cache(maxsize=4096)
def _moments(window: Window) -> tuple[float, float]:
    """Mean, relative to a straight line through the units, and variance of what units read, averaged over phases."""
    means, variances = [], []
    for phase, taps in enumerate(window.phases):
        if taps:
            centre = Fraction(taps[0] + taps[-1], 2) - Fraction(window.advance * phase, len(window.phases))
            means.append(centre)
            variances.append(Fraction(taps.step**2 * (len(taps) ** 2 - 1), 12))
    if not means:
        return 0.0, 0.0
    return float(sum(means) / len(means)), float(sum(variances) / len(variances))
