"""Runs a graph layer by layer, with the weights of a built model: an oracle for the emitted `forward`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cnnplan.testing import Runner

if TYPE_CHECKING:
    from cnnplan.graph import Graph, Value


@torch.no_grad()
def interpret(graph: Graph, model: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    """The network's outputs, every operation run by its own torch rule, in the order of the graph."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    known: dict[Value, Tensor] = dict(zip(graph.inputs, inputs, strict=True))
    for node in graph.nodes:
        runner = Runner(node.op, node.shapes).train(model.training)
        for name, tensor in [*runner.named_parameters(), *runner.named_buffers()]:
            tensor.copy_(tensors[f"{node.path}.{name.removeprefix('core.')}"])
        values = [known[v] for v in node.inputs] + ([known[node.like]] if node.like else [])
        result = runner(*values)
        outputs = (result,) if isinstance(result, Tensor) else result
        known.update(zip(node.outputs, outputs, strict=True))
    return [known[v] for v in graph.outputs.values()]
