"""Blocks: params bound to arguments, and the block's list run on what enters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnplan.elaborate import items as lists
from cnnplan.elaborate.findings import problem, used_in, wrong_count
from cnnplan.elaborate.references import is_left_out, resolve
from cnnplan.elaborate.state import UNKNOWN, Frame, Naming, Outcome, Use, Where
from cnnplan.elaborate.values import evaluate, with_input
from cnnplan.expressions import Names
from cnnplan.graph import Copy, Scope
from cnnplan.source import describe
from cnnplan.spec import TYPES

if TYPE_CHECKING:
    from cnnplan.elaborate.state import Values
    from cnnplan.spec import Block, Item


def run_block(item: Item, entering: Values | None, where: Where, path: str, part: str) -> Outcome:
    """Run an item that is a block."""
    run = where.run
    block = run.spec.blocks[item.word]
    if not block.items:
        return Outcome(None, path=path)
    run.visit(item, where, len(block.params) // 10)
    wanted = max(1, len(block.inputs))
    if entering is not None and len(entering) != wanted:
        wrong_count(entering, wanted, item, where, path)
        entering = None
    visible: dict[str, Values | None] = {"input": entering}
    if block.inputs:
        visible = {name: (entering[i],) if entering else None for i, name in enumerate(block.inputs)}
    inner = Where(
        run,
        Names(run.variables, run.variables.budget),
        Frame(block.items, None, visible, named=bool(block.inputs)),
        Naming(f"{path}.", block.items),
        False,
        where.trainable,
        where.checkpoint,
        (*where.uses, Use(item, path, block.builtin)),
        where.place or (item.key if block.builtin else None),
    )
    _bind(item, block, entering, where, inner, path)
    steps, leaving = lists.run_items(block.items, entering, inner)
    parts: tuple[str, ...] = ()
    if block.outputs:
        kept = [r for r in block.outputs if not is_left_out(r, inner)]
        parts = tuple(map(str, kept))
        found = [resolve(r, leaving, inner, single=True) for r in kept]
        leaving = lists.joined(found) if kept else None
        if not kept:
            message = f"none of the outputs of block '{block.name}' is left: the items they name are left out"
            problem("S016", message, item, where, path, at=block.outputs[0].node)
    arguments = {name: inner.names[name] for name in block.params}
    ends = entering or (), leaving or ()
    scope = Scope(path, path, part, "block", block.name, *ends, steps, block=block, arguments=arguments)
    return Outcome(leaving, Copy(*ends, scope=scope), parts, path)


def _bind(item: Item, block: Block, entering: Values | None, where: Where, inner: Where, path: str) -> None:
    """Add the block's params to the names that its items see.

    Arguments are evaluated in `where`, defaults in `inner`, in the order of the params.
    """
    run = where.run
    outer = with_input(where.names, entering, [value for _, value in item.arguments.values()])
    given = {name: evaluate(value, outer, where, path) for name, (_, value) in item.arguments.items()}
    names = inner.names
    for name, param in block.params.items():
        value: Any = UNKNOWN
        if name in given:
            value = given[name]
            if value is not UNKNOWN and param.type and type(value) not in TYPES[param.type]:
                message = f"param '{name}' of '{block.name}' is of type {param.type}, not {describe(value)}"
                at = where.place or item.arguments[name][1].node
                run.report.add("Y911", message, at, related=used_in(where), layer=path)
                value = UNKNOWN
        elif param.default is not None:
            value = evaluate(param.default, with_input(names, entering, (param.default,)), inner, path)
        elif param.type is not None and not item.guessed:
            message = f"block '{block.name}' needs its param `{name}` ({param.type})"
            at = where.place or item.key
            run.report.add("Y912", message, at, about=name, related=used_in(where), layer=path)
        names[name] = value
