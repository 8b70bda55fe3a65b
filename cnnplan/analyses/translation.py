"""What does a shift of the input do? Whether values move along with it, stay as they are, or change.

    translation(graph)      one `Effect` for each output, input and spatial axis

A shift by a multiple of the strides on the way moves the maps of convolutions and poolings as a whole; a pool over
the whole map makes it invisible; what has weights for positions ends both. Borders are left aside: what enters
from there, and what padding holds, is not shifted.

Source: LeCun & Bengio 1995, "Convolutional networks for images, speech, and time series"; Azulay & Weiss 2018,
arXiv:1805.12177.
"""

from __future__ import annotations

from math import lcm
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from cnnplan.ops.base import AXES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.graph import Graph, Node, Value
    from cnnplan.ops.window import Window


class Moves(NamedTuple):
    """A shift by `every` units of the input moves the value by `by` units along an axis.

    Axes are the value's spatial ones, from 0; below 0 those that an `each` has folded, the outermost -1.
    """

    axis: int
    every: int
    by: int


class Still(NamedTuple):
    """A shift by a multiple of `every` units of the input changes nothing.

    Attributes:
        even: whether the value is the same at all of its positions, borders aside.
    """

    every: int
    even: bool = True


class Broken(NamedTuple):
    """A shift changes the value in no way that could be said.

    Attributes:
        node: the first layer that depends on positions.
        why: how.
        before: what held in front of it.
    """

    node: Node
    why: str
    before: Moves | Still


State: TypeAlias = "Moves | Still | Broken | None"
"""None: the value does not depend on the input, or the input has a single unit along the axis."""

States: TypeAlias = "tuple[State, ...]"


class Effect(NamedTuple):
    """What shifts of an input along an axis do to an output.

    Attributes:
        input, output: their names.
        axis: the spatial axis of the input, from 0.
        state: what happens.
    """

    input: str
    output: str
    axis: int
    state: Moves | Still | Broken

    @property
    def kind(self) -> str:
        """One of "equivariant", "invariant" and "broken"."""
        return {Moves: "equivariant", Still: "invariant", Broken: "broken"}[type(self.state)]


def translation(graph: Graph) -> list[Effect]:
    """What shifts do to each output, along each spatial axis of each input that it depends on."""
    found = states(graph)
    keys = [(given.name, axis) for given in graph.inputs for axis in range(given.shape.rank)]
    return [
        Effect(given, name, axis, state)
        for name, value in graph.outputs.items()
        for (given, axis), state in zip(keys, found[value], strict=True)
        if state
    ]


def states(graph: Graph) -> dict[Value, States]:
    """For each value, the state along each spatial axis of each input."""
    keys = [(given, axis) for given in graph.inputs for axis in range(given.shape.rank)]
    found: dict[Value, States] = {}
    for value in graph.inputs:
        found[value] = tuple(
            Moves(axis, 1, 1) if given is value and given.shape.spatial[axis] > 1 else None for given, axis in keys
        )
    for node in graph.nodes:
        for port, output in enumerate(node.outputs):
            entering = []
            for index, value in enumerate(node.inputs):
                windows = node.op.reads(index, port, *node.shapes)[1:]
                entering.append([_through(s, windows, node, output) for s in found[value]])
            found[output] = tuple(_together(several, node, output) for several in zip(*entering, strict=True))
    return found


def _through(state: State, windows: Sequence[Window], node: Node, output: Value) -> State:
    """Behind an operation, through one of its inputs."""
    op, shapes = node.op, node.shapes
    if isinstance(state, Still) and output.shape.rank and not (op.uniform(*shapes) and _is_local(windows)):
        return Still(state.every, False)
    if not isinstance(state, Moves):
        return state
    if op.folds_axis:
        return _refolded(state, node)
    if state.axis < 0:
        return state
    if not op.uniform(*shapes):
        return Broken(node, "treats each position in its own way", state)
    axes = [o for o, window in enumerate(windows) if (o if window.source is None else window.source) == state.axis]
    window = windows[axes[0]] if axes else None
    if window is None or not window.phases:
        if op.keeps_order():
            return state
        if _is_symmetric(node):
            return Still(state.every)
        return Broken(node, "joins positions to features", state)
    if not window.advance:
        return Broken(node, "takes a single position", state)
    o, size = axes[0], output.shape.spatial[axes[0]]
    common = lcm(state.by, window.advance)
    every, by = state.every * common // state.by, len(window.phases) * common // window.advance
    if by < size:
        return Moves(o, every, by)
    if size == 1 and _is_symmetric(node) and reads_all(window, shapes[0].spatial[state.axis]):
        return Still(state.every)
    return Broken(node, "leaves no room to move" if size == 1 else "has windows of its own for each position", state)


def _is_local(windows: Sequence[Window]) -> bool:
    """Whether each axis reads along an axis of the input."""
    return all(window.phases for window in windows)


def _is_symmetric(node: Node) -> bool:
    """Whether the order of the units that it reads along an axis does not matter."""
    return node.op.group == "pooling" and not node.op.bounds(*node.shapes)


def reads_all(window: Window, size: int) -> bool:
    """Whether the first window reads every unit, and no padding."""
    taps = window.phases[0]
    return (taps[0], taps[-1], len(taps)) == (0, size - 1, size)


def _refolded(state: Moves, node: Node) -> State:
    """Behind either end of an `each`: an axis is folded, or put back."""
    if node.op.folds_axis > 0:
        at, depth = node.op.at(node.shapes[0]), len(node.output.within)  # type: ignore[attr-defined]
        if state.axis < 0:
            return state
        if at == 0:
            lost = Broken(node, "makes channels of positions", state)
            return lost if state.axis == 0 else state._replace(axis=state.axis - 1)
        axis = -depth if state.axis == at - 1 else state.axis - (state.axis > at - 1)
        return state._replace(axis=axis)
    at, depth = node.op.place(*node.shapes), len(node.inputs[0].within)  # type: ignore[attr-defined]
    if state.axis == -depth:
        return state._replace(axis=at - 1)
    if state.axis < 0:
        return state
    return state._replace(axis=state.axis + (at <= state.axis + 1))


def _together(several: Sequence[State], node: Node, output: Value) -> State:
    """Of a value made from several."""
    found = [state for state in several if state]
    broken = next((state for state in found if isinstance(state, Broken)), None)
    if broken or not found:
        return broken
    moving = [state for state in found if isinstance(state, Moves)]
    if not moving:
        still = [state for state in found if isinstance(state, Still)]
        even = len(still) == len(several) and all(state.even for state in still)
        return Still(lcm(*(state.every for state in still)), even or not output.shape.rank)
    first = moving[0]
    for value, state in zip(node.inputs, several, strict=True):
        fixed = state is None or (isinstance(state, Still) and not state.even)
        if fixed and 0 <= first.axis < value.shape.rank and value.shape.spatial[first.axis] > 1:
            return Broken(node, "meets values that do not move", first)
    along = node.op.along(*node.shapes) - 1 if node.op.kind == "concat" else None  # type: ignore[attr-defined]
    if first.axis >= 0 and along == first.axis:
        return Broken(node, "puts maps one behind the other", first)
    if any((s.axis, s.by * first.every) != (first.axis, first.by * s.every) for s in moving):
        return Broken(node, "joins paths of different strides", first)
    if len(moving) < len([s for s in several if s is not None]) or len(moving) > 1:
        every = lcm(*(state.every for state in found if not isinstance(state, Broken)))
        first = Moves(first.axis, every, first.by * every // first.every)
    if first.axis >= 0 and first.by >= output.shape.spatial[first.axis]:
        return Broken(node, "leaves no room to move", first)
    return first


def axis_name(rank: int, axis: int) -> str:
    """What people call a spatial axis: "height", "width" …"""
    return AXES.get(rank, ())[axis] if rank in AXES else f"axis {axis}"
