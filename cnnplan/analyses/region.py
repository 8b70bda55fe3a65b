"""Which input units does one unit of a layer see? Exactly, each of them.

A `Box` is a set of units along each axis, channels first; a unit sees a union of boxes. They are
followed backwards from the unit through every layer, clipped to the real extent of every map, so
that padding between the layers, holes of dilated convolutions and the border are exact, and
channels that a `slice` or a `split` leaves out are left out.

    region = seen(value, (3, 4), graph)[0]      # one for each input of the network
    region.interval(0)                          # first and last row
    region.count(0)                             # how many rows

Where the operations mix axes (`reshape`), a region is a bound: `exact` says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cnnplan.errors import UsageError
from cnnplan.ops.base import AXES, Shape
from cnnplan.ops.window import POINTWISE, WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cnnplan.graph import Graph, Node, Value
    from cnnplan.ops.window import Window

MAX_UNITS = 1 << 20
"""Longer axes are not followed unit by unit."""

MAX_BOXES = 128
"""More boxes than this are put into one around them, which is no longer exact."""


class Box(NamedTuple):
    """Units along each axis, channels first: sets with bit i for unit i.

    Inside an `each` there are further axes behind those of the value: its slices, the innermost last.

    `loose`: what is seen is only bounded: "" in no axis, "channels" in the channels, "all".
    """

    axes: tuple[int, ...]
    loose: str = ""


class Region(NamedTuple):
    """The units of a value that a unit sees: those of any of its boxes.

    Attributes:
        shape: of the value.
        boxes: none where nothing of it is seen.
        exact: whether every unit is seen; else the region is a bound.
    """

    shape: Shape
    boxes: tuple[Box, ...]

    @property
    def exact(self) -> bool:
        return all(box.loose != "all" for box in self.boxes)

    def along(self, axis: int) -> int:
        """The units along a spatial axis, from 0, as a set with bit i for unit i."""
        found = 0
        for box in self.boxes:
            found |= box.axes[axis + 1]
        return found

    def interval(self, axis: int) -> tuple[int, int] | None:
        """The first and the last unit along a spatial axis; None where nothing is seen."""
        units = self.along(axis)
        return ((units & -units).bit_length() - 1, units.bit_length() - 1) if units else None

    def count(self, axis: int) -> int:
        """How many units along a spatial axis are seen."""
        return self.along(axis).bit_count()

    @property
    def positions(self) -> int:
        """How many positions are seen, channels left out."""
        spatial = {box.axes[1:] for box in self.boxes}
        if len(spatial) == 1:
            (only,) = spatial
            return _product(only)
        return sum(
            _product(rest) * weight
            for weight, rest in _strips(spatial, len(self.shape) - 1)  # each strip has units that are alike
        )

    def sees(self, place: Sequence[int]) -> bool:
        """Whether any of these units is seen: a set of units for each spatial axis."""
        return any(all(box.axes[i + 1] & units for i, units in enumerate(place)) for box in self.boxes)


def _product(sets: Iterable[int]) -> int:
    total = 1
    for units in sets:
        total *= units.bit_count()
    return total


def _strips(spatial: Iterable[tuple[int, ...]], rank: int) -> Iterable[tuple[int, tuple[int, ...]]]:
    """Disjoint boxes with the same union: how many units of the first axis, and the rest."""
    boxes = list(spatial)
    if rank == 1:
        union = 0
        for (units,) in boxes:
            union |= units
        yield union.bit_count(), ()
        return
    groups: dict[tuple[int, ...], int] = {}
    everything = 0
    for box in boxes:
        everything |= box[0]
    while everything:
        low = everything & -everything
        inside = tuple(i for i, box in enumerate(boxes) if box[0] & low)
        alike = everything
        for i, box in enumerate(boxes):
            alike &= box[0] if i in inside else ~box[0]
        groups[inside] = alike.bit_count()
        everything &= ~alike
    for inside, count in groups.items():
        for weight, rest in _strips([boxes[i][1:] for i in inside], rank - 1):
            yield count * weight, rest


class Sight(NamedTuple):
    """What one unit of a layer sees.

    Attributes:
        value: the layer's output.
        unit: its index along each spatial axis.
        regions: of each input of the network, through all paths.
        local: the same through local paths alone.
        wide: the layers on the way that read a whole axis, in the order they run.
    """

    value: Value
    unit: tuple[int, ...]
    regions: tuple[Region, ...]
    local: tuple[Region, ...]
    wide: tuple[Node, ...]


def sight(value: Value, unit: Sequence[int], graph: Graph) -> Sight:
    """What a unit of a value sees of every input.

    Raises:
        UsageError: the value has no such unit, or is too large to be followed unit by unit.
    """
    sizes = value.shape.spatial
    if not sizes:
        raise UsageError(f"'{value.name}' is a vector of {value.shape.channels}: it has no spatial axes to index")
    if len(unit) != len(sizes):
        raise UsageError(f"'{value.name}' is {value.shape}: a unit of it has {_indexes(len(sizes))}, not {len(unit)}")
    for axis, index, size in zip(AXES.get(len(sizes), ()), unit, sizes, strict=False):
        if not 0 <= index < size:
            raise UsageError(f"unit {index} is outside the {axis} of '{value.name}' ({value.shape}): 0 to {size - 1:,}")
    values = (v for node in graph.nodes for v in (*node.inputs, *node.outputs))
    if (largest := max((n for v in values for n in v.shape), default=1)) > MAX_UNITS:
        raise UsageError(f"an axis has {largest:,} units; at most {MAX_UNITS:,} are followed one by one")
    look = Look(graph)
    regions, local = look.seen(value, unit), look.seen(value, unit, local=True)
    return Sight(value, tuple(unit), regions, local, tuple(wide_layers(value, graph)))


def _indexes(n: int) -> str:
    return "1 index" if n == 1 else f"{n} indexes"


def wide_layers(value: Value, graph: Graph) -> list[Node]:
    """The layers before a value that read a whole axis."""
    needed = {value}
    found = []
    for node in reversed(graph.nodes):
        for port, output in enumerate(node.outputs):
            if output in needed:
                needed.update(node.inputs)
                reads = (node.op.reads(index, port, *node.shapes) for index in range(len(node.inputs)))
                if any(is_wide(node, windows, v.shape) for windows, v in zip(reads, node.inputs, strict=True)):
                    found.append(node)
                break
    return found[::-1]


def is_wide(node: Node, windows: Sequence[Window], shape: Shape) -> bool:
    """Whether a layer reads some spatial axis of an input from end to end."""
    if node.op.folds_axis:
        return False
    return len(windows) < len(shape) or not all(window.phases for window in windows[1:])


def seen(value: Value, unit: Sequence[int], graph: Graph, *, local: bool = False) -> tuple[Region, ...]:
    """What a unit of a value, all its channels together, sees of each input of the network.

    Args:
        value: the output of a layer, or an input.
        unit: its index along each spatial axis.
        graph: the network.
        local: leave out the paths through operations that read a whole axis.
    """
    return Look(graph).seen(value, unit, local=local)


class Look:
    """Answers `seen` for many units of a network: what operations read is asked once."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._reads: dict[tuple[Node, int, int], tuple[Window, ...]] = {}
        self._known: dict[tuple[Value, tuple[int, ...], bool], tuple[Region, ...]] = {}
        self._cut: dict[Value, bool] = {}

    def seen(self, value: Value, unit: Sequence[int], *, local: bool = False) -> tuple[Region, ...]:
        """What a unit of a value sees of each input of the network."""
        value = self._origin(value)
        key = (value, tuple(unit), local and self._is_cut(value))
        if key not in self._known:
            self._known[key] = self._follow(value, unit, local)
        return self._known[key]

    def reads(self, node: Node, index: int, port: int) -> tuple[Window, ...]:
        """What an output of a layer reads of one of its inputs."""
        key = (node, index, port)
        if key not in self._reads:
            self._reads[key] = node.op.reads(index, port, *node.shapes)
        return self._reads[key]

    def _origin(self, value: Value) -> Value:
        """The first value whose units see what this one's do: through operations that read the same unit."""
        while (node := value.node) and len(node.inputs) == 1 and len(node.outputs) == 1:
            if node.inputs[0].shape != value.shape or any(w != POINTWISE for w in self.reads(node, 0, 0)):
                break
            value = node.inputs[0]
        return value

    def _is_cut(self, value: Value) -> bool:
        """Whether some operation on the way to a value reads a whole axis."""
        if not self._cut:
            self._cut.update((given, False) for given in self.graph.inputs)
            for node in self.graph.nodes:
                for port, output in enumerate(node.outputs):
                    reads = (self.reads(node, index, port) for index in range(len(node.inputs)))
                    pairs = list(zip(reads, node.inputs, strict=True))
                    self._cut[output] = any(self._cut[v] or is_wide(node, windows, v.shape) for windows, v in pairs)
        return self._cut[value]

    def _follow(self, value: Value, unit: Sequence[int], local: bool) -> tuple[Region, ...]:
        slices = (_whole(n) for n in _counts(value))
        start = Box((_whole(value.shape.channels), *(1 << index for index in unit), *slices))
        asked: dict[Value, list[Box]] = {value: [start]}
        last = value.node.index if value.node else -1
        for node in reversed(self.graph.nodes[: last + 1]):
            for port, output in enumerate(node.outputs):
                boxes = asked.pop(output, None)
                if boxes:
                    self._behind(node, port, _fewer(boxes), asked, local)
        return tuple(_region(given, _fewer(asked.get(given, []))) for given in self.graph.inputs)

    def _behind(self, node: Node, port: int, boxes: list[Box], asked: dict[Value, list[Box]], local: bool) -> None:
        """What an operation reads for these boxes of one of its outputs."""
        bounds = node.op.bounds(*node.shapes)
        output = node.outputs[port].shape
        for index, value in enumerate(node.inputs):
            windows = self.reads(node, index, port)
            if local and is_wide(node, windows, value.shape):
                continue
            if node.op.folds_axis:
                asked.setdefault(value, []).extend(_refolded(box, node) for box in boxes)
                continue
            if output == value.shape and not bounds and all(window is POINTWISE for window in windows):
                asked.setdefault(value, []).extend(boxes)
                continue
            for way in node.op.ways(index, port, *node.shapes) or (windows,):
                found = (_read(box, way, value.shape, output, bounds) for box in boxes)
                asked.setdefault(value, []).extend(box for box in found if box)


def _region(given: Value, boxes: Sequence[Box]) -> Region:
    """What is seen of an input; a vector of tokens is one channel of them."""
    if given.dtype != "int64" or given.shape.rank:
        return Region(given.shape, tuple(boxes))
    return Region(Shape((1, *given.shape)), tuple(Box((1, *box.axes), box.loose) for box in boxes))


def _counts(value: Value) -> list[int]:
    """How many slices each `each` around a value has, from the outermost."""
    found: list[int] = []
    while depth := len(value.within):
        before = value
        while len(before.within) >= depth:
            assert before.node
            before = before.node.inputs[0]
        found.insert(0, value.slices // before.slices)
        value = before
    return found


def _read(box: Box, windows: Sequence[Window], shape: Shape, output: Shape, bounds: str) -> Box | None:
    """The units of an input that a box of the output reads."""
    axes = [_whole(size) for size in shape]
    for axis, (window, units) in enumerate(zip(windows, box.axes, strict=False)):
        source = axis if axis == 0 or window.source is None else window.source + 1
        if window != WHOLE and source < len(axes):
            axes[source] &= window.units(units, shape[source])
            if not axes[source]:
                return None
    return Box((*axes, *box.axes[len(output) :]), _looseness(box, windows[0], shape, output, bounds))


def _refolded(box: Box, node: Node) -> Box:
    """The units in front of either end of an `each`."""
    own = len(node.output.shape)
    axes, slices = box.axes[:own], box.axes[own:]
    if node.op.folds_axis > 0:
        at = node.op.at(node.shapes[0])  # type: ignore[attr-defined]
        found = (*axes[:at], slices[-1], *axes[at:], *slices[:-1])
    else:
        at = node.op.place(*node.shapes)  # type: ignore[attr-defined]
        found = (*axes[:at], *axes[at + 1 :], *slices, axes[at])
    return Box(found, "all" if box.loose and at == 0 else box.loose)


def _looseness(box: Box, channels: Window, shape: Shape, output: Shape, bounds: str) -> str:
    """Where a box that an operation reads for another is only a bound."""
    if box.loose == "all" or bounds == "always":
        return "all"
    if bounds == "channels":
        return "channels"
    if bounds:
        compared = 1 if bounds == "parts" else len(output)
        part = any(units != _whole(n) for units, n in zip(box.axes[:compared], output[:compared], strict=True))
        return "all" if part or box.loose else ""
    if not box.loose or not channels.phases:
        return ""  # where every channel is read, it does not matter which are asked for
    # a part of the channels is perhaps none of those that are asked for
    return "all" if channels.advance == 1 and shape.channels != output.channels else "channels"


def _whole(size: int) -> int:
    return (1 << size) - 1


def _fewer(boxes: Sequence[Box]) -> list[Box]:
    """The same units in fewer boxes: without those inside others, and joined where they differ along one axis."""
    found = list(dict.fromkeys(boxes))
    changed = len(found) > 1
    while changed:
        changed = False
        for i, box in enumerate(found):
            for j in range(i + 1, len(found)):
                joined = _joined(box, found[j])
                if joined:
                    found[i] = joined
                    del found[j]
                    changed = True
                    break
            if changed:
                break
    if len(found) > MAX_BOXES:
        axes = list(found[0].axes)
        for box in found[1:]:
            axes = [a | b for a, b in zip(axes, box.axes, strict=True)]
        found = [Box(tuple(axes), "all")]
    return found


def _joined(a: Box, b: Box) -> Box | None:
    """One box for the units of two, where there is one."""
    if a.loose != b.loose:
        return None
    differ = [i for i, (p, q) in enumerate(zip(a.axes, b.axes, strict=True)) if p != q]
    if len(differ) == 1:
        axis = differ[0]
        return a._replace(axes=(*a.axes[:axis], a.axes[axis] | b.axes[axis], *a.axes[axis + 1 :]))
    if all(p | q == p for p, q in zip(a.axes, b.axes, strict=True)):
        return a
    if all(p | q == q for p, q in zip(a.axes, b.axes, strict=True)):
        return b
    return None
