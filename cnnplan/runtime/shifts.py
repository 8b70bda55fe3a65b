"""Translation: what shifts do, against shifts of what lies in the middle of an even background.

Along one axis at a time, a strip of noise in a constant input is moved. Units whose field touches a border are left
aside. A value that moves must give the same units in the other place; one that stays, the same numbers; and an
output behind a layer that depends on positions, others.
"""

from __future__ import annotations

from copy import deepcopy
from math import lcm
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from cnnplan.analyses.field import fields
from cnnplan.analyses.translation import Broken, Moves, Still, axis_name, states
from cnnplan.diagnostics import Report
from cnnplan.errors import UsageError
from cnnplan.runtime.check import DIFFERS, EXACT, LEFT_OUT, Check, Difference, counted
from cnnplan.runtime.interpreter import Interpreter, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from cnnplan.analyses.translation import State
    from cnnplan.graph import Graph, Node, Value
    from cnnplan.ops.window import Window
    from cnnplan.planning import Plan

BUDGET = 1_500_000_000
"""Multiply-accumulates of a run on a larger input; with more, the planned size is all that is tried."""

ORACLE = "shifted inputs, borders aside"
TOLERANCE = 1e-8


def translation(plan: Plan, model: nn.Module) -> Check | None:
    """What the plan says of shifts, axis by axis; None for a network without spatial inputs."""
    graph = plan.graph
    keys = [(given, axis) for given in graph.inputs for axis in range(given.shape.rank)]
    if not plan.translation:
        return None
    differences: dict[tuple[str, str], Difference] = {}
    seen: set[str] = set()
    effects = {(e.input, e.axis, e.output): e.kind for e in plan.translation}
    for index, (given, axis) in enumerate(keys):
        every = _every([found[index] for found in states(graph).values()])
        if every is None:
            continue
        tried = _roomier(plan, given, axis, every)
        shift = _every([found[index] for found in states(tried).values()]) or every
        run = _Run(tried, model, index, axis, shift)
        seen |= run.seen
        for found in run.differences:
            differences.setdefault((found.layer, found.planned), found)
    kinds = sorted(set(effects.values()))
    planned = " and ".join(kinds) or "nothing moves"
    if not seen:
        why = "left out: every field touches a border at this size"
        return Check("translation", planned, "", why, LEFT_OUT)
    verdict = DIFFERS if differences else EXACT
    return Check("translation", planned, counted(len(seen), "layer"), ORACLE, verdict, tuple(differences.values()))


def _every(several: Sequence[State]) -> int | None:
    """A shift that all layers can follow; None where nothing moves, or not far enough to be of use."""
    found = {s.every for s in several if isinstance(s, Moves | Still)}
    every = lcm(*found) if found else None
    return every if every and every <= 1 << 12 else None


def _roomier(plan: Plan, given: Value, axis: int, every: int) -> Graph:
    """The network on an input that is longer along the axis, if it takes one and it costs little."""
    graph = plan.graph
    sizes = [
        span.size
        for found in fields(graph).values()
        for field in found
        if field
        for one in field.axes
        for span in one.spans
        if span.axis == axis
    ]
    size = given.shape.spatial[axis]
    needed = 2 * max(sizes, default=1) + 3 * every
    longer = size + max(0, -(-(needed - size) // every)) * every
    if longer > size and plan.macs * longer // size <= BUDGET and len(graph.inputs) == 1:
        from cnnplan.planning import load

        spatial = tuple(longer if i == axis else n for i, n in enumerate(given.shape.spatial))
        try:
            other = load(plan.spec.text, Report(""), graph.overrides, spatial)
        except UsageError:
            other = None
        if other and [_tensors(n) for n in other.nodes] == [_tensors(n) for n in graph.nodes]:
            return other
    return graph


def _tensors(node: Node) -> tuple[object, ...]:
    return node.name, node.op.parameters(*node.shapes)


class Marks(NamedTuple):
    """Of the units of a value along the axis that moves.

    Attributes:
        free: which depend on nothing beyond a border.
        first, second: which the strip reaches through local paths, in its first and its second place.
    """

    free: Tensor
    first: Tensor
    second: Tensor

    def joined(self, other: Marks) -> Marks:
        """Of a value made from two."""
        return Marks(self.free & other.free, self.first | other.first, self.second | other.second)


class _Run:
    """The background alone, with the strip, and with the strip elsewhere."""

    def __init__(self, graph: Graph, model: nn.Module, key: int, axis: int, shift: int) -> None:
        self.graph, self.key, self.axis, self.shift = graph, key, axis, shift
        self.states = states(graph)
        keys = [given for given in graph.inputs for _ in range(given.shape.rank)]
        self.given = keys[key]
        self.port = graph.inputs.index(self.given)
        self.size = self.given.shape.spatial[axis]
        self.seen: set[str] = set()
        self.differences: list[Difference] = []
        self.clean: dict[Value, bool] = {}
        self.marks: dict[Value, Marks] = {}
        self.results: dict[Value, Tensor] = {}
        self.width = min(shift, max(1, self.size // 4))
        self.start = (self.size - self.width - shift) // 2
        if self.start < 1:
            return
        with torch.no_grad():
            self.run(model, self.inputs(self.start, self.width))

    def inputs(self, start: int, width: int) -> list[Tensor]:
        """For each input a batch of three: the background; with the strip; with the strip moved."""
        found = []
        for value in self.graph.inputs:
            if value.dtype == "int64":
                found.append(torch.zeros(3, *value.shape, dtype=torch.int64))
                continue
            channels = torch.randn(1, value.shape.channels, *[1] * value.shape.rank, dtype=torch.float64)
            x = channels.expand(3, *value.shape).clone()
            if value is self.given:
                shape = list(x[0].shape)
                shape[self.axis + 1] = width
                strip = torch.randn(shape, dtype=torch.float64)
                x[1].narrow(self.axis + 1, start, width).copy_(strip)
                x[2].narrow(self.axis + 1, start + self.shift, width).copy_(strip)
            found.append(x)
        return found

    def run(self, model: nn.Module, inputs: list[Tensor]) -> None:
        """Run the network, layer by layer, in double precision, and look at every value."""
        interpreter = Interpreter(self.graph, deepcopy(model).double())
        for value in self.graph.inputs:
            self.clean[value] = True
            if value is self.given:
                units = torch.arange(self.size)
                strips = [(units >= at) & (units < at + self.width) for at in (self.start, self.start + self.shift)]
                self.marks[value] = Marks(torch.ones(self.size, dtype=torch.bool), *strips)
        try:
            interpreter.run(inputs, self.look)
        except Refused:
            return

    def look(self, node: Node, _: Sequence[Tensor], outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Hold one layer's outputs against what is said of them."""
        entering = all(self.clean[value] for value in node.inputs)
        for value, y in zip(node.outputs, outputs, strict=False):
            self.clean[value] = entering and self.held(node, value, y.view(3, value.slices, *y.shape[1:]))
        return outputs

    def held(self, node: Node, value: Value, y: Tensor) -> bool:
        """Whether what the strip changes is clear of the borders; what is not as planned is noted."""
        state = self.states[value][self.key]
        background, first, second = y
        if not torch.is_floating_point(y):
            if isinstance(state, Moves):
                self.marks[value] = self.marked(node, node.outputs.index(value), value, state)
            return True
        scale = max(1.0, float(background.abs().max()))
        if isinstance(state, Moves | Still) and self.shift % state.every:
            return False
        if isinstance(state, Still):
            if not _same(first, second, scale):
                self.differences.append(self.difference(node, state, "changes"))
            self.seen.add(node.name)
            return True
        if isinstance(state, Broken):
            if node is state.node and not _same(first, second, scale):
                self.seen.add(node.name)
            return False
        if state is None:
            return True
        marks = self.marks[value] = self.marked(node, node.outputs.index(value), value, state)
        if state.axis < 0 and len(value.within) > 1:
            return False  # which of the slices it is would have to be told
        folded = state.axis < 0
        dim, n = (0, value.slices) if folded else (state.axis + 2, value.shape.spatial[state.axis])
        by, free = state.by * self.shift // state.every, marks.free
        if by >= n:
            return False
        # what the strip reaches, and where that comes from or goes to, has to see no border
        if bool((marks.first & ~_moved(free, -by)).any() or (marks.second & ~_moved(free, by)).any()):
            return False
        a, b = first.narrow(dim, 0, n - by), second.narrow(dim, by, n - by)
        both = (free[: n - by] & free[by:]).nonzero().flatten()
        if not _same(a.index_select(dim, both), b.index_select(dim, both), scale):
            self.differences.append(self.difference(node, state, f"does not move by {by}"))
        if not _same(first, background, scale):
            self.seen.add(node.name)
        return True

    def marked(self, node: Node, port: int, value: Value, state: Moves) -> Marks:
        """What is known of the units of a value, from what a layer takes."""
        found: Marks | None = None
        for index, source in enumerate(node.inputs):
            if not isinstance(self.states[source][self.key], Moves):
                continue
            marks = self.marks[source]
            if not node.op.folds_axis and state.axis >= 0:
                window = node.op.reads(index, port, *node.shapes)[1:][state.axis]
                n = value.shape.spatial[state.axis]
                if window.phases:
                    marks = _behind(marks, window, n)
                elif len(marks.free) != n:
                    marks = Marks(torch.zeros(n, dtype=torch.bool), *[torch.ones(n, dtype=torch.bool)] * 2)
            found = found.joined(marks) if found else marks
        assert found is not None, node.name
        return found

    def difference(self, node: Node, state: Moves | Still, measured: str) -> Difference:
        name = axis_name(self.given.shape.rank, self.axis)
        said = "moves" if isinstance(state, Moves) else "stays as it is"
        planned = f"{said} with {name} shifts by {state.every}"
        return Difference(node.name, node.line, planned, f"{measured}, shifted by {self.shift}")


def _same(a: Tensor, b: Tensor, scale: float) -> bool:
    return a.numel() == 0 or bool((a - b).abs().max() <= TOLERANCE * scale)


def _moved(free: Tensor, by: int) -> Tensor:
    """Which units see no border, and neither does the unit so far before them; there are none beyond the ends."""
    other = torch.zeros_like(free)
    if by > 0:
        other[by:] = free[:-by]
    else:
        other[:by] = free[-by:]
    return free & other


def _behind(marks: Marks, window: Window, n: int) -> Marks:
    """Of the units behind a window."""
    size = len(marks.free)
    rows = []
    for unit in range(n):
        period, phase = divmod(unit, len(window.phases))
        taps = [tap + window.advance * period for tap in window.phases[phase]]
        inside = [tap for tap in taps if 0 <= tap < size]
        free = len(inside) == len(taps) and bool(marks.free[inside].all())
        rows.append((free, bool(marks.first[inside].any()), bool(marks.second[inside].any())))
    return Marks(*map(torch.tensor, zip(*rows, strict=True)))
