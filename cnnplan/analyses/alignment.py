"""Which layer of a network is which layer of another version of it?

Lists are aligned from the top: what is equal stays where it is, what lies between is paired by what it is called
and how much of it is alike, and pairs of lists are looked into. So an inserted layer is one addition however many
automatic names it shifts, and a changed argument is a change of the same layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cnnplan.analyses.pairing import equally_often, together
from cnnplan.analyses.pieces import Numbers, Piece, pieces
from cnnplan.analyses.subsequence import Pairs, gaps
from cnnplan.errors import ShapeError
from cnnplan.pause import no_collection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.graph import Graph, Node, Value

MOST_ORIGINS = 16

ADDED, REMOVED, CHANGED, RENAMED, MOVED, SAME = "added", "removed", "changed", "renamed", "moved", "same"


class Aligned(NamedTuple):
    """A layer of one network and what it is in the other.

    Attributes:
        old, new: None where it is added or removed.
        status: "added", "removed", "changed" (the spec says something else of it), "renamed" (it, or what it is
            in, is called otherwise), "moved" (other layers run before it), or "same".
        rewired: whether it takes something else, and not because of a layer that is added or removed before it.
    """

    old: Node | None
    new: Node | None
    status: str
    rewired: bool = False


def align(old: Graph, new: Graph) -> list[Aligned]:
    """The layers of two networks, those of both side by side, in the order they run; what is removed first."""
    with no_collection():
        if _before(new, old):  # one order of the two, so that both directions tell the same story
            found = _Alignment(new, old).found()
            turned = {ADDED: REMOVED, REMOVED: ADDED}
            return _ordered([x._replace(old=x.new, new=x.old, status=turned.get(x.status, x.status)) for x in found])
        return _ordered(_Alignment(old, new).found())


def _before(a: Graph, b: Graph) -> bool:
    if len(a.nodes) != len(b.nodes):
        return len(a.nodes) < len(b.nodes)
    words = (_words(x) < _words(y) for x, y in zip(a.nodes, b.nodes, strict=True) if _words(x) != _words(y))
    return next(words, False)


def _words(node: Node) -> tuple[str, ...]:
    shared = node.shared_with or ""
    return node.name, node.op.kind, repr(node.op), str(node.trainable), str(node.checkpoint), shared


class _Alignment:
    def __init__(self, old: Graph, new: Graph) -> None:
        self.old, self.new = old, new
        self.pairs: dict[Node, tuple[Node, str]] = {}
        numbers = Numbers()
        self.lists(pieces(old, numbers), pieces(new, numbers), False)

    def found(self) -> list[Aligned]:
        """All layers, in no order."""
        taken = {new for new, _ in self.pairs.values()}
        rewired = self.rewired()
        both = [
            Aligned(node, new, CHANGED if node in rewired and status != MOVED else status, node in rewired)
            for node, (new, status) in self.pairs.items()
        ]
        gone = [Aligned(node, None, REMOVED) for node in self.old.nodes if node not in self.pairs]
        return [*both, *gone, *(Aligned(None, node, ADDED) for node in self.new.nodes if node not in taken)]

    # ----------------------------------------------------------------- pairs

    def pair(self, a: Piece, b: Piece, renamed: bool, moved: bool = False) -> None:
        """Two pieces are one."""
        renamed = renamed or a.given != b.given or (a.node is None and a.word != b.word)
        if a.node and b.node:
            changed = a.words != b.words and not _same_rule(a.node, b.node)
            status = CHANGED if changed else MOVED if moved else RENAMED if renamed else SAME
            self.pairs[a.node] = b.node, status
        elif a.print == b.print:
            for one, other in zip(a.inner, b.inner, strict=True):
                self.pair(one, other, renamed, moved)
        else:
            self.lists(a.inner, b.inner, renamed)

    def lists(self, a: Sequence[Piece], b: Sequence[Piece], renamed: bool) -> None:
        """What two lists have in common, item by item."""
        left: list[Piece] = []
        right: list[Piece] = []
        pairs = together(a, b)
        for (i, j), (next_i, next_j) in gaps(pairs, len(a), len(b)):
            if not self.rearranged(a[i:next_i], b[j:next_j]):
                left += a[i:next_i]
                right += b[j:next_j]
        for i, j in pairs:
            self.pair(a[i], b[j], renamed)
        for one, other in equally_often(left, right):  # the same before and behind something else
            self.pair(one, other, renamed, moved=True)

    def rearranged(self, a: Sequence[Piece], b: Sequence[Piece]) -> bool:
        """Whether the layers of one list are those of the other, put into blocks or taken out of them; if so, pair."""
        if not a or not b or not any(piece.inner for piece in (*a, *b)):
            return False
        here, there = ([leaf for piece in side for leaf in piece.leaves()] for side in (a, b))
        found = together(here, there)
        if 2 * len(found) < max(len(here), len(there)):  # it is something else, with a ReLU here and there, too
            return False
        for i, j in found:
            self.pair(here[i], there[j], renamed=True)
        return True

    # ---------------------------------------------------------------- wiring

    def rewired(self) -> set[Node]:
        """The old layers of pairs that take something else."""
        fixed = {old: new for old, (new, status) in self.pairs.items() if status != MOVED}
        before = _Origins(self.old, set(fixed))
        behind = _Origins(self.new, set(fixed.values()))
        found = set()
        for old, new in fixed.items():
            takes, takes_now = _taken(old), _taken(new)
            if len(takes) != len(takes_now) or any(
                {_mapped(origin, fixed) for origin in before.of(x)}.isdisjoint(behind.of(y))
                for x, y in zip(takes, takes_now, strict=True)
            ):
                found.add(old)
        return found


Origin = tuple["Node | None", int]
"""A layer and the number of its output, or an input of the network by its number."""


def _taken(node: Node) -> tuple[Value, ...]:
    return (*node.inputs, *((node.like,) if node.like else ()))


def _mapped(origin: Origin, fixed: dict[Node, Node]) -> Origin:
    node, number = origin
    return (fixed[node] if node else None), number


class _Origins:
    """Where values come from, through layers that the other network has not."""

    def __init__(self, graph: Graph, fixed: set[Node]) -> None:
        self.known: dict[Value, tuple[Origin, ...]] = {value: ((None, i),) for i, value in enumerate(graph.inputs)}
        for node in graph.nodes:
            if node in fixed:
                self.known.update((value, ((node, i),)) for i, value in enumerate(node.outputs))
            else:
                origins = tuple(dict.fromkeys(o for value in node.inputs for o in self.known[value]))[:MOST_ORIGINS]
                self.known.update((value, origins) for value in node.outputs)

    def of(self, value: Value) -> tuple[Origin, ...]:
        return self.known[value]


def _same_rule(old: Node, new: Node) -> bool:
    """Whether two operations of other words are the same: `padding: half` and `padding: 1` of a 3x3 kernel."""
    if type(old.op) is not type(new.op) or (old.trainable, old.checkpoint) != (new.trainable, new.checkpoint):
        return False
    if bool(old.shared_with) != bool(new.shared_with):
        return False
    try:
        return all(old.op.torch(*xs) == new.op.torch(*xs) for xs in (old.shapes, new.shapes))
    except ShapeError:
        return False


def _rising(pairs: Pairs) -> Pairs:
    """The pairs that follow each other in both."""
    found: Pairs = []
    for i, j in pairs:
        if not found or j > found[-1][1]:
            found.append((i, j))
    return found


def _ordered(found: Sequence[Aligned]) -> list[Aligned]:
    """In the order of the new network; what is removed stands behind what ran before it."""
    fixed = sorted((x.old.index, x.new.index) for x in found if x.old and x.new and x.status != MOVED)
    place = dict(_rising(fixed))
    last, at = -1, []
    removed = {x.old.index: x for x in found if x.old and not x.new}
    count = max((x.old.index for x in found if x.old), default=-1) + 1
    for index in range(count):
        last = place.get(index, last)
        at.append(last)
    keyed = [((x.new.index, 1, 0), x) for x in found if x.new]
    keyed += [((at[index] + 0.5, 0, index), x) for index, x in removed.items()]  # type: ignore[misc]
    return [x for _, x in sorted(keyed, key=lambda pair: pair[0])]
