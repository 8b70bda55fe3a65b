"""Which activations may overwrite their input? Those whose input nobody else reads or keeps.

The emitter writes them with `inplace=True`. It saves a map while the forward pass runs; and of those
that keep their input for the backward pass otherwise (ELU and its kin) one map a layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnplan.graph import Graph, Node


def in_place(graph: Graph) -> frozenset[Node]:
    """The layers that run in place: all runs of an item of the spec, or none, as they share their source."""
    candidates = [node for node in graph.nodes if node.op.overwrites()]
    if not candidates:
        return frozenset()
    users = graph.users()
    outputs = set(graph.outputs.values())
    segments = checkpointed(graph)
    refused = set()
    for node in candidates:
        (value,) = node.inputs
        maker = value.node
        safe = (
            maker is not None
            and maker.op.writable
            and len(maker.outputs) == 1
            and len(users[value]) == 1
            and value not in outputs
            and segments.get(maker) is segments.get(node)
        )
        if not safe:
            refused.add(id(node.item))
    return frozenset(node for node in candidates if id(node.item) not in refused)


def checkpointed(graph: Graph) -> dict[Node, tuple[Node, ...]]:
    """For each layer that is recomputed, the layers that are recomputed together with it, in their order."""
    found: dict[Node, tuple[Node, ...]] = {}
    if not any(node.checkpoint for node in graph.nodes):
        return found
    pending = list(graph.root.steps)
    while pending:
        step = pending.pop()
        for copy in step.copies:
            if step.item.checkpoint and step.item.kind != "share":
                nodes = tuple(copy.nodes())
                found.update(dict.fromkeys(nodes, nodes))
                continue
            pending += copy.steps
            if copy.scope:
                pending += copy.scope.steps
                for _, branch in copy.scope.branches:
                    pending += branch.steps if branch else ()
    return found
