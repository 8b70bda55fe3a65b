"""The rows of a plan's table: layers grouped by block, copies that are alike folded into one row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cnnplan.graph import Copy, Node, Scope, Step, Value
    from cnnplan.ops.base import Op
    from cnnplan.planning import Plan
    from cnnplan.spec import Item

COMFORTABLE = 44
"""Rows that people read at once: the default depth is the deepest that needs no more."""


class Row(NamedTuple):
    """A layer, or a block whose layers are not shown, or one whose layers follow.

    Attributes:
        level: how far it is indented.
        name: its name below what it is indented under; `conv2–4` for copies folded into one.
        times: how many copies it stands for.
        what: the operation with its arguments, or the block.
        output: the shape of its output; of the last copy, where copies differ.
        parameters, macs, flops: of all copies together.
        opened: whether its layers follow.
        shared: whether its parameters are another layer's.
        end: its output; of the last copy, and the first where it has several.
        line: where the spec says it.
        nodes: the layers of all copies.
    """

    level: int
    name: str
    times: int
    what: str
    output: str
    parameters: int
    macs: int
    flops: int
    opened: bool = False
    shared: bool = False
    end: Value | None = None
    line: int = 0
    nodes: tuple[Node, ...] = ()


def rows(plan: Plan, depth: int | None = None) -> list[Row]:
    """The rows of the table.

    Args:
        depth: how many levels of blocks are shown: 1 = the items of `layers` alone. By default as
            many as still fit on a screen; where even one is too many, all copies of an item are one row.
    """
    if depth is not None:
        return list(_Rows(plan).of_steps(plan.graph.root.steps, "", 0, depth))
    found = rows(plan, 1)
    if len(found) > COMFORTABLE:
        return list(_Rows(plan, fold_all=True).of_steps(plan.graph.root.steps, "", 0, 1))
    for deeper in range(2, 64):
        more = rows(plan, deeper)
        if len(more) > COMFORTABLE or len(more) == len(found):
            break
        found = more
    return found


class _Piece(NamedTuple):
    """A row to be, and the scope below it."""

    name: str
    inside: str
    node: Node | None
    scope: Scope | None
    line: int

    def nodes(self) -> list[Node]:
        return [self.node] if self.node else list(self.scope.nodes()) if self.scope else []


class _Rows:
    def __init__(self, plan: Plan, fold_all: bool = False) -> None:
        self.layers = plan.layers
        self.fold_all = fold_all

    def of_steps(self, steps: Iterable[Step], inside: str, level: int, depth: int, factor: int = 1) -> Iterator[Row]:
        for step in steps:
            for alike in self.folded(step, inside):
                for column in zip(*alike, strict=True):
                    yield from self.of_column(column, level, depth, factor)

    def folded(self, step: Step, inside: str) -> Iterator[list[list[_Piece]]]:
        """The copies of an item, neighbours that are alike together."""
        group: list[list[_Piece]] = []
        last: Any = None
        for copy in step.copies:
            pieces = list(_pieces(copy, inside, step.item))
            print_ = [[(n.op, n.shapes, n.trainable, bool(n.shared_with)) for n in piece.nodes()] for piece in pieces]
            if group and (print_ == last or (self.fold_all and len(pieces) == len(group[0]))):
                group.append(pieces)
                continue
            if group:
                yield group
            group, last = [pieces], print_
        if group:
            yield group

    def of_column(self, column: Sequence[_Piece], level: int, depth: int, factor: int) -> Iterator[Row]:
        """One row for pieces that are alike, and the rows below it; `factor` copies of all that."""
        first, times = column[0], len(column)
        nodes = first.nodes()
        every = [node for piece in column for node in piece.nodes()]
        work = [self.layers[node.index].work for node in every]
        last = column[-1].scope  # what is below is that of the last copy, as the row's own output is
        below = list(self.below(last, level, depth, factor * times)) if last else []
        name = spanned(first.name, column[-1].name)
        end = column[-1]
        outputs = end.scope.outputs if end.scope else end.node.outputs if end.node else ()
        yield Row(
            level,
            name,
            times,
            _what(first),
            ", ".join(v.size for v in outputs),
            factor * sum(w.parameters for w in work),
            factor * sum(w.macs for w in work),
            factor * sum(w.flops for w in work),
            bool(below),
            bool(nodes) and all(node.shared_with for node in nodes),
            outputs[0] if outputs else None,
            first.line,
            tuple(every * factor),
        )
        yield from below

    def below(self, scope: Scope, level: int, depth: int, factor: int) -> Iterator[Row]:
        """What is below a scope. A block costs a level; its merges show their branches for nothing."""
        if scope.kind != "merge":
            if depth > 1:
                yield from self.of_steps(scope.steps, scope.name, level + 1, depth - 1, factor)
        elif depth > 1 or level:
            for branch, ran in scope.branches:
                if ran:
                    piece = _Piece(branch.name, scope.name, None, ran, next((n.line for n in ran.nodes()), 0))
                    yield from self.of_column([piece], level + 1, depth, factor)


def _pieces(copy: Copy, inside: str, item: Item) -> Iterator[_Piece]:
    """What a copy of an item puts into its list: one row, or those of a group without a name."""
    if copy.node:
        yield _Piece(_below(copy.node.name, inside), inside, copy.node, None, copy.node.line)
    elif copy.scope:
        yield _Piece(_below(copy.scope.name, inside), inside, None, copy.scope, item.key.line)
    for step in copy.steps:
        for inner in step.copies:
            yield from _pieces(inner, inside, step.item)


def shortened(name: str, width: int) -> str:
    """A name without its middle, where it is too long: its end tells most."""
    if len(name) <= width:
        return name
    end = (width - 1) * 2 // 3
    return f"{name[: width - 1 - end]}…{name[-end:]}"


def spanned(first: str, last: str) -> str:
    """conv2–4 for conv2 … conv4; conv2 for itself."""
    if first == last:
        return first
    word = first.rstrip("0123456789")
    number = last.removeprefix(word)
    return f"{first}–{number}" if number.isdecimal() and last != number else f"{first} … {last}"


def _below(name: str, inside: str) -> str:
    return name[len(inside) + 1 :] if inside and name.startswith(f"{inside}.") else name


def _what(piece: _Piece) -> str:
    if piece.node:
        return described(piece.node.op)
    scope = piece.scope
    assert scope is not None
    if scope.kind == "branch":
        return "identity" if not scope.steps else "branch"
    if scope.kind == "block":
        return _used(scope)
    return "group" if scope.kind == "group" else scope.label


def _used(scope: Scope) -> str:
    """A block with the params that differ from their defaults."""
    words = [scope.label]
    assert scope.block is not None
    for index, (name, param) in enumerate(scope.block.params.items()):
        value = scope.arguments[name]
        if param.default and (param.default.dynamic or param.default.constant == value):
            continue
        words.append(plain(value) if index == 0 else f"{name}={plain(value)}")
    return " ".join(words)


def described(op: Op) -> str:
    """An operation with the arguments that differ from their defaults, as the spec would say it."""
    words = [op.kind]
    for index, (name, field) in enumerate(type(op).model_fields.items()):
        if not field.repr:  # what the spec does not say
            continue
        value = getattr(op, name)
        if index == 0 and not isinstance(value, bool) and (field.is_required() or value != field.default):
            words.append(plain(value))
        elif value != field.default:
            words.append(f"{name}={plain(value)}")
    return " ".join(words)


def plain(value: Any) -> str:
    """A value as a spec would say it: `true`, `0.1`, `[1, 2]`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(plain, value))}]"
    return str(value)
