"""R408 isolated-groups."""

from __future__ import annotations

from collections import Counter
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from cnnplan.diagnostics import Related
from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.ops.window import POINTWISE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnnplan.graph import Node, Value
    from cnnplan.lint.net import Net
    from cnnplan.ops.window import Window

GROUPED = ("conv", "conv_transpose")

ENOUGH = 3
"""So many grouped convolutions in a row are found wherever they stand."""

TOWERS = 2
"""Two convolutions in a row with so few groups are AlexNet's two towers."""


class IsolatedGroups(Rule):
    """Grouped convolutions in a row whose groups never exchange anything: several narrow networks side by side.

    In three layers of 4 groups, a channel of the last one depends on a quarter of the channels before the first.
    What depends on what is followed through shuffles, splits, merges and depthwise layers, channel by channel; a
    dense convolution, a shuffle between two of them, or a gate ends a row. Two are a row where one is directly behind
    the other and no shuffle follows, unless they are two towers as AlexNet has them; over a residual sum, as in
    ShuffleNet, it takes three. Groups that keep channels of the network's own input apart are not meant.

    Source: Zhang, Zhou, Lin & Sun 2017, arXiv:1707.01083, section 3.1 and figure 1.
    """

    code: ClassVar[str] = "R408"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 16, kernel_size: 3}
          - relu
          - layers:
              - conv: {out_channels: 16, kernel_size: 3, groups: 4}
              - relu
            repeat: 2
          - conv: {out_channels: 16, kernel_size: 3, groups: 4}
          - relu
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 16, kernel_size: 3}
          - relu
          - layers:
              - conv: {out_channels: 16, kernel_size: 3, groups: 4}
              - relu
            repeat: 2
          - channel_shuffle: 4
          - conv: {out_channels: 16, kernel_size: 3, groups: 4}
          - relu
    """

    def check(self, net: Net) -> Iterator[Finding]:
        grouped = [node for node in net.of(*GROUPED) if _is_grouped(node)]
        found: set[Node] = set()
        if len(grouped) >= ENOUGH and _may_be_apart(net):
            for root, row in _rows(net).items():
                third = next((place for place in row if place.ordinal == ENOUGH), None)
                if third is None or root in net.graph.inputs:
                    continue
                found.update(place.node for place in row)
                count = max(place.ordinal for place in row)
                said = (
                    f"'{third.node.name}' is the third {'' if count == ENOUGH else f'of {count:,} '}grouped "
                    f"convolution{'s' * (count > ENOUGH)} in a row: {third.parts:,} sets of channels have not "
                    f"exchanged anything since '{root.name}'"
                )
                yield self.finding(third.node, said, row[0].node)
        for node in grouped:
            first = _pair(node, net)
            if first and node not in found:
                groups: int = node.op.groups  # type: ignore[attr-defined]
                said = (
                    f"'{node.name}' has the {groups} groups of '{first.name}' before it, with no exchange between them"
                )
                yield self.finding(node, said, first)

    @staticmethod
    def finding(node: Node, said: str, first: Node) -> Finding:
        """A row that begins with another layer."""
        shuffle = f"channel_shuffle: {node.op.groups}"  # type: ignore[attr-defined]
        return at(
            node,
            said,
            help=f"put `- {shuffle}` before it, or a convolution without groups",
            related=(Related(f"the row begins with '{first.name}'", first.at.start),),
            change=Change(False, f"insert `{shuffle}`", ((node, ("before", shuffle)),)),
        )


def _pair(node: Node, net: Net) -> Node | None:
    """The grouped convolution directly before one of the same groups, where the two are all of a row."""
    groups: int = node.op.groups  # type: ignore[attr-defined]
    first = _before(node, net)
    if groups <= TOWERS or first is None or first.op.kind not in GROUPED or getattr(first.op, "groups", 1) != groups:
        return None
    before = _before(first, net)
    if before is None or _is_grouped(before):  # signals of the input, or a longer row
        return None
    following = net.next(node)
    while following and _passes(following, net):
        following = net.next(following)
    if following and (following.op.kind == "channel_shuffle" or _is_grouped(following)):
        return None
    return first


def _before(node: Node, net: Net) -> Node | None:
    """The layer before it, without those that keep each channel by itself."""
    found = node.inputs[0].node
    while found and _passes(found, net):
        found = found.inputs[0].node
    return found


def _passes(node: Node, net: Net) -> bool:
    """Whether each channel stays by itself, depthwise layers included."""
    return _keeps(node) or net.is_depthwise(node)


class _Known(NamedTuple):
    """What the channels of a value depend on.

    Attributes:
        root: the value since which no layer has mixed all channels.
        sets: for each channel, the root's channels that it depends on, as bits; none where each is its own.
        ordinal: how many grouped convolutions stand in a row since then.
    """

    root: Value
    sets: Sequence[int] = ()
    ordinal: int = 0


class _Place(NamedTuple):
    """A grouped convolution of a row, and how many sets of channels are apart behind it."""

    node: Node
    ordinal: int
    parts: int


def _is_grouped(node: Node) -> bool:
    """Whether it is a convolution in groups of several channels."""
    groups: int = getattr(node.op, "groups", 1)
    return 1 < groups < node.shapes[0].channels


def _keeps(node: Node) -> bool:
    """Whether each channel stays by itself, but for the mean and variance of a normalization."""
    return len(node.inputs) == 1 and (node.op.own_channels or node.op.group == "normalization")


def _may_be_apart(net: Net) -> bool:
    """Whether enough grouped convolutions stand behind one value without a layer that reads all channels at once."""
    roots = {value: value for value in net.graph.inputs}
    counts: Counter[Value] = Counter()
    for node in net.nodes:
        first, op = roots[node.inputs[0]], node.op
        apart = op.own_channels or op.group in ("normalization", "shape", "merge") or net.is_depthwise(node)
        if op.kind in GROUPED and _is_grouped(node):
            counts[first] += 1
            apart = True
        apart = apart and (len(node.inputs) == 1 or all(roots[value] is first for value in node.inputs))
        for value in node.outputs:
            roots[value] = first if apart else value
    return max(counts.values()) >= ENOUGH


def _rows(net: Net) -> dict[Value, list[_Place]]:
    """The grouped convolutions by the value since which their groups have been apart."""
    known = {value: _Known(value) for value in net.graph.inputs}
    rows: dict[Value, list[_Place]] = {}
    for node in net.nodes:
        entering = [known[value] for value in node.inputs]
        if _keeps(node):
            known[node.output] = entering[0]
            continue
        last = max(entering, key=lambda one: one.root.node.index if one.root.node else -1)
        entering = [_Known(last.root) if one is known[last.root] else one for one in entering]
        first = entering[0]
        for port, value in enumerate(node.outputs):
            windows = [node.op.reads(index, port, *node.shapes)[0] for index in range(len(entering))]
            if any(not window.phases for window in windows) or any(one.root is not first.root for one in entering):
                known[value] = _Known(value)
                continue
            ordinal = max(one.ordinal for one in entering)
            sets = _sets(node, entering, windows, value.shape.channels)
            if node.op.kind in GROUPED and _is_grouped(node):
                parts = _parts(sets)
                if parts == 1:  # this one mixes them all, and begins another row
                    first, ordinal = _Known(node.inputs[0]), 0
                    sets = _sets(node, [first], windows, value.shape.channels)
                    parts = _parts(sets)
                ordinal += 1
                rows.setdefault(first.root, []).append(_Place(node, ordinal, parts))
            known[value] = _Known(first.root, sets, ordinal)
    return rows


def _sets(node: Node, entering: Sequence[_Known], windows: Sequence[Window], count: int) -> Sequence[int]:
    """What each of so many channels depends on."""
    every = []
    for one, window, value in zip(entering, windows, node.inputs, strict=True):
        every.append(_read(one.sets or [1 << i for i in range(value.shape.channels)], window, count))
    return every[0] if len(every) == 1 else [reduce(or_, bits) for bits in zip(*every, strict=True)]


def _read(sets: Sequence[int], window: Window, count: int) -> Sequence[int]:
    """What each of so many channels depends on through one input."""
    if window == POINTWISE and count == len(sets):
        return sets
    found: list[int] = []
    shift = 0
    while len(found) < count:
        before, bits = None, 0
        for taps in window.phases:
            if taps is not before:  # the channels of a group read the same
                before, bits = taps, 0
                for tap in taps:
                    bits |= sets[tap + shift] if 0 <= tap + shift < len(sets) else 0
            found.append(bits)
        shift += window.advance
    return found[:count]


def _parts(sets: Sequence[int]) -> int:
    """How many sets of channels have nothing in common."""
    apart: list[int] = []
    several = set(sets)
    if sum(bits.bit_count() for bits in several) == reduce(or_, several).bit_count():
        return len(several)
    for bits in several:
        meeting = [other for other in apart if other & bits]
        apart = [other for other in apart if not other & bits]
        apart.append(reduce(or_, meeting, bits))
    return len(apart)
