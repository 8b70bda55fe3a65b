"""What is about to become a box: it may still take in its neighbours, or stand for the group that it is alone in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from cnnplan.graph import Node, Scope, Value

SMALL = frozenset(("activation", "normalization", "regularization"))
"""Groups of operations that share the box of the layer before them, where nothing else reads it."""

MOST_LINES = 6
"""Operations in a box at most."""


class Draft:
    """A box to be.

    Attributes:
        first, last: its name below the group around it, of the first copy and of the last.
        shape, color: as of a box.
        words: its operations, or what the block is.
        whole: the same with all arguments, for the tooltip.
        given: whether the spec names it.
        closed: whether it is a scope of the spec, under whose name nothing but an activation may be added.
        line: where the spec says it.
        copies: the layers of each copy, of the last of the copies around it.
        nodes: the layers of all copies.
        outputs: what leaves it.
        shared: whose weights it uses; "" for its own.
    """

    __slots__ = (
        "closed",
        "color",
        "copies",
        "first",
        "given",
        "last",
        "line",
        "nodes",
        "outputs",
        "shape",
        "shared",
        "whole",
        "words",
    )

    def __init__(
        self,
        names: tuple[str, str],
        shape: str,
        color: str,
        words: Sequence[str],
        whole: str,
        given: bool,
        line: int,
        copies: Sequence[list[Node]],
        nodes: list[Node],
        outputs: tuple[Value, ...],
        shared: str = "",
        closed: bool = False,
    ) -> None:
        self.first, self.last = names
        self.shape = shape
        self.color = color
        self.words = list(words)
        self.whole = whole
        self.given = given
        self.line = line
        self.copies = list(copies)
        self.nodes = nodes
        self.outputs = outputs
        self.shared = shared
        self.closed = closed


class Frame(NamedTuple):
    """A group to be: as `Group`, with drafts in it."""

    kind: str
    names: tuple[str, str]
    what: str
    whole: str
    line: int
    copies: Sequence[list[Node]]
    nodes: list[Node]
    outputs: tuple[Value, ...]
    shared: str
    parts: list[DraftPart]


DraftPart: TypeAlias = "Draft | Frame"


def joined(
    parts: list[DraftPart], users: Mapping[Value, Sequence[Node]], leaving: Collection[Value]
) -> list[DraftPart]:
    """The parts, where small layers share the box of the layer before them.

    Args:
        users: for each value, the layers that read it.
        leaving: the outputs of the network.
    """
    found: list[DraftPart] = []
    for part in parts:
        before = found[-1] if found else None
        if isinstance(part, Draft) and isinstance(before, Draft) and _follows(part, before, users, leaving):
            before.words += part.words
            before.whole += f"\n{part.whole}"
            before.copies = [[*a, *b] for a, b in zip(before.copies, part.copies, strict=True)]
            before.nodes = [*before.nodes, *part.nodes]
            before.outputs = part.outputs
        else:
            found.append(part)
    return found


def _follows(part: Draft, before: Draft, users: Mapping[Value, Sequence[Node]], leaving: Collection[Value]) -> bool:
    """Whether a layer is a small one, and the only one that reads what the box before it gives."""
    if len(part.copies) > 1 or len(before.copies) > 1 or part.given or len(before.words) >= MOST_LINES:
        return False
    if part.shape != "layer" or part.closed or before.shape == "block":
        return False
    node, *more = part.copies[0]
    value, *others = before.outputs
    return not more and (
        node.op.group in (("activation",) if before.closed else SMALL)
        and node.inputs == (value,)
        and not others
        and value not in leaving
        and len(users[value]) == 1
        and (bool(part.shared) == bool(before.shared) or not node.op.parameters(*node.shapes))
    )


def unframed(frame: Frame) -> DraftPart:
    """The frame; or the only box in it, under the frame's name."""
    if len(frame.parts) != 1 or not isinstance(only := frame.parts[0], Draft) or len(only.copies) > 1:
        return frame
    only.first, only.last = frame.names
    only.copies = list(frame.copies)
    only.given = only.closed = True
    only.shared = frame.shared or only.shared
    return only


def shared_path(scope: Scope) -> str:
    """Whose weights a scope uses; "" where they are its own."""
    return scope.path if scope.path != scope.name else ""
