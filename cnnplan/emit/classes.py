"""One class of the emitted source: its constructor, written for all uses of a block at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cnnplan.emit.calls import class_name
from cnnplan.emit.layout import Call
from cnnplan.emit.names import local
from cnnplan.emit.placing import Placed, Placing, Ran, beside, ran, setting
from cnnplan.emit.solver import Inexpressible, Solver
from cnnplan.emit.structure import NUMBERED, copies_end, first_part, is_chain, is_closed_merge, joined, part_of
from cnnplan.emit.terms import Site, same
from cnnplan.ops.base import Inline, Module

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnnplan.emit.draft import Draft
    from cnnplan.emit.structure import Rules
    from cnnplan.expressions import Expression
    from cnnplan.graph import Copy, Scope, Step
    from cnnplan.ops.base import Argument as TorchArgument
    from cnnplan.spec import Branch, Given, Item


class Constructor(Placing):
    """Writes the constructor of one class.

    Raises Inexpressible where the uses differ too much for one class.
    """

    def __init__(self, draft: Draft, rules: Rules, classes: Mapping[str, tuple[Draft, int]]) -> None:
        super().__init__(draft, rules)
        self.classes = classes

    def write(self) -> None:
        """Fill the draft's arguments and lines."""
        self.body()
        if self.solver.arguments:
            self.again(frozenset(), parametrized=True)
        spare = {a.name[:-1] for a in self.solver.arguments.values() if a.name.endswith("_")}
        spare -= {a.name for a in self.solver.arguments.values()}
        if unused := frozenset(spare & self.solver.offered.keys()):  # `padding_`, though `padding` is not used
            self.again(unused, parametrized=bool(self.solver.arguments))
        if (text := self.solver.repeated()) and "hidden" not in self.solver.taken:
            self.again(self.solver.without, parametrized=True, variables={text: "hidden"})
            self.draft.lines.insert(0, f"        hidden = {text}")
        found = self.solver.arguments
        order = [a.name for a in self.solver.offered.values()]
        ranked = sorted(found.values(), key=lambda a: (a.has_default, order.index(a.name) if a.name in order else 99))
        self.draft.arguments = ranked
        self.draft.helpers |= self.solver.functions

    def again(self, without: frozenset[str], parametrized: bool, variables: Mapping[str, str] | None = None) -> None:
        """Write it once more, with what is known now."""
        self.solver = Solver(self.draft.uses, without, parametrized)
        self.solver.variables.update(variables or {})
        self.solver.taken.update(self.solver.variables.values())
        self.draft.lines.clear()
        self.body()

    def body(self) -> None:
        """Fill the draft's lines."""
        uses = self.draft.uses
        self.shape = _one([str(u.inputs[0].shape) for u in uses])
        runs = [ran(site, use.steps, use.path) for site, use in zip(self.solver.sites(), uses, strict=True)]
        self.items(_items(uses[0]), runs, "self", 8)

    # ---------------------------------------------------------------- lists and repeats

    def items(self, items: Sequence[Item], runs: Sequence[Ran], target: str, indent: int) -> None:
        """The statements of a list of items."""
        for item in items:
            here = [(r, r.steps[id(item)]) for r in runs if id(item) in r.steps]
            if not here or item.kind == "share":
                continue
            if item.repeat is not None:
                self.repeated(item, here, len(runs) > len(here), target, indent)
                continue
            placed = [Placed(r.site, step.copies[0], r.inside) for r, step in here]
            self.optional(item, placed, [r.site for r in runs], target, indent)

    def own(self, items: Sequence[Item], runs: Sequence[Ran], target: str, indent: int) -> None:
        """The statements of a list with names of its own: a named group, a branch."""
        with self.inside(frozen=False, copied=False):
            self.items(items, runs, target, indent)

    def optional(self, item: Item, placed: Sequence[Placed], sites: Sequence[Site], target: str, indent: int) -> None:
        """An item that some of the uses leave out."""
        if len(placed) < len(sites):
            present = [any(p.site is site for p in placed) for site in sites]
            hint = item.condition.expression if item.condition else None
            self.condition(present, sites, item.name or item.word, hint, indent)
            self.shape = ""
            with self.silent():
                self.copy(item, placed, target, indent + 4)
            return
        self.copy(item, placed, target, indent)

    def condition(
        self, present: Sequence[bool], sites: Sequence[Site], name: str, hint: Expression | None, indent: int
    ) -> None:
        text = self.solver.condition(present, sites, name, hint)
        self.add(indent, f"if {text}:")

    def repeated(self, item: Item, here: Sequence[tuple[Ran, Step]], absent: bool, target: str, indent: int) -> None:
        """An item with `repeat`: a loop where the copies allow it."""
        counts = [len(step.copies) for _, step in here]
        if absent:  # no copies at all in some uses
            raise Inexpressible(item.word)
        if item.name:
            firsts = {first_part(step.copies[0], r.inside) for r, step in here}
            if len(firsts) > 1:
                raise Inexpressible(item.name)
            name, _, number = (firsts.pop() or "").rpartition(".")
            if number == "0":
                self.add(indent, f"{target}.{name} = {self.container(here)}()")
            target = f"{target}.{name}"
            here = [(r._replace(inside=joined(r.inside, name)), step) for r, step in here]
        alike = len(set(counts)) == 1
        if alike and counts[0] <= 2:
            self.unrolled(item, here, 0, counts[0], target, indent)
            return
        for first in (0, 1):
            for counting in ("ordinal", "zero", "counter"):
                before = (
                    self.solver.snapshot(),
                    len(self.draft.lines),
                    self.shape,
                    set(self.draft.helpers),
                    set(self.held),
                )
                try:
                    self.unrolled(item, here, 0, first, target, indent)
                    self.loop(item, here, first, target, indent, counting)
                    return
                except Inexpressible:
                    self.solver.restore(before[0])
                    del self.draft.lines[before[1] :]
                    self.shape, self.draft.helpers, self.held = before[2:]
        if not alike:
            raise Inexpressible(item.word)
        self.unrolled(item, here, 0, counts[0], target, indent)

    def container(self, here: Sequence[tuple[Ran, Step]]) -> str:
        """What holds the copies of a named item."""
        if self.draft.chain or (not self.copied and all(self.closed(step.copies) for _, step in here)):
            return "nn.Sequential"
        return "nn.ModuleList"

    def closed(self, copies: Sequence[Copy]) -> bool:
        """Whether nn.Sequential can run the copies one after the other."""
        first = copies[0]
        return len(first.inputs) == 1 and copies_end(copies, first.inputs[0], self.rules, False, True) is not None

    def unrolled(
        self, item: Item, here: Sequence[tuple[Ran, Step]], start: int, stop: int, target: str, indent: int
    ) -> None:
        for index in range(start, stop):
            self.copy(item, [Placed(r.site, step.copies[index], r.inside) for r, step in here], target, indent)

    def loop(
        self, item: Item, here: Sequence[tuple[Ran, Step]], first: int, target: str, indent: int, counting: str
    ) -> None:
        """A `for` over the copies from `first` on.

        The loop variable is the ordinal in the copies' names; where other numbers depend on it, it
        counts from zero; in the end it is the spec's own counter.
        """
        counts = [len(step.copies) for _, step in here]
        sites = [r.site for r, _ in here]
        counted = counting == "counter"
        if counted and not _uses_counter(item, item.counter):
            raise Inexpressible(item.word)
        base = {"ordinal": self.first_ordinal(here, first), "zero": 0, "counter": first}[counting]
        taken = {*self.solver.taken, *sites[0].loop}
        variable = local(item.counter, taken) if counted else next(v for v in ("i", "j", "k", "n") if v not in taken)
        hint = item.repeat.expression if item.repeat else None
        stop = self.solver.solve([c - first + base for c in counts], sites, f"{item.word}s", hint)
        placed = [
            Placed(Site(r.site.use, {**r.site.loop, variable: base + index - first}), step.copies[index], r.inside)
            for r, step in here
            for index in range(first, len(step.copies))
        ]
        memo = list(self.solver.memo)
        at = len(self.draft.lines)
        self.copy(item, placed, target, indent + 4, {item.counter: variable} if counted else {})
        self.solver.memo = memo
        if len(self.draft.lines) == at:  # nothing but expressions and `share` runs
            return
        body = "\n".join(self.draft.lines[at:])
        used = re.search(rf"\b{variable}\b", body)
        in_names = len(re.findall(rf"[{{]{variable}[ }}]", body))
        if counting == "ordinal" and base and len(re.findall(rf"\b{variable}\b", body)) > in_names:
            raise Inexpressible(item.word)
        bounds = stop if base == 0 else f"{base}, {stop}"
        self.draft.lines.insert(at, f"{' ' * indent}for {variable if used else '_'} in range({bounds}):")

    def first_ordinal(self, here: Sequence[tuple[Ran, Step]], first: int) -> int:
        """Where the names of the copies start to count, so that the loop variable can be their number."""
        found = set()
        for r, step in here:
            if len(step.copies) <= first:
                continue
            name = first_part(step.copies[first], r.inside)
            match = NUMBERED.fullmatch(name or "")
            found.add(int(match[2]) if match else first)
        return found.pop() if len(found) == 1 else first

    # ---------------------------------------------------------------- copies

    def copy(
        self,
        item: Item,
        placed: Sequence[Placed],
        target: str,
        indent: int,
        counters: Mapping[str, str] | None = None,
    ) -> None:
        """The statements of one copy of an item, at all sites."""
        copy = placed[0].copy
        if copy.node:
            self.node(item, placed, target, indent, counters or {})
        elif copy.scope is None:
            with self.inside(self.freezes(item), self.copied or item.repeat is not None):
                self.items(item.items, [ran(p.site, p.copy.steps, p.inside) for p in placed], target, indent)
        elif copy.scope.kind == "block":
            self.block(item, placed, target, indent, counters or {})
        elif copy.scope.kind == "group":
            self.group(item, placed, target, indent)
        else:
            self.merge(item, placed, target, indent)

    def node(self, item: Item, placed: Sequence[Placed], target: str, indent: int, counters: Mapping[str, str]) -> None:
        nodes = [p.copy.node for p in placed if p.copy.node]
        rules = [self.rules.of(node) for node in nodes]
        if any(isinstance(rule, Inline) for rule in rules):
            if any(rule != rules[0] for rule in rules):  # what is written in `forward` is the same for all uses
                raise Inexpressible(item.word)
            for rule in rules:
                if isinstance(rule, Inline) and rule.helper:
                    self.draft.helpers.add(rule.helper)
            return
        parts = [part_of(node.path, p.inside) for node, p in zip(nodes, placed, strict=True)]
        modules = [rule for rule in rules if isinstance(rule, Module)]
        sites = [p.site for p in placed]
        shape = _one([str(node.output.shape) for node in nodes])
        for around, suffix in self.rules.around:
            chosen = [getattr(m, around) if around else m for m in modules]
            if all(m is None for m in chosen):
                continue
            if any(m is None for m in chosen):
                raise Inexpressible(item.word)
            half = all(getattr(n.op, "padding", "") == "half" and getattr(n.op, "dilation", 1) == 1 for n in nodes)
            code = self.module(item, chosen, sites, counters, half)
            owner, named = beside(target, parts, suffix) if around else (target, parts)
            last = around == ("after" if modules[0].after else "")  # behind it the value has its shape
            self.writing = () if around else tuple(node.path for node in nodes)
            self.place(owner, named, sites, code, indent, shape if last else "")
            self.writing = ()
        if self.freezes(item) and any(node.op.parameters(*node.shapes) for node in nodes):
            self.freeze(target, parts, sites, indent)

    def module(
        self, item: Item, modules: Sequence[Module], sites: Sequence[Site], counters: Mapping[str, str], half: bool
    ) -> Call:
        """The construction of a torch module, its arguments solved over the sites; `half` is its padding."""
        kernel = ""
        target = modules[0].target
        if any(m.target != target for m in modules):  # copies of an item with other numbers of axes
            raise Inexpressible(item.word)
        if not target.startswith("nn."):
            self.draft.helpers.add(target)
        arguments: list[str | Call] = []
        for index, first in enumerate(modules[0].arguments):
            column = [m.arguments[index] for m in modules]
            if first.keyword and all(_is_default(a) for a in column):
                continue
            given = item.arguments.get(first.name)
            hint = given[1].expression if given else None
            if first.name == "padding" and half and kernel.isidentifier():
                text = f"{kernel} // 2"
            else:
                text = self.solver.solve([a.value for a in column], sites, first.name, hint, counters)
            if first.name == "kernel_size" and all(type(a.value) is int for a in column):
                kernel = text
            arguments.append(f"{first.name}={text}" if first.keyword else text)
        return Call(f"{class_name(target)}(", tuple(arguments))

    def block(
        self, item: Item, placed: Sequence[Placed], target: str, indent: int, counters: Mapping[str, str]
    ) -> None:
        scopes = [p.copy.scope for p in placed if p.copy.scope]
        drafts = [self.classes[scope.path] for scope in scopes]
        draft = drafts[0][0]
        if any(d is not draft for d, _ in drafts):
            raise Inexpressible(item.word)
        sites = [p.site for p in placed]
        arguments: list[str | Call] = []
        for argument in draft.arguments:
            values = [argument.values[use] for _, use in drafts]
            if argument.has_default and all(same(v, argument.default) for v in values):
                continue
            given = item.arguments.get(argument.name)
            hint = given[1].expression if given else None
            text = self.solver.solve(values, sites, argument.name, hint, counters)
            arguments.append(f"{argument.name}={text}" if argument.has_default else text)
        parts = [part_of(scope.path, p.inside) for scope, p in zip(scopes, placed, strict=True)]
        shape = _one([str(s.outputs[0].shape) if len(s.outputs) == 1 else "" for s in scopes])
        self.place(target, parts, sites, Call(f"{draft.name}(", tuple(arguments)), indent, shape)
        if self.freezes(item):
            self.freeze(target, parts, sites, indent)

    def group(self, item: Item, placed: Sequence[Placed], target: str, indent: int) -> None:
        scopes = [p.copy.scope for p in placed if p.copy.scope]
        chain = all(is_chain(scope, self.rules) for scope in scopes)
        inner = self.holder(item, placed, "nn.Sequential" if chain else "nn.Module", target, indent)
        runs = [ran(p.site, s.steps, s.path) for p, s in zip(placed, scopes, strict=True)]
        self.own(item.items, runs, inner, indent)
        self.hold(item, placed, inner, target, indent)

    def merge(self, item: Item, placed: Sequence[Placed], target: str, indent: int) -> None:
        scopes = [p.copy.scope for p in placed if p.copy.scope]
        closed = all(len(s.inputs) == 1 and is_closed_merge(s, s.inputs[0], self.rules) for s in scopes)
        kind = "nn.Module" if not closed else "nn.Sequential"
        merging = next((s.node for s in scopes if s.node), None)
        if closed and merging:
            kind = merging.op.layer  # type: ignore[attr-defined]
            self.draft.helpers.add(kind)
        dim = [getattr(s.node.op, "axis", 0) for s in scopes if s.node]
        options = ""
        if closed and merging and self.rules.in_place(merging):
            options = "inplace=True"
        elif closed and merging and any(dim):
            options = f"{dim[0] % len(merging.output.shape) + 1}"
        before = self.shape
        shape = _one([str(s.outputs[0].shape) for s in scopes])
        self.writing = tuple(s.node.path for s in scopes if s.node) if closed else ()
        inner = self.holder(item, placed, kind, target, indent, options, shape if closed else "")
        self.writing = ()
        sites = [p.site for p in placed]
        assert item.branches is not None
        for index, branch in enumerate(item.branches):
            self.shape = before
            self.branch(
                branch,
                [(s, scope.branches[index][1]) for s, scope in zip(sites, scopes, strict=True)],
                inner,
                indent,
                closed,
            )
        self.hold(item, placed, inner, target, indent)
        self.shape = shape

    def branch(
        self, branch: Branch, found: Sequence[tuple[Site, Scope | None]], target: str, indent: int, closed: bool
    ) -> None:
        here = [(site, scope) for site, scope in found if scope]
        if not here:
            return
        if len(here) < len(found):
            present = [scope is not None for _, scope in found]
            hint = branch.condition.expression if branch.condition else None
            self.condition(present, [site for site, _ in found], branch.name, hint, indent)
            indent += 4
        inner = f"{target}.{branch.name}"
        if not branch.items or not any(scope.steps for _, scope in here):
            if closed:
                self.add(indent, setting(target, branch.name, "nn.Sequential()"))
            elif len(here) < len(found):
                self.add(indent, "pass")
            return
        chain = all(is_chain(scope, self.rules) for _, scope in here)
        self.add(indent, setting(target, branch.name, f"nn.{'Sequential' if chain else 'Module'}()"))
        if branch.name.isdecimal():
            inner = f'{target}.get_submodule("{branch.name}")'
        self.own(branch.items, [ran(site, scope.steps, scope.path) for site, scope in here], inner, indent)


def _items(scope: Scope) -> Sequence[Item]:
    if scope.block:
        return scope.block.items
    return tuple(step.item for step in scope.steps)


def _is_default(argument: TorchArgument) -> bool:
    return same(argument.value, argument.default)


def _uses_counter(item: Item, counter: str) -> bool:
    """Whether an argument below the item uses the counter."""
    given: list[Given] = [g for _, g in item.arguments.values()]
    if any(counter in g.names for g in given):
        return True
    inner = [i for i in item.items if not (i.repeat and i.counter == counter)]
    inner += [i for b in item.branches or () for i in b.items]
    return any(_uses_counter(i, counter) for i in inner)


def _one(found: Sequence[str]) -> str:
    """The text that all agree on, or none."""
    return found[0] if len(set(found)) == 1 else ""
