"""How long a training will take, from a few real steps: what `train --dry-run` says."""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from cnnplan.render.numbers import duration, plural

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SECONDS = 3.0
MAX_STEPS = 20
MIN_STEPS = 5
STABLE = 0.05
"""Steps whose middle half lies within so much of their median, on either side, are enough."""

VALIDATION = 1 / 3
"""A forward pass beside a training step: the backward pass takes about two of them, one for the gradients of the
inputs and one for those of the weights."""


class Estimate(NamedTuple):
    """How long a training will take, in seconds.

    Attributes:
        step: the median of the steps measured.
        low, high: their quartiles.
        measured: so many steps.
        batches, val_batches: steps of training, and batches of validation, in an epoch.
        epochs: so many.
    """

    step: float
    low: float
    high: float
    measured: int
    batches: int
    val_batches: int
    epochs: int

    @property
    def epoch(self) -> float:
        """Seconds an epoch, its validation included."""
        return self.step * (self.batches + VALIDATION * self.val_batches)

    @property
    def seconds(self) -> float:
        """Seconds in all."""
        return self.epoch * self.epochs

    def lines(self) -> list[str]:
        """The estimate in words, and how far the steps lie apart where that is more than a few percent."""
        whole = f"{duration(self.seconds)} for {plural(self.epochs, 'epoch')}"
        if self.epochs > 1:
            whole = f"{duration(self.epoch)} an epoch, {whole}"
        basis = f"{duration(self.step)} a step, measured on {plural(self.measured, 'step')}"
        if self.val_batches:
            basis += "; a batch of validation is not measured, and taken as a third of a step"
        found = [f"about {whole} ({basis})"]
        if self.high - self.low > 2 * STABLE * self.step:
            share = max(self.high - self.step, self.step - self.low) / self.step
            found.append(
                f"half of the steps took {duration(self.low)} to {duration(self.high)}: "
                f"the estimate may be off by {100 * share:.0f} %"
            )
        return found


def estimate(step: Callable[[], None], batches: int, val_batches: int, epochs: int) -> Estimate:
    """Run training steps, and say how long all of them will take.

    One to warm up, which is not counted; then steps until they agree, or 3 seconds or 20 steps are over. What comes
    once (reading the data, starting workers, compiling) and saving are left out.

    Args:
        step: a whole training step, loading of its batch included; it returns when the device is done.
        batches: training steps in an epoch.
        val_batches: batches of validation in an epoch; a forward pass is taken as a third of a step.
        epochs: how many epochs.
    """
    step()
    taken: list[float] = []
    begin = perf_counter()
    while True:
        before = perf_counter()
        step()
        after = perf_counter()
        taken.append(after - before)
        low, high = _quartiles(taken)
        middle = median(taken)
        stable = len(taken) >= MIN_STEPS and max(high - middle, middle - low) <= STABLE * middle
        if stable or len(taken) >= MAX_STEPS or after - begin >= MAX_SECONDS:
            return Estimate(middle, low, high, len(taken), batches, val_batches, epochs)


def _quartiles(taken: list[float]) -> tuple[float, float]:
    """The lower and the upper one: medians of the halves, the middle one in both (Tukey's hinges)."""
    ordered, half = sorted(taken), (len(taken) + 1) // 2
    return median(ordered[:half]), median(ordered[-half:])
