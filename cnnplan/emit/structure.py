"""The shape of scopes: which are plain chains, and which uses of a block can share a class."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cnnplan.analyses.inplace import in_place
from cnnplan.analyses.pointwise import pointwise
from cnnplan.ops.base import Argument, Inline, Module

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnnplan.graph import Copy, Graph, Node, Scope, Step, Value

NUMBERED = re.compile(r"(.*?)(0|[1-9]\d*)")
"""A name with a number: what comes before it, and the number."""

Signature = dict[tuple[Any, ...], tuple[Any, ...]]


class Rules:
    """The torch rule of each layer, found once.

    `around` are the modules that a layer may need beside its own, in the order they run, and what
    their names end in: an ending that no layer of the network has.
    """

    def __init__(self, graph: Graph) -> None:
        self._known: dict[Any, Module | Inline] = {}
        self._rewritten = in_place(graph)
        self._pointwise = pointwise(graph)
        given = {re.sub(r"[\d.]+$", "", node.name) for node in graph.nodes}
        given |= {part for name in given for part in name.split(".")}
        self.pad, self.flatten = (_unused(suffix, given) for suffix in ("_pad", "_flatten"))
        self.around = (("before", self.pad), ("", ""), ("after", self.flatten))

    def in_place(self, node: Node) -> bool:
        """Whether a layer overwrites its first input."""
        return node in self._rewritten

    def of(self, node: Node) -> Module | Inline:
        rewritten = node in self._rewritten
        key = (id(node.op), node.shapes, rewritten, node in self._pointwise)
        if key not in self._known:
            rule = node.op.torch(*node.shapes)
            if node in self._pointwise and isinstance(rule, Module):
                rule = rule._replace(target=node.op.by_rows(*node.shapes))
            if rewritten and isinstance(rule, Module):
                rule = rule._replace(arguments=(*rule.arguments, Argument("inplace", True, False, True)))
            elif rewritten and isinstance(rule, Inline):
                rule = rule._replace(template=rule.in_place)
            self._known[key] = rule
        return self._known[key]


def _unused(suffix: str, given: set[str]) -> str:
    while any(name.endswith(suffix) for name in given):
        suffix += "_"
    return suffix


def chain_end(steps: Sequence[Step], current: Value, rules: Rules, copied: bool = False) -> Value | None:
    """The value that leaves a chain: items that each take what the one before gives.

    None where the list is no chain: something is taken from elsewhere, shared, recomputed, or run
    by an expression; nn.Sequential cannot run it.
    """
    for step in steps:
        item = step.item
        if item.checkpoint or item.kind == "share" or (copied and item.name):
            return None
        numbered = bool(item.name and item.repeat)
        end = copies_end(step.copies, current, rules, copied or item.repeat is not None, numbered)
        if end is None:
            return None
        current = end
    return current


def copies_end(
    copies: Sequence[Copy], current: Value, rules: Rules, copied: bool = False, numbered: bool = False
) -> Value | None:
    """The same for the copies of one item; `numbered` where it has a name, and the copies numbers."""
    for copy in copies:
        if copy.inputs != (current,) or len(copy.outputs) != 1:
            return None
        (end,) = copy.outputs
        if not _is_link(copy, current, end, rules, copied, numbered):
            return None
        current = end
    return current


def _is_link(copy: Copy, current: Value, end: Value, rules: Rules, copied: bool, numbered: bool) -> bool:
    if copy.node:
        if len(copy.node.outputs) > 1:
            return False
        rule = rules.of(copy.node)
        # beside copies that are numbered, there is no place for a module that pads or flattens
        return isinstance(rule, Module) and not (numbered and (rule.before or rule.after))
    scope = copy.scope
    if scope is None:
        return chain_end(copy.steps, current, rules, copied) is end
    if scope.kind == "block":
        return True
    if scope.kind == "group":
        return chain_end(scope.steps, current, rules) is end
    return is_closed_merge(scope, current, rules)


def is_closed_merge(scope: Scope, current: Value, rules: Rules) -> bool:
    """Whether every branch is a chain that starts from the same value, and a module can merge them.

    A module that merges results as they come is for two: of more, the plan has all in memory at once.
    """
    branches = [branch for _, branch in scope.branches if branch]
    if len(branches) > 2 and scope.node and scope.node.op.pairwise:
        return False
    return all(
        branch.inputs == (current,)
        and len(branch.outputs) == 1
        and chain_end(branch.steps, current, rules) is branch.outputs[0]
        for branch in branches
    )


def is_chain(scope: Scope, rules: Rules) -> bool:
    """Whether nn.Sequential can run the scope."""
    if len(scope.inputs) != 1 or len(scope.outputs) != 1:
        return False
    return chain_end(scope.steps, scope.inputs[0], rules) is scope.outputs[0]


def block_scopes(graph: Graph) -> dict[str, list[Scope]]:
    """The uses of each block, the blocks that a block uses before it. `share` runs are left out."""
    found: dict[str, list[Scope]] = {}
    heights: dict[str, int] = {}

    def scope_height(scope: Scope) -> int:
        height = max([*(step_height(s) for s in scope.steps), *(scope_height(b) for _, b in scope.branches if b), 0])
        if scope.kind == "block":
            if scope.name == scope.path:
                found.setdefault(scope.label, []).append(scope)
            height += 1
            heights[scope.label] = max(height, heights.get(scope.label, 0))
        return height

    def step_height(step: Step) -> int:
        return max(
            (max([scope_height(c.scope) if c.scope else 0, *map(step_height, c.steps)]) for c in step.copies), default=0
        )

    scope_height(graph.root)
    return {name: found[name] for name in sorted(found, key=lambda name: heights[name])}


def part_of(name: str, scope: str) -> str:
    """The name of a layer below its scope."""
    return name[len(scope) + 1 :] if scope else name


def joined(inside: str, name: str) -> str:
    """The dotted name of a part of a scope; the root scope has no name of its own."""
    return f"{inside}.{name}" if inside else name


def first_part(copy: Copy, inside: str) -> str | None:
    """The name, below the scope around it, of the first thing that a copy puts there."""
    if copy.node:
        return part_of(copy.node.path, inside)
    if copy.scope:
        return part_of(copy.scope.path, inside)
    return first_part(copy.steps[0].copies[0], inside) if copy.steps else None


def signature(scope: Scope, rules: Rules, classes: dict[str, Any]) -> Signature:
    """What has to agree, item by item, for two uses of a block to share a class."""
    found: Signature = {("inputs",): tuple(scope.inputs.index(value) for value in scope.inputs)}

    def walk(steps: Sequence[Step], inside: str, prefix: tuple[Any, ...]) -> None:
        for step in steps:
            for index, copy in enumerate(step.copies):
                key = (*prefix, id(step.item), index)
                for name, value in _piece(copy, inside, rules, classes):
                    found[key] = (name, *value)
                for inner, place, extra in _inside(copy, inside):
                    walk(inner, place, (*key, extra))

    walk(scope.steps, scope.path, ())
    return found


def _piece(copy: Copy, inside: str, rules: Rules, classes: dict[str, Any]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    node, scope = copy.node, copy.scope
    if node:
        rule = rules.of(node)
        if isinstance(rule, Module):
            around = [m.target if m else None for m in (rule.before, rule.after)]
            yield part_of(node.path, inside), (rule.target, *around)
        else:
            yield part_of(node.path, inside), (rule.template, rule.helper)
    elif scope and scope.kind == "block":
        yield part_of(scope.path, inside), (id(classes[scope.path][0]),)
    elif scope:
        dim = getattr(scope.node.op, "axis", None) if scope.node else None
        yield part_of(scope.path, inside), (scope.label, dim)


def _inside(copy: Copy, inside: str) -> Iterator[tuple[Sequence[Step], str, Any]]:
    scope = copy.scope
    if scope is None:
        yield copy.steps, inside, None
    elif scope.kind == "group":
        yield scope.steps, scope.path, None
    elif scope.kind == "merge":
        for branch, ran in scope.branches:
            if ran:
                yield ran.steps, ran.path, branch.name


def agree(a: Signature, b: Signature) -> bool:
    """Whether two uses name and build the items that both have alike."""
    shorter, longer = sorted((a, b), key=len)
    return all(longer.get(key, value) == value for key, value in shorter.items())
