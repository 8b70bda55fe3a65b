"""Ctrl-C and SIGTERM: the step that runs is finished, a checkpoint is written, and the run says how to go on.

A second one stops at once: the last checkpoint is as it was.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.callbacks import Callback

from cnnplan.runtime.training.ranks import first

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightning.pytorch import LightningModule, Trainer

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SYNCHRONIZED = 10
"""Several processes agree on whether to stop every so many steps."""


class Interrupted(Exception):
    """The user, or the system, asked for an end; a checkpoint was written.

    Attributes:
        number: of the signal.
        epoch, step, steps: how far the run came, of so many steps; step 0 where the epoch is complete.
    """

    def __init__(self, number: int, epoch: int, step: int, steps: int) -> None:
        self.number, self.epoch, self.step, self.steps = number, epoch, step, steps
        super().__init__(f"stopped by {signal.Signals(number).name}")

    @property
    def where(self) -> str:
        """How far the run came, in words."""
        epoch = f"epoch {self.epoch}"
        return f"step {self.step} of {self.steps} of {epoch}" if self.step else epoch


class AtOnce(BaseException):
    """The user asked twice."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)


class Interrupts(Callback):
    """Listens while the network is trained."""

    def __init__(self, saved: Callable[[Trainer], None]) -> None:
        self.saved = saved
        self.number = 0
        self._old: dict[int, Any] = {}

    def listen(self) -> None:
        """Hear signals from now on, also while other processes are started."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._old.setdefault(number, signal.getsignal(number))
                signal.signal(number, self._heard)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Again: Lightning has put its own handler in between."""
        self.listen()

    def _heard(self, number: int, frame: Any) -> None:
        if self.number:
            self.released()
            raise AtOnce(number)
        self.number = number
        if not first():
            return
        with contextlib.suppress(OSError):  # written past Python's buffer, which the signal may have interrupted
            os.write(2, b"\nstopping after this step, or this validation; again to stop at once\n")

    def released(self) -> None:
        """Give the signals back; again after the end, where Lightning restores what it found."""
        for number, old in self._old.items():
            signal.signal(number, old if old is not None else signal.SIG_DFL)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        done = batch_idx + 1
        if done == trainer.num_training_batches:  # the end of the epoch follows, with its own checkpoint
            return
        if trainer.world_size > 1 and done % SYNCHRONIZED:
            return
        if number := self._agreed(trainer):
            self.saved(trainer)
            raise Interrupted(number, trainer.current_epoch + 1, done, int(trainer.num_training_batches))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After `History`, which has written the checkpoint."""
        if (number := self._agreed(trainer)) and trainer.current_epoch + 1 < (trainer.max_epochs or 0):
            raise Interrupted(number, trainer.current_epoch + 1, 0, int(trainer.num_training_batches))

    def _agreed(self, trainer: Trainer) -> int:
        """The signal that any process heard; 0 for none."""
        if trainer.world_size == 1:
            return self.number
        number = torch.tensor(self.number, device=trainer.strategy.root_device)
        torch.distributed.all_reduce(number, op=torch.distributed.ReduceOp.MAX)
        return int(number)
