"""Why a training cannot go on: where a loss that is not finite comes from, and what memory would be enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cnnplan.diagnostics import printable
from cnnplan.errors import CnnplanError
from cnnplan.fitting import fit
from cnnplan.render.numbers import size
from cnnplan.runtime.interpreter import Interpreter, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.graph import Node
    from cnnplan.planning import Plan


class _Found(Exception):
    def __init__(self, node: Node, value: str, largest: float) -> None:
        self.node, self.value, self.largest = node, value, largest


@torch.no_grad()
def where_not_finite(plan: Plan, net: nn.Module, inputs: Sequence[Tensor], precision: str = "float32") -> str:
    """The layer whose output is the first that is not finite, with what entered it; the network runs layer by layer.

    Args:
        inputs: of the step, as they enter the network.
        precision: of the mixed training.
    """
    for value, x in zip(plan.graph.inputs, inputs, strict=True):
        if x.is_floating_point() and not torch.isfinite(x).all():
            return f"the data that enter '{value.name}' are not finite"
    for layer in plan.layers:
        for name in layer.node.op.parameters(*layer.node.shapes):
            parameter = net.get_parameter(f"{layer.node.path}.{name}")
            if not torch.isfinite(parameter).all():
                return (
                    f"the {name} of '{layer.name}' (line {layer.line}) is not finite: so was the gradient of the "
                    "step before"
                )

    def watch(node: Node, values: Sequence[Tensor], outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        for x in outputs:
            if x.is_floating_point() and not torch.isfinite(x).all():
                largest = max((float(v.abs().max()) for v in values if v.numel()), default=0.0)
                raise _Found(node, "NaN" if x.isnan().any() else "inf", largest)
        return outputs

    kind = inputs[0].device.type
    try:
        with torch.autocast(kind, getattr(torch, precision), enabled=precision != "float32"):
            Interpreter(plan.graph, net).run(inputs, watch)
    except _Found as found:
        node = found.node
        return (
            f"'{node.name}' ({node.op.kind}, line {node.line}) is the first layer that gives {found.value}; "
            f"what enters it is at most {found.largest:.3g}"
        )
    except Refused:
        return "no layer shows where when it is run again"
    return "all layers give finite values: it is the loss itself, of these outputs and targets"


def out_of_memory(plan: Plan, limit: int, place: str, options: str = "") -> str:
    """What a training needs, what there is, and what would fit.

    Args:
        plan: under the conditions of the training.
        limit: bytes there are.
        place: what has them.
    """
    needed = plan.training.peak
    said = f"out of memory: the plan needs {size(needed)} at batch {plan.batch:,}, {place} has {size(limit)}"
    try:
        found = fit(plan, memory=limit)
    except CnnplanError:
        return said
    ways = [f"the largest batch that fits is {found.largest_batch:,}"] if found.largest_batch else []
    ways += [f"{one.what} saves {size(one.saves)}" for one in found.suggestions[:2]]
    if needed < limit and not ways:
        ways = ["other processes may use it"]
    path = printable(plan.path)
    command = f"`cnnplan fit {path} --memory {limit >> 20}MiB --batch {plan.batch}{options}` says more"
    return f"{said}; {'; '.join(ways)}; {command}" if ways else f"{said}; {command}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is about memory: of a CUDA device, or of this machine."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("can't allocate memory" in text or "not enough memory" in text)


def is_about_processes(error: RuntimeError) -> bool:
    """Whether an error is about the connection to other processes."""
    text = str(error)
    words = ("gloo", "NCCL", "Connection")
    return isinstance(error, torch.distributed.DistError) or any(word in text for word in words)
