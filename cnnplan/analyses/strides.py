"""Which views have to copy? `flatten` and `reshape` do where no strides give the new shape.

Values are contiguous but for those behind a permutation, a cut, or a norm over channels, which torch
runs with the channels last. Only those are followed, with strides as torch would give them; a map of a
single position counts as row-major.

Source: PyTorch's documentation, "Tensor Views".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.ops.strides import contiguous, dense, viewed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.graph import Graph, Node, Value
    from cnnplan.ops.base import Shape
    from cnnplan.ops.strides import Strides


def copying(graph: Graph, device: str = "cuda") -> tuple[frozenset[Node], frozenset[Node]]:
    """The layers whose output is a view of a contiguous input, and a copy here; and those that copy their input."""
    copies, repacked, _ = _followed(graph, device)
    return copies, repacked


def channels_last(graph: Graph) -> frozenset[Value]:
    """The images whose channels lie last in memory, in a model that nobody asked for it."""
    if not any(node.op.arranged(*node.shapes) == "last" for node in graph.nodes):
        return frozenset()
    found = _followed(graph, "cuda")[2]
    return frozenset(v for v, strides in found.items() if v.shape.rank == 2 and is_channels_last(strides, v.shape))


def _followed(graph: Graph, device: str) -> tuple[frozenset[Node], frozenset[Node], dict[Value, Strides]]:
    found: dict[Value, Strides] = {}
    copies, repacked = set(), set()
    cut: set[Value] = set()  # between whose samples there is something else; of a single one that is not seen
    steps: dict[Value, int] = {}  # of those: from one sample to the next
    for node in graph.nodes:
        op = node.op
        if op.is_view(*node.shapes):
            before = found.get(node.inputs[0]) or contiguous(node.shapes[0])
            step = steps.get(node.inputs[0], node.shapes[0].numel)
            if op.folds_axis:
                after, step = op.folded(before, step, *node.shapes)  # type: ignore[attr-defined]
                gaps = step != node.output.shape.numel
            else:
                after = op.strided(before, *node.shapes)
                gaps = len(node.outputs) > 1 or node.output.numel < node.inputs[0].numel or node.inputs[0] in cut
            if after is None:
                copies.add(node)
                continue
            if gaps:
                cut.update(node.outputs)
                steps.update(dict.fromkeys(node.outputs, step))
            for value in node.outputs:
                if not _is_dense_in(after, value.shape, range(len(value.shape))):
                    found[value] = after
            continue
        layout = op.arranged(*node.shapes)
        known = found.get(node.inputs[0])
        repacks = op.repacked(*node.shapes)
        if repacks == "last":
            x = node.shapes[0]
            if not _are_rows(known or contiguous(x), x, steps.get(node.inputs[0], x.numel)):
                repacked.add(node)
        elif repacks and (known or node.inputs[0] in cut):
            kept = device == "cpu" and repacks == "cuda" and known and is_channels_last(known, node.shapes[0])
            if not (kept and known and _is_dense_in(known, node.shapes[0], (*range(1, len(known)), 0))):
                repacked.add(node)
        if layout == "last" and node.output.shape.rank:
            found[node.output] = dense(node.output.shape, (*range(1, len(node.output.shape)), 0))
        elif layout == "regions":
            after = dense(node.output.shape, (1, 0, *range(2, len(node.output.shape))))
            if not _is_dense_in(after, node.output.shape, range(len(after))):
                found[node.output] = after
        elif layout and known and len(node.output.shape) == len(node.shapes[0]):
            order = ordered(node.shapes[0], known)
            if layout == "format":
                if not all(v in found and is_channels_last(found[v], v.shape) for v in node.inputs):
                    continue
                order = (*range(1, len(order)), 0)
            after = dense(node.output.shape, order)
            if not _is_dense_in(after, node.output.shape, range(len(order))):
                found[node.output] = after
    return frozenset(copies), frozenset(repacked), found


def ordered(shape: Shape, strides: Strides) -> tuple[int, ...]:
    """The axes from the outermost to the innermost."""
    return tuple(sorted(range(len(shape)), key=lambda axis: -strides[axis]))


def is_channels_last(strides: Strides, shape: Shape) -> bool:
    """Whether torch takes an image or a volume for one with the channels last; there may be gaps."""
    least = 0
    for axis in (0, *range(len(shape) - 1, 0, -1)):
        if strides[axis] < least:
            return False
        least = strides[axis] * shape[axis]
    return len(shape) > 2


def _are_rows(strides: Strides, shape: Shape, step: int) -> bool:
    """Whether the positions of all samples, `step` units apart, are the rows of one matrix."""
    rows = viewed(shape.spatial, strides[1:], (shape.numel // shape.channels,))
    return rows is not None and (shape.numel == shape.channels or rows[0] * shape.numel == step * shape.channels)


def _is_dense_in(strides: Strides, shape: Shape, order: Sequence[int]) -> bool:
    """Whether there are no gaps in this order; the stride of a single unit says nothing."""
    wanted = dense(shape, order)
    return all(n == 1 or a == b for n, a, b in zip(shape, strides, wanted, strict=True))
