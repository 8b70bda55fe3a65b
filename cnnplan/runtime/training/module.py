"""The network as Lightning trains it. The loop, devices and precisions are Lightning's."""

from __future__ import annotations

import math
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn

from cnnplan.runtime.training.measures import Measures
from cnnplan.runtime.training.objective import as_outputs
from cnnplan.runtime.training.order import seeded
from cnnplan.runtime.training.regularize import Regularizer, decay_groups
from cnnplan.runtime.training.schedules import factor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.runtime.data.base import Batch
    from cnnplan.runtime.training.augment import Mixup
    from cnnplan.runtime.training.objective import Objective
    from cnnplan.runtime.training.prepare import Prepare
    from cnnplan.runtime.training.recipe import Recipe

SHARDED = 1_000
"""Parameters from which on a module of its own is sharded by FSDP."""

OFTEN = frozenset(("_current_fx_name", "_inputs", "_loss"))
"""Attributes that are set in each step, the first of them, Lightning's name of the hook that runs, 48 times."""


class Diverged(Exception):
    """The loss is not finite.

    Attributes:
        loss: as it is.
        inputs: of the step, as they enter the network.
    """

    def __init__(self, loss: float, inputs: Sequence[Tensor]) -> None:
        self.loss = loss
        self.inputs = list(inputs)
        super().__init__(f"the loss is {loss}")


class Trainee(LightningModule):
    """A network in training.

    Attributes:
        net: the built model, whose names are those of the plan.
        sums: of this epoch: the losses of all samples, the right ones, those that were judged, the samples.
    """

    def __init__(
        self,
        net: nn.Module,
        recipe: Recipe,
        objective: Objective,
        prepare: Prepare,
        seed: int,
        steps: int,
        classes: int,
        mixup: Mixup | None = None,
        *,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.net = net
        run: Any = torch.compile(net) if compiled else net
        self._run = (run,)  # no submodule: parameters have one name
        self.recipe = recipe
        self.objective = objective
        self.prepare = prepare
        self.seed = seed
        self.steps = steps
        self.mixup = mixup
        self.measures = Measures(objective, classes)
        self.factor = factor(recipe.schedule, recipe.lr, recipe.epochs, steps)
        self.sums = torch.zeros(4, dtype=torch.float64)  # no buffer: those of the first process go to all others
        self.allow_zero_length_dataloader_with_multiple_devices = True

    def __setattr__(self, name: str, value: Any) -> None:
        """As nn.Module does; where it is no parameter, module or buffer, without a look whether it is."""
        if name in OFTEN:
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def configure_model(self) -> None:
        """Shard the network where FSDP is asked for: each module that has enough parameters of its own."""
        if not isinstance(self.trainer.strategy, ModelParallelStrategy) or hasattr(self.net, "unshard"):
            return
        from torch.distributed.fsdp import fully_shard

        assert self.device_mesh is not None
        mesh = self.device_mesh["data_parallel"]
        for module in list(self.net.modules()):
            if module is not self.net and sum(p.numel() for p in module.parameters(recurse=False)) >= SHARDED:
                fully_shard(module, mesh=mesh)
        fully_shard(self.net, mesh=mesh)

    # ------------------------------------------------------------------ steps

    def on_fit_start(self) -> None:
        self.sums = self.sums.to(self.device)

    def on_train_epoch_start(self) -> None:
        self.sums.zero_()

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """As Lightning does it, which would search the batch for tensors."""
        inputs, targets = (tuple(x.to(device, non_blocking=True) for x in part) for part in batch)
        return batch._replace(inputs=inputs, targets=targets)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """What is random in a step depends on its place alone: a run can go on anywhere."""
        seed = seeded(self.seed, self.current_epoch, batch_idx, self.global_rank)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed formats three stack traces where there is no CUDA
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        inputs = self.prepare(batch.inputs)
        count = len(batch.inputs[0])
        if self.mixup is None:
            outputs = as_outputs(self._run[0](*inputs))
            loss = self.objective(outputs, inputs, batch.targets)
            right = self.objective.right(outputs, batch.targets)
        else:
            mixed, first, second, share = self.mixup(tuple(inputs), batch.targets)
            inputs = list(mixed)
            outputs = as_outputs(self._run[0](*inputs))
            loss = share * self.objective(outputs, inputs, first) + (1 - share) * self.objective(
                outputs, inputs, second
            )
            right = None
        self._inputs = inputs
        with torch.no_grad():
            self.sums[0].add_(loss, alpha=count)
            self.sums[3].add_(count)
            if right is not None:
                self.sums[1].add_(right[0])
                self.sums[2].add_(right[1])
        self._loss = loss.detach()
        return loss

    training_step.__signature__ = signature(training_step)  # type: ignore[attr-defined]  # Lightning asks in each step

    def on_after_backward(self) -> None:
        """Stop before a step that would spoil the weights."""
        loss = self._loss.item()
        if not math.isfinite(loss):
            raise Diverged(loss, self._inputs)
        self._inputs = []  # their memory is the next step's

    def on_validation_start(self) -> None:
        """The statistics of norms are those of the first process in all."""
        if self.trainer.world_size > 1:
            for buffer in self.net.buffers():
                torch.distributed.broadcast(buffer, 0)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        inputs = self.prepare(batch.inputs)
        outputs = as_outputs(self._run[0](*inputs))
        loss = self.objective(outputs, inputs, batch.targets)
        loader: Any = self.trainer.val_dataloaders
        if not loader.batch_sampler.is_padding(batch_idx):
            self.measures.update(outputs, inputs, batch.targets, loss, len(batch.inputs[0]))

    # -------------------------------------------------------------- optimizer

    def configure_optimizers(self) -> Any:
        """The optimizer, its schedule by the step, and what regularizes after each step."""
        options = self.recipe.optimizer.options
        groups = decay_groups(self.net, options.weight_decay, all_parameters=options.decay_norms)
        optimizer = optimizer_of(self.recipe.optimizer.name, groups, options)
        Regularizer(self.recipe.regularize, self.net).attach(optimizer)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def optimizer_of(name: str, groups: list[dict[str, Any]], options: Any) -> torch.optim.Optimizer:
    """The optimizer of `train`, as torch.optim has it."""
    if name == "sgd":
        return torch.optim.SGD(groups, options.lr, options.momentum, nesterov=options.nesterov)
    if name == "rmsprop":
        return torch.optim.RMSprop(groups, options.lr, options.alpha, options.eps, momentum=options.momentum)
    chosen = torch.optim.AdamW if name == "adamw" else torch.optim.Adam
    return chosen(groups, options.lr, options.betas, options.eps)
