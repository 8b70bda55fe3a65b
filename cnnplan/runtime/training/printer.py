"""What prints a training has in common: where it is, how fast, how long it will still take.

A step costs two comparisons; the loss, for which the host waits for the device, is read twice a second at most.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from statistics import median
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TextIO

from lightning.pytorch.callbacks import Callback
from torch import Tensor

from cnnplan.render.numbers import duration
from cnnplan.runtime.training.epochs import Columns, number
from cnnplan.runtime.training.estimate import VALIDATION

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

    from cnnplan.render.styled import Styled

LOSS_INTERVAL = 0.5
"""Seconds between two readings of the loss."""


class Moment(NamedTuple):
    """Where a training is: the stage, steps and all of them in it, samples a second, seconds left."""

    stage: str
    epoch: int
    step: int
    total: int | None
    loss: float | None
    rate: float | None
    unit: str
    left: float | None

    def words(self) -> dict[str, str]:
        """What is known, as it is printed."""
        whole = "" if self.total is None else f"{self.total:,}"
        found = {"step": f"{self.step:>{len(whole)},}/{whole}" if whole else f"{self.step:,}"}
        if self.loss is not None:
            found["loss"] = f"loss {number(self.loss)}"
        if self.rate is not None:
            found["rate"] = f"{self.rate:,.{0 if self.rate >= 10 else 1}f} {self.unit}/s"
        if self.left is not None:
            left = f"{self.left:.0f} s" if self.left < 120 else duration(60 * round(self.left / 60))
            found["left"] = f"about {left} left"
        return found


class Printer(Callback, ABC):
    """Prints the epochs it is told of, and now and then where the training is. Only the first process prints."""

    interval: ClassVar[float]
    """Seconds between two prints of where it is."""
    patience: ClassVar[float]
    """Seconds from the start of a stage to the first one."""

    def __init__(self, epochs: int, color: bool, stream: TextIO) -> None:
        self.epochs, self.color, self.stream = epochs, color, stream
        self._silent = False
        self._columns = Columns(epochs)
        self._stage = ""
        self._due = self._loss_due = self._began = -math.inf
        self._first = (0.0, 0)  # when the first step of this stage was done, and which one it was
        self._loss: float | None = None
        self._size = 0
        self._taken: list[float] = []

    def epoch(self, row: Mapping[str, float], best: bool) -> None:
        """Print an epoch that is over: a row of the history; the best one so far is marked with a star."""
        self._taken.append(row["seconds"])
        self._due = max(self._due, monotonic() + self.patience)
        self.line(self._columns.row(row, best, self.columns()))

    def line(self, text: Styled) -> None:
        """Print a line."""
        self.write(self.shown(text) + "\n")

    @abstractmethod
    def show(self, at: Moment) -> None:
        """Print where the training is."""

    def columns(self) -> int | None:
        """The width to print for; None where it does not matter."""
        return None

    def write(self, text: str) -> None:
        """Print: a training of days does not end because its reader did."""
        if self._silent:
            return
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):
            self._silent = True

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Be silent, but in the first process."""
        self._silent = self._silent or not trainer.is_global_zero

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """An epoch's time starts."""
        self._began = monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A step of training is over."""
        if (now := monotonic()) >= self._due or not batch_idx:
            self._tick(trainer, "step", now, batch_idx, trainer.num_training_batches, batch, outputs)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """A batch of validation is over."""
        if ((now := monotonic()) >= self._due or not batch_idx) and not trainer.sanity_checking:
            self._tick(trainer, "validation", now, batch_idx, trainer.num_val_batches[dataloader_idx], batch)

    def _tick(
        self, trainer: Trainer, stage: str, now: float, index: int, batches: float, batch: Any, outputs: Any = None
    ) -> None:
        """Show where it is, where that is due. The first step of a stage, which waits for workers, sets its pace."""
        if self._silent:
            self._due = math.inf
            return
        first = _first_tensor(batch)
        if not index or stage != self._stage:
            self._stage, self._first, self._size = stage, (now, index), 0
            self._due = max(self._due, now + self.patience)
        self._size = max(self._size, len(first))  # the last batch may be smaller
        if now < self._due:
            return
        self._due = now + self.interval
        if stage == "step" and now >= self._loss_due:
            self._loss_due, self._loss = now + LOSS_INTERVAL, _loss(trainer, outputs)
        done = index - self._first[1]
        pace = (now - self._first[0]) / done if done else None
        total = None if math.isinf(batches) else int(batches)
        rate = self._size * trainer.world_size / pace if pace else None
        left = self._left(trainer, now, pace, None if total is None else total - index - 1)
        unit = "images" if first.ndim == 4 else "samples"
        loss = self._loss if stage == "step" else None
        self.show(Moment(stage, trainer.current_epoch + 1, index + 1, total, loss, rate, unit, left))

    def _left(self, trainer: Trainer, now: float, pace: float | None, steps: int | None) -> float | None:
        """Seconds left, from the epochs so far; in the first one from its steps."""
        rest = None if pace is None or steps is None else pace * steps
        epochs = max(0, self.epochs - trainer.current_epoch - 1)
        if self._taken:
            each = median(self._taken)
            own = max(0.0, each - (now - self._began))
            return max(own, rest or 0.0) + epochs * each
        if self._stage != "step" or rest is None or pace is None:
            return None
        validation = pace * VALIDATION * sum(trainer.num_val_batches)
        return rest + validation + epochs * (pace * trainer.num_training_batches + validation)

    def shown(self, text: Styled) -> str:
        """Text as it is printed, in colours or without."""
        return text.colored() if self.color else text.plain


def _loss(trainer: Trainer, outputs: Any) -> float | None:
    """The loss of a step, as it was before Lightning divided it by the batches whose gradients are added."""
    loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
    if loss is None:
        return None
    return float(loss) * (trainer.accumulate_grad_batches if trainer.lightning_module.automatic_optimization else 1)


def _first_tensor(batch: Any) -> Tensor:
    while not isinstance(batch, Tensor):
        batch = batch[0] if isinstance(batch, Sequence) else next(iter(batch.values()))
    return batch
