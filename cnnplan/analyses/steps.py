"""By which steps may a size of the input grow, near the planned one? Quicker than all legal sizes.

Only what changes a size, or merges values, is run at other sizes: most layers hand on the size of their input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cnnplan.graph import Graph, Node, Value

MOST = 256
"""Larger steps are not looked for."""


class Steps:
    """The sizes near the planned ones at which the shapes of a network fit."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._nodes: list[tuple[Node, int, tuple[tuple[Value, int], ...]]] = []
        like: dict[Value, tuple[Value, int]] = {}  # its shape is that one's; with these channels, unless 0
        kinds: dict[Any, int] = {}
        for node in graph.nodes:
            inputs = tuple([like.get(v, (v, 0)) for v in (*node.inputs, *((node.like,) if node.like else ()))])
            kept = _kept(node)
            if kept is None:
                kind = kinds.setdefault((type(node.op), node.op), len(kinds))
                self._nodes.append((node, kind, inputs))
            else:
                value, channels = inputs[0]
                like[node.output] = value, kept or channels
        self._facts: dict[Any, tuple[Shape, ...] | None] = {}

    def blocker(self, sizes: Mapping[Value, tuple[int, ...]]) -> Node | None:
        """The first layer that refuses these spatial sizes of inputs."""
        shapes = {v: Shape((v.shape.channels, *sizes.get(v, v.shape.spatial))) for v in self.graph.inputs}
        facts = self._facts
        for node, kind, inputs in self._nodes:
            xs = tuple([Shape((c, *shapes[v][1:])) if c else shapes[v] for v, c in inputs])
            key = kind, xs
            if key not in facts:
                facts[key] = _outputs(node, xs)
            outputs = facts[key]
            if outputs is None:
                return node
            shapes.update(zip(node.outputs, outputs, strict=True))
        return None

    def step(self, axis: int, spatial: tuple[int, ...]) -> tuple[int, Node | None]:
        """From the planned size to the next along an axis, and what refuses sizes between; 0 where none is near."""
        inputs = [value for value in self.graph.inputs if value.shape.spatial == spatial]

        def at(n: int) -> Node | None:
            return self.blocker(dict.fromkeys(inputs, (*spatial[:axis], n, *spatial[axis + 1 :])))

        n = spatial[axis]
        step = next((d for d in range(1, MOST + 1) if at(n + d) is None), 0)
        return (step, at(n + 1)) if step and at(n + 2 * step) is None else (0, None)


def _outputs(node: Node, xs: tuple[Shape, ...]) -> tuple[Shape, ...] | None:
    """The shapes of a layer's outputs; None where it refuses its inputs."""
    try:
        return node.op.outputs(*xs)
    except ShapeError:
        return None


def _kept(node: Node) -> int | None:
    """0 where the output's shape is its input's at any size, or its channels where these alone are others."""
    op, (x, *_), output = node.op, node.shapes, node.output.shape
    if op.group in ("activation", "normalization", "regularization") or op.kind == "identity":
        return 0
    if op.kind in ("conv", "depthwise_conv") and output[1:] == x[1:] and _ones(getattr(op, "stride", 0)):
        return output.channels
    return None


def _ones(stride: int | tuple[int, ...]) -> bool:
    return set(stride if isinstance(stride, tuple) else (stride,)) == {1}
