"""How long does the emitted source hold each value while its forward pass runs?

As long as something still reads it; as long as the module runs that it was given to, whose caller
holds it; and as long as a variable of a `forward` does: until the variable holds another value, or
to the end of the method.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.emit.structure import Rules, is_chain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnnplan.emit.lines import Line
    from cnnplan.graph import Graph, Scope, Step, Value


def lifetimes(graph: Graph) -> dict[Value, int]:
    """Behind which layer, by its index, each value is let go; the network's inputs and outputs never are."""
    last: dict[Value, int] = {}
    for node in graph.nodes:
        last.update(dict.fromkeys(node.outputs, node.index))
        last.update(dict.fromkeys(node.inputs, node.index))
        if node.like:
            last[node.like] = node.index
    rules = Rules(graph)
    _scope(graph.root, last, rules)
    for value in (*graph.inputs, *graph.outputs.values()):
        last.pop(value, None)
    return last


def _scope(scope: Scope, last: dict[Value, int], rules: Rules) -> int:
    """Hold what enters a scope while it runs, and the variables of its `forward`; its last layer."""
    end = _steps(scope.steps, last, rules)
    for _, branch in scope.branches:
        if branch:
            end = max(end, _scope(branch, last, rules))
    if scope.node:
        end = max(end, scope.node.index)
    for value in scope.inputs:
        last[value] = max(last.get(value, -1), end)
    if scope.kind in ("model", "block") and not is_chain(scope, rules):
        from cnnplan.emit.forward import Forward  # most networks are chains of modules

        forward = Forward([scope], rules, set())
        _variables(forward.statements(), forward.given(forward.arguments()), end, last)
    return end


def _steps(steps: Sequence[Step], last: dict[Value, int], rules: Rules) -> int:
    end = -1
    for step in steps:
        first = step.copies[0].inputs if step.item.repeat and step.item.name and step.copies else ()
        for copy in step.copies:
            if copy.node:
                end = max(end, copy.node.index)
            elif copy.scope:
                end = max(end, _scope(copy.scope, last, rules))
            else:
                end = max(end, _steps(copy.steps, last, rules))
        for value in first:  # the copies are a module of their own
            last[value] = max(last.get(value, -1), end)
    return end


def _variables(lines: Sequence[Line], given: Mapping[Value, str], end: int, last: dict[Value, int]) -> None:
    """Hold the values of variables until they are given another one, or until the method ends."""
    from cnnplan.emit.lines import assigned, fold

    held: dict[str, Value] = {}
    for line, names in assigned(lines, given):
        behind = max((v.node.index for v in line.targets if v.node), default=end)
        if line.function:
            _variables(fold(line.function.lines), {v: v.name for v in line.function.read}, behind, last)
        for value, name in zip(line.targets, names, strict=True):
            before = held.get(name)
            if before is not None:
                last[before] = max(last.get(before, -1), behind)
            held[name] = value
    for value in held.values():
        last[value] = max(last.get(value, -1), end)
