"""An exponential moving average of the weights, which is what is validated and kept.

    average <- decay * average + (1 - decay) * weights        after each step

The statistics of batch norms are those of the network in training. Works on shards: everything is elementwise.

Source: Polyak & Juditsky 1992; torch.optim.swa_utils.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer


class Average(Callback):
    """Keeps the average; the network has its weights during validation."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.weights: dict[str, Tensor] = {}
        self._loaded: dict[str, Tensor] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Here, because FSDP loads a checkpoint after `on_fit_start`."""
        self.weights = {}
        for name, parameter in _trained(pl_module).items():
            self.weights[name] = parameter.detach().clone()
            if name in self._loaded:
                _fill(self.weights[name], self._loaded[name])
        self._loaded = {}

    @torch.no_grad()
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        parameters = _trained(pl_module)
        torch._foreach_lerp_(
            list(self.weights.values()), [parameters[name].detach() for name in self.weights], 1 - self.decay
        )

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.swap(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.swap(pl_module)

    @torch.no_grad()
    def swap(self, pl_module: LightningModule) -> None:
        """Exchange the network's weights and the average."""
        if not self.weights:
            return
        for module in pl_module.modules():
            reshard = getattr(module, "reshard", None)  # FSDP leaves the outermost one whole after a forward pass
            if reshard is not None:
                reshard()
        for name, parameter in _trained(pl_module).items():
            held = parameter.detach().clone()
            parameter.copy_(self.weights[name])
            self.weights[name].copy_(held)

    def state_dict(self) -> dict[str, Any]:
        return {"average": {name: whole(tensor) for name, tensor in self.weights.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._loaded = state_dict["average"]


def _trained(module: LightningModule) -> dict[str, nn.Parameter]:
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor of which each process may have a shard."""
    full = getattr(tensor, "full_tensor", None)
    return tensor if full is None else full()


@torch.no_grad()
def _fill(target: Tensor, values: Tensor) -> None:
    """Copy a whole tensor into one of which this process may have a shard."""
    if hasattr(target, "device_mesh"):
        from torch.distributed.tensor import distribute_tensor

        values = distribute_tensor(values.to(target.device), target.device_mesh, target.placements)  # type: ignore[attr-defined]
    target.copy_(values)
