"""What is better run position by position? 1x1 convolutions and GELU, of images whose channels lie last in memory.

Each position is a row of a matrix then. As a dense layer, the product needs no other order of its operands; torch's
convolutions make one, and their backward pass takes half as long again. Of GELU, oneDNN runs what is contiguous.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.analyses.strides import channels_last

if TYPE_CHECKING:
    from cnnplan.graph import Graph, Node


def pointwise(graph: Graph) -> frozenset[Node]:
    """These layers: all runs of an item of the spec, or none, as they share their source."""
    last = channels_last(graph)
    if not last:
        return frozenset()
    candidates = [node for node in graph.nodes if node.op.by_rows(*node.shapes)]
    refused = {id(node.item) for node in candidates if node.inputs[0] not in last}
    return frozenset(node for node in candidates if id(node.item) not in refused)
