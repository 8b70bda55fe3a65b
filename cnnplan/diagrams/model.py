"""What a diagram shows, before anything has a place: boxes, groups of boxes, and edges between boxes.

    Diagram
    ├── root: Group ── parts: boxes and groups, in the order they run
    └── edges: from box to box, never to a group

A box stands for one layer or for many; every layer of the graph is in exactly one box.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node, Value


class Line(NamedTuple):
    """A line of a box's text. `style` is "name", "what" or "number"."""

    text: str
    style: str


class Box(NamedTuple):
    """A box.

    Attributes:
        key: its number in the diagram, from 1, in the order they run.
        shape: "layer", "merge", "block" (several layers), "input" or "output".
        color: a key of `colors.COLORS`.
        lines: what it says.
        details: what it says where a pointer rests on it: one fact a line.
        nodes: the layers that it stands for, of all copies.
        times: how many copies of them are alike, one behind the other.
        shared: whether its weights are another layer's.
    """

    key: int
    shape: str
    color: str
    lines: tuple[Line, ...]
    details: str
    nodes: tuple[Node, ...] = ()
    times: int = 1
    shared: bool = False


class Group(NamedTuple):
    """A frame around boxes.

    Attributes:
        key: its number in the diagram; 0 for the whole network.
        kind: "network", "block", "group", "branch", "merge", or "copies" of a list without a name.
        title: what stands on the frame.
        details: as of a box.
        parts: what is in it, in the order it runs.
        what: the block, or whose weights it uses.
    """

    key: int
    kind: str
    title: str
    details: str
    parts: tuple[Part, ...]
    what: str = ""

    def boxes(self) -> Iterator[Box]:
        """The boxes in it, at any depth."""
        for part in self.parts:
            if isinstance(part, Group):
                yield from part.boxes()
            else:
                yield part

    def groups(self) -> Iterator[Group]:
        """The groups in it, at any depth, each before those in it."""
        for part in self.parts:
            if isinstance(part, Group):
                yield part
                yield from part.groups()


Part: TypeAlias = "Box | Group"


class Edge(NamedTuple):
    """What one box gives to another.

    Attributes:
        source, target: keys of boxes.
        values: what is given.
        sized: whether only the size is taken, for `like`.
        label: what stands beside it; "" for most.
    """

    source: int
    target: int
    values: tuple[Value, ...]
    sized: bool
    label: str = ""


class Diagram(NamedTuple):
    """A diagram of a network: its title, what it sums up to, and what is in it."""

    title: str
    subtitle: str
    root: Group
    edges: tuple[Edge, ...]
