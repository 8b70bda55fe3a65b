"""What shifts of the input do, in words and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnplan.analyses.translation import Broken, Effect, Moves, Still, axis_name

if TYPE_CHECKING:
    from cnnplan.planning import Plan


def sentences(plan: Plan) -> list[tuple[int, str]]:
    """For each different effect the shift in input units, and what multiples of it do."""
    groups: dict[tuple[int, str], list[Effect]] = {}
    for effect in plan.translation:
        groups.setdefault(_said(effect), []).append(effect)
    whole = len(plan.translation)
    return [
        (every, text if len(several) == whole else f"{_where(several, plan)}: {text}")
        for (every, text), several in groups.items()
    ]


def _said(effect: Effect) -> tuple[int, str]:
    state = effect.state
    if isinstance(state, Still):
        return state.every, "multiples of it leave the output as it is (invariant)"
    if isinstance(state, Moves):
        return state.every, "multiples of it move the output along (equivariant)"
    assert isinstance(state, Broken)
    node, before = state.node, "maps move along" if isinstance(state.before, Moves) else "nothing changes"
    return state.before.every, f"{before} up to {node.name} (line {node.line}), which {state.why}"


def _where(several: list[Effect], plan: Plan) -> str:
    ranks = {value.name: value.shape.rank for value in plan.graph.inputs}
    axes = dict.fromkeys(axis_name(ranks[effect.input], effect.axis) for effect in several)
    outputs = dict.fromkeys(effect.output for effect in several)
    inputs = dict.fromkeys(effect.input for effect in several)
    words = [", ".join(axes)]
    if len(ranks) > 1:
        words.append(f"of {', '.join(inputs)}")
    if len(plan.graph.outputs) > 1:
        words.append(f"for {', '.join(outputs)}")
    return " ".join(words)


def as_list(plan: Plan) -> list[dict[str, Any]]:
    """The effects as JSON holds them."""
    found = []
    for effect in plan.translation:
        state = effect.state
        out: dict[str, Any] = {
            "input": effect.input,
            "axis": effect.axis,
            "output": effect.output,
            "kind": effect.kind,
            "shift": state.before.every if isinstance(state, Broken) else state.every,
        }
        if isinstance(state, Moves):
            out["moves"] = state.by
        if isinstance(state, Broken):
            out |= {"layer": state.node.name, "line": state.node.line, "reason": state.why}
        found.append(out)
    return found
