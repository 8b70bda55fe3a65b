"""Merges: of the values that `from` lists, or of the results of branches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.diagnostics import Related
from cnnplan.elaborate import items as lists
from cnnplan.elaborate.findings import origins_of, problem, wrong_count
from cnnplan.elaborate.layers import layer, operation
from cnnplan.elaborate.state import Outcome
from cnnplan.elaborate.values import truth
from cnnplan.graph import Copy, Scope

if TYPE_CHECKING:
    from cnnplan.diagnostics import Position
    from cnnplan.elaborate.state import Values, Where
    from cnnplan.spec import Branch, Item


def run_merge(item: Item, entering: Values | None, where: Where, path: str, part: str) -> Outcome:
    """Run an item that is a merge."""
    if item.branches is not None:
        return _run_branches(item, entering, where, path, part)
    op = operation(item, entering, where, path)
    if op is None or entering is None:
        return Outcome(None, path=path)
    labels = [f"'{v.name}'" for v in entering]
    return layer(item, op, entering, where, path, labels=labels, origins=origins_of(entering))


def _run_branches(item: Item, entering: Values | None, where: Where, path: str, part: str) -> Outcome:
    assert item.branches is not None
    feeds = _feeds(item, entering, where, path) or [None] * len(item.branches)
    scopes: list[tuple[Branch, Scope | None]] = []
    results: list[Values | None] = []
    for branch, feed in zip(item.branches, feeds, strict=True):
        chosen = truth(branch.condition, feed, where) if branch.condition else True
        if chosen:
            scope, leaving = _run_branch(item, branch, feed, where, path)
            scopes.append((branch, scope))
            results.append(leaving)
        elif chosen is None:
            results.append(None)
        else:
            scopes.append((branch, None))
            if branch.items:
                message = f"branch '{branch.name}' of '{path}' is removed by its `if`"
                problem("R409", message, item, where, path, at=branch.node)
    op = operation(item, entering, where, path)
    together = lists.joined(results)
    if not results:
        message = f"no branch of '{item.word}' is left: all are removed by their `if`"
        problem("S019", message, item, where, path)
        return Outcome(None, path=path)
    if op is None or together is None:
        return Outcome(None, path=path)
    inputs = tuple(dict.fromkeys(v for feed in feeds for v in feed or ()))
    merged = Outcome(together)
    if len(together) > 1:
        ran = [(branch, scope) for branch, scope in scopes if scope]
        labels = [f"branch '{branch.name}'" for branch, _ in ran]
        origins = [Related(f"branch '{b.name}' ends in {s.outputs[0].shape}", _end(b, s, where)) for b, s in ran]
        merged = layer(item, op, together, where, path, labels=labels, origins=origins)
        if merged.copy is None:
            return merged
    node = merged.copy.node if merged.copy else None
    leaving = merged.values or ()
    scope = Scope(path, path, part, "merge", item.word, inputs, leaving, branches=tuple(scopes), node=node)
    return Outcome(leaving, Copy(inputs, leaving, scope=scope), path=path)


def _run_branch(
    item: Item, branch: Branch, feed: Values | None, where: Where, path: str
) -> tuple[Scope, Values | None]:
    name = f"{path}.{branch.name}"
    steps, leaving = lists.run_items(branch.items, feed, where.inside(branch.items, f"{name}."))
    if leaving is not None and len(leaving) != 1:
        message = f"branch '{branch.name}' of '{item.word}' gives {len(leaving)} values; a branch gives one"
        problem("S019", message, item, where, path, at=branch.node)
        leaving = None
    return Scope(name, name, branch.name, "branch", "", feed or (), leaving or (), steps), leaving


def _feeds(item: Item, entering: Values | None, where: Where, path: str) -> list[Values | None] | None:
    """What enters each branch; None where that is not known."""
    assert item.branches is not None
    if entering is None:
        return None
    if len(item.sources) > 1:
        if len(item.sources) != len(item.branches):
            problem(
                "S019",
                f"`from` lists {len(item.sources)} values for the {len(item.branches)} branches of '{item.word}'",
                item,
                where,
                path,
                help="give one for each branch, or one for all",
            )
            return None
        return [(value,) for value in entering]
    if len(entering) != 1:
        wrong_count(entering, 1, item, where, path, "each branch of ")
        return None
    return [entering] * len(item.branches)


def _end(branch: Branch, scope: Scope, where: Where) -> Position | None:
    """Where a branch ends: its last item that ran, else its name; nowhere in a built-in block."""
    if where.place:
        return None
    return scope.steps[-1].item.key.start if scope.steps else branch.node.start
