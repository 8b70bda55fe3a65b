"""Batches of 1, 2, 4, …, until memory ends: how fast they are, and the planned peak beside the measured one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from cnnplan.analyses.fit import Place, largest_batch, need
from cnnplan.errors import UsageError
from cnnplan.fitting import free_memory
from cnnplan.render.numbers import duration, size
from cnnplan.runtime.measure import measured
from cnnplan.runtime.profiling.whole import EAGER, Speed, Whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.planning import Plan
    from cnnplan.runtime.profiling.clock import Clock

SLOW = 10.0
"""After a step that took so many seconds no larger batch is tried."""


class Batch(NamedTuple):
    """One batch size.

    Attributes:
        size: samples.
        speed: its times; None where it did not fit.
        planned: bytes of the peak of a training step.
        measured: the same, as it ran; None where it did not fit.
        note: why it is the last one; "" for others.
    """

    size: int
    speed: Speed | None
    planned: int
    measured: int | None
    note: str = ""


def available(place: torch.device) -> int:
    """Bytes that a process can have now."""
    if place.type == "cuda":
        free, _ = torch.cuda.mem_get_info(place)
        return free + torch.cuda.memory_reserved(place)
    return free_memory()


def with_batch(plan: Plan, batch: int) -> Plan:
    """The same plan for another batch size."""
    return plan.under(plan.conditions._replace(batch=batch))


def room_for(plan: Plan, limit: int, *, training: bool) -> None:
    """Refuse a batch that does not fit even by the lowest estimate.

    Raises:
        UsageError: it does not; the largest that fits is named.
    """
    place = Place(limit, plan.conditions.device)
    least = need(plan.memory, place, training=training).total.at_least
    if least <= limit:
        return
    most = largest_batch(plan.memory, place, training=training)[0]
    help = f"the largest batch that fits is {most:,}: --batch {most}" if most else "not even a batch of 1 fits"
    what = "a training step" if training else "an inference"
    raise UsageError(
        f"{what} of '{plan.name}' at batch {plan.batch:,} needs at least {size(least)}, and {size(limit)} "
        f"are free; {help}"
    )


def batches(
    plan: Plan, place: torch.device, clock: Clock, seconds: float, runs: int | None, limit: int
) -> Iterator[Batch]:
    """Double the batch until it does not fit, or is too slow; then the largest that is planned to fit.

    Args:
        limit: bytes that may be used.
    """
    where = Place(limit, plan.conditions.device)
    most, at, _ = largest_batch(plan.memory, where)
    batch = 1
    while True:
        one = with_batch(plan, batch)
        planned = one.training.peak
        if need(one.memory, where).total.at_least > limit and place.type == "cpu":  # a CPU has no error to catch
            yield Batch(batch, None, planned, None, f"more than the {size(limit)} that are free")
            break
        found = _run(one, place, clock, seconds, runs)
        if found is None:
            yield Batch(batch, None, planned, None, "the device's memory is not enough")
            break
        speed, peak = found
        slow = speed.training is not None and speed.training.median > SLOW
        note = "" if speed.training else speed.reason
        if slow and speed.training:
            note = f"a step takes {duration(speed.training.median)}: larger ones were left out"
        yield Batch(batch, speed, planned, peak, note)
        if slow or speed.training is None:
            return
        batch *= 2
    if batch // 2 < most < batch:
        one = with_batch(plan, most)
        last = _run(one, place, clock, seconds, runs)
        note = "the largest that is planned to fit for sure"
        yield Batch(most, last and last[0], at.peak, last and last[1], note)


def _run(plan: Plan, place: torch.device, clock: Clock, seconds: float, runs: int | None) -> tuple[Speed, int] | None:
    """Its times and its measured peak; None where memory is not enough."""
    try:
        speed = Whole(plan, place, clock, seconds, runs).speed(EAGER)
        if speed.training is None and "memory" in speed.reason.lower():
            return None
        return speed, measured(plan).peak
    except (UsageError, torch.OutOfMemoryError):
        return None
    finally:
        if place.type == "cuda":
            torch.cuda.empty_cache()
