"""`share`: an item run again, with the same operations and parameters, on other values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.diagnostics import Related
from cnnplan.elaborate.findings import problem, wrong_count
from cnnplan.elaborate.layers import layer
from cnnplan.elaborate.references import find
from cnnplan.elaborate.state import Outcome, Use
from cnnplan.graph import Copy, Node, Scope, Step
from cnnplan.names import REFERENCES
from cnnplan.ops.base import Inline, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.elaborate.state import Values, Where
    from cnnplan.graph import Value
    from cnnplan.spec import Item, Reference


def run_share(item: Item, entering: Values | None, where: Where, path: str) -> Outcome:
    """Run an item that shares another."""
    target = item.target
    assert target is not None
    record = find(target, None, where)
    unknown = Outcome(None, path=path)
    if record is None:
        return unknown
    if record.step is None:
        problem("S016", f"'{target}' is a value, not an item that could run again", item, where, path, at=target.node)
        return unknown
    if entering is None or record.values is None or not record.step.copies:
        return unknown
    first = record.step.copies[0].inputs
    if len(entering) != len(first):
        wrong_count(entering, len(first), item, where, path, f"as '{target}', ")
        return unknown
    original = _original(record.step)
    values = dict(zip(first, entering, strict=True))
    single = original.copies[0].node if len(original.copies) == 1 else None
    if not single and any(values[a] is not b for a, b in zip(first, entering, strict=True)):
        problem(
            "S021",
            f"the first run of '{target}' takes one value twice, so that its inputs cannot be told apart",
            item,
            where,
            path,
            help="feed it one value twice here too, or different values there",
            related=[Related(f"'{target}' is defined here", record.step.item.key.start)],
        )
        return unknown
    where = where._replace(
        uses=(*where.uses, Use(item, path, False, str(target))),
        place=where.place or item.key,
    )
    replay = _Replay(item, original.item, where, record.path, path, values, entering if single else None)
    try:
        step = replay.whole(original)
    except _Stopped:
        return unknown
    leaving = step.copies[-1].outputs
    return Outcome(leaving, Copy(entering, leaving, steps=(step,)), record.parts, path)


def _original(step: Step) -> Step:
    """What a `share` run of a `share` run runs: the item itself."""
    while step.item.kind == "share" and len(step.copies) == 1:
        (step,) = step.copies[0].steps
    return step


def _names(item: Item) -> Iterator[str]:
    """The names that are given inside an item."""
    for inner in (*item.items, *(i for branch in item.branches or () for i in branch.items)):
        if inner.name:
            yield inner.name
        yield from _names(inner)


class _Stopped(Exception):
    """A shared item cannot run on these values; the report says why."""


class _Replay:
    """Runs what an item became once more, on other values."""

    def __init__(
        self,
        item: Item,
        shared: Item,
        where: Where,
        old: str,
        new: str,
        values: dict[Value, Value],
        entering: Values | None,
    ) -> None:
        """Prepare to run it.

        Args:
            item: the `share`.
            shared: the item that is shared.
            old, new: what the names of its layers began with, and begin with now.
            values: what each value that entered the first run is now.
            entering: what its only layer takes, where it is one layer.
        """
        self.entering = entering
        self.item = item
        self.where = where
        self.old = old
        self.new = new if old else f"{new}."
        self.values = values
        self.inside = frozenset(_names(shared))
        self.closed = False  # inside a block, which sees no name around it

    def renamed(self, name: str) -> str:
        return self.new + name[len(self.old) :]

    def mapped(self, values: Values) -> Values:
        return tuple(self.values.get(v, v) for v in values)

    def whole(self, step: Step) -> Step:
        """Run the item itself: what it takes is given."""
        return Step(step.item, tuple(map(self.copy, step.copies)))

    def step(self, step: Step) -> Step:
        around = [self.is_around(reference) for reference in step.item.sources]
        if not any(around) or not step.copies:
            return Step(step.item, tuple(map(self.copy, step.copies)))
        # what names outside the item stand for stays, even where it is also what entered the first run
        first, *others = step.copies
        flags = around if len(around) == len(first.inputs) else around[:1] * len(first.inputs)
        inputs = tuple(v if kept else self.values.get(v, v) for v, kept in zip(first.inputs, flags, strict=True))
        before = {v: self.values[v] for v in first.inputs if v in self.values}
        self.values.update((v, v) for v, kept in zip(first.inputs, flags, strict=True) if kept)
        again = self.copy(first, inputs)
        self.values.update(before)
        return Step(step.item, (again, *map(self.copy, others)))

    def is_around(self, reference: Reference) -> bool:
        """Whether a reference inside the item names something outside it."""
        return not self.closed and reference.name not in self.inside and reference.name not in REFERENCES

    def copy(self, copy: Copy, inputs: Values | None = None) -> Copy:
        self.where.run.visit(self.item, self.where)
        if inputs is None:
            inputs = self.mapped(copy.inputs)
        node = self.node(copy.node, inputs) if copy.node else None
        scope = self.scope(copy.scope) if copy.scope else None
        steps = tuple(map(self.step, copy.steps))
        return Copy(inputs, self.mapped(copy.outputs), node, scope, steps)

    def scope(self, scope: Scope) -> Scope:
        inputs = self.mapped(scope.inputs)
        outer, self.closed = self.closed, self.closed or scope.kind == "block"
        steps = tuple(map(self.step, scope.steps))
        branches = tuple((branch, self.scope(s) if s else None) for branch, s in scope.branches)
        node = self.node(scope.node, self.mapped(scope.node.inputs)) if scope.node else None
        self.closed = outer
        return scope._replace(
            name=self.renamed(scope.name),
            inputs=inputs,
            outputs=self.mapped(scope.outputs),
            steps=steps,
            branches=branches,
            node=node,
        )

    def node(self, node: Node, inputs: Values) -> Node:
        where = self.where._replace(trainable=node.trainable, checkpoint=node.checkpoint or self.where.checkpoint)
        like = self.values.get(node.like, node.like) if node.like else None
        inputs, name = self.entering or inputs, self.renamed(node.name)
        places = None
        if node.op.refers == "of":
            inputs, places = inputs[:1], self.mapped(node.inputs)[1]
        copy = layer(node.item, node.op, inputs, where, name, like, shared_with=node.path, places=places).copy
        if copy is None or copy.node is None:
            raise _Stopped
        self.check_parameters(node, copy.node, name)
        self.check_rule(node, copy.node, name)
        self.values.update(zip(node.outputs, copy.node.outputs, strict=True))
        return copy.node

    def check_rule(self, first: Node, again: Node, name: str) -> None:
        """The module is the same too: what it derives from its input's size must not change."""
        had, needs = first.op.torch(*first.shapes), again.op.torch(*again.shapes)
        if had == needs or isinstance(needs, Inline):
            return
        before, now = first.inputs[0].shape, again.inputs[0].shape
        problem(
            "S021",
            f"'{first.name}' depends on the size of its input, {before} in its first run and {now} here: "
            "one module cannot do both",
            self.item,
            self.where,
            name,
            help="write its padding or shape in numbers, or feed it the same size",
            related=[Related(f"'{first.name}' is defined here", first.item.key.start)],
        )
        raise _Stopped

    def check_parameters(self, first: Node, again: Node, name: str) -> None:
        """Parameter shapes must agree: the parameters are the same tensors."""
        had, needs = first.op.parameters(*first.shapes), again.op.parameters(*again.shapes)
        if had == needs:
            return
        tensor = next(k for k in had if had[k] != needs.get(k))
        before, now = first.inputs[0].shape, again.inputs[0].shape
        problem(
            "S021",
            f"'{first.name}' has a {tensor} of {Shape(had[tensor])}, but would need {Shape(needs[tensor])} here",
            self.item,
            self.where,
            name,
            help=f"feed it {before}, as in its first run"
            if len(before) == 1 or before.channels == now.channels
            else f"feed it {before.channels} channel{'s' * (before.channels != 1)}",
            related=[Related(f"its first run takes {before}, this one {now}", first.item.key.start)],
        )
        raise _Stopped
