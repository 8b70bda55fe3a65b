"""Which activations and sums may overwrite their first input? Those whose input nobody else reads or keeps.

The emitter writes them in place. It saves a map while the forward pass runs; and of those that keep their input for
the backward pass otherwise (ELU and its kin) one map a layer. Of others (SiLU and its kin) autograd keeps a copy, so
that they gain where there is no backward pass alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnplan.graph import Graph, Node, Value
    from cnnplan.spec import Item


Segments = dict["Node", "tuple[Node, ...]"]
"""For each layer that is recomputed, the layers that are recomputed together with it, in their order."""


def in_place(graph: Graph, segments: Segments | None = None) -> frozenset[Node]:
    """The layers that run in place: all runs of an item of the spec, or none, as they share their source."""
    candidates = [n for n in graph.nodes if n.op.overwrites(*n.shapes) or n.op.overwrites_a_copy()]
    if not candidates:
        return frozenset()
    users = graph.users()
    outputs = set(graph.outputs.values())
    segments = checkpointed(graph) if segments is None else segments
    refused = set()

    def maker(value: Value, user: Node) -> Node | None:
        """What makes a value for this user alone."""
        found = value.node
        if found is None or len(found.outputs) > 1 or len(users[value]) > 1 or value in outputs:
            return None
        return found if segments.get(found) is segments.get(user) else None

    for node in candidates:
        value, *others = node.inputs
        found = maker(value, node) if value not in others else None
        while found and found.op.layout == "same" and found.op.passes_by(*found.shapes):  # its input, in evaluation
            found = maker(found.inputs[0], found)
        if not (found and found.op.writable):
            refused.add(id(node.item))
    return frozenset(node for node in candidates if id(node.item) not in refused)


def checkpointed(graph: Graph, also: Item | None = None) -> Segments:
    """What is recomputed in the backward pass, and would be if `also` were, an item of the spec."""
    found: Segments = {}
    if also is None and not any(node.checkpoint for node in graph.nodes):
        return found
    pending = list(graph.root.steps)
    while pending:
        step = pending.pop()
        for copy in step.copies:
            if step.item is also or (step.item.checkpoint and step.item.kind != "share"):
                nodes = tuple(copy.nodes())
                found.update(dict.fromkeys(nodes, nodes))
                continue
            pending += copy.inside()
    return found
