"""Which sizes of an input are legal?

Every size in the network is made of floors of linear functions of the input's, so that legal sizes
follow a pattern, which `legal` finds; here it is asked whether the network runs at a size, which
layer refuses it, and why.

Source: the output sizes in the documentation of torch.nn; Dumoulin & Visin 2016, arXiv:1603.07285.
"""

from __future__ import annotations

from math import lcm
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.analyses.legal import Legal, intervals, legal_set
from cnnplan.diagnostics import Report, TooManyFindings
from cnnplan.elaborate import elaborate
from cnnplan.errors import ShapeError, UsageError
from cnnplan.ops.base import MAX_ELEMENTS, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cnnplan.diagnostics import Diagnostic
    from cnnplan.graph import Graph, Node, Value

MAX_PERIOD = 4_096
"""Longer periods are not followed: sizes are tried one by one."""

MAX_WORK = 4_000_000
"""At most about so many layers are run at other sizes, for each axis."""


class Refusal(NamedTuple):
    """Why the model that is built for the planned sizes cannot run at others.

    Attributes:
        message, help: what is wrong and what to do.
        layer: the name of the layer that refuses; "" where it is no single one.
        finding: the finding, where the spec itself is not valid at these sizes.
        node: the layer of the plan, where the spec is valid but needs another module there.
    """

    message: str
    help: str
    layer: str
    finding: Diagnostic | None = None
    node: Node | None = None


def _invalid(graph: Graph, sizes: Mapping[str, Sequence[int]]) -> tuple[Graph | None, Refusal | None]:
    """The network with inputs of these sizes, or why the spec is not valid then."""
    report = Report("")
    try:
        other = elaborate(graph.spec, report, graph.overrides, sizes)
    except TooManyFindings:
        other = None
    if other:
        return other, None
    found = next(d for d in report.diagnostics if d.severity == "error")
    return None, Refusal(found.message, found.help, found.layer or "", found)


def refusal(graph: Graph, sizes: Mapping[str, Sequence[int]]) -> Refusal | None:
    """Why the network cannot run with inputs of these spatial sizes; None where it can.

    Args:
        sizes: for inputs by name; the others keep theirs.
    """
    other, why = _invalid(graph, sizes)
    if other is None:
        return why
    if [n.name for n in graph.nodes] != [n.name for n in other.nodes]:
        return Refusal("the network has other layers then", "", "")
    for node, again in zip(graph.nodes, other.nodes, strict=True):
        had, needs = (n.op.parameters(*n.shapes) for n in (node, again))
        if tensor := next((name for name in had if had[name] != needs.get(name)), ""):
            message = f"'{node.name}' would need a {tensor} of {Shape(needs[tensor])}, not {Shape(had[tensor])}"
            help = "put a `global_avgpool`, or an adaptive one, before the first dense layer"
            return Refusal(message, help, node.name, None, node)
        if node.op != again.op or not node.op.serves(node.shapes, again.shapes):
            message = f"'{node.name}' depends on the size of its input, and is built for one size"
            return Refusal(message, "write its padding, size or shape in numbers", node.name, None, node)
    return None


class Trial:
    """Whether a network can run at other sizes, without elaborating it anew for each.

    Attributes:
        built: whether one model has to run at all sizes: the one that is built for the planned size.
    """

    def __init__(self, graph: Graph, built: bool = True) -> None:
        self.graph = graph
        self.built = built
        self.direct = "in_size" not in graph.spec.text
        self._facts: dict[Any, tuple[Shape, ...] | None] = {}
        same: dict[Any, int] = {}
        self._kinds = [same.setdefault((type(node.op), node.op), len(same)) for node in graph.nodes]

    def runs(self, sizes: Mapping[str, Sequence[int]]) -> bool:
        """Whether it runs with inputs of these spatial sizes."""
        if any(Shape((v.shape.channels, *sizes.get(v.name, ()))).numel > MAX_ELEMENTS for v in self.graph.inputs):
            return False
        if self.direct:
            return self.blocker(sizes) is None
        return (refusal(self.graph, sizes) if self.built else _invalid(self.graph, sizes)[1]) is None

    def blocker(self, sizes: Mapping[str, Sequence[int]]) -> Node | None:
        """The first layer that refuses these sizes."""
        shapes: dict[Value, Shape] = {}
        for value in self.graph.inputs:
            given = sizes.get(value.name)
            shapes[value] = Shape((value.shape.channels, *given)) if given else value.shape
        for node in self.graph.nodes:
            xs = tuple(shapes[v] for v in (*node.inputs, *((node.like,) if node.like else ())))
            key = (self._kinds[node.index], xs, node.shapes)
            if key not in self._facts:
                self._facts[key] = self._outputs(node, xs)
            outputs = self._facts[key]
            if outputs is None:
                return node
            shapes.update(zip(node.outputs, outputs, strict=True))
        return None

    def _outputs(self, node: Node, xs: tuple[Shape, ...]) -> tuple[Shape, ...] | None:
        try:
            outputs = node.op.outputs(*xs)
        except ShapeError:
            return None
        if not self.built or xs == node.shapes or node.op.serves(node.shapes, xs):
            return outputs
        return None


class Axis(NamedTuple):
    """One axis of the inputs that are varied, and its legal sizes.

    Attributes:
        inputs: the inputs that are varied together: those of the same spatial size.
        axis: the spatial axis, from 0.
        planned: its size in the plan.
        legal: the sizes at which the model that is built for the planned size runs.
        valid: the sizes at which the spec is valid, with a model of its own for each.
    """

    inputs: tuple[Value, ...]
    axis: int
    planned: int
    legal: Legal
    valid: Legal

    def sizes(self, size: int) -> dict[str, tuple[int, ...]]:
        """The spatial sizes of the inputs with another size along this axis."""
        return {value.name: _put(value.shape.spatial, self.axis, size) for value in self.inputs}


def legal_sizes(graph: Graph) -> list[Axis]:
    """The legal sizes along each axis of each input that has spatial axes.

    Inputs of the same spatial size are varied together.
    """
    from cnnplan.analyses.field import fields

    together: dict[tuple[int, ...], list[Value]] = {}
    for value in graph.inputs:
        if value.shape.rank:
            together.setdefault(value.shape.spatial, []).append(value)
    trials = Trial(graph), Trial(graph, built=False)
    strides: dict[tuple[str, int], set[int]] = {}
    for paths in fields(graph).values():
        for given, path in zip(graph.inputs, paths, strict=True):
            for span in (span for axis in (path.axes if path else ()) for span in axis.spans if span.advance):
                strides.setdefault((given.name, span.axis), set()).add(span.stride.numerator)
    found = []
    for spatial, values in together.items():
        for axis, planned in enumerate(spatial):
            period = lcm(*(stride for value in values for stride in strides.get((value.name, axis), ())))
            legal, valid = (_along(trial, values, axis, period) for trial in trials)
            found.append(Axis(tuple(values), axis, planned, legal, valid))
    return found


def _along(trial: Trial, values: Sequence[Value], axis: int, period: int) -> Legal:
    """The legal sizes of some inputs along an axis.

    Reshaping and splitting bring remainders of their own: where sizes that are tried contradict the
    period of the strides, its multiples are tried, and in the end all sizes one by one.
    """
    planned = values[0].shape.spatial[axis]
    known: dict[int, bool] = {}

    def runs(n: int) -> bool:
        if n not in known:
            known[n] = n > 0 and trial.runs({v.name: _put(v.shape.spatial, axis, n) for v in values})
        return known[n]

    affordable = MAX_WORK // len(trial.graph.nodes) // (1 if trial.direct else 40)
    near = range(max(1, planned - 24), planned + 25)
    small = range(1, 17 if trial.direct else 129)  # expressions over `in_size` need not follow the period
    tried = sorted({*near, *small, *(2 * planned + i * i for i in range(12))})
    for factor in range(1, 13):
        if period * factor > min(MAX_PERIOD, affordable // 4):
            break
        found = legal_set(runs, planned, period * factor, min(2 * period + 64, affordable // 4))
        if all((n in found) == runs(n) for n in tried):
            return found
    most = max(16, min(max(2 * planned, 256), affordable, MAX_PERIOD))
    legal = sorted(n for n in {*range(1, most + 1), *near} if runs(n))
    return Legal(0, (), 0, tuple(intervals(legal)), most)


def _put(spatial: tuple[int, ...], index: int, size: int) -> tuple[int, ...]:
    return (*spatial[:index], size, *spatial[index + 1 :])


def refused(graph: Graph, axis: Axis, most: int = 6) -> list[tuple[int, Refusal]]:
    """For each layer that refuses sizes, the one nearest to the planned, and the reason."""
    trial = Trial(graph)
    legal = axis.legal
    near = 2 * max(legal.modulus, 8)
    tried = sorted(range(max(1, axis.planned - near), axis.planned + near), key=lambda n: abs(n - axis.planned))
    small = legal.at_least or min((first for first, _, _ in legal.others), default=1)
    large = max((last for _, last, _ in legal.others), default=0) if not legal.modulus else 0
    tried += [n for n in (small - 1, large + 1 if large else 0, small // 2, small // 4, 1) if n >= 1]
    found: dict[str, tuple[int, Refusal]] = {}
    for n in tried:
        if n in legal or len(found) >= most:
            continue
        blocker = trial.blocker(axis.sizes(n)) if trial.direct else None
        if blocker and blocker.name in found:
            continue
        why = refusal(graph, axis.sizes(n))
        if why and why.layer not in found:
            found[why.layer] = (n, why)
    return list(found.values())


def clash(graph: Graph, axes: Sequence[Axis]) -> dict[str, tuple[int, ...]] | None:
    """Sizes that are legal along each axis, but not together; None where none of those that are tried is."""
    trial = Trial(graph)
    for first in axes:
        for second in axes[axes.index(first) + 1 :]:
            if first.inputs != second.inputs:
                continue
            for a in _samples(first):
                for b in _samples(second):
                    sizes = {v.name: _put(_put(v.shape.spatial, first.axis, a), second.axis, b) for v in first.inputs}
                    if not trial.runs(sizes):
                        return sizes
    return None


def _samples(axis: Axis) -> list[int]:
    """A few legal sizes: the smallest, the neighbours of the planned one."""
    smallest = axis.legal.next_above(0)
    near = [axis.legal.next_below(axis.planned), axis.planned, axis.legal.next_above(axis.planned)]
    return list(dict.fromkeys(n for n in (smallest, *near) if n is not None and n in axis.legal))


class Answer(NamedTuple):
    """Whether one size is legal.

    Attributes:
        size: of the axes of an input, in its order.
        refusal: why it is not legal; None where it is.
        nearest: the nearest legal sizes along each axis, below and above; empty where it is legal itself.
    """

    size: tuple[int, ...]
    refusal: Refusal | None
    nearest: tuple[tuple[int, ...], ...]

    @property
    def legal(self) -> bool:
        return self.refusal is None


def asked(graph: Graph, axes: Sequence[Axis], size: Sequence[int]) -> Answer:
    """Whether the built network runs with this spatial size of its inputs.

    Raises:
        UsageError: the inputs have another number of spatial axes.
    """
    ranks = sorted({value.shape.rank for axis in axes for value in axis.inputs})
    if not ranks:
        raise UsageError(f"'{graph.name}' has no input with spatial axes")
    if len(ranks) > 1:
        raise UsageError(f"the inputs of '{graph.name}' have {ranks[0]} and {ranks[-1]} spatial axes: no size fits all")
    rank = ranks[0]
    whole = tuple(size) * rank if len(size) == 1 and rank == 2 else tuple(size)
    if len(whole) != rank:
        raise UsageError(f"the input of '{graph.name}' has {rank} spatial axes, not {len(size)}")
    why = refusal(graph, {value.name: whole for axis in axes for value in axis.inputs})
    nearest = []
    for index, n in enumerate(whole):
        legal = [axis.legal for axis in axes if axis.axis == index]
        near = [_beyond(legal, n, Legal.next_below), _beyond(legal, n, Legal.next_above)]
        nearest.append(() if all(n in one for one in legal) else tuple(m for m in near if m is not None))
    return Answer(whole, why, tuple(nearest))


def _beyond(several: Sequence[Legal], size: int, step: Callable[[Legal, int], int | None]) -> int | None:
    """The next size that is legal for all."""
    found: int | None = size
    for _ in range(MAX_PERIOD):
        found = step(several[0], found) if found is not None else None
        if found is None or all(found in one for one in several):
            return found
    return None


def ways(graph: Graph, sizes: Mapping[str, Sequence[int]], node: Node, axis: int) -> list[list[tuple[str, int]]]:
    """How the sizes of a layer's inputs come about at other sizes of the network's.

    For each input of the layer: an input of the network, and the layers that changed the size along
    the axis, with what they made of it.
    """
    shapes = shapes_before(graph, sizes, node)
    return [_way(value, shapes, axis) for value in node.inputs]


def shapes_before(graph: Graph, sizes: Mapping[str, Sequence[int]], node: Node) -> dict[Value, Shape]:
    """The shapes of all values before a layer, with other sizes of the network's inputs."""
    shapes: dict[Value, Shape] = {}
    for value in graph.inputs:
        given = sizes.get(value.name)
        shapes[value] = Shape((value.shape.channels, *given)) if given else value.shape
    for before in graph.nodes[: node.index]:
        xs = tuple(shapes[v] for v in (*before.inputs, *((before.like,) if before.like else ())))
        shapes.update(zip(before.outputs, before.op.outputs(*xs), strict=True))
    return shapes


def _way(value: Value, shapes: Mapping[Value, Shape], axis: int) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    while axis < shapes[value].rank:
        node = value.node
        before = shapes[node.inputs[0]].spatial[axis : axis + 1] if node else ()
        if before != shapes[value].spatial[axis : axis + 1]:
            found.append((value.name, shapes[value].spatial[axis]))
        if node is None:
            break
        value = node.inputs[0]
    return found[::-1]
