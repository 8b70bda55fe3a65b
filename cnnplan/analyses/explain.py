"""How did the numbers of a layer come about? Their formulas, with the layer's values in them.

    for line in explanation(layer): line.formula, line.values, line.result

Formulas are those of the operation, as its page in the documentation has them; where one is an
expression, its value is the number itself.
"""

from __future__ import annotations

import re
from contextlib import suppress
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.errors import ShapeError
from cnnplan.ops.base import AXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cnnplan.analyses.field import Span
    from cnnplan.graph import Graph, Node, Value
    from cnnplan.ops.base import Op, Shape
    from cnnplan.ops.window import Window
    from cnnplan.planning import Layer

_WORD = re.compile(r"prod\((\w+)\)|[A-Za-z_]\w*")
_FUNCTIONS = frozenset({"floor", "ceil", "max", "min"})
NUMBERS = ("parameters", "buffers", "macs", "flops")


class Line(NamedTuple):
    """One number, or one size of the output.

    Attributes:
        what: "output", "parameters", "buffers", "macs" or "flops".
        axis: of the output: "height" …; "" for the others.
        formula: in words of the operation's arguments.
        values: the same with the values; "" where the formula is no expression of them.
        result: the number.
    """

    what: str
    axis: str
    formula: str
    values: str
    result: int | str


def explanation(layer: Layer) -> Iterator[Line]:
    """The numbers of a layer, output first; those that are 0 and have no formula are left out."""
    op, xs = layer.node.op, layer.node.shapes
    formula = op.formula("output", *xs)
    shape = layer.output
    if shape.rank and substituted(formula, op, xs, 0):
        for axis, name in enumerate(AXES.get(shape.rank, ())):
            yield Line("output", name, formula, substituted(formula, op, xs, axis), shape.spatial[axis])
    else:
        yield Line("output", "", formula, "", str(shape))
    work = layer.work
    for what, number in zip(
        NUMBERS, (_elements(work.tensors), _elements(op.buffers(*xs)), layer.macs, layer.flops), strict=True
    ):
        if what in op.formulas or number:
            formula = op.formula(what, *xs)
            values = substituted(formula, op, xs)
            slices = layer.node.slices if what in ("macs", "flops") and number else 1
            if slices > 1:
                formula, values = f"slices * ({formula})", values and f"{slices} * ({values})"
            yield Line(what, "", formula, values, number)


def _elements(tensors: Mapping[str, tuple[int, ...]]) -> int:
    return sum(map(prod, tensors.values()))


def substituted(formula: str, op: Op, xs: tuple[Shape, ...], axis: int | None = None) -> str:
    """A formula with the values of an operation; "" where it is no expression of known values."""
    known = values(op, xs, axis)
    missing = False

    def put(match: re.Match[str]) -> str:
        nonlocal missing
        word = match[0]
        if match[1]:
            inner = known.get(match[1])
            if isinstance(inner, int):  # one number for all axes
                inner = (inner,) * xs[0].rank
            if isinstance(inner, tuple):
                return str(prod(inner))
        if word in _FUNCTIONS:
            return word
        value = known.get(word)
        if isinstance(value, tuple) and len(set(value)) == 1:
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, int | float):
            missing = True
            return word
        return str(value)

    text = _WORD.sub(put, formula)
    return "" if missing else text


def values(op: Op, xs: tuple[Shape, ...], axis: int | None = None) -> dict[str, Any]:
    """What the words of a formula stand for: the operation's fields, its shapes; along an axis, where one is given."""
    x = xs[0]
    known: dict[str, Any] = {name: getattr(op, name) for name in type(op).model_fields}
    known |= {"input": tuple(x), "channels": x.channels, "in_channels": x.channels, "in_features": x.channels}
    known |= {"inputs": len(xs), **op.terms(*xs)}
    with suppress(ShapeError):  # of an operation that refuses its input
        known |= {"output": tuple(op.output(*xs)), "macs": op.macs(*xs)}
    if axis is None:
        return known
    known["size"] = x.spatial[axis] if axis < x.rank else None
    return {
        name: value[axis] if isinstance(value, tuple) and axis < len(value) == x.rank else value
        for name, value in known.items()
    }


class Step(NamedTuple):
    """How a span came about along an axis, through one window: all in input units.

    size = before + (extent - 1) * before_stride; stride = before_stride * step;
    start = before_start + first * before_stride.
    """

    axis: str
    before: Span
    after: Span
    extent: int
    step: int
    first: int


def field_steps(node: Node, graph: Graph, fields: Mapping[Value, Any]) -> list[Step] | None:
    """The field of a layer from that of its input, axis by axis; None where it is no plain window on one input."""
    if len(node.inputs) != 1:
        return None
    given = node.inputs[0]
    steps = []
    windows: tuple[Window, ...] = node.op.reads(0, 0, *node.shapes)[1:]
    for before, after in zip(fields[given], fields[node.output], strict=True):
        if not before or not after:
            continue
        names = AXES.get(len(after.axes), ())
        for axis, (name, window) in enumerate(zip(names, windows, strict=False)):
            source = axis if window.source is None else window.source
            old = before.axes[source].span if source < len(before.axes) else None
            new = after.axes[axis].span
            if not old or not new or old.period != 1 or new.period != 1 or len(window.phases) != 1:
                return None
            taps = window.phases[0]
            steps.append(Step(name, old, new, taps[-1] - taps[0] + 1, window.advance, taps[0]))
        return steps or None
    return None
