"""`share`: an item run again, with the same operations and parameters, on other values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.diagnostics import Related
from cnnplan.elaborate.findings import problem, wrong_count
from cnnplan.elaborate.layers import layer
from cnnplan.elaborate.references import find
from cnnplan.elaborate.state import Outcome
from cnnplan.graph import Copy, Node, Scope, Step
from cnnplan.ops.base import Inline, Shape

if TYPE_CHECKING:
    from cnnplan.elaborate.state import Values, Where
    from cnnplan.graph import Value
    from cnnplan.spec import Item


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
    replay = _Replay(item, where, record.path, path, dict(zip(first, entering, strict=True)))
    try:
        step = replay.step(record.step)
    except _Stopped:
        return unknown
    leaving = step.copies[-1].outputs
    return Outcome(leaving, Copy(entering, leaving, steps=(step,)), record.parts, path)


class _Stopped(Exception):
    """A shared item cannot run on these values; the report says why."""


class _Replay:
    """Runs what an item became once more, on other values."""

    def __init__(self, item: Item, where: Where, old: str, new: str, values: dict[Value, Value]) -> None:
        self.item = item
        self.where = where
        self.old = old
        self.new = new
        self.values = values

    def renamed(self, name: str) -> str:
        return self.new + name[len(self.old) :]

    def mapped(self, values: Values) -> Values:
        return tuple(self.values.get(v, v) for v in values)

    def step(self, step: Step) -> Step:
        return Step(step.item, tuple(map(self.copy, step.copies)))

    def copy(self, copy: Copy) -> Copy:
        inputs = self.mapped(copy.inputs)
        node = self.node(copy.node) if copy.node else None
        scope = self.scope(copy.scope) if copy.scope else None
        steps = tuple(map(self.step, copy.steps))
        return Copy(inputs, self.mapped(copy.outputs), node, scope, steps)

    def scope(self, scope: Scope) -> Scope:
        inputs = self.mapped(scope.inputs)
        steps = tuple(map(self.step, scope.steps))
        branches = tuple((branch, self.scope(s) if s else None) for branch, s in scope.branches)
        node = self.node(scope.node) if scope.node else None
        return scope._replace(
            name=self.renamed(scope.name),
            inputs=inputs,
            outputs=self.mapped(scope.outputs),
            steps=steps,
            branches=branches,
            node=node,
        )

    def node(self, node: Node) -> Node:
        where = self.where._replace(trainable=node.trainable, checkpoint=node.checkpoint)
        where.run.visit(self.item)
        like = self.values.get(node.like, node.like) if node.like else None
        inputs, name = self.mapped(node.inputs), self.renamed(node.name)
        copy = layer(node.item, node.op, inputs, where, name, like, shared_with=node.path).copy
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
            if len(before) == 1
            else f"feed it {before.channels} channels",
            related=[Related(f"its first run takes {before}, this one {now}", first.item.key.start)],
        )
        raise _Stopped
