"""A network as a tree of pieces, for comparing it with another: layers, and the lists that hold them.

Groups without a name are lists of what is around them, and copies stand one after the other, as in the table.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from cnnplan.graph import Copy, Graph, Node, Scope, Step
    from cnnplan.ops.base import Op


class Numbers:
    """A number for each thing; equal things have the same."""

    def __init__(self) -> None:
        self._known: dict[Hashable, int] = {}
        self._ops: dict[int, int] = {}

    def of(self, thing: Hashable) -> int:
        return self._known.setdefault(thing, len(self._known))

    def of_op(self, op: Op) -> int:
        """The same by identity first: layers of one item share their operation, and comparing those takes long."""
        if id(op) not in self._ops:
            self._ops[id(op)] = self.of((op.kind, op))
        return self._ops[id(op)]


class Piece:
    """A layer, or a list of pieces: a block's use, a named group, a branch, a merge, a `share` run.

    Attributes:
        given: its name, where the spec gives one; the names of branches are given.
        word: the operation, the block, the merge; "layers" of a group, "branch", "share".
        node: the layer; None for a list.
        inner: what is in the list.
        print: a number that equal pieces have alone: of equal words and arguments, all the way down.
        words: the same without names: the arguments of a layer; of a list 0.
    """

    def __init__(
        self, given: str, word: str, node: Node | None, inner: tuple[Piece, ...], words: int, numbers: Numbers
    ) -> None:
        self.given = given
        self.word = word
        self.node = node
        self.inner = inner
        self.words = words
        self.print: int = numbers.of((given, word, words, tuple(piece.print for piece in inner)))

    @property
    def key(self) -> tuple[str, str]:
        """What the spec calls it."""
        return self.given, self.word

    def leaves(self) -> Iterator[Piece]:
        """Its layers, in the order they run."""
        if self.node:
            yield self
        for piece in self.inner:
            yield from piece.leaves()

    @cached_property
    def counted(self) -> Counter[Hashable]:
        """How many layers of each operation, and of each operation and arguments, it has."""
        leaves = [*self.leaves()]
        return Counter([*(piece.word for piece in leaves), *(piece.words for piece in leaves)])

    @cached_property
    def size(self) -> int:
        """How much it weighs where only one of two can stay in its place: a layer with parameters counts twice."""
        nodes = [piece.node for piece in self.leaves() if piece.node]
        return sum(1 + bool(node.op.parameters(*node.shapes)) for node in nodes)


def pieces(graph: Graph, numbers: Numbers) -> tuple[Piece, ...]:
    """The items of a network and what they became."""
    return tuple(_of_steps(graph.root.steps, numbers))


def _of_steps(steps: tuple[Step, ...], numbers: Numbers) -> Iterator[Piece]:
    for step in steps:
        item = step.item
        for copy in step.copies:
            if item.kind == "share":
                yield Piece(item.name or "", "share", None, tuple(_of_steps(copy.steps, numbers)), 0, numbers)
            else:
                yield from _of_copy(copy, item.name or "", numbers)


def _of_copy(copy: Copy, given: str, numbers: Numbers) -> Iterator[Piece]:
    if copy.node:
        yield _leaf(copy.node, given, numbers)
    elif copy.scope:
        yield _of_scope(copy.scope, given, copy.scope.label or copy.scope.kind, numbers)
    yield from _of_steps(copy.steps, numbers)


def _of_scope(scope: Scope, given: str, word: str, numbers: Numbers) -> Piece:
    inner = [*_of_steps(scope.steps, numbers)]
    inner += [_of_scope(ran, branch.name, "branch", numbers) for branch, ran in scope.branches if ran]
    if scope.node:
        inner.append(_leaf(scope.node, "", numbers))
    return Piece(given, word, None, tuple(inner), 0, numbers)


def _leaf(node: Node, given: str, numbers: Numbers) -> Piece:
    words = numbers.of((numbers.of_op(node.op), node.trainable, node.checkpoint, bool(node.shared_with)))
    return Piece(given, node.op.kind, node, (), words, numbers)


def likeness(a: Piece, b: Piece) -> float:
    """How much two pieces are alike, from 0 (one cannot have become the other) to 1 (equal)."""
    if a.print == b.print:
        return 1.0
    named = bool(a.given) and a.given == b.given
    if (a.node is None) != (b.node is None):
        return 0.0
    if a.node and b.node:
        if a.word == b.word:
            return 0.5 + 0.3 * _alike(a.node.op, b.node.op) + 0.2 * (a.given == b.given)
        if named:
            return 0.4
        group = a.node.op.group
        return 0.2 if group == b.node.op.group and group != "other" and not a.given and not b.given else 0.0
    if not named and a.word != b.word:
        return 0.0
    overlap = (a.counted & b.counted).total() / max(1, a.counted.total(), b.counted.total())
    return (0.5 if a.word == b.word else 0.2) + 0.3 * overlap + 0.2 * (a.given == b.given)


def _alike(a: Op, b: Op) -> float:
    """The share of equal arguments."""
    names = type(a).model_fields
    if type(a) is not type(b) or not names:
        return float(type(a) is type(b))
    return sum(bool(getattr(a, name) == getattr(b, name)) for name in names) / len(names)
