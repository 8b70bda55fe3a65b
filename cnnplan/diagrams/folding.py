"""Which copies of a repeated item are alike, so that one of them stands for all.

Two copies are alike where their layers are the same and are wired the same. What a copy computes on is told by its
place: one of its own layers, one of the values that enter it, or a value from around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnnplan.graph import Copy, Node, Scope, Step, Value


def runs(copies: Sequence[Copy], loosely: bool) -> list[tuple[int, int]]:
    """Neighbours that are alike: the first of each run, and the one behind its last.

    Args:
        loosely: whether copies of one item are alike that only consist of the same parts, wired the same; what is
            within the parts, and their arguments, may differ.
    """
    if len(copies) == 1:
        return [(0, 1)]
    found: list[tuple[int, int]] = []
    last: Any = None
    for index, copy in enumerate(copies):
        now = _signature(copy, loosely)
        if found and now == last:
            found[-1] = (found[-1][0], index + 1)
        else:
            found.append((index, index + 1))
        last = now
    return found


def _signature(copy: Copy, loosely: bool) -> list[Any]:
    places: dict[Value, Any] = {value: ("enters", index) for index, value in enumerate(copy.inputs)}
    found = list(_loose(copy, places, len(copy.steps) == 0) if loosely else _strict(copy, places))
    return [*found, tuple(places.get(value, value) for value in copy.outputs) if not loosely or copy.steps else ()]


def _strict(copy: Copy, places: dict[Value, Any]) -> Iterator[Any]:
    """Its layers with their wiring, and where its scopes begin and end."""
    if copy.node:
        yield _wired(copy.node, places)
    if copy.scope:
        yield from _of_scope(copy.scope, places)
    yield from _of_steps(copy.steps, places)


def _of_steps(steps: Sequence[Step], places: dict[Value, Any]) -> Iterator[Any]:
    for step in steps:
        yield len(step.copies)
        for copy in step.copies:
            yield from _strict(copy, places)


def _of_scope(scope: Scope, places: dict[Value, Any]) -> Iterator[Any]:
    yield scope.kind, scope.label, tuple(bool(branch) for _, branch in scope.branches)
    yield from _of_steps(scope.steps, places)
    for _, branch in scope.branches:
        if branch:
            yield from _of_scope(branch, places)
    if scope.node:
        yield _wired(scope.node, places)
    yield "end"


def _wired(node: Node, places: dict[Value, Any]) -> Any:
    taken = (*node.inputs, node.like)
    found = tuple(places.get(value, value) if value else None for value in taken)
    places.update((value, (len(places), index)) for index, value in enumerate(node.outputs))
    return node.op, node.shapes, node.trainable, bool(node.shared_with), found


def _loose(copy: Copy, places: dict[Value, Any], alone: bool) -> Iterator[Any]:
    """Its parts: layers and scopes. Where there is but one, it is like any other of the item."""
    if copy.node or copy.scope:
        yield copy.node.op.kind if copy.node else copy.scope and (copy.scope.kind, copy.scope.label)
        made = {value for node in copy.nodes() for value in node.outputs}
        yield bool(made)
        taken = (value for node in copy.nodes() for value in (*node.inputs, node.like) if value and value not in made)
        if not alone:
            yield frozenset(places.get(value, value) for value in taken)
        part = len(places)
        places.update((value, (part, copy.outputs.index(value) if value in copy.outputs else -1)) for value in made)
    for step in copy.steps:
        yield len(step.copies)
        for inner in step.copies:
            yield from _loose(inner, places, alone)
