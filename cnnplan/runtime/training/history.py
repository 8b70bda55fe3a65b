"""What happened in each epoch: written, shown, judged; and the checkpoints that let a run go on.

At the end of an epoch, in this order: the row, the best weights, the checkpoint, the tables and curves. A process
that is killed between any two of them repeats the epoch when it is resumed, and writes the same again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.callbacks import Callback

from cnnplan.runtime.training.average import Average, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lightning.pytorch import LightningModule, Trainer
    from torch import Tensor

    from cnnplan.runtime.training.module import Trainee

Row = dict[str, float]


class History(Callback):
    """The rows of all epochs, and the best.

    Args:
        patience: epochs without improvement after which training stops.
        average: of the weights, where one is kept: its weights are the best ones.
        improved: takes the weights where an epoch is the best so far.
        saved: writes the checkpoint; it is called at the end of each epoch and every `minutes` within one.
        told: takes the rows, and whether the last one is the best.
        marks: what makes the run the run it is, for its checkpoints.

    Attributes:
        rows: one for each epoch: "epoch" from 1, "train_loss", "val_loss" …
        best: the epoch of the best row; None before the first.
    """

    def __init__(
        self,
        patience: int | None,
        average: Average | None,
        improved: Callable[[Mapping[str, Tensor]], None],
        saved: Callable[[Trainer], None],
        told: Callable[[list[Row], bool], None],
        minutes: float,
        marks: Mapping[str, Any],
    ) -> None:
        self.marks = marks
        self.patience, self.average = patience, average
        self.improved, self.saved, self.told = improved, saved, told
        self.seconds_between = minutes * 60
        self.rows: list[Row] = []
        self.best: int | None = None
        self._sums: list[float] | None = None
        self._before = 0.0
        self._measured: Row = {}
        self._saved_at = self._started = time.monotonic()

    # ------------------------------------------------------------------- time

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module: Trainee = pl_module  # type: ignore[assignment]
        self._saved_at = self._started = time.monotonic()
        if self._sums is not None and trainer.is_global_zero:  # of all processes, before the run was stopped
            module.sums.copy_(torch.tensor(self._sums, dtype=torch.float64))
        self._sums = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started, self._before = time.monotonic(), 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx + 1 < trainer.num_training_batches and self._due(trainer):
            self.saved(trainer)
            self._saved_at = time.monotonic()

    def _due(self, trainer: Trainer) -> bool:
        """Whether a checkpoint within the epoch is due: what the first process says."""
        if trainer.world_size > 1:
            if trainer.global_step % 100:
                return False
            return bool(trainer.strategy.broadcast(time.monotonic() - self._saved_at > self.seconds_between))
        return time.monotonic() - self._saved_at > self.seconds_between

    # ------------------------------------------------------------------ epoch

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module: Trainee = pl_module  # type: ignore[assignment]
        self._measured = {f"val_{name}": value for name, value in module.measures.result().items()}
        module.measures.reset()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module: Trainee = pl_module  # type: ignore[assignment]
        row = self._row(trainer, module)
        self.rows.append(row)
        is_best = self.best is None or _better(row, self.rows[self.best - 1])
        if is_best:
            self.best = len(self.rows)
            self.improved(self._weights(trainer, module))
        if self.patience is not None and self.best is not None and len(self.rows) - self.best >= self.patience:
            trainer.should_stop = True
        self.saved(trainer)
        self._saved_at = time.monotonic()
        self.told(self.rows, is_best)

    def _row(self, trainer: Trainer, module: Trainee) -> Row:
        total, right, judged, samples = _summed(trainer, module).tolist()
        row: Row = {"epoch": trainer.current_epoch + 1, "train_loss": total / max(1.0, samples)}
        if judged:
            row["train_accuracy"] = right / judged
        row |= self._measured
        step = trainer.global_step - 1
        row["learning_rate"] = module.recipe.lr * module.factor(max(0, step))
        row["seconds"] = self._before + time.monotonic() - self._started
        return row

    def _weights(self, trainer: Trainer, module: Trainee) -> Mapping[str, Tensor]:
        """The weights that were validated, whole, under the network's names."""
        given = trainer.strategy.lightning_module_state_dict()
        if self.average is not None:
            given = {**given, **{name: whole(tensor) for name, tensor in self.average.weights.items()}}
        return {name.removeprefix("net."): tensor for name, tensor in given.items() if name.startswith("net.")}

    # ------------------------------------------------------------------ state

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        module: Trainee = pl_module  # type: ignore[assignment]
        checkpoint["cnnplan"] = dict(self.marks)
        checkpoint["history"] = {
            "rows": self.rows,
            "best": self.best,
            "sums": _summed(trainer, module).tolist(),
            "seconds": self._before + time.monotonic() - self._started,
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["history"]
        self.rows, self.best, self._sums = list(state["rows"]), state["best"], state["sums"]
        self._before = state["seconds"]


def _summed(trainer: Trainer, module: Trainee) -> Tensor:
    """The sums of all processes."""
    sums = module.sums.detach().clone()
    if trainer.world_size > 1:
        torch.distributed.all_reduce(sums)
    return sums


def _better(row: Row, best: Row) -> bool:
    """Whether an epoch is better than the best before: more accurate, or as accurate with less loss."""
    return _score(row) > _score(best)


def _score(row: Row) -> tuple[float, ...]:
    loss = row.get("val_loss", row["train_loss"])
    worst = -float("inf")
    return (row.get("val_iou", row.get("val_accuracy", 0.0)), -loss if loss == loss else worst)
