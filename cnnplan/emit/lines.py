"""Statements over values, folded into each other and given variables.

A value gets its name in the spec, `x` where nothing else still needs the old `x`, else the name of
its layer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.emit.layout import WIDTH, Bracketed, Call, statement, width, written
from cnnplan.emit.names import local, numbered
from cnnplan.graph import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Parts = list["str | Value"]

LONGEST = 32
"""Names of variables are cut here."""

FOLDED = 84
"""Statements are folded into the next as long as it stays this short."""


FUNCTION, VARIABLE = "\1", "\2"
"""In the parts of a line, where a name goes that is found when the line is written."""


class Function(NamedTuple):
    """Statements to be recomputed: the name wanted, what they read, and what leaves them."""

    name: str
    read: tuple[Value, ...]
    lines: list[Line]
    outputs: tuple[Value, ...]


class Line:
    """One statement: `targets = parts`.

    Attributes:
        binary: whether the parts are operands, which need brackets inside other operands.
        depth: how many statements are folded into it.
        name: what the spec calls the targets, if it names them.
        function: what is to be recomputed, which stands before it as a function; `FUNCTION` in the
            parts is its name.
        loop: a `for` over the copies of an item; `VARIABLE` in its texts is the loop variable.
        ports: what a block calls its outputs.
        paths: of the layers that it writes.
        uniform: whether the value has the same shape in every round of the loop.
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
        self.function: Function | None = None
        self.loop: tuple[str, str] | None = None
        self.uniform = True
        self.ports: tuple[str, ...] = ()
        self.paths: tuple[str, ...] = ()

    def used(self) -> Iterator[Value]:
        return (part for part in self.parts if isinstance(part, Value))


def listed(values: Sequence[Value]) -> Parts:
    """Values as the arguments of a call."""
    parts: Parts = []
    for value in values:
        parts += [", ", value] if parts else [value]
    return parts


# -------------------------------------------------------------------- folding


def fold(lines: list[Line]) -> list[Line]:
    """Statements whose only use is in the next one, folded into it."""
    uses: dict[Value, int] = {}
    widths: dict[Value, int] = {}  # of the variables, as far as the spec names them
    for line in lines:
        for value in line.used():
            uses[value] = uses.get(value, 0) + 1
        widths.update(dict.fromkeys(line.targets, min(len(line.name), LONGEST)) if line.name else {})
    done: list[Line] = []
    for line in lines:
        before = done[-1] if done else None
        if before and len(before.targets) == 1 and _may_fold(before, line, uses, widths):
            (value,) = before.targets
            at = line.parts.index(value)
            line.parts[at : at + 1] = before.parts
            line.depth += before.depth
            line.paths += before.paths
            done.pop()
        done.append(line)
    return done


def _may_fold(before: Line, line: Line, uses: Mapping[Value, int], widths: Mapping[Value, int]) -> bool:
    (value,) = before.targets
    if uses.get(value) != 1 or value not in line.parts or before.name or before.loop or before.function:
        return False
    if line.loop or line.function or before.depth + line.depth > 3 + (line.word == "return"):
        return False
    if before.binary and not re.match(r"^self[\w.\[\]]*\($", str(line.parts[0])) and line.word != "return":
        return False
    if line.word == "return" and len([p for p in line.parts if isinstance(p, Value)]) > 1 and before.binary:
        return False
    taken = sum(widths.get(p, 4) if isinstance(p, Value) else len(p) for p in (*before.parts, *line.parts))
    return taken < FOLDED - 16


# -------------------------------------------------------------------- variables


def render(
    lines: list[Line], given: Mapping[Value, str], indent: int, commented: bool, around: set[str] | None = None
) -> list[str]:
    """The lines as source, every value in a variable.

    Args:
        given: the values that are known, and their variables.
        commented: whether shapes are written as comments.
        around: names of the functions around, which are not hidden.
    """
    last: dict[Value, int] = {}
    for index, line in enumerate(lines):
        for value in line.used():
            last[value] = index
    names = dict(given)
    holder = {name: value for value, name in given.items()}
    taken = set(given.values()) | (around or set())
    shape = str(next(iter(given)).shape) if given else ""
    out: list[str] = []
    for index, line in enumerate(lines):
        targets = [_variable(v, line, i, index, last, holder, taken) for i, v in enumerate(line.targets)]
        code = "".join(names[p] if isinstance(p, Value) else p for p in line.parts)
        inputs = tuple(names[value] for value in line.used())  # before a value that passes through has a new name
        if line.function:
            called = numbered(line.function.name, taken)
            out += _function(line.function, called, names, indent, commented, {*(around or ()), called})
            code = code.replace(FUNCTION, called)
        for value, name in zip(line.targets, targets, strict=True):
            names[value] = name
            holder[name] = value
        if line.word == "return":
            out += written(_statement(indent, "return ", code, line, inputs, ""), line.paths)
            continue
        used = [value for value in line.targets if value in last]
        now = str(used[0].shape) if len(used) == 1 else ""
        comment = now if now != shape and commented and line.uniform else ""
        shape = now
        if line.loop:
            variable = next(v for v in ("i", "j", "k", *(f"i{n}" for n in range(99))) if v not in taken)
            head, body = (text.replace(VARIABLE, variable) for text in line.loop)
            if code != targets[0]:
                out.append(f"{' ' * indent}{targets[0]} = {code}")
            out.append(f"{' ' * indent}{head}")
            out += statement(indent + 4, f"{targets[0]} = {body.replace('{x}', targets[0])}", comment)
        else:
            out += written(_statement(indent, f"{', '.join(targets)} = ", code, line, inputs, comment), line.paths)
    return out


def assigned(lines: Sequence[Line], given: Mapping[Value, str]) -> Iterator[tuple[Line, list[str]]]:
    """The variables that each line assigns, as `render` names them."""
    last = {value: index for index, line in enumerate(lines) for value in line.used()}
    holder: dict[str, Any] = {name: value for value, name in given.items()}
    taken = set(given.values())
    for index, line in enumerate(lines):
        targets = [_variable(v, line, i, index, last, holder, taken) for i, v in enumerate(line.targets)]
        holder.update(zip(targets, line.targets, strict=True))
        yield line, targets


def _variable(
    value: Value, line: Line, port: int, index: int, last: Mapping[Value, int], holder: dict[str, Any], taken: set[str]
) -> str:
    if value not in last:
        return "_"
    wanted = line.name or "x"
    if len(line.targets) > 1:
        wanted = f"{line.name or line.word}_{line.ports[port] if line.ports else port}"
    old = holder.get(wanted)
    if old is not None and last.get(old, -1) > index:
        wanted = re.sub(r"\W+", "_", line.word).strip("_") or "y" if wanted == "x" else wanted
        old = holder.get(wanted)
    if old is not None and last.get(old, -1) <= index:
        return wanted
    return local(wanted[:LONGEST], taken) if wanted not in ("x",) or "x" in taken else _take("x", taken)


def _take(name: str, taken: set[str]) -> str:
    taken.add(name)
    return name


def _function(
    function: Function, called: str, names: Mapping[Value, str], indent: int, commented: bool, around: set[str]
) -> list[str]:
    """A function that holds what is to be recomputed; its arguments go by the names of what they are."""
    taken = set(around)
    given = {value: local(names[value], taken) for value in function.read}
    outputs = function.outputs
    result = "Tensor" if len(outputs) == 1 else f"tuple[{', '.join(['Tensor'] * len(outputs))}]"
    head = Call(f"def {called}(", tuple(f"{n}: Tensor" for n in given.values()), f") -> {result}:")
    for line in function.lines:
        if line.targets == outputs:
            line.name = None  # it is returned, and named outside
    body = [*function.lines, Line((), listed(outputs), word="return")]
    return ["", *statement(indent, head), *render(fold(body), given, indent + 4, commented, around), ""]


def _statement(indent: int, head: str, code: str, line: Line, inputs: tuple[str, ...], comment: str) -> list[str]:
    """One statement; broken at its arguments where it is too long."""
    flat = f"{head}{code}"
    if indent + width(flat) <= WIDTH:
        return statement(indent, flat, comment)
    if line.binary or line.depth > 1:
        call = None if line.binary else _call(code)
        broken = Call(f"{head}{call[0]}", call[1], ")") if call else Bracketed(head, code)
        return statement(indent, broken, comment)
    if isinstance(line.parts[0], str) and line.parts[0].endswith("[") and isinstance(line.parts[-1], str):
        first = Call("[", inputs, "]")
        rest = line.parts[-1].strip("])").strip(", ")
        opening = line.parts[0][:-1]
        return statement(indent, Call(f"{head}{opening}", (first, rest) if rest else (first,), ")"), comment)
    if isinstance(line.parts[0], str) and line.parts[0].endswith("("):
        closing = str(line.parts[-1])  # more than one bracket, where a module runs before another
        if closing.strip(")"):
            call = _call(code)
            broken = Call(f"{head}{call[0]}", call[1], ")") if call else Bracketed(head, code)
            return statement(indent, broken, comment)
        return statement(indent, Call(f"{head}{line.parts[0]}", inputs, closing), comment)
    return statement(indent, flat, comment)


def _call(code: str) -> tuple[str, tuple[str, ...]] | None:
    """A call's beginning and its arguments, where the code is a single call."""
    start = re.match(r"[\w.\[\]]+\(", code)
    if not start or not code.endswith(")"):
        return None
    arguments, depth, last = [], 0, start.end()
    for at in range(start.end(), len(code) - 1):
        depth += (code[at] in "([{") - (code[at] in ")]}")
        if depth < 0:
            return None
        if code[at] == "," and not depth:
            arguments.append(code[last:at].strip())
            last = at + 1
    return start[0], (*arguments, code[last:-1].strip())
