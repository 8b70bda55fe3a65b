"""The edges of a diagram: what the values of the graph become, once each layer is in a box."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.diagrams.model import Edge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cnnplan.diagrams.drafting import Path
    from cnnplan.graph import Graph, Node, Value

MOST_LABELS = 6
"""Different values that leave a box at most, if their edges are to say their shapes."""


def edges(
    graph: Graph,
    boxes: Mapping[Node, int],
    inputs: Mapping[Value, int],
    outputs: Iterable[tuple[Value, int]],
    paths: Mapping[Node, Path],
) -> tuple[Edge, ...]:
    """What flows from box to box: one edge from one box to another, and a dashed one where only the size is taken.

    What one copy gives to the next, where one is drawn for all, is not an edge.

    Args:
        boxes: the box of each layer.
        inputs: the box of each input of the network.
        outputs: the values that leave the network, each with its box.
        paths: of layers in copies that are alike, in which they are.
    """
    found: dict[tuple[int, int, bool], dict[Value, None]] = {}

    def flow(value: Value, target: int, sized: bool, node: Node | None = None) -> None:
        source = boxes[value.node] if value.node else inputs[value]
        between = value.node and node and _apart(paths.get(value.node, ()), paths.get(node, ()))
        if source != target and not between:
            found.setdefault((source, target, sized), {})[value] = None

    for node in graph.nodes:
        for value in node.inputs:
            flow(value, boxes[node], False, node)
        if node.like and node.op.refers == "like":
            flow(node.like, boxes[node], True, node)
    for value, box in outputs:
        flow(value, box, False)
    flows = {key: tuple(values) for key, values in found.items() if not key[2] or (*key[:2], False) not in found}
    leaving: dict[int, set[Output]] = {}
    for (source, _, _), values in flows.items():
        leaving.setdefault(source, set()).update(map(_output, values))
    return tuple(
        Edge(source, target, values, sized, "size" if sized else _label(values, leaving[source]))
        for (source, target, sized), values in flows.items()
    )


Output = tuple[str, int, int]
"""What tells values apart that leave a box: the shape, the item that makes it, and which of its outputs it is.

Those of copies are the same."""


def _output(value: Value) -> Output:
    node = value.node
    return value.size, id(node.item) if node else 0, node.outputs.index(value) if node else 0


def _label(values: Sequence[Value], leaving: set[Output]) -> str:
    """The shapes of the values, where several leave the box and not all go this way; their numbers, where alike."""
    found = dict.fromkeys(map(_output, values))
    if not 1 < len(leaving) <= MOST_LABELS or len(found) == len(leaving):
        return ""
    if len({shape for shape, _, _ in leaving}) > 1:
        return ", ".join(shape for shape, _, _ in found)
    return ", ".join(f".{number}" for _, _, number in found) if len({number for *_, number in leaving}) > 1 else ""


def _apart(a: Path, b: Path) -> bool:
    """Whether two layers are in different copies of which one is drawn."""
    for (run, copy), (other_run, other_copy) in zip(a, b, strict=False):
        if run != other_run:
            return False
        if copy != other_copy:
            return True
    return False
