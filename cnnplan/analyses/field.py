"""What does each unit see? The receptive field of every layer, exactly, over any graph.

For each spatial axis of a value, `Span` maps a unit to the interval of input units that it depends
on. A span is quasi-affine: it repeats after a period of units, so that transposed convolutions and
up-sampling, whose field depends on the phase of the unit, are exact too. Operations compose spans
by their windows; merges take the hull of those with the same stride, and keep those with another.

    field = fields(graph)[value]        # one `Field` for each input of the network
    field[0].axes[0].span.size          # 212

Source: Araujo, Norris & Sim 2019, doi:10.23915/distill.00021.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import gcd, lcm
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from cnnplan.analyses.paths import Paths, follow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnnplan.graph import Graph, Value
    from cnnplan.ops.window import Window

MAX_PHASES = 1_024
"""Longer periods are not followed: a span of more phases is not known."""


class Span(NamedTuple):
    """Unit period · q + r depends on the input units advance · q + low[r] … advance · q + high[r].

    Where high[r] < low[r], the unit depends on no input: a hole of a transposed convolution.

    Attributes:
        axis: the input's spatial axis, from 0.
        advance: how far the interval moves from one period of units to the next.
        low, high: the interval of each unit of a period, before it is clipped to the input.
    """

    axis: int
    advance: int
    low: tuple[int, ...]
    high: tuple[int, ...]

    @property
    def period(self) -> int:
        """After how many units the interval repeats, moved by `advance`."""
        return len(self.low)

    @property
    def stride(self) -> Fraction:
        """Input units from one unit to the next, on average."""
        return Fraction(self.advance, self.period)

    @property
    def size(self) -> int:
        """The largest number of input units from the first to the last that a unit depends on."""
        return max(high - low + 1 for low, high in zip(self.low, self.high, strict=True))

    @property
    def start(self) -> int:
        """The first input unit of unit 0; negative where it lies in padding."""
        return self.low[0]

    def at(self, unit: int) -> tuple[int, int]:
        """The first and the last input unit of a unit, before they are clipped to the input."""
        period, phase = divmod(unit, len(self.low))
        shift = self.advance * period
        return self.low[phase] + shift, self.high[phase] + shift


class Axis(NamedTuple):
    """How a spatial axis of a value depends on an input.

    Attributes:
        spans: of local paths: one for each stride; more than one where paths of different strides
            meet, whose hull is no span.
        least: the smallest span of a single path.
        is_global: whether some path sees the whole axis.
        unknown: why the spans of local paths are not known; "" where they are.
        aligned: whether the paths that met have the same centres.
    """

    spans: tuple[Span, ...]
    least: Span | None
    is_global: bool = False
    unknown: str = ""
    aligned: bool = True

    @property
    def span(self) -> Span | None:
        """The span of all local paths together, where it is one."""
        return self.spans[0] if len(self.spans) == 1 and not self.unknown else None


Field: TypeAlias = "Paths[Axis]"
"""How a value depends on an input of the network."""

Fields: TypeAlias = "tuple[Field | None, ...]"
"""For each input of the network; None where the value does not depend on it."""

TOO_LONG = f"its field repeats after more than {MAX_PHASES:,} units"
JOINED = "its units come from different values"


def fields(graph: Graph) -> dict[Value, Fields]:
    """The field of every value of the network."""
    return follow(graph, _Fields())


class _Fields:
    """Spans through windows, and their hulls where paths meet."""

    nowhere = Axis((), None, True)

    def start(self, axis: int) -> Axis:
        span = Span(axis, 1, (0,), (0,))
        return Axis((span,), span)

    def through(self, known: Axis, window: Window) -> Axis:
        spans = [composed(span, window) for span in known.spans]
        least = composed(known.least, window) if known.least else None
        unknown = known.unknown or ("" if all(spans) else TOO_LONG)
        return Axis(tuple(s for s in spans if s), least, known.is_global, unknown, known.aligned)

    def united(self, several: Sequence[Axis], channels: Sequence[int]) -> Axis:
        if all(axis is several[0] for axis in several):
            return several[0]
        spans: dict[tuple[int, Fraction], Span] = {}
        aligned = all(axis.aligned for axis in several)
        for span in (span for axis in several for span in axis.spans):
            key = (span.axis, span.stride)
            if key in spans and spans[key] != span:
                spans[key], same = _hull(spans[key], span)
                aligned = aligned and same
            spans.setdefault(key, span)
        least = min((axis.least for axis in several if axis.least), key=lambda span: span.size, default=None)
        unknown = next((axis.unknown for axis in several if axis.unknown), "")
        everywhere = any(axis.is_global for axis in several)
        return Axis(tuple(spans.values()), least, everywhere, unknown, aligned and len(spans) <= 1)

    def joined(self, known: Axis) -> Axis:
        return known._replace(spans=(), unknown=JOINED)

    def is_global(self, known: Axis) -> bool:
        return known.is_global


@lru_cache(maxsize=8192)
def composed(span: Span, window: Window) -> Span | None:
    """The span of the units of a window over units of a span; None where its period is too long."""
    phases, advance = window.phases, window.advance
    period = span.period
    repeat = period // gcd(period, advance) if advance else 1
    length = repeat * len(phases)
    if length > MAX_PHASES:
        return None
    low, high = [], []
    for unit in range(length):
        shift, phase = divmod(unit, len(phases))
        taps = phases[phase]
        # beyond a period from each end, the inner units are those of an earlier period, moved inwards
        edge = taps if len(taps) <= 2 * period else (*taps[:period], *taps[-period:])
        ends = [span.at(advance * shift + tap) for tap in edge]
        ends = [(a, b) for a, b in ends if b >= a]
        low.append(min((a for a, _ in ends), default=1))
        high.append(max((b for _, b in ends), default=0))
    return reduced(Span(span.axis, span.advance * advance * repeat // period, tuple(low), tuple(high)))


def reduced(span: Span) -> Span:
    """The same span with its smallest period."""
    for period in range(1, span.period // 2 + 1):
        if span.period % period or span.advance * period % span.period:
            continue
        step = span.advance * period // span.period
        if all(
            span.low[i] + step == span.low[i + period] and span.high[i] + step == span.high[i + period]
            for i in range(span.period - period)
        ):
            return Span(span.axis, step, span.low[:period], span.high[:period])
    return span


def expanded(span: Span, period: int) -> Span:
    """The same span with a multiple of its period."""
    low, high = zip(*(span.at(unit) for unit in range(period)), strict=True)
    return Span(span.axis, span.advance * period // span.period, low, high)


def _hull(a: Span, b: Span) -> tuple[Span, bool]:
    """The smallest span around two of the same stride, and whether they have the same centres."""
    period = lcm(a.period, b.period)
    if period > MAX_PHASES:
        period = max(a.period, b.period)
    a, b = expanded(a, period), expanded(b, period)
    pairs = list(zip(a.low, a.high, b.low, b.high, strict=True))
    low, high = zip(*(_around(*pair) for pair in pairs), strict=True)
    centred = all(la + ha == lb + hb for la, ha, lb, hb in pairs if ha >= la and hb >= lb)
    return reduced(Span(a.axis, a.advance, low, high)), centred


def _around(low: int, high: int, other_low: int, other_high: int) -> tuple[int, int]:
    if high < low:
        return other_low, other_high
    if other_high < other_low:
        return low, high
    return min(low, other_low), max(high, other_high)


class ReceptiveField(NamedTuple):
    """The receptive field of a value, through local paths, as people and JSON have it.

    For each spatial axis of the value, in input units; None along an axis that no local path
    reaches, or whose paths have no common stride.

    Attributes:
        input: the input of the network that it is about.
        size: from the first unit to the last; the largest, where it depends on the phase.
        stride: from one unit of the value to the next.
        start: the first input unit of unit 0; negative in padding.
        min_size: the size of the smallest single path.
        is_global: whether some path sees everything.
        aligned: whether the paths that meet have the same centres.
        phases: the first and last input unit of each unit of a period, where that is longer than 1.
        unknown: why an axis has none.
    """

    input: str
    size: tuple[int | None, ...]
    stride: tuple[Fraction | None, ...]
    start: tuple[int | None, ...]
    min_size: tuple[int | None, ...]
    is_global: bool
    aligned: bool
    phases: tuple[tuple[tuple[int, int], ...], ...]
    unknown: str = ""


def receptive_field(value: Value, graph: Graph, found: Mapping[Value, Fields]) -> ReceptiveField | None:
    """The field of a value on the first input that it has local paths to, else on the first it depends on.

    None where it depends on no input that has spatial axes.
    """
    reached = [
        (given, field)
        for given, field in zip(graph.inputs, found[value], strict=True)
        if field and (given.shape.rank or field.axes)
    ]
    if not reached:
        return None
    given, field = next(((g, f) for g, f in reached if any(axis.spans for axis in f.axes)), reached[0])
    spans = [axis.span for axis in field.axes]
    return ReceptiveField(
        given.name,
        tuple(span and span.size for span in spans),
        tuple(span and span.stride for span in spans),
        tuple(span and span.start for span in spans),
        tuple(axis.least and axis.least.size for axis in field.axes),
        field.is_global,
        all(axis.aligned for axis in field.axes),
        tuple(tuple(zip(span.low, span.high, strict=True)) if span and span.period > 1 else () for span in spans),
        next(filter(None, map(_why_unknown, field.axes)), ""),
    )


def _why_unknown(axis: Axis) -> str:
    if axis.unknown:
        return axis.unknown
    strides = " and ".join(str(span.stride) for span in axis.spans)
    return f"paths of strides {strides} meet" if len(axis.spans) > 1 else ""


def last_local(graph: Graph, found: Mapping[Value, Fields]) -> Value | None:
    """The last value that still has local paths along some axis."""
    values = (value for node in reversed(graph.nodes) for value in reversed(node.outputs))
    return next((v for v in values if any(axis.spans for f in found[v] if f for axis in f.axes)), None)
