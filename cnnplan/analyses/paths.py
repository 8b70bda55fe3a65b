"""One fold over the graph for every question about what units see.

What is known of a spatial axis of a value starts at an input, goes through the windows of each
operation, and is united where several values meet. `Rules` say how, for one question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from cnnplan.ops.window import FIRST, POINTWISE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.graph import Graph, Node, Value
    from cnnplan.ops.window import Window

T = TypeVar("T")


class Rules(Protocol[T]):
    """How what is known of an axis, a `T`, moves through the graph."""

    nowhere: T
    """Of an axis that no local path reaches: some operation read it from end to end."""

    def start(self, axis: int) -> T:
        """Of an input's own axis."""

    def through(self, known: T, window: Window) -> T:
        """Behind an operation."""

    def united(self, several: Sequence[T], channels: Sequence[int]) -> T:
        """Of a value made from several, which have so many channels."""

    def joined(self, known: T) -> T:
        """Of an axis along which values are put one behind the other."""

    def is_global(self, known: T) -> bool:
        """Whether some path sees the whole axis."""


class Paths(NamedTuple, Generic[T]):
    """How a value depends on an input of the network.

    Attributes:
        axes: what is known of each spatial axis of the value.
        is_global: whether some path sees the whole input.
        folded: what is known of the axes that an `each` has folded into the batch.
    """

    axes: tuple[T, ...]
    is_global: bool = False
    folded: tuple[T, ...] = ()


def follow(graph: Graph, rules: Rules[T]) -> dict[Value, tuple[Paths[T] | None, ...]]:
    """For every value and each input of the network what is known; None where it does not depend on it.

    A normalization over the map is local beside its mean and variance, which see everything, as a gate does. The
    tokens of a vector of integers are places along an axis.
    """
    found: dict[Value, tuple[Paths[T] | None, ...]] = {}
    count = len(graph.inputs)
    for index, value in enumerate(graph.inputs):
        own = Paths(tuple(map(rules.start, range(_rank(value)))))
        found[value] = tuple(own if i == index else None for i in range(count))
    known: dict[Any, tuple[Window, ...]] = {}
    for node in graph.nodes:
        for port, output in enumerate(node.outputs):
            entering, read = [], []
            for index, value in enumerate(node.inputs):
                key = (id(node.op), node.shapes, index, port)
                windows = known.get(key)
                if windows is None:
                    windows = known[key] = node.op.reads(index, port, *node.shapes)
                if _rank(output) == output.shape.rank:
                    windows = windows[1:]
                if node.op.folds_axis:
                    entering.append(tuple(paths and _refolded(paths, node, rules) for paths in found[value]))
                elif node.op.group == "normalization" and not all(window.phases for window in windows):
                    entering.append(tuple(paths and paths._replace(is_global=True) for paths in found[value]))
                elif ways := node.op.ways(index, port, *node.shapes):
                    every = [_through(found[value], value.shape.rank, way[1:], rules) for way in ways]
                    even = [1] * len(ways)
                    entering.append(tuple(_united(several, even, rules) for several in zip(*every, strict=True)))
                else:
                    entering.append(_through(found[value], _rank(value), windows, rules))
                read.append(windows)
            if len(read) == 1:
                found[output] = entering[0]
                continue
            channels = [value.shape.channels for value in node.inputs]
            leaving = tuple(_united(several, channels, rules) for several in zip(*entering, strict=True))
            if any(windows != read[0] for windows in read) and (joined := _joined(read)):
                leaving = tuple(paths and _apart(paths, joined, rules) for paths in leaving)
            found[output] = leaving
    return found


def _rank(value: Value) -> int:
    """How many axes of places a value has."""
    return value.shape.rank or int(value.dtype == "int64")


def _through(
    several: tuple[Paths[T] | None, ...], rank: int, windows: Sequence[Window], rules: Rules[T]
) -> tuple[Paths[T] | None, ...]:
    """What is known behind an operation, through one of its inputs, which has `rank` axes."""
    if len(windows) == rank and all(window is POINTWISE or window == POINTWISE for window in windows):
        return several
    return tuple(paths and _behind(paths, windows, rank, rules) for paths in several)


def _behind(paths: Paths[T], windows: Sequence[Window], rank: int, rules: Rules[T]) -> Paths[T]:
    axes = []
    for index, window in enumerate(windows):
        source = index if window.source is None else window.source
        local = source < rank and window.phases
        axes.append(rules.through(paths.axes[source], window) if local else rules.nowhere)
    collapsed = not windows and bool(paths.axes)
    return Paths(tuple(axes), paths.is_global or collapsed or any(map(rules.is_global, axes)), paths.folded)


def _refolded(paths: Paths[T], node: Node, rules: Rules[T]) -> Paths[T]:
    """What is known behind either end of an `each`: the axis is set apart, or put back; channels are no axis."""
    axes = (rules.nowhere, *paths.axes)
    if node.op.folds_axis > 0:
        at = node.op.at(node.shapes[0])  # type: ignore[attr-defined]
        left = (*axes[:at], *axes[at + 1 :])
        return Paths(left[1:], paths.is_global, (*paths.folded, axes[at]))
    at = node.op.place(*node.shapes)  # type: ignore[attr-defined]
    whole = (*axes[:at], paths.folded[-1], *axes[at:])[1:]
    return Paths(whole, paths.is_global or any(map(rules.is_global, whole)), paths.folded[:-1])


def _united(several: Sequence[Paths[T] | None], channels: Sequence[int], rules: Rules[T]) -> Paths[T] | None:
    """What is known of a value that depends on an input through several others."""
    found = [(paths, n) for paths, n in zip(several, channels, strict=True) if paths]
    if not found:
        return None
    weights = [n for _, n in found]
    axes = tuple(rules.united(axis, weights) for axis in zip(*(paths.axes for paths, _ in found), strict=True))
    folded = tuple(rules.united(axis, weights) for axis in zip(*(paths.folded for paths, _ in found), strict=True))
    return Paths(axes, any(paths.is_global for paths, _ in found), folded)


def _joined(read: Sequence[Sequence[Window]]) -> list[int]:
    """The axes along which values are put one behind the other: a unit comes from one of them."""
    along = enumerate(zip(*read, strict=True))
    return [axis for axis, windows in along if len({window for window in windows if window != FIRST}) > 1]


def _apart(paths: Paths[T], joined: Sequence[int], rules: Rules[T]) -> Paths[T]:
    axes = tuple(rules.joined(axis) if i in joined else axis for i, axis in enumerate(paths.axes))
    return paths._replace(axes=axes)
