"""A new model, ready to run: layer by layer, and as it is emitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from cnnplan.runtime.build import build
from cnnplan.runtime.profiling.walk import Walk
from cnnplan.runtime.steps import Step, inputs_for, targets_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from cnnplan.planning import Plan


class Ready(NamedTuple):
    """A new model, as layers and as a whole, and what is there before either runs."""

    walk: Walk
    plain: Callable[[], object]
    held: Sequence[Tensor]


def ready(plan: Plan, place: torch.device, inference: bool) -> Ready:
    """A model of a plan, its inputs, and what a step needs."""
    memory, conditions = plan.memory, plan.conditions
    model = build(plan.graph).to(place).train(not inference)
    dtype = getattr(torch, conditions.dtype)
    if inference or not conditions.mixed:
        model = model.to(dtype)
    own = [*model.parameters(), *model.buffers()]
    if inference:
        inputs = inputs_for(memory, place, dtype)
        return Ready(Walk(plan.graph, model, inputs, None), lambda: _infer(model, inputs), [*own, *inputs])
    inputs, targets = inputs_for(memory, place), targets_for(memory, place)
    step = Step(memory, model, inputs, targets, place.type)
    return Ready(Walk(plan.graph, model, inputs, step), step, [*own, *inputs, *targets, *step.average])


@torch.no_grad()
def _infer(model: torch.nn.Module, inputs: Sequence[Tensor]) -> object:
    return model(*inputs)
