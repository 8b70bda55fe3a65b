"""Where in a spec it is said what data contradict, and what to write instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.diagnostics import Report, TooManyFindings, printable
from cnnplan.elaborate import elaborate
from cnnplan.errors import CnnplanError
from cnnplan.overrides import overrides
from cnnplan.source import Scalar, Sequence
from cnnplan.spec import Given

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence as Sequence_

    from cnnplan.graph import Node, Value
    from cnnplan.planning import Plan

_COUNTS = ("out_features", "out_channels")
"""Arguments that say how many numbers a layer gives."""


def place(plan: Plan, line: int) -> str:
    """A line of the spec, as compilers write it."""
    return f"{printable(plan.path)}:{line}"


def giver(value: Value) -> Node:
    """The layer that decides how many channels a value has: activations and pools behind it hand them on."""
    assert value.node is not None
    node = value.node
    while True:
        if any(name in type(node.op).model_fields for name in _COUNTS):
            return node
        before = node.inputs[0]
        if len(node.inputs) > 1 or before.node is None or before.shape.channels != value.shape.channels:
            return value.node
        node = before.node


def input_fix(plan: Plan, value: Value, shape: Sequence_[int]) -> str:
    """What to write for an input of this shape."""
    given = next(one for one in plan.spec.inputs if one.name == value.name)
    if shape[0] != value.shape[0] and tuple(shape[1:]) == value.shape.spatial and isinstance(given.node, Sequence):
        for name in _variables(plan, value.shape[0]):
            first = given.node.items[0]
            if isinstance(first, Scalar) and first.is_expression and name in Given(first).names:
                graph = _with(plan, name, shape[0])
                if graph and graph[0].get(value.name) == tuple(shape):
                    return f"`--set {name}={shape[0]}`"
    sizes = f"[{', '.join(map(str, shape))}]"
    return f"`{value.name}: {sizes if value.dtype != 'int64' else f'{{shape: {sizes}, dtype: int64}}'}`"


def class_fix(plan: Plan, output: str, count: int) -> str:
    """How to give an output so many classes: a variable of the spec if there is one that does it."""
    value = plan.graph.outputs[output]
    for name in _variables(plan, value.shape.channels):
        graph = _with(plan, name, count)
        if graph and graph[1].get(output) == (count, *value.shape.spatial):
            return f"write `--set {name}={count}`"
    return f"change it to {count}"


def _variables(plan: Plan, value: int) -> Iterator[str]:
    """The variables that are this number, those that speak of classes first."""
    found = []
    for name, (_, declared) in plan.spec.variables.items():
        given = plan.graph.overrides.get(name, declared)
        if given and not given.dynamic and type(given.constant) is int and given.constant == value:
            found.append(name)
    yield from sorted(found, key=lambda name: "class" not in name)


def _with(plan: Plan, name: str, number: int) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]] | None:
    """The shapes of inputs and outputs if a variable were this number; None where the spec would not be valid."""
    given = {**plan.graph.overrides, **overrides({name: number})}
    sizes = {value.name: value.shape.spatial for value in plan.graph.inputs if value.shape.rank}
    try:
        graph = elaborate(plan.spec, Report(""), given, sizes)
    except (CnnplanError, TooManyFindings):
        return None
    if graph is None:
        return None
    inputs = {value.name: tuple(value.shape) for value in graph.inputs}
    return inputs, {output: tuple(value.shape) for output, value in graph.outputs.items()}
