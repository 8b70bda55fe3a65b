"""Batches of 1, 2, 4, …, until memory ends: how fast they are, and the planned peak beside the measured one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from cnnplan.analyses.fit import Place, largest_batch, need
from cnnplan.errors import UsageError
from cnnplan.fitting import free_memory
from cnnplan.render.numbers import duration, size
from cnnplan.runtime.profiling.memory import peak_of
from cnnplan.runtime.profiling.ready import ready
from cnnplan.runtime.profiling.whole import EAGER, Speed, Whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.planning import Plan

SLOW = 10.0
"""After a step that took so many seconds no larger batch is tried."""


class Batch(NamedTuple):
    """One batch size.

    Attributes:
        size: samples.
        speed: its times; None where it did not fit.
        planned: bytes of the peak of a training step, or of an inference.
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


class Room(NamedTuple):
    """Bytes that may be used, and why no more: they are "free", or "allowed"."""

    bytes: int
    word: str = "free"

    def __str__(self) -> str:
        return f"{size(self.bytes)} are {self.word}"


def room_for(plan: Plan, room: Room, *, training: bool) -> None:
    """Refuse a batch that does not fit even by the lowest estimate.

    Raises:
        UsageError: it does not; the largest that fits is named.
    """
    place = Place(room.bytes, plan.conditions.device)
    least = need(plan.memory, place, training=training).total.at_least
    if least <= room.bytes:
        return
    most = largest_batch(plan.memory, place, training=training)[0]
    help = f"the largest batch that fits is {most:,}: --batch {most}" if most else "not even a batch of 1 fits"
    what = "a training step" if training else "an inference"
    raise UsageError(
        f"{what} of '{plan.name}' at batch {plan.batch:,} needs at least {size(least)}, and {room}; {help}"
    )


def batches(whole: Whole, room: Room, *, training: bool) -> Iterator[Batch]:
    """Double the batch until it does not fit, or is too slow; then the largest that is planned to fit.

    Args:
        whole: of a plan, whose batch does not count.
        training: whether a training step has to fit, and not an inference alone.
    """
    plan, place = whole.plan, whole.place
    where = Place(room.bytes, plan.conditions.device)
    most, at, _ = largest_batch(plan.memory, where, training=training)
    batch = 1
    while True:
        one = with_batch(plan, batch)
        planned = one.training.peak if training else one.inference.peak
        # a CPU has no error to catch
        if place.type == "cpu" and need(one.memory, where, training=training).total.at_least > room.bytes:
            yield Batch(batch, None, planned, None, f"does not fit: {room}")
            break
        found = _run(whole, one, training=training)
        if found is None:
            yield Batch(batch, None, planned, None, "the device's memory is not enough")
            break
        speed, peak = found
        took = speed.training if training else speed.inference
        note = "" if took else speed.reason
        if took and took.median > SLOW:
            note = f"a step takes {duration(took.median)}: larger ones were left out"
        yield Batch(batch, speed, planned, peak, note)
        if note:
            return
        batch *= 2
    if batch // 2 < most < batch:
        last = _run(whole, with_batch(plan, most), training=training)
        note = "the largest that is planned to fit for sure"
        yield Batch(most, last and last[0], at.peak, last and last[1], note)


def _run(whole: Whole, plan: Plan, *, training: bool) -> tuple[Speed, int] | None:
    """Its times and its measured peak; None where memory is not enough."""
    place = whole.place
    try:
        speed = Whole(plan, place, whole.clock, whole.seconds, whole.runs).speed(EAGER, training=training)
        if (speed.training if training else speed.inference) is None and "memory" in speed.reason.lower():
            return None
        made = ready(plan, place, not training)
        return speed, peak_of(made.plain, made.held)
    except torch.OutOfMemoryError:
        return None
    finally:
        if place.type == "cuda":
            torch.cuda.empty_cache()
