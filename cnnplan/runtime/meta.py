"""Builds and runs a model on torch's meta device: shapes without numbers, nothing is allocated.

Source: PyTorch's documentation, "Meta device".
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cnnplan.errors import UsageError
from cnnplan.render.numbers import duration, size
from cnnplan.runtime.build import build

if TYPE_CHECKING:
    from cnnplan.graph import Graph
    from cnnplan.planning import Plan

BATCH = 2


def on_meta(graph: Graph) -> nn.Module:
    """The model without numbers: `to_empty`, or `load_state_dict(..., assign=True)`, give it some."""
    with torch.device("meta"):
        return build(graph)


def tried(plan: Plan) -> str:
    """Build a plan's model and run it in evaluation; what came of it, as a line.

    Raises:
        UsageError: torch cannot run a layer without numbers, or the outputs are not those of the plan.
    """
    started = time.perf_counter()
    model = on_meta(plan.graph).eval()
    built = time.perf_counter() - started
    parameters = sum(p.numel() for p in model.parameters())
    weights = sum(t.nbytes for t in (*model.parameters(), *model.buffers()))
    inputs = [
        torch.empty(BATCH, *v.shape, device="meta", dtype=torch.int64 if v.dtype == "int64" else torch.float32)
        for v in plan.graph.inputs
    ]
    said = f"built on the meta device in {duration(built)}: {parameters:,} parameters, {size(weights)} not allocated"
    try:
        with torch.no_grad():
            given = model(*inputs)
    except (NotImplementedError, RuntimeError) as error:  # what depends on numbers has no shape without them
        return f"{said}; not run there: {str(error).strip().partition(chr(10))[0]:.100}"
    outputs = [given] if isinstance(given, Tensor) else list(given)
    planned = [(BATCH, *value.shape) for value in plan.graph.outputs.values()]
    found = [tuple(y.shape) for y in outputs]
    if found != planned:
        raise UsageError(f"'{plan.name}' gives {found} on the meta device, {planned} are planned: please report it")
    return f"{said}; its outputs are as planned"
