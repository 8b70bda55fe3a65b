"""What is known of a graph before its memory is followed: what a training step and an inference share."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.analyses.inplace import checkpointed, in_place
from cnnplan.analyses.precision import widths
from cnnplan.analyses.strides import copying
from cnnplan.ops.needs import NOTHING, OUTPUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cnnplan.analyses.inplace import Segments
    from cnnplan.analyses.precision import Precision
    from cnnplan.graph import Graph, Node, Value
    from cnnplan.ops.needs import Kept, Needs, Saved, Scratch


class Rules(NamedTuple):
    """What an operation says of its memory, for the gradients that are needed.

    Attributes:
        saved: what autograd keeps.
        own: the tensors of its own that it would keep if everything needed a gradient.
        scratch: what it needs for a while.
        view, passes: whether its output is a view of its input, and its input itself in evaluation.
    """

    saved: Saved
    own: tuple[Kept, ...]
    scratch: Scratch
    view: bool
    passes: bool


class Facts:
    """What a training step and an inference share.

    Attributes:
        widths: how wide each value is.
        segments: what is recomputed in the backward pass.
        in_place: the layers that run in place.
        rewritten: those of them that do so in the backward pass's eyes, too, and keep no copy of their input.
        copying: the views that have to copy.
        repacked: the layers that copy their input, and keep the copy instead.
        last: behind which layer the emitted source lets each value go.
        tensors, buffers: the elements of each, by layer; 0 for a count.
    """

    def __init__(
        self, graph: Graph, precision: Precision, last: Mapping[Value, int], segments: Segments | None = None
    ) -> None:
        self.graph = graph
        self.device = precision.device
        self.widths = widths(graph, precision)
        self.segments = checkpointed(graph) if segments is None else segments
        self.in_place = in_place(graph, self.segments)
        self.rewritten = frozenset(n for n in self.in_place if n.op.overwrites(*n.shapes))
        self.copying, self.repacked = copying(graph, precision.device)
        self.last = last
        self.tensors: dict[Node, list[int]] = {}
        self.buffers: dict[Node, list[int]] = {}
        self._rules: dict[Any, Rules] = {}
        known: dict[Any, tuple[list[int], list[int]]] = {}
        for node in graph.nodes:
            key = (id(node.op), node.shapes)
            found = known.get(key)
            if found is None:
                parameters, buffers = node.op.parameters(*node.shapes), node.op.buffers(*node.shapes)
                found = known[key] = (
                    [prod(s) for s in parameters.values()],
                    [prod(s) if s else 0 for s in buffers.values()],
                )
            self.tensors[node], self.buffers[node] = found

    def _here(self, own: tuple[Kept, ...]) -> tuple[Kept, ...]:
        """Without what a kernel of another device keeps."""
        elsewhere = "cuda" if self.device == "cpu" else "cpu"
        return tuple(k for k in own if k.dtype != elsewhere)

    def rules(self, node: Node, needs: Needs) -> Rules:
        """What a layer keeps and needs, found once for layers that are alike."""
        key = (id(node.op), node.shapes, needs)
        found = self._rules.get(key)
        if found is None:
            op, shapes = node.op, node.shapes
            kept = op.kept(needs, *shapes)
            found = self._rules[key] = Rules(
                kept._replace(own=self._here(kept.own)) if kept.own else kept,
                self._here(op.saved(*shapes).own),
                op.scratch(needs, *shapes),
                op.is_view(*shapes),
                op.passes_by(*shapes),
            )
        if node in self.rewritten and found.saved is not NOTHING:
            return found._replace(saved=OUTPUT)
        return found
