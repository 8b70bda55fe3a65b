"""Applies fixes to a text, each only where the spec is as good as before, or better.

The edits of all fixes that do not overlap are applied at once and the new text is planned; where it is worse, one half
of them is tried without the other. A safe fix must keep the names of what holds parameters, so that weights of the old
network load into the new one; where it does not, it is left to those who ask for unsafe ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cnnplan.codes import ERROR
from cnnplan.lint.edits import applied

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cnnplan.diagnostics import Diagnostic, Edit
    from cnnplan.planning import Plan

ROUNDS = 25
"""A fix may make room for another; so often the text is read again."""


class State(NamedTuple):
    """A text, and what is found in it."""

    text: str
    plan: Plan | None
    diagnostics: tuple[Diagnostic, ...]

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(d.severity == ERROR for d in self.diagnostics)


def mended(start: State, load: Callable[[str], State], *, unsafe: bool) -> tuple[State, list[Diagnostic]]:
    """The text after all fixes that may be applied, and what was mended, in the order in which it was.

    Args:
        load: reads and plans a text.
        unsafe: also apply fixes that change the function of the network.
    """
    state, done = start, []
    refused: set[tuple[str, str]] = set()
    for _ in range(ROUNDS):
        chosen = _apart([d for d in state.diagnostics if _may(d, unsafe) and _key(d, state) not in refused])
        if not chosen:
            break
        new, kept = _tried(chosen, state, load, unsafe)
        refused.update(_key(d, state) for d in chosen if d not in kept)
        state = new
        done += kept
    return state, done


def _may(found: Diagnostic, unsafe: bool) -> bool:
    return found.fix is not None and (found.fix.safe or unsafe)


def _key(found: Diagnostic, state: State) -> tuple[str, str]:
    """What a fix is known by, wherever it moves: its code and the line it stands in."""
    lines = state.text.splitlines()
    line = lines[found.start.line - 1] if found.start and found.start.line <= len(lines) else ""
    return found.code, f"{found.layer} {line} {found.message}"


def _apart(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Those whose edits do not touch those of an earlier one."""
    taken: list[Edit] = []
    chosen = []
    for one in found:
        assert one.fix
        if all(a.end < b.start or b.end < a.start for a in one.fix.edits for b in taken):
            chosen.append(one)
            taken += one.fix.edits
    return chosen


def _tried(
    chosen: Sequence[Diagnostic], state: State, load: Callable[[str], State], unsafe: bool
) -> tuple[State, list[Diagnostic]]:
    """The text with as many of the fixes as leave it no worse."""
    good: list[Diagnostic] = []
    best = state
    stack = [list(chosen)]
    while stack:
        part = stack.pop()
        edits = [edit for d in (*good, *part) for edit in (d.fix.edits if d.fix else ())]
        new = load(applied(state.text, edits))
        if _no_worse(state, new, part, unsafe):
            good, best = good + part, new
        elif len(part) > 1:
            half = len(part) // 2
            stack += [part[half:], part[:half]]
    return best, good


def _no_worse(old: State, new: State, applied_now: Sequence[Diagnostic], unsafe: bool) -> bool:
    """Whether a text may take the place of another."""
    if old.plan is None:  # what is mended may show what was hidden behind it
        left = {(d.code, d.layer, d.message) for d in new.diagnostics}
        gone = all((d.code, d.layer, d.message) not in left for d in applied_now)
        return new.plan is not None or new.errors < old.errors or (gone and new.errors <= old.errors)
    if new.plan is None or new.errors > old.errors:
        return False
    if len(old.plan.graph.outputs) != len(new.plan.graph.outputs):
        return False
    if unsafe or not all(d.fix and d.fix.safe for d in applied_now):
        return True
    shapes = [[v.shape for v in plan.graph.outputs.values()] for plan in (old.plan, new.plan)]
    before, after = _parameters(old.plan), _parameters(new.plan)
    if shapes[0] != shapes[1] or any(before.get(name) != shape for name, shape in after.items()):
        return False
    layers = [{name.rpartition(".")[0] for name in found} for found in (before, after)]
    # where one has gone, no other may have taken its name
    return len(layers[0]) == len(layers[1]) or all(d.layer not in layers[1] for d in applied_now)


def _parameters(plan: Plan) -> dict[str, tuple[int, ...]]:
    """The parameters by their names in the model, and their shapes."""
    return {f"{layer.node.path}.{name}": shape for layer in plan.layers for name, shape in layer.work.tensors.items()}
