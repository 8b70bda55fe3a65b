"""One layer: an operation, its arguments evaluated, its outputs' shapes found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan import plugins
from cnnplan.arguments import build
from cnnplan.diagnostics import Report
from cnnplan.elaborate.findings import problem, shape_error, used_in, wrong_count
from cnnplan.elaborate.references import find, resolve
from cnnplan.elaborate.state import UNKNOWN, Outcome
from cnnplan.elaborate.values import evaluate, with_input
from cnnplan.errors import ShapeError
from cnnplan.graph import Copy, Node, Value
from cnnplan.limits import MAX_LAYERS
from cnnplan.source import Scalar
from cnnplan.spec import Reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.diagnostics import Related
    from cnnplan.elaborate.state import Values, Where
    from cnnplan.ops.base import Op
    from cnnplan.spec import Item


def run_op(item: Item, entering: Values | None, previous: Values | None, where: Where, path: str) -> Outcome:
    """Run an item that is an operation."""
    op = operation(item, entering, where, path)
    if op is None or entering is None:
        return Outcome(None, path=path)
    like = None
    if op.refers == "of":
        return _undone(item, op, entering, where, path)
    if op.refers and (name := getattr(op, "like", None)) is not None:
        like = _like(item, name, previous, where)
        if like is None:
            return Outcome(None, path=path)
    return layer(item, op, entering, where, path, like)


def operation(item: Item, entering: Values | None, where: Where, path: str) -> Op | None:
    """The operation of an item, its arguments evaluated; None where that fails."""
    if item.fixed:
        return item.fixed
    assert item.op is not None
    names = with_input(where.names, entering, [given for _, given in item.arguments.values()])
    values = {name: evaluate(given, names, where, path) for name, (_, given) in item.arguments.items()}
    if any(value is UNKNOWN for value in values.values()):
        return None
    key = repr(values)  # unlike equality, it tells 1, 1.0 and true apart
    if key not in item.cache:
        use = where.place
        nodes = {} if use else {name: (k, given.node) for name, (k, given) in item.arguments.items()}
        report = Report("") if item.guessed else where.run.report
        owner = next((f"'{item.word}' {u.prefix.rstrip(': ')}" for u in where.uses if u.is_place), f"'{item.word}'")
        op = build(item.op, values, owner, use or item.key, nodes, report, path, used_in(where))
        if op is None:
            return None
        item.cache[key] = op
    return item.cache[key]


def layer(
    item: Item,
    op: Op,
    inputs: Values,
    where: Where,
    path: str,
    like: Value | None = None,
    *,
    shared_with: str | None = None,
    places: Value | None = None,
    labels: Sequence[str] = (),
    origins: Sequence[Related] = (),
) -> Outcome:
    """Add a layer to the network.

    Args:
        places: of an operation that undoes a pool: where the pool's values came from.
        labels, origins: for a merge, what its messages call the inputs, and where those come from.
    """
    run = where.run
    dtype = inputs[0].dtype if inputs else ""
    if (len(inputs) != 1 or op.inputs[0] != 1 or dtype not in op.dtypes) and not _takes(op, inputs, item, where, path):
        return Outcome(None, path=path)
    if places:
        inputs = (inputs[0], places)
    shapes = tuple([v.shape for v in inputs])
    if like:
        shapes = (*shapes, like.shape)
    at = where.place or item.key
    node = Node(len(run.nodes), path, op, inputs, like, item, where.trainable, where.checkpoint, shared_with, at)
    key = (id(op), shapes)
    outputs = run.facts.get(key)
    if outputs is None:
        try:
            outputs = run.facts[key] = op.outputs(*shapes)
        except ShapeError as error:
            shape_error(error, inputs, item, where, path, labels, origins)
            if error.assume is not None:
                node.give((error.assume,))
            return Outcome(node.outputs or None, path=path)
        except Exception as error:
            if wrong := plugins.failed(op.kind, error):
                raise wrong from error
            raise
    node.give(outputs)
    run.nodes.append(node)
    if op.kind == "maxpool":
        run.pools.setdefault(node.path, []).append(node)
    if len(run.nodes) > MAX_LAYERS:
        run.too_much(f"the network has more than {MAX_LAYERS:,} layers", item, where)
    return Outcome(node.outputs, Copy(inputs, node.outputs, node), path=path)


def _takes(op: Op, inputs: Values, item: Item, where: Where, path: str) -> bool:
    least, most = op.inputs
    if len(inputs) < least or (most is not None and len(inputs) > most):
        wrong_count(inputs, least, item, where, path)
        return False
    for value in inputs:
        if value.dtype not in op.dtypes:
            takes = " or ".join(op.dtypes)
            dtype = op.dtypes[0]
            help = f"an input says what it is: `{{shape: [{', '.join(map(str, value.shape))}], dtype: {dtype}}}`"
            message = f"'{item.word}' takes {takes}, but '{value.name}' is {value.dtype}"
            problem("S023", message, item, where, path, help="" if value.node else help)
            return False
    within = inputs[0].within
    if outside := next((v for v in inputs if v.within != within), None):
        sliced, whole = (inputs[0], outside) if len(within) > len(outside.within) else (outside, inputs[0])
        problem(
            "S005",
            f"'{item.word}' cannot take '{whole.name}' beside '{sliced.name}': inside `each`, one is a slice, "
            "the other is not",
            item,
            where,
            path,
            help="let `from` of the item with `each` list both, and a block with `inputs`, or `previous.0` and "
            "`previous.1`, take the slices",
        )
        return False
    if len(inputs) > 1 and len({v.dtype for v in inputs}) > 1:
        problem("S023", f"'{item.word}' cannot merge float32 and int64", item, where, path)
        return False
    return True


def _undone(item: Item, op: Op, entering: Values, where: Where, path: str) -> Outcome:
    """Run an operation that undoes a pool, which has to give the places of its values too."""
    from cnnplan.ops.max_unpool import IndexedMaxPool, MaxUnpool

    assert isinstance(op, MaxUnpool)
    unknown = Outcome(None, path=path)
    node = item.arguments["of"][1].node
    assert isinstance(node, Scalar)
    record = find(Reference(op.of, None, node), entering, where)
    if record is None:
        return unknown
    made = list(record.step.copies[-1].nodes()) if record.step and record.step.copies else []
    pool = made[0] if len(made) == 1 and made[0].op.kind == "maxpool" else None
    if pool is None:
        if record.values is not None:
            kind = f"a '{made[0].op.kind}'" if len(made) == 1 else "more than one layer" if made else "an input"
            problem("S016", f"`of` names a maxpool, but '{op.of}' is {kind}", item, where, path, at=node)
        return unknown
    if refusal := op.refusal(pool.op, pool.shapes[0]):
        problem("S008", f"'{op.of}' cannot be undone: {refusal}", item, where, path, at=node)
        return unknown
    for other in where.run.pools[pool.path]:  # a `share` of it is the same module
        if not isinstance(other.op, IndexedMaxPool):
            other.op = IndexedMaxPool(**{name: getattr(other.op, name) for name in other.op.model_fields_set})
            first, places = other.output, f"{other.name}.indices"
            other.outputs = (first, Value(places, first.shape, "int64", other, first.within, first.slices))
    given = pool.outputs[1]
    if entering[0].within != given.within:
        problem("S005", f"'{op.of}' is a pool of {_slices(given)}, this is {_slices(entering[0])}", item, where, path)
        return unknown
    bound = op.bound(pool.op, pool.shapes[0])
    return layer(item, bound, entering, where, path, pool.inputs[0], places=given)


def _slices(value: Value) -> str:
    return "a slice" if value.within else "a whole"


def _like(item: Item, name: str, previous: Values | None, where: Where) -> Value | None:
    """The value whose size the operation takes."""
    node = item.arguments["like"][1].node
    assert isinstance(node, Scalar)
    name, dot, part = name.partition(".")
    values = resolve(Reference(name, part if dot else None, node), previous, where, single=True)
    return values[0] if values else None
