"""A training step as a loop makes it: what it needs, and the step itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cnnplan.memory import Memory

LOSSES: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": F.cross_entropy,
    "binary_cross_entropy": F.binary_cross_entropy_with_logits,
    "nll": F.nll_loss,
    "mse": F.mse_loss,
    "l1": F.l1_loss,
}


def inputs_for(memory: Memory, place: torch.device, dtype: torch.dtype | None = None) -> list[Tensor]:
    """A batch of each input of a network, of noise; tokens are all 0.

    Args:
        dtype: of images; what training takes them in, unless it is given.
    """
    it = memory.conditions
    dtype = dtype or (torch.float32 if it.mixed else getattr(torch, it.dtype))
    return [
        torch.zeros(it.batch, *v.shape, dtype=torch.int64, device=place)
        if v.dtype == "int64"
        else torch.randn(it.batch, *v.shape, device=place).to(dtype)
        for v in memory.graph.inputs
    ]


def targets_for(memory: Memory, place: torch.device) -> list[Tensor]:
    """What each output that has a loss is compared with."""
    it = memory.conditions
    dtype = torch.float32 if it.mixed else getattr(torch, it.dtype)
    found = []
    for value, loss in zip(memory.graph.outputs.values(), it.losses, strict=True):
        if loss in ("cross_entropy", "nll"):
            found.append(torch.zeros(it.batch, *value.shape.spatial, dtype=torch.int64, device=place))
        elif loss:
            found.append(torch.zeros(it.batch, *value.shape, dtype=dtype, device=place))
    return found


class Step:
    """A training step.

    Attributes:
        conditions: what it is planned for.
        optimizer: None where nothing is trained.
    """

    def __init__(
        self, memory: Memory, model: nn.Module, inputs: Sequence[Tensor], targets: Sequence[Tensor], kind: str
    ) -> None:
        """
        Args:
            kind: of the device, "cpu" or "cuda".
        """
        self.conditions = memory.conditions
        self.model, self.inputs, self.targets, self.kind = model, inputs, targets, kind
        self.optimizer = optimizer_for(memory, [p for p in model.parameters() if p.requires_grad])
        self.average = [p.detach().clone() for p in model.parameters()] if self.conditions.averaged else []

    def __call__(self) -> None:
        if self.optimizer:
            self.optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            given = self.model(*self.inputs)
            outputs = [given] if isinstance(given, Tensor) else list(given)
            loss = self.loss(outputs)
        if isinstance(loss, Tensor) and loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
        self.update()

    def autocast(self) -> torch.autocast:
        """The context of the forward pass."""
        dtype = getattr(torch, self.conditions.dtype)
        return torch.autocast(self.kind, dtype, enabled=self.conditions.mixed)

    def loss(self, outputs: Sequence[Tensor]) -> Any:
        """The sum of the losses of all outputs that have one; None where none has."""
        loss: Any = None
        left = iter(self.targets)
        for y, name in zip(outputs, self.conditions.losses, strict=True):
            if name:
                own = LOSSES[name](y, next(left))
                loss = own if loss is None else loss + own
                del own
        return loss

    def update(self) -> None:
        """The optimizer's step, and the average's."""
        if self.optimizer:
            self.optimizer.step()
        for mean, p in zip(self.average, self.model.parameters(), strict=False):
            mean.lerp_(p.detach(), 0.001)


def optimizer_for(memory: Memory, parameters: list[nn.Parameter]) -> torch.optim.Optimizer | None:
    """The optimizer of the conditions; None for no parameters."""
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
