"""The `forward` of a class that is no plain chain.

One statement for each layer, over values; `lines` folds them and names the variables.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from cnnplan.emit.calls import inline_text
from cnnplan.emit.layout import WIDTH, Call, statement, width
from cnnplan.emit.lines import FUNCTION, VARIABLE, Function, Line, Parts, fold, listed, render
from cnnplan.emit.names import local
from cnnplan.emit.structure import NUMBERED, copies_end, first_part, is_chain, is_closed_merge, joined, part_of
from cnnplan.ops.base import Inline, Module

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.emit.structure import Rules
    from cnnplan.graph import Copy, Node, Scope, Step, Value
    from cnnplan.spec import Item


class Forward:
    """Writes the forward of one class, from the first of its uses."""

    def __init__(self, uses: Sequence[Scope], rules: Rules, helpers: set[str]) -> None:
        self.uses = uses
        self.scope = uses[0]
        self.commented = len({tuple(node.shapes for node in use.nodes()) for use in uses}) == 1
        self.rules = rules
        self.helpers = helpers
        self.lines: list[Line] = []
        self.checkpoints = False
        self.copied = False  # inside the copies of a group without a name
        self.sharing = False  # inside a `share` run, whose values do not go by the first run's names

    def write(self) -> list[str]:
        """The lines of the method."""
        ends = self.scope.outputs
        lines = self.statements()
        arguments = self.arguments()
        given = self.given(arguments)
        result = "Tensor" if len(ends) == 1 else f"tuple[{', '.join(['Tensor'] * len(ends))}]"
        head = Call("def forward(", ("self", *(f"{n}: Tensor" for n in arguments)), f") -> {result}:")
        return [*statement(4, head), *render(lines, given, 8, self.commented)]

    def arguments(self) -> list[str]:
        """The names of the method's arguments."""
        scope = self.scope
        names = ["x"] if len(scope.inputs) == 1 else [v.name.rpartition(".")[2] for v in scope.inputs]
        if scope.block and scope.block.inputs:
            names = list(scope.block.inputs)
        taken: set[str] = set()
        return [local(name, taken) for name in names]

    def given(self, arguments: Sequence[str]) -> dict[Value, str]:
        """The values that enter, and the arguments that hold them: of equal ones the first."""
        return dict(zip(reversed(self.scope.inputs), reversed(arguments), strict=True))

    # ---------------------------------------------------------------- statements

    def statements(self) -> list[Line]:
        """The statements of the method."""
        self.steps(self.scope.steps, self.scope.path, "self")
        self.lines.append(Line((), listed(self.scope.outputs), word="return"))
        return fold(self.lines)

    def steps(self, steps: Sequence[Step], inside: str, target: str) -> None:
        for step in steps:
            item = step.item
            if item.kind == "share":
                for copy in step.copies:
                    self.copy(item, copy, inside, target)
            elif item.checkpoint:
                for copy in step.copies:
                    self.recomputed(item, copy, inside, target)
            elif item.repeat and item.name and not self.copied and self.closed(step.copies):
                call = f"{target}.{_base(step, inside)}"
                self.call(call, step.copies[0].inputs, step.copies[-1].outputs, item)
            elif item.repeat and (loop := self.loop(step, inside, target)):
                self.lines.append(loop)
            else:
                path, prefix = inside, target
                if item.repeat and item.name and step.copies:
                    base = _base(step, inside)
                    path, prefix = joined(inside, base), f"{target}.{base}"
                for copy in step.copies:
                    self.copy(item, copy, path, prefix)

    def own(self, steps: Sequence[Step], inside: str, target: str) -> None:
        """The statements of a list with names of its own."""
        outer, self.copied = self.copied, False
        self.steps(steps, inside, target)
        self.copied = outer

    def closed(self, copies: Sequence[Copy]) -> bool:
        first = copies[0]
        return len(first.inputs) == 1 and copies_end(copies, first.inputs[0], self.rules, False, True) is not None

    def copy(self, item: Item, copy: Copy, inside: str, target: str) -> None:
        if copy.node:
            self.node(item, copy.node, inside, target)
        elif item.kind == "share":
            outer, self.sharing = self.sharing, True
            self.steps(copy.steps, self.scope.path, "self")
            self.sharing = outer
            self.rename(copy.outputs, item)
        elif copy.scope is None:
            before, self.copied = self.copied, self.copied or item.repeat is not None
            self.steps(copy.steps, inside, target)
            self.copied = before
            if item.each and not self.sharing:
                self.rename(copy.outputs, item)
        elif copy.scope.kind == "block":
            self.call(access(target, part_of(copy.scope.path, inside)), copy.inputs, copy.outputs, item)
            names = [str(r).replace(".", "_") for r in copy.scope.block.outputs] if copy.scope.block else []
            if len(names) == len(copy.outputs):
                self.lines[-1].ports = tuple(names)
        elif copy.scope.kind == "group":
            self.group(item, copy.scope, inside, target)
        else:
            self.merge(item, copy.scope, inside, target)

    def node(self, item: Item, node: Node, inside: str, target: str) -> None:
        rule = self.rules.of(node)
        named = self.name_of(item)
        if isinstance(rule, Inline):
            if rule.helper:
                self.helpers.add(rule.helper)
            inputs = [*node.inputs, *([node.like] if node.like else [])]
            text = inline_text(rule, [f"\0{i}\0" for i in range(len(inputs))])
            pieces = text.split("\0")
            parts: Parts = [inputs[int(piece)] if i % 2 else piece for i, piece in enumerate(pieces)]
            binary = not re.match(r"^(\x00\d+\x00[.\[]|[\w.]+\()", text)
            word = part_of(node.path, inside)
            line = Line(node.outputs, [p for p in parts if p != ""], binary=binary, word=word, names=named)
            own = node.name[len(self.scope.name) :]
            line.paths = tuple(f"{use.name}{own}" for use in self.uses)
            self.lines.append(line)
            return
        name = access(target, part_of(node.path, inside))
        opening, closing = f"{name}(", ")"
        if rule.before:
            opening, closing = f"{opening}{around(name, self.rules.pad)}(", "))"
        if rule.after:
            opening, closing = f"{around(name, self.rules.flatten)}({opening}", f"{closing})"
        parts = [opening, *listed(node.inputs), closing]
        self.lines.append(Line(node.outputs, parts, word=part_of(node.path, inside), names=named))
        if node.op.hidden:
            self.lines[-1].ports = ("values", "indices")

    def call(self, name: str, inputs: Sequence[Value], outputs: tuple[Value, ...], item: Item) -> None:
        parts: Parts = [f"{name}(", *listed(inputs), ")"]
        self.lines.append(Line(outputs, parts, word=name.rpartition(".")[2], names=self.name_of(item)))

    def name_of(self, item: Item) -> str | None:
        """What the spec calls the value that leaves an item."""
        return None if self.sharing else item.name

    def group(self, item: Item, scope: Scope, inside: str, target: str) -> None:
        name = access(target, part_of(scope.path, inside))
        if is_chain(scope, self.rules):
            self.call(name, scope.inputs, scope.outputs, item)
        else:
            self.own(scope.steps, scope.path, name)
            self.rename(scope.outputs, item)

    def merge(self, item: Item, scope: Scope, inside: str, target: str) -> None:
        name = access(target, part_of(scope.path, inside))
        if len(scope.inputs) == 1 and is_closed_merge(scope, scope.inputs[0], self.rules):
            self.call(name, scope.inputs, scope.outputs, item)
            return
        for branch, ran in scope.branches:
            if ran is None or not ran.steps:
                continue
            part = branch.name if branch.name.isidentifier() else f'get_submodule("{branch.name}")'
            if is_chain(ran, self.rules):
                parts: Parts = [f"{name}.{part}(", *listed(ran.inputs), ")"]
                word = branch.name if branch.name.isidentifier() else f"branch{branch.name}"
                self.lines.append(Line(ran.outputs, parts, word=word))
            else:
                self.own(ran.steps, ran.path, f"{name}.{part}")
        if scope.node:
            self.node(item, scope.node, inside, target)
        else:
            self.rename(scope.outputs, item)

    def rename(self, outputs: tuple[Value, ...], item: Item) -> None:
        """Let the values that leave a named group go by its name."""
        if item.known_as:
            for line in reversed(self.lines):  # the maker is one of the last
                if line.targets == outputs:
                    line.name = line.name or item.known_as
                    break

    def loop(self, step: Step, inside: str, target: str) -> Line | None:
        """A `for` over the copies of an item, where each is a row of module calls."""
        copies = step.copies
        if len(copies) < 3 or step.item.name or not self.closed(copies):
            return None
        rows = [self.modules(copy, inside) for copy in copies]
        if any(row is None or len(row) != len(rows[0] or ()) or "." in "".join(row) for row in rows) or not rows[0]:
            return None
        first: int | None = None
        calls = []
        for column in zip(*(row or [] for row in rows), strict=True):
            matches = [NUMBERED.fullmatch(part) for part in column]
            if not all(matches) or len({m[1] for m in matches if m}) != 1:
                return None
            numbers = [int(m[2]) for m in matches if m]
            if any(b - a != 1 for a, b in pairwise(numbers)):
                return None
            first = numbers[0] if first is None else first
            shift = numbers[0] - first
            number = VARIABLE if not shift else f"{VARIABLE} {'+' if shift > 0 else '-'} {abs(shift)}"
            word = next(m[1] for m in matches if m)
            calls.append(f'getattr({target}, f"{word}{{{number}}}")')
        line = Line(copies[-1].outputs, [copies[0].inputs[0]], word=step.item.word)
        body = "{x}"
        for call in calls:
            body = f"{call}({body})"
        line.loop = (f"for {VARIABLE} in range({first}, {(first or 0) + len(copies)}):", body)
        line.uniform = len({copy.outputs[0].shape for copy in copies}) == 1
        return line if width(body) < WIDTH - 24 else None

    def modules(self, copy: Copy, inside: str) -> list[str] | None:
        """The names of the modules that a copy runs in a row."""
        if copy.node:
            rule = self.rules.of(copy.node)
            if not isinstance(rule, Module) or rule.before or rule.after or len(copy.node.outputs) > 1:
                return None
            return [part_of(copy.node.path, inside)]
        if copy.scope:
            return [part_of(copy.scope.path, inside)] if copy.scope.kind != "group" else None
        found: list[str] = []
        for step in copy.steps:
            for inner in step.copies:
                names = self.modules(inner, inside)
                if names is None:
                    return None
                found += names
        return found

    def recomputed(self, item: Item, copy: Copy, inside: str, target: str) -> None:
        """A copy under torch.utils.checkpoint: what it reads is passed to it, so that nothing changes under it."""
        self.checkpoints = True
        outer, self.lines = self.lines, []
        self.copy(item, copy, inside, target)
        inner, self.lines = fold(self.lines), outer
        made = {value for line in inner for value in line.targets}
        read = tuple(dict.fromkeys(v for line in inner for v in line.used() if v not in made))
        outputs = copy.node.outputs if copy.node else copy.outputs
        simple = len(inner) == 1 and inner[0].depth == 1 and inner[0].loop is None and inner[0].function is None
        if simple and re.fullmatch(r"self[\w.\[\]]*\(", str(inner[0].parts[0])):
            function = str(inner[0].parts[0])[:-1]
            line = Line(outputs, [f"checkpoint({function}, ", *listed(read), ", use_reentrant=False)"])
        else:
            line = Line(outputs, [f"checkpoint({FUNCTION}, ", *listed(read), ", use_reentrant=False)"])
            line.function = Function(f"run_{item.name or item.word}", read, inner, outputs)
        line.word, line.name = item.word, self.name_of(item)
        line.depth = 9  # not to be folded into the next
        self.lines.append(line)


def _base(step: Step, inside: str) -> str:
    """What the numbered copies of a named item are called."""
    return (first_part(step.copies[0], inside) or "").rpartition(".")[0]


def access(target: str, part: str) -> str:
    """The source of a child: `self.conv1`, `self.stage[0]`."""
    if part.isdecimal():
        return f"{target}[{part}]"
    name, dot, number = part.partition(".")
    return f"{target}.{name}[{number}]" if dot and number.isdecimal() else f"{target}.{part}"


def around(name: str, suffix: str) -> str:
    """The source of a module that runs around a layer: `self.conv1_pad`, `self.stage_pad0`."""
    if not name.endswith("]"):
        return f"{name}{suffix}"
    head, _, number = name[:-1].rpartition("[")
    return f"{head}{suffix}{number}"
