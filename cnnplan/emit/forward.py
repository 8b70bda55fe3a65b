"""The `forward` of a class that is no plain chain.

First one statement for each layer, over values; then those that only feed the next are folded into
it; then every value gets a variable: its name in the spec, `x` where nothing else still needs the
old `x`, else the name of its layer.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from cnnplan.emit.calls import inline_text
from cnnplan.emit.classes import first_part, joined
from cnnplan.emit.layout import WIDTH, Call, statement, width
from cnnplan.emit.names import local
from cnnplan.emit.structure import copies_end, is_chain, is_closed_merge, part_of
from cnnplan.graph import Value
from cnnplan.ops.base import Inline, Module

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cnnplan.emit.structure import Rules
    from cnnplan.graph import Copy, Node, Scope, Step
    from cnnplan.spec import Item

Parts = list["str | Value"]

FOLDED = 84
"""Statements are folded into the next as long as it stays this short."""

_NUMBERED = re.compile(r"(.*?)(\d+)")


class Line:
    """One statement: `targets = parts`.

    Attributes:
        binary: whether the parts are operands, which need brackets inside other operands.
        depth: how many statements are folded into it.
        names: what the spec calls the targets, if it names them.
        rest: further lines that stand before it (a function to recompute), or behind it (a loop).
    """

    def __init__(
        self,
        targets: tuple[Value, ...],
        parts: Parts,
        *,
        binary: bool = False,
        word: str = "",
        names: str | None = None,
    ) -> None:
        self.targets = targets
        self.parts = parts
        self.binary = binary
        self.word = word
        self.name = names
        self.depth = 1
        self.function: tuple[str, tuple[Value, ...], list[Line], tuple[Value, ...]] | None = None
        self.loop: tuple[str, str] | None = None

    def used(self) -> Iterator[Value]:
        return (part for part in self.parts if isinstance(part, Value))


class Forward:
    """Writes the forward of one class, from the first of its uses."""

    def __init__(self, scope: Scope, rules: Rules, helpers: set[str]) -> None:
        self.scope = scope
        self.rules = rules
        self.helpers = helpers
        self.lines: list[Line] = []
        self.checkpoints = False
        self.functions: set[str] = set()
        self.copied = False  # inside the copies of a group without a name
        self.sharing = False  # inside a `share` run, whose values do not go by the first run's names

    def write(self) -> list[str]:
        """The lines of the method."""
        scope = self.scope
        self.steps(scope.steps, scope.path, "self")
        ends = scope.outputs
        self.lines.append(Line((), _listed(ends), word="return"))
        names = ["x"] if len(scope.inputs) == 1 else [v.name.rpartition(".")[2] for v in scope.inputs]
        if scope.block and scope.block.inputs:
            names = list(scope.block.inputs)
        taken: set[str] = set()
        given = {value: local(name, taken) for value, name in zip(scope.inputs, names, strict=True)}
        result = "Tensor" if len(ends) == 1 else f"tuple[{', '.join(['Tensor'] * len(ends))}]"
        head = Call("def forward(", ("self", *(f"{n}: Tensor" for n in given.values())), f") -> {result}:")
        return [*statement(4, head), *render(fold(self.lines), given, 8)]

    # ---------------------------------------------------------------- statements

    def steps(self, steps: Sequence[Step], inside: str, target: str) -> None:
        for step in steps:
            item = step.item
            if item.checkpoint:
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
        elif copy.scope.kind == "block":
            self.call(access(target, part_of(copy.scope.path, inside)), copy.inputs, copy.outputs, item)
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
            self.lines.append(Line(node.outputs, [p for p in parts if p != ""], binary=binary, word=word, names=named))
            return
        name = access(target, part_of(node.path, inside))
        opening, closing = f"{name}(", ")"
        if rule.before:
            opening, closing = f"{opening}{around(name, self.rules.pad)}(", "))"
        if rule.after:
            opening, closing = f"{around(name, self.rules.flatten)}({opening}", f"{closing})"
        parts = [opening, *_listed(node.inputs), closing]
        self.lines.append(Line(node.outputs, parts, word=part_of(node.path, inside), names=named))

    def call(self, name: str, inputs: Sequence[Value], outputs: tuple[Value, ...], item: Item) -> None:
        parts: Parts = [f"{name}(", *_listed(inputs), ")"]
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
                parts: Parts = [f"{name}.{part}(", *_listed(ran.inputs), ")"]
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
        for line in self.lines:
            if item.name and line.targets == outputs and not line.name:
                line.name = item.name

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
            matches = [_NUMBERED.fullmatch(part) for part in column]
            if not all(matches) or len({m[1] for m in matches if m}) != 1:
                return None
            numbers = [int(m[2]) for m in matches if m]
            if any(b - a != 1 for a, b in pairwise(numbers)):
                return None
            first = numbers[0] if first is None else first
            shift = numbers[0] - first
            number = "i" if not shift else f"i + {shift}" if shift > 0 else f"i - {-shift}"
            word = next(m[1] for m in matches if m)
            calls.append(f'getattr({target}, f"{word}{{{number}}}")')
        line = Line(copies[-1].outputs, [copies[0].inputs[0]], word=step.item.word)
        body = "{x}"
        for call in calls:
            body = f"{call}({body})"
        line.loop = (f"for i in range({first}, {(first or 0) + len(copies)}):", body)
        return line if width(body) < WIDTH - 24 else None

    def modules(self, copy: Copy, inside: str) -> list[str] | None:
        """The names of the modules that a copy runs in a row."""
        if copy.node:
            rule = self.rules.of(copy.node)
            if not isinstance(rule, Module) or rule.before or rule.after:
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
        outputs = copy.outputs
        simple = len(inner) == 1 and inner[0].depth == 1 and inner[0].loop is None and inner[0].function is None
        if simple and re.fullmatch(r"self[\w.\[\]]*\(", str(inner[0].parts[0])):
            function = str(inner[0].parts[0])[:-1]
            line = Line(outputs, [f"checkpoint({function}, ", *_listed(read), ", use_reentrant=False)"])
        else:
            name = local(f"run_{item.name or item.word}", self.functions)
            line = Line(outputs, [f"checkpoint({name}, ", *_listed(read), ", use_reentrant=False)"])
            line.function = (name, read, inner, outputs)
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
    return f"{target}.{name}[{number}]" if dot else f"{target}.{part}"


def around(name: str, suffix: str) -> str:
    """The source of a module that runs around a layer: `self.conv1_pad`, `self.stage_pad0`."""
    if not name.endswith("]"):
        return f"{name}{suffix}"
    head, _, number = name[:-1].rpartition("[")
    return f"{head}{suffix}{number}"


def _listed(values: Sequence[Value]) -> Parts:
    parts: Parts = []
    for value in values:
        parts += [", ", value] if parts else [value]
    return parts


# -------------------------------------------------------------------- folding


def fold(lines: list[Line]) -> list[Line]:
    """Statements whose only use is in the next one, folded into it."""
    uses: dict[Value, int] = {}
    for line in lines:
        for value in line.used():
            uses[value] = uses.get(value, 0) + 1
    done: list[Line] = []
    for line in lines:
        before = done[-1] if done else None
        if before and len(before.targets) == 1 and _may_fold(before, line, uses):
            (value,) = before.targets
            at = line.parts.index(value)
            line.parts[at : at + 1] = before.parts
            line.depth += before.depth
            done.pop()
        done.append(line)
    return done


def _may_fold(before: Line, line: Line, uses: Mapping[Value, int]) -> bool:
    (value,) = before.targets
    if uses.get(value) != 1 or value not in line.parts or before.name or before.loop or before.function:
        return False
    if line.loop or line.function or before.depth + line.depth > 3 + (line.word == "return"):
        return False
    if before.binary and not re.match(r"^self[\w.\[\]]*\($", str(line.parts[0])) and line.word != "return":
        return False
    if line.word == "return" and len([p for p in line.parts if isinstance(p, Value)]) > 1 and before.binary:
        return False
    return sum(4 if isinstance(p, Value) else len(p) for p in (*before.parts, *line.parts)) < FOLDED - 16


# -------------------------------------------------------------------- variables


def render(lines: list[Line], given: Mapping[Value, str], indent: int) -> list[str]:
    """The lines as source, every value in a variable."""
    last: dict[Value, int] = {}
    for index, line in enumerate(lines):
        for value in line.used():
            last[value] = index
    names = dict(given)
    holder = {name: value for value, name in given.items()}
    taken = set(given.values())
    shape = str(next(iter(given)).shape) if given else ""
    out: list[str] = []
    for index, line in enumerate(lines):
        targets = [_variable(v, line, i, index, last, holder, taken) for i, v in enumerate(line.targets)]
        code = "".join(names[p] if isinstance(p, Value) else p for p in line.parts)
        if line.function:
            out += _function(line.function, indent)
        for value, name in zip(line.targets, targets, strict=True):
            names[value] = name
            holder[name] = value
        if line.word == "return":
            out += _statement(indent, "return ", code, line, names, "")
            continue
        now = str(line.targets[0].shape)
        comment = now if now != shape else ""
        shape = now
        if line.loop:
            if code != targets[0]:
                out.append(f"{' ' * indent}{targets[0]} = {code}")
            out.append(f"{' ' * indent}{line.loop[0]}")
            out += statement(indent + 4, f"{targets[0]} = {line.loop[1].replace('{x}', targets[0])}", comment)
        else:
            out += _statement(indent, f"{', '.join(targets)} = ", code, line, names, comment)
    return out


def _variable(
    value: Value, line: Line, port: int, index: int, last: Mapping[Value, int], holder: dict[str, Any], taken: set[str]
) -> str:
    if value not in last:
        return "_"
    wanted = line.name or "x"
    if len(line.targets) > 1:
        wanted = f"{line.name or line.word}_{port}"
    old = holder.get(wanted)
    if old is not None and last.get(old, -1) > index:
        wanted = re.sub(r"\W+", "_", line.word).strip("_") or "y" if wanted == "x" else wanted
        old = holder.get(wanted)
    if old is not None and last.get(old, -1) <= index:
        return wanted
    return local(wanted[:32], taken) if wanted not in ("x",) or "x" in taken else _take("x", taken)


def _take(name: str, taken: set[str]) -> str:
    taken.add(name)
    return name


def _function(function: tuple[str, tuple[Value, ...], list[Line], tuple[Value, ...]], indent: int) -> list[str]:
    """A function that holds what is to be recomputed."""
    name, read, inner, outputs = function
    taken: set[str] = set()
    given = {v: local("x" if not i else f"x{i}", taken) for i, v in enumerate(read)}
    result = "Tensor" if len(outputs) == 1 else f"tuple[{', '.join(['Tensor'] * len(outputs))}]"
    head = Call(f"def {name}(", tuple(f"{n}: Tensor" for n in given.values()), f") -> {result}:")
    body = [*inner, Line((), _listed(outputs), word="return")]
    return ["", *statement(indent, head), *render(fold(body), given, indent + 4), ""]


def _statement(indent: int, head: str, code: str, line: Line, names: Mapping[Value, str], comment: str) -> list[str]:
    """One statement; broken at its arguments where it is too long."""
    flat = f"{head}{code}"
    if indent + width(flat) <= WIDTH:
        return statement(indent, flat, comment)
    inputs = tuple(names[v] for v in line.used())
    if line.binary or line.depth > 1:
        return statement(indent, Call(f"{head}(", (code,), ")"), comment)
    if isinstance(line.parts[0], str) and line.parts[0].endswith("[") and isinstance(line.parts[-1], str):
        first = Call("[", inputs, "]")
        rest = line.parts[-1].strip("])").strip(", ")
        opening = line.parts[0][:-1]
        return statement(indent, Call(f"{head}{opening}", (first, rest) if rest else (first,), ")"), comment)
    if isinstance(line.parts[0], str) and line.parts[0].endswith("("):
        return statement(indent, Call(f"{head}{line.parts[0]}", inputs, ")"), comment)
    return statement(indent, flat, comment)
