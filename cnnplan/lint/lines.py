"""How the units of each value lie over the network's input, as straight lines: what rules about fields ask first.

`analyses.field` is exact and takes half as long as a whole plan, too long for rules that ask of every layer. Here
unit u of a value sees stride · u + low … stride · u + high of the input; where that depends on the unit's place in a
period, as behind up-sampling, the lines run through the mean. Normalizations see what their input sees, whatever
they take the mean of: that is no local path.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from cnnplan.ops.window import POINTWISE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.graph import Graph, Node, Value
    from cnnplan.ops.window import Window

MAX_PHASES = 1_024
"""Longer periods are not followed."""
MAX_STRIDE = 1 << 62
"""Larger strides are not followed: no input is so large."""

PLAIN = frozenset(("activation", "normalization", "regularization"))
"""Groups of operations whose units see what the unit of the same place sees."""

Number: TypeAlias = Any
"""An integer, or a fraction where a map was made larger."""


class Line(NamedTuple):
    """A spatial axis of a value over one of an input.

    Attributes:
        stride: input units from one unit to the next.
        low, high: the first and the last input unit of unit 0 through any path, not clipped to the input.
        least_low, least_high: the same of the smallest path.
        coarse: the largest stride on the way.
        periodic: whether the lines are a mean on some way: a map was made larger, or pooled by unequal windows.
    """

    stride: Number
    low: Number
    high: Number
    least_low: Number
    least_high: Number
    coarse: Number
    periodic: bool

    @property
    def size(self) -> int:
        """Input units that a unit sees."""
        return int(self.high - self.low) + 1

    @property
    def least(self) -> int:
        """Those that it sees through the smallest path."""
        return int(self.least_high - self.least_low) + 1

    def through(self, window: Window) -> Line | None:
        """Behind an operation; None where it has no local paths."""
        phases = window.phases
        if len(phases) == 1:
            slope: Number = window.advance
            first: Number = phases[0][0]
            last: Number = phases[0][-1]
            periodic = self.periodic
        else:
            slope, first, last = _straight(window)
            periodic = True
        if not slope:
            return None
        stride, low, high, least_low, least_high, coarse, _ = self
        if first:
            low, least_low = low + stride * first, least_low + stride * first
        if last:
            high, least_high = high + stride * last, least_high + stride * last
        if slope != 1:
            stride = _whole(stride * slope)
            if stride > MAX_STRIDE or stride.denominator > MAX_PHASES:
                return None
            coarse = max(coarse, stride)
        return Line(stride, low, high, least_low, least_high, coarse, periodic)


class Lines(NamedTuple):
    """The spatial axes of a value over an input.

    Attributes:
        source: the input; the first one, where it depends on several.
        along: for each axis, the input's axis that it lies over.
        axes: None for an axis that is read from end to end, or joined from several.
        several: whether it depends on several inputs.
    """

    source: Value
    along: tuple[int, ...]
    axes: tuple[Line | None, ...]
    several: bool = False


def lines(graph: Graph) -> dict[Value, Lines]:
    """The lines of every value that has local paths."""
    found: dict[Value, Lines] = {}
    for value in graph.inputs:
        rank = value.shape.rank
        if rank:
            found[value] = Lines(value, tuple(range(rank)), (Line(1, 0, 0, 0, 0, 1, False),) * rank)
    known: dict[Any, tuple[Window, ...]] = {}
    for node in graph.nodes:
        if len(node.inputs) > 1:
            if node.op.group != "merge":
                continue
            merged = _merged(node, [(v, found[v]) for v in node.inputs if v in found])
            if merged:
                found[node.outputs[0]] = merged
            continue
        entering = found.get(node.inputs[0])
        if entering is None:
            continue
        if node.op.group in PLAIN:
            found[node.outputs[0]] = entering
            continue
        for port, value in enumerate(node.outputs):
            key = (id(node.op), node.shapes, port)
            windows = known.get(key)
            if windows is None:
                windows = known[key] = node.op.reads(0, port, *node.shapes)[1:]
            ways = node.op.ways(0, port, *node.shapes)
            leaving = _around(entering, ways) if ways else _behind(entering, windows)
            if leaving:
                found[value] = leaving
    return found


def _behind(entering: Lines, windows: Sequence[Window]) -> Lines | None:
    source, along, axes, several = entering
    leaving: list[Line | None] = []
    before: tuple[Any, Any] = (None, None)
    line: Line | None = None
    for index, window in enumerate(windows):
        if window.source is not None:
            return _permuted(entering, windows)
        if index >= len(axes) or not window.phases:
            leaving.append(None)
            continue
        entered = axes[index]
        if entered is not before[0] or window is not before[1]:  # most axes are like the one before
            before = entered, window
            line = entered if window is POINTWISE else entered and entered.through(window)
        leaving.append(line)
    if len(leaving) > len(axes) or not any(leaving):
        return None
    return Lines(source, along[: len(leaving)], tuple(leaving), several)


def _around(entering: Lines, ways: Sequence[Sequence[Window]]) -> Lines | None:
    """Behind an operation that reads several windows together: the hull of its ways."""
    found = [_behind(entering, way[1:]) for way in ways]
    first = found[0]
    if first is None:
        return None
    along = zip(*(one.axes for one in found if one), strict=True)
    hulls = tuple(_hull([line for line in lines if line]) if all(lines) else None for lines in along)
    return first._replace(axes=hulls)


def _permuted(entering: Lines, windows: Sequence[Window]) -> Lines | None:
    """Where axes change places: one that was the channels has no line."""
    if any(window.source is None for window in windows):
        return None
    order = [window.source or 0 for window in windows]
    return entering._replace(
        along=tuple(entering.along[axis] for axis in order), axes=tuple(entering.axes[axis] for axis in order)
    )


def _merged(node: Node, entering: Sequence[tuple[Value, Lines]]) -> Lines | None:
    """Of a merge: the hull of the paths that are exact, where there are any."""
    if not entering:
        return None
    first = entering[0][1]
    beside = [(value, one) for value, one in entering if one.source is first.source and one.along == first.along]
    sizes = node.outputs[0].shape.spatial
    axes: list[Line | None] = []
    before: list[Line] | None = None
    for index, size in enumerate(sizes):
        known = []
        for value, one in beside:
            line = one.axes[index]
            if line and value.shape[index + 1] == size:  # else it is broadcast, or joined along this axis
                known.append(line)
        if known != before:
            before = known
            hull = _hull(known) if known else None
        axes.append(hull)
    if not any(axes):
        return None
    several = any(one.several or one.source is not first.source for _, one in entering)
    return Lines(first.source, first.along, tuple(axes), several)


def _hull(lines: Sequence[Line]) -> Line:
    near = [line for line in lines if not line.periodic] or lines
    found = near[0] if len(near) == len(lines) else near[0]._replace(periodic=True)
    for line in near[1:]:
        if line is found or line == found:
            continue
        stride, low, high, least_low, least_high, coarse, periodic = found
        if line.stride == stride:
            low, high = min(low, line.low), max(high, line.high)
        if line.least_high - line.least_low < least_high - least_low:
            least_low, least_high = line.least_low, line.least_high
        found = Line(stride, low, high, least_low, least_high, max(coarse, line.coarse), periodic)
    return found


@lru_cache(maxsize=4096)
def _straight(window: Window) -> tuple[Number, Number, Number]:
    """A window as lines: how far it moves from a unit to the next, and what unit 0 reads first and last."""
    phases = window.phases
    if not phases or len(phases) > MAX_PHASES:
        return 0, 0, 0
    slope = Fraction(window.advance, len(phases))
    ends = [(taps[0] - slope * unit, taps[-1] - slope * unit) for unit, taps in enumerate(phases) if taps]
    first, last = (_whole(sum(side) / len(ends)) for side in zip(*ends, strict=True))
    return _whole(slope), first, last


def _whole(number: Number) -> Number:
    """The same number, an integer where it is one: they are faster."""
    return number.numerator if number.denominator == 1 else number
