"""Lists of items: conditions, repeats, groups, and the names that become visible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.diagnostics import some
from cnnplan.elaborate import blocks, merges, share
from cnnplan.elaborate.findings import problem, used_in
from cnnplan.elaborate.layers import layer, run_op
from cnnplan.elaborate.references import resolve
from cnnplan.elaborate.state import UNKNOWN, Frame, Outcome, Record
from cnnplan.elaborate.values import evaluate, truth, with_input
from cnnplan.grammar import repeat_problem
from cnnplan.graph import Copy, Scope, Step
from cnnplan.limits import MAX_LAYERS, MAX_VISITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.elaborate.state import Values, Where
    from cnnplan.graph import Value
    from cnnplan.spec import Item


def run_items(items: Sequence[Item], values: Values | None, where: Where) -> tuple[tuple[Step, ...], Values | None]:
    """Run a list on `values`: its steps, and the values that leave it."""
    steps = []
    first = where.frame.named  # nothing has run, so that `previous` would be all inputs at once
    for item in items:
        unsaid = first and not item.sources
        copies, outcome, left_out = _run_item(item, None if unsaid else values, where)
        if unsaid and not left_out and item.kind != "broken":
            inputs = some(where.frame.inputs)
            message = f"'{item.word}' is the first item that is not left out, and needs `from`: the inputs are {inputs}"
            problem("S016", message, item, where)
        first = first and bool(left_out)
        step = Step(item, copies)
        if copies:
            steps.append(step)
        if not left_out:
            values = outcome.values
        name = item.known_as
        if name and name not in where.frame.records:
            record = Record(None if left_out else outcome.values, outcome.parts, step, outcome.path, left_out, item)
            where.frame.records[name] = record
    return tuple(steps), values


def _run_item(item: Item, previous: Values | None, where: Where) -> tuple[tuple[Copy, ...], Outcome, str]:
    """Run an item: what it became, what leaves it, and why it is left out if it is."""
    entering = previous
    if item.sources:
        entering = joined([resolve(r, previous, where, single=item.listed) for r in item.sources])
    if item.repeat is not None:
        return _run_repeated(item, entering, where)
    where.run.visit(item, where)
    if item.condition:
        chosen = truth(item.condition, entering, where)
        if not chosen:
            return (), Outcome(None), "" if chosen is None else "`if` is false"
    outcome = _run_copy(item, entering, previous, where, where.copied)
    return (outcome.copy,) if outcome.copy else (), outcome, ""


def _run_repeated(item: Item, entering: Values | None, where: Where) -> tuple[tuple[Copy, ...], Outcome, str]:
    times = _times(item, entering, where)
    if times is None:
        return (), Outcome(None), ""
    copies = []
    outcome = Outcome(entering)
    ran = False
    for index in range(times):
        where.run.visit(item, where)
        inner = where._replace(names=where.names.extended(**{item.counter: index}), copied=True)
        taken = outcome.values
        if item.condition:
            chosen = truth(item.condition, taken, inner)
            if chosen is None:
                return (), Outcome(None), ""
            if not chosen:
                continue
        outcome = _run_copy(item, taken, taken, inner, numbered=True)
        ran = True
        if outcome.copy:
            copies.append(outcome.copy)
        if len(item.sources) > 1 and taken and outcome.values and len(taken) != len(outcome.values):
            problem(
                "S019",
                f"'{item.word}' takes {len(taken)} values but gives {len(outcome.values)}: "
                "with `repeat`, each copy starts from what the one before it gives",
                item,
                where,
                outcome.path,
                help="repeat an item that gives as many outputs as it takes",
            )
            return (), Outcome(None), ""
    if not ran:
        return (), Outcome(None), "`if` is false in every copy" if times else "`repeat` is 0"
    if item.name:
        outcome = outcome._replace(path=outcome.path.rpartition(".")[0])
    return tuple(copies), outcome, ""


def _times(item: Item, entering: Values | None, where: Where) -> int | None:
    """How often an item repeats; None, and a finding, where that is not a number of times."""
    assert item.repeat is not None
    times = evaluate(item.repeat, with_input(where.names, entering, (item.repeat,)), where)
    if times is UNKNOWN:
        return None
    report = where.run.report
    if wrong := repeat_problem(times):
        report.add("Y911", wrong, item.repeat.node, related=used_in(where))
        return None
    if item.counter != "index" and item.counter in where.names:
        message = f"counter '{item.counter}' already names a variable, param or counter"
        report.add("Y914", message, item.repeat.node, related=used_in(where))
        return None
    if times > MAX_VISITS:
        where.run.too_much(f"`repeat: {times:,}` is more than the {MAX_LAYERS:,} layers that are planned", item, where)
    return int(times)


def _run_copy(item: Item, entering: Values | None, previous: Values | None, where: Where, numbered: bool) -> Outcome:
    """Run one copy of an item."""
    kind = item.kind
    if kind == "broken":
        return Outcome(None)
    where = where.modified(item)
    if kind == "group" and item.name is None:
        return _run_group(item, entering, where)
    part = where.naming.name(item, numbered)
    path = where.naming.prefix + part
    if kind == "op":
        return run_op(item, entering, previous, where, path)
    if kind == "block":
        return blocks.run_block(item, entering, where, path, part)
    if kind == "merge":
        return merges.run_merge(item, entering, where, path, part)
    if kind == "share":
        return share.run_share(item, entering, where, path)
    steps, leaving = run_items(item.items, entering, where.inside(item.items, f"{path}."))
    scope = Scope(path, path, part, "group", "layers", entering or (), leaving or (), steps)
    return Outcome(leaving, Copy(entering or (), leaving or (), scope=scope), path=path)


def _run_group(item: Item, entering: Values | None, where: Where) -> Outcome:
    """Run a group without a name: a list of its own, but the layers' names are those of the list around."""
    inner = where._replace(frame=Frame(item.items, where.frame, where.frame.inputs))
    if item.each:
        return _run_each(item, entering, inner)
    steps, leaving = run_items(item.items, entering, inner)
    return Outcome(leaving, Copy(entering or (), leaving or (), steps=steps))


def _run_each(item: Item, entering: Values | None, where: Where) -> Outcome:
    """Run an item on every slice along an axis: the axis of all that enters is folded, and put back."""
    start, inside, end = item.items
    opened = _ends(start, entering, None, where) if entering else None
    slices = {v.slices for copy in opened.copies for v in copy.outputs} if opened else set()
    if opened and len(slices) > 1:
        counts = " and ".join(f"{copy.inputs[0].name} {copy.outputs[0].slices}" for copy in opened.copies)
        problem("S005", f"`each` runs on slices of several values, whose numbers differ: {counts}", start, where)
        opened = None
    given = tuple(v for copy in opened.copies for v in copy.outputs) if opened else None
    copies, outcome, _ = _run_item(inside, given, where)
    results = outcome.values if given else None
    if given and results and (whole := next((v for v in results if v.within != given[0].within), None)):
        problem("S005", f"`each` puts slices together, but '{whole.name}' comes from outside of it", start, where)
        results = None
    closed = _ends(end, results, entering[0], where) if entering and results else None
    leaving = tuple(v for copy in closed.copies for v in copy.outputs) if closed else None
    steps = tuple(step for step in (opened, Step(inside, copies), closed) if step and step.copies)
    return outcome._replace(values=leaving, copy=Copy(entering or (), leaving or (), steps=steps), path="")


def _ends(item: Item, values: Values, whole: Value | None, where: Where) -> Step | None:
    """One end of `each`: a layer for each value; None, and a finding, where it does not run."""
    assert item.fixed
    copies = []
    for value in values:
        path = where.naming.prefix + where.naming.name(item, numbered=False)
        outcome = layer(item, item.fixed, (value,), where, path, whole)
        if outcome.copy is None:
            return None
        copies.append(outcome.copy)
    return Step(item, tuple(copies))


def joined(found: Sequence[Values | None]) -> Values | None:
    """All values in one tuple; None where one of them is unknown."""
    if len(found) == 1:
        return found[0]
    together: list[Value] = []
    for values in found:
        if values is None:
            return None
        together.extend(values)
    return tuple(together)
