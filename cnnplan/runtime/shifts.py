"""Translation: what shifts do, against shifts of what lies in the middle of an even background.

Along one axis at a time, a strip of noise in a constant input is moved. Units whose field touches a border are left
aside. A value that moves must give the same units in the other place; one that stays, the same numbers; and an
output behind a layer that depends on positions, others.
"""

from __future__ import annotations

from copy import deepcopy
from math import lcm
from typing import TYPE_CHECKING

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

    from cnnplan.analyses.field import Fields
    from cnnplan.analyses.translation import State
    from cnnplan.graph import Graph, Node, Value
    from cnnplan.planning import Plan

BUDGET = 1_500_000_000
"""Multiply-accumulates of a run on a larger input; with more, the planned size is all that is tried."""

ORACLE = "shifted inputs, borders aside"
TOLERANCE = 1e-8


def translation(plan: Plan, model: nn.Module) -> Check | None:
    """What the plan says of shifts, axis by axis; None for a network without spatial inputs."""
    graph = plan.graph
    keys = [(given, axis) for given in graph.inputs for axis in range(given.shape.rank)]
    if not keys:
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


class _Run:
    """The background alone, with the strip, and with the strip elsewhere."""

    def __init__(self, graph: Graph, model: nn.Module, key: int, axis: int, shift: int) -> None:
        self.graph, self.key, self.axis, self.shift = graph, key, axis, shift
        self.fields = fields(graph)
        self.states = states(graph)
        keys = [given for given in graph.inputs for _ in range(given.shape.rank)]
        self.given = keys[key]
        self.port = graph.inputs.index(self.given)
        self.size = self.given.shape.spatial[axis]
        self.seen: set[str] = set()
        self.differences: list[Difference] = []
        self.clean: dict[Value, bool] = {}
        self.results: dict[Value, Tensor] = {}
        width = min(shift, max(1, self.size // 4))
        start = (self.size - width - shift) // 2
        if start < 1:
            return
        with torch.no_grad():
            self.run(model, self.inputs(start, width))

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
        if value.dtype == "int64" or not torch.is_floating_point(y):
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
        if state is None or state.axis < 0:
            return state is None
        by, n = state.by * self.shift // state.every, value.shape.spatial[state.axis]
        free = self.free(self.fields[value], state.axis, n)
        dim = state.axis + 2
        others = [i for i in range(first.dim()) if i != dim]
        changed = [((y[i] - background).abs() > TOLERANCE * scale).amax(others) for i in (1, 2)]
        if free is None or by >= n:
            return False
        clear = bool((changed[0] <= free).all() and (changed[1] <= free).all())
        if not clear and not self.is_global(value):
            return False
        a, b = first.narrow(dim, 0, n - by), second.narrow(dim, by, n - by)
        both = (free[: n - by] & free[by:]).nonzero().flatten()
        if not _same(a.index_select(dim, both), b.index_select(dim, both), scale):
            self.differences.append(self.difference(node, state, f"does not move by {by}"))
        if bool(changed[0].any()):
            self.seen.add(node.name)
        return True

    def is_global(self, value: Value) -> bool:
        """Whether some path sees everything, so that a change reaches the borders without being one of them."""
        field = self.fields[value][self.port]
        return bool(field and field.is_global)

    def free(self, found: Fields, axis: int, n: int) -> Tensor | None:
        """Which units of an axis see no border; None where that is not known."""
        field = found[self.port]
        if field is None or axis >= len(field.axes) or field.axes[axis].unknown:
            return None
        spans = field.axes[axis].spans
        if not spans:
            return None
        ends = [[span.at(unit) for span in spans] for unit in range(n)]
        return torch.tensor([all(low >= 0 and high < self.size for low, high in unit) for unit in ends])

    def difference(self, node: Node, state: Moves | Still, measured: str) -> Difference:
        name = axis_name(self.given.shape.rank, self.axis)
        said = "moves" if isinstance(state, Moves) else "stays as it is"
        planned = f"{said} with {name} shifts by {state.every}"
        return Difference(node.name, node.line, planned, f"{measured}, shifted by {self.shift}")


def _same(a: Tensor, b: Tensor, scale: float) -> bool:
    return a.numel() == 0 or bool((a - b).abs().max() <= TOLERANCE * scale)
