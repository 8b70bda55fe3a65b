"""R404 misaligned-merge."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import combinations
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from cnnplan.codes import INFO
from cnnplan.lint.base import Finding, Rule, at
from cnnplan.ops.base import AXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnnplan.graph import Node, Value
    from cnnplan.lint.lines import Line, Lines, Number
    from cnnplan.lint.net import Net

MOST = 32
"""So many different paths of a merge are held against each other."""


class MisalignedMerge(Rule):
    """Paths that meet and look at different places of the input: the centres of what they see are apart.

    A unit then adds or joins what lies at one place and what lies at another, such as a path that was cut at one
    side only. Less than a unit of the coarser path is worth a note alone: a shift of half a unit or so comes with
    most strided layers beside others, and networks learn to live with it.

    Causal layers look at one side only, and are meant to: paths along time (one axis) that begin, or end, at the same
    place are in order, and so are those that are padded on the other side.

    Source: Araujo, Norris & Sim 2019, doi:10.23915/distill.00021, "Alignment".
    """

    code: ClassVar[str] = "R404"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
          - relu
          - add:
              body:
                - conv: {out_channels: 8, kernel_size: 3}
                - relu
                - conv: {out_channels: 8, kernel_size: 3}
              shortcut:
                - slice: {axis: 1, stop: -4}
                - slice: {axis: 2, stop: -4}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
          - relu
          - add:
              body:
                - conv: {out_channels: 8, kernel_size: 3}
                - relu
                - conv: {out_channels: 8, kernel_size: 3}
              shortcut:
                - crop: 26
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for node in net.nodes:
            merges = len(node.inputs) > 1 and node.op.group == "merge"
            if merges and not _are_aligned([net.lines[v] for v in node.inputs if v in net.lines]):
                worst = max(_shifts(node, net), key=lambda shift: (shift.is_large, shift.by), default=None)
                if worst:
                    one, other = worst.values
                    yield at(
                        node,
                        f"the centres of what '{one.name}' and '{other.name}' see are {_units(worst.by)} of the input "
                        f"apart along the {worst.axis}; the coarser of both has a stride of {float(worst.coarse):g}",
                        help="cut the larger path in the middle (`crop`), and pad both alike (`padding: half`)",
                        severity="" if worst.is_large and not _is_little(worst, net) else INFO,
                    )


def _is_little(shift: _Shift, net: Net) -> bool:
    """Whether the shift is small beside what the larger path sees, as of long even windows in a row."""
    sizes = [line.size for value in shift.values for line in net.lines[value].axes if line]
    return bool(16 * shift.by <= max(sizes))


def _are_aligned(known: Sequence[Lines]) -> bool:
    """Whether what meets has the same centres along all axes: most merges, in which nothing else is to be asked."""
    for lines in zip(*(one.axes for one in known), strict=True):
        first = None
        for line in lines:
            if line is None or line is first:
                continue
            if first is None:
                first = line
            elif line.low + line.high != first.low + first.high or line.stride != first.stride:
                return False
    return True


class _Shift(NamedTuple):
    """How far the centres of two paths are apart along an axis, and the stride of the coarser one."""

    is_large: bool
    by: Number
    coarse: Number
    axis: str
    values: tuple[Value, Value]


class _Path(NamedTuple):
    """What one value of a merge sees along an axis: the input, and which of its axes that is."""

    value: Value
    line: Line
    source: Value
    along: int


def _shifts(node: Node, net: Net) -> Iterator[_Shift]:
    """The paths that meet in a layer with different centres."""
    known = [(value, net.lines[value]) for value in node.inputs if value in net.lines]
    shape = node.output.shape
    for index, size in enumerate(shape.spatial):
        paths: dict[tuple[Number, Number], _Path] = {}
        for value, (source, along, axes, _) in known:
            line = axes[index]
            if line and value.shape.spatial[index] == size and len(paths) < MOST:
                paths.setdefault((line.stride, line.low + line.high), _Path(value, line, source, along[index]))
        for one, other in combinations(paths.values(), 2):
            if (one.source, one.along) != (other.source, other.along):
                continue
            (stride, low, high, *_), (other_stride, other_low, other_high, *_) = one.line, other.line
            coarse = max(one.line.coarse, other.line.coarse)
            apart = low + high - other_low - other_high
            by = abs(apart) / 2
            if stride != other_stride:  # the shift is another for every unit: two sizes that do not divide
                by = max(by, abs(apart + 2 * (stride - other_stride) * (size - 1)) / 2)
                if by >= coarse:
                    yield _Shift(False, by, coarse, AXES[shape.rank][index], (one.value, other.value))
            elif not _is_causal(one, other, index, net):
                yield _Shift(by >= coarse, by, coarse, AXES[shape.rank][index], (one.value, other.value))


def _is_causal(one: _Path, other: _Path, index: int, net: Net) -> bool:
    """Whether two paths begin, or end, at the same place on purpose: along time, or padded on the other side."""
    begin, end = one.line.low == other.line.low, one.line.high == other.line.high
    if not begin and not end:
        return False
    if one.source.shape.rank == 1:
        return True
    fork = _fork(one.value, other.value, net)
    known = net.lines[fork]
    axis = known.along.index(one.along)
    line = known.axes[axis]
    if line is None:
        return False
    if end:
        return bool(min(one.line.low, other.line.low) < line.low)
    last = one.line.stride * (one.value.shape.spatial[index] - 1)
    return bool(max(one.line.high, other.line.high) + last > line.high + line.stride * (fork.shape.spatial[axis] - 1))


def _fork(one: Value, other: Value, net: Net) -> Value:
    """The last value that both come from."""
    sides = {one: 1}
    sides[other] = sides.get(other, 0) | 2
    queue = [(-_index(value), id(value), value) for value in sides]
    heapify(queue)
    while True:
        value = heappop(queue)[2]
        if sides[value] == 3:
            return value
        for entered in value.node.inputs if value.node else ():
            if entered not in net.lines:
                continue
            if entered not in sides:
                heappush(queue, (-_index(entered), id(entered), entered))
            sides[entered] = sides.get(entered, 0) | sides[value]


def _index(value: Value) -> int:
    """Where it is made, among the layers."""
    return value.node.index if value.node else -1


def _units(number: Number) -> str:
    """1 unit, 2.5 units."""
    return f"{float(number):g} unit{'s' * (number != 1)}"
