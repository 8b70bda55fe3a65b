"""One real training step, measured beside what was planned: on a CUDA device, or on the CPU.

    measured(plan)     on the first CUDA device if the plan is for CUDA and there is one, else on the CPU

On CUDA, torch.cuda.max_memory_allocated and max_memory_reserved; on a CPU, storages counted by `Tracker`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from cnnplan.errors import UsageError
from cnnplan.runtime.build import build
from cnnplan.runtime.steps import Step, inputs_for, targets_for
from cnnplan.runtime.tracker import Tracker

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cnnplan.memory import Memory
    from cnnplan.planning import Plan


class Measured(NamedTuple):
    """What a step needed.

    Attributes:
        device: where it ran.
        peak: the most bytes alive at once.
        reserved: what CUDA's caching allocator took; None on a CPU.
        inference: the peak of an inference; None where it was not measured.
        counted: whether storages were counted, without blocks and workspaces.
    """

    device: str
    peak: int
    reserved: int | None
    inference: int | None
    counted: bool


def measured(plan: Plan) -> Measured:
    """Run a training step and an inference.

    Raises:
        UsageError: the memory is not enough, or the plan is for a CUDA device and there is none.
    """
    if plan.conditions.target == "cpu":
        return on_cpu(plan)
    if not torch.cuda.is_available():
        raise UsageError("there is no CUDA device here; plan and measure on this machine with --target cpu")
    return on_cuda(plan)


def on_cpu(plan: Plan) -> Measured:
    """Storages counted."""
    memory = plan.memory
    model = build(plan.graph).train()
    if not plan.conditions.mixed:
        model = model.to(getattr(torch, plan.conditions.dtype))
    try:
        training, inference = step_and_inference(memory, model, inputs_for(memory, torch.device("cpu")))
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        raise UsageError("this machine's memory is not enough for a real step; measure at a smaller --batch") from None
    return Measured("cpu", training, None, inference, counted=True)


def step_and_inference(memory: Memory, model: nn.Module, inputs: list[Tensor]) -> tuple[int, int | None]:
    """The most bytes of storages alive at once on a CPU.

    In a training step, the second one, in which the optimizer has its state; and in an inference, None where a
    CPU cannot run an operation in a narrow dtype.
    """
    targets = targets_for(memory, torch.device("cpu"))
    held = [*model.parameters(), *model.buffers(), *inputs]
    base = sum(t.untyped_storage().nbytes() for t in held)
    aims = sum(t.untyped_storage().nbytes() for t in targets)
    model.train()
    with Tracker([*held, *targets]) as tracker:
        run = Step(memory, model, inputs, targets, "cpu")
        run()
        tracker.peak = tracker.live
        run()
        training = base + aims + tracker.peak
        del run
        model.zero_grad(set_to_none=True)
    model.eval()
    if memory.conditions.mixed:  # an inference is all in the narrow dtype
        dtype = getattr(torch, memory.conditions.dtype)
        model, inputs = model.to(dtype), [x.to(dtype) if x.is_floating_point() else x for x in inputs]
        held = [*model.parameters(), *model.buffers(), *inputs]
        base = sum(t.untyped_storage().nbytes() for t in held)
    try:
        with torch.no_grad(), Tracker(held) as tracker:
            model(*inputs)
    except NotImplementedError:
        return training, None
    return training, base + tracker.peak


def on_cuda(plan: Plan) -> Measured:
    """The allocator's own statistics, over three steps."""
    place = torch.device("cuda:0")
    try:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(place)
        model = build(plan.graph).to(place).train()
        if not plan.conditions.mixed:
            model = model.to(getattr(torch, plan.conditions.dtype))
        run = Step(plan.memory, model, inputs_for(plan.memory, place), targets_for(plan.memory, place), "cuda")
        for _ in range(3):
            run()
        torch.cuda.synchronize(place)
        peak, reserved = torch.cuda.max_memory_allocated(place), torch.cuda.max_memory_reserved(place)
    except torch.cuda.OutOfMemoryError as error:
        raise UsageError(f"the device's memory is not enough: {str(error).partition('.')[0].lower()}") from None
    return Measured(torch.cuda.get_device_name(place), peak, reserved, None, counted=False)
