"""A training step, or an inference, layer by layer: who looks on is told where it is.

The layers run as the emitted source runs them, by their own torch rules, in one forward and one backward pass, and
their values are held as long. In the backward pass autograd runs what was made last first, so that the operations of a
layer follow each other: where the first of them starts, the layer does (torch.autograd.graph.Node.register_prehook).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cnnplan.emit.lifetimes import lifetimes
from cnnplan.runtime.interpreter import Interpreter, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from cnnplan.graph import Graph, Node, Value
    from cnnplan.runtime.steps import Step

    At = Callable[[str, Node | None], None]

FORWARD, LOSS, BACKWARD, STEP, END = "forward", "loss", "backward", "step", "end"
"""Where a step is. `LOSS` has no layer; `BACKWARD` without a layer is that of the loss."""


class Walk:
    """A network whose layers run one by one.

    Attributes:
        graph: the network.
        step: what a training step needs beside the layers; None for an inference.
    """

    def __init__(self, graph: Graph, model: nn.Module, inputs: Sequence[Tensor], step: Step | None) -> None:
        self.graph = graph
        self.step = step
        self.inputs = inputs
        self._runners = Interpreter(graph, model, in_place=True).runners
        self._ends: dict[int, list[Value]] = {}
        for value, index in lifetimes(graph).items():
            self._ends.setdefault(index, []).append(value)

    def __call__(self, at: At) -> None:
        """Once through; `at` is called where each part begins, and at the end."""
        if self.step is None:
            with torch.no_grad():
                outputs = self._forward(at)
            at(END, None)
            del outputs  # as a caller holds them
            return
        if self.step.optimizer:
            self.step.optimizer.zero_grad(set_to_none=True)
        with self.step.autocast():
            outputs = self._forward(at)
            at(LOSS, None)
            loss = self.step.loss(outputs)
        at(BACKWARD, None)
        if isinstance(loss, Tensor) and loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
        at(STEP, None)
        self.step.update()
        at(END, None)

    def _forward(self, at: At) -> list[Tensor]:
        known: dict[Value, Tensor] = dict(zip(self.graph.inputs, self.inputs, strict=True))
        for node, runner in zip(self.graph.nodes, self._runners, strict=True):
            read = (*node.inputs, *((node.like,) if node.like else ()))
            at(FORWARD, node)
            values = [known[v] for v in read]
            before = [x.grad_fn for x in values]
            try:
                result = runner(*values)
            except torch.OutOfMemoryError:
                raise
            except (RuntimeError, ValueError, IndexError, TypeError) as error:
                raise Refused(node, str(error).partition("\n")[0]) from error
            outputs = (result,) if isinstance(result, Tensor) else tuple(result)
            for made in {y.grad_fn: None for y in outputs if y.grad_fn is not None}:
                if made not in before:  # else it gives its input itself
                    made.register_prehook(_hook(at, node))
            known.update(zip(node.outputs, outputs, strict=False))
            del values, result, outputs, before
            for value in self._ends.get(node.index, ()):
                del known[value]
        return [known[value] for value in self.graph.outputs.values()]


def _hook(at: At, node: Node) -> Callable[[Any], None]:
    def begins(gradients: Any) -> None:
        at(BACKWARD, node)

    return begins
