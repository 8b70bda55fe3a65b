"""Runs a graph layer by layer with the weights of a built model: every operation by its own torch rule.

The emitted `forward` has no part in it. What both give is held together, and every layer's output
can be looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cnnplan.emit.structure import Rules
from cnnplan.runtime.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cnnplan.graph import Graph, Node, Value
    from cnnplan.ops.base import Inline, Module

    Watch = Callable[[Node, Sequence[Tensor], tuple[Tensor, ...]], tuple[Tensor, ...]]


class Refused(Exception):
    """Torch refuses to run a layer on what reaches it."""

    def __init__(self, node: Node, reason: str) -> None:
        self.node = node
        self.reason = reason
        super().__init__(f"{node.name}: {reason}")


class Interpreter:
    """The layers of a network, each with the model's own parameters and buffers.

    Attributes:
        graph: the network.
        runners: of its layers, in the order they run.
        last: the place in this order where a value is used for the last time.
    """

    def __init__(self, graph: Graph, model: nn.Module, *, in_place: bool = False) -> None:
        """
        Args:
            in_place: whether activations overwrite their inputs where they do so in the emitted source.
        """
        self.graph = graph
        tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        rules = Rules(graph) if in_place else None
        self.runners = [
            self._runner(node, tensors, rules.of(node) if rules else None).train(model.training) for node in graph.nodes
        ]
        self.last: dict[Value, int] = {value: len(graph.nodes) for value in graph.outputs.values()}
        for node in graph.nodes:
            for value in (*node.inputs, *((node.like,) if node.like else ())):
                self.last[value] = max(self.last.get(value, 0), node.index)

    @staticmethod
    def _runner(node: Node, tensors: dict[str, Tensor], rule: Module | Inline | None) -> Runner:
        with torch.device("meta"):
            runner = Runner(node.op, node.shapes, rule)
        named = [*runner.named_parameters(), *runner.named_buffers()]
        state = {name: tensors[f"{node.path}.{name.removeprefix('core.')}"] for name, _ in named}
        wanted = {name: tensor.requires_grad for name, tensor in state.items()}
        runner.load_state_dict(state, strict=False, assign=True)  # which makes them as the runner's were
        for name, tensor in state.items():
            tensor.requires_grad_(wanted[name])
        return runner

    def run(self, inputs: Sequence[Tensor], watch: Watch | None = None) -> list[Tensor]:
        """The network's outputs.

        Args:
            inputs: a batch of each input.
            watch: called with each layer, what enters it and what it gives; what it returns is passed on.

        Raises:
            Refused: torch refuses a layer.
        """
        known: dict[Value, Tensor] = dict(zip(self.graph.inputs, inputs, strict=True))
        for node, runner in zip(self.graph.nodes, self.runners, strict=True):
            values = [known[v] for v in (*node.inputs, *((node.like,) if node.like else ()))]
            try:
                result = runner(*values)
            except (RuntimeError, ValueError, IndexError, TypeError) as error:
                raise Refused(node, str(error).partition("\n")[0]) from error
            outputs = (result,) if isinstance(result, Tensor) else tuple(result)
            if watch:
                outputs = watch(node, values, outputs)
            known.update(zip(node.outputs, outputs, strict=False))
            for value in dict.fromkeys((*node.inputs, *((node.like,) if node.like else ()))):
                if self.last[value] <= node.index:
                    del known[value]
        return [known[value] for value in self.graph.outputs.values()]


@torch.no_grad()
def interpret(graph: Graph, model: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The network's outputs, layer by layer."""
    return Interpreter(graph, model).run(inputs)
