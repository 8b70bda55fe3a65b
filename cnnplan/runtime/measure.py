"""One real training step, measured beside what was planned: on a CUDA device, or on the CPU.

    measured(plan)     on the first CUDA device if the plan is for CUDA and there is one, else on the CPU

On CUDA, torch.cuda.max_memory_allocated and max_memory_reserved; on a CPU, storages counted by `Tracker`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cnnplan.errors import UsageError
from cnnplan.runtime.build import build
from cnnplan.runtime.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
        training, inference = step_and_inference(memory, model, _inputs(memory, torch.device("cpu")))
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
    targets = _targets(memory, torch.device("cpu"))
    held = [*model.parameters(), *model.buffers(), *inputs]
    base = sum(t.untyped_storage().nbytes() for t in held)
    aims = sum(t.untyped_storage().nbytes() for t in targets)
    model.train()
    with Tracker([*held, *targets]) as tracker:
        run = _stepper(memory, model, inputs, targets, "cpu")
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
        run = _stepper(plan.memory, model, _inputs(plan.memory, place), _targets(plan.memory, place), "cuda")
        for _ in range(3):
            run()
        torch.cuda.synchronize(place)
        peak, reserved = torch.cuda.max_memory_allocated(place), torch.cuda.max_memory_reserved(place)
    except torch.cuda.OutOfMemoryError as error:
        raise UsageError(f"the device's memory is not enough: {str(error).partition('.')[0].lower()}") from None
    return Measured(torch.cuda.get_device_name(place), peak, reserved, None, counted=False)


def _inputs(memory: Memory, place: torch.device) -> list[Tensor]:
    it = memory.conditions
    dtype = torch.float32 if it.mixed else getattr(torch, it.dtype)
    return [
        torch.zeros(it.batch, *v.shape, dtype=torch.int64, device=place)
        if v.dtype == "int64"
        else torch.randn(it.batch, *v.shape, device=place).to(dtype)
        for v in memory.graph.inputs
    ]


def _targets(memory: Memory, place: torch.device) -> list[Tensor]:
    it = memory.conditions
    dtype = torch.float32 if it.mixed else getattr(torch, it.dtype)
    found = []
    for value, loss in zip(memory.graph.outputs.values(), it.losses, strict=True):
        if loss in ("cross_entropy", "nll"):
            found.append(torch.zeros(it.batch, *value.shape.spatial, dtype=torch.int64, device=place))
        elif loss:
            found.append(torch.zeros(it.batch, *value.shape, dtype=dtype, device=place))
    return found


_LOSSES: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": F.cross_entropy,
    "binary_cross_entropy": F.binary_cross_entropy_with_logits,
    "nll": F.nll_loss,
    "mse": F.mse_loss,
    "l1": F.l1_loss,
}


def _stepper(memory: Memory, model: nn.Module, inputs: Sequence[Tensor], targets: Sequence[Tensor], kind: str) -> Any:
    """A training step as a loop makes it: the outputs are held until the next one."""
    it = memory.conditions
    optimizer = _optimizer(memory, [p for p in model.parameters() if p.requires_grad])
    average = [p.detach().clone() for p in model.parameters()] if it.averaged else []

    def run() -> None:
        if optimizer:
            optimizer.zero_grad(set_to_none=True)
        with torch.autocast(kind, getattr(torch, it.dtype), enabled=it.mixed):
            given = model(*inputs)
            outputs = [given] if isinstance(given, Tensor) else list(given)
            loss: Any = None
            left = iter(targets)
            for y, name in zip(outputs, it.losses, strict=True):
                if name:
                    own = _LOSSES[name](y, next(left))
                    loss = own if loss is None else loss + own
                    del own
        if isinstance(loss, Tensor) and loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
        if optimizer:
            optimizer.step()
        for mean, p in zip(average, model.parameters(), strict=False):
            mean.lerp_(p.detach(), 0.001)

    return run


def _optimizer(memory: Memory, parameters: list[nn.Parameter]) -> torch.optim.Optimizer | None:
    if not parameters:
        return None
    it = memory.conditions
    how: dict[str, Any] = (
        {"fused": True} if it.implementation == "fused" else {"foreach": it.implementation == "foreach"}
    )
    decay: dict[str, Any] = {"weight_decay": 1e-4} if it.decayed else {}
    if it.optimizer in ("sgd", "momentum", "nesterov"):
        momentum = 0.0 if it.optimizer == "sgd" else 0.9
        return torch.optim.SGD(parameters, 1e-3, momentum, nesterov=it.optimizer == "nesterov", **decay, **how)
    if it.optimizer.startswith("rmsprop"):
        momentum = 0.9 if it.optimizer == "rmsprop_momentum" else 0.0
        return torch.optim.RMSprop(parameters, 1e-3, momentum=momentum, **decay, **how)
    chosen = torch.optim.AdamW if it.optimizer == "adamw" else torch.optim.Adam
    return chosen(parameters, 1e-3, **decay, **how)
