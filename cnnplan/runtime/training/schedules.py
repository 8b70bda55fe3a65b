"""The learning rate as a function of the step: a factor for the optimizer's own rate.

Source: torch.optim.lr_scheduler (LinearLR, StepLR, CosineAnnealingLR, OneCycleLR).
"""

from __future__ import annotations

from math import cos, pi
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnnplan.train_settings import Schedule

ONE_CYCLE_START = 25.0
ONE_CYCLE_END = 1e4
"""The first rate is the highest one through the first of these, the last rate is the first one through the second."""


def factor(schedule: Schedule, lr: float, epochs: int, steps: int) -> Callable[[int], float]:
    """The factor at each step, from 0.

    Args:
        lr: the optimizer's rate, which the factor is for.
        epochs: in all.
        steps: in an epoch.
    """
    name, options = schedule.name, schedule.options
    total = max(1, epochs * steps)
    if name == "one_cycle":
        return _one_cycle((options.max_lr or lr) / lr, options.warmup * total, total)
    warm = options.warmup * steps

    def after(step: int) -> float:
        if name == "step":
            return float(options.gamma ** (step // steps // options.every))
        if name == "cosine":
            least = options.minimum / lr
            done = min(1.0, (step - warm) / max(1, total - warm))
            return float(least + (1 - least) * (1 + cos(pi * done)) / 2)
        return 1.0

    return lambda step: (step + 1) / (warm + 1) * (1 if name != "step" else after(warm)) if step < warm else after(step)


def _one_cycle(highest: float, up: float, total: int) -> Callable[[int], float]:
    first = highest / ONE_CYCLE_START
    last = first / ONE_CYCLE_END
    peak = max(0.0, up - 1)

    def at(step: int) -> float:
        if step <= peak and peak:
            return highest + (first - highest) * (1 + cos(pi * step / peak)) / 2
        done = min(1.0, (step - peak) / max(1.0, total - 1 - peak))
        return last + (highest - last) * (1 + cos(pi * done)) / 2

    return at
