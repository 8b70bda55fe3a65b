"""Will it fit, on which device, and what to do if not: what `cnnplan fit` answers.

found = fit(plan)
found.fits, found.largest_batch, found.suggestions
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.analyses.deployment import Deployment, deployment
from cnnplan.analyses.distributed import STRATEGIES, Fleet, Share, share
from cnnplan.analyses.fit import Need, Place, Suggestion, largest_batch, need, suggestions
from cnnplan.analyses.optimizers import OPTIMIZERS
from cnnplan.analyses.roofline import Pass, step, total
from cnnplan.diagnostics import suggest
from cnnplan.errors import UsageError
from cnnplan.planning import Plan
from cnnplan.planning import plan as make_plan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Times(NamedTuple):
    """The lower bounds of time, with the work and the bytes behind them.

    Attributes:
        inference: the forward pass.
        forward, backward, step: the parts of a training step.
        training: all three.
    """

    inference: Pass
    forward: Pass
    backward: Pass
    step: Pass
    training: Pass


class Fit(NamedTuple):
    """Whether a network fits.

    Attributes:
        plan: of the network.
        place: the memory there is, and the device.
        training, inference: what is needed at the plan's batch size.
        single: what an inference of one sample needs.
        largest_batch: that fits for sure in training; 0 for none.
        at, beyond: what is needed in training at the largest batch and at one more.
        largest_inference: the largest batch of an inference.
        suggestions: what would need less in training, the most effective first.
        share: what one of several devices holds; None for one device.
        times: lower bounds; their seconds are None without a device.
        deployment: what has to be shipped.
    """

    plan: Plan
    place: Place
    training: Need
    inference: Need
    single: Need
    largest_batch: int
    at: Need
    beyond: Need
    largest_inference: int
    suggestions: list[Suggestion]
    share: Share | None
    times: Times
    deployment: Deployment

    @property
    def fits(self) -> bool:
        """Whether a training step fits even at the upper bound."""
        return self.training.total.at_most <= self.place.limit

    @property
    def tight(self) -> bool:
        """Whether a training step may fit: at the lower bound, not at the upper."""
        return self.training.total.at_least <= self.place.limit < self.training.total.at_most

    @property
    def headroom(self) -> int:
        """Bytes that are left for sure; negative where it does not fit."""
        return self.place.limit - self.training.total.at_most


def fit(
    spec: str | Path | Mapping[str, Any] | Plan,
    *,
    memory: int | str | None = None,
    devices: int = 1,
    strategy: str = "ddp",
    **conditions: Any,
) -> Fit:
    """Hold a network against the memory of a device.

    Args:
        spec: a plan, or what `cnnplan.plan` takes.
        memory: bytes, or a text such as "16GiB", instead of the device's own.
        devices: how many devices share the work, each with the plan's batch.
        strategy: "ddp" or "fsdp".
        conditions: further arguments of `cnnplan.plan`: target, batch, dtype, optimizer …

    Raises:
        SpecError: the spec is not valid.
        UsageError: neither a device nor an amount of memory is named, or an argument does not fit.
    """
    if isinstance(spec, Plan) and conditions:
        raise UsageError(f"a plan has its conditions: give {', '.join(conditions)} to `plan`")
    plan = spec if isinstance(spec, Plan) else make_plan(spec, **conditions)

    device = plan.conditions.device
    amount = None if memory is None else amount_of(memory)
    if amount is None and device is None and plan.conditions.target != "cpu":
        raise UsageError(
            "which device? name one with --target, such as --target a100-80gb (`cnnplan devices` lists them), "
            "or its memory, such as --memory 16GiB"
        )
    if type(devices) is not int or devices < 1:
        raise UsageError(f"devices is an integer ≥ 1, not {devices!r}")
    if strategy not in STRATEGIES:
        raise UsageError(f"there is no strategy '{strategy}'; {suggest(strategy, STRATEGIES)}")
    limit = amount or (device.memory if device else machine_memory())
    fleet = Fleet(devices, strategy) if devices > 1 else None
    place = Place(limit, device, fleet)
    found, at, beyond = largest_batch(plan.memory, place)
    return Fit(
        plan=plan,
        place=place,
        training=need(plan.memory, place),
        inference=need(plan.memory, place, training=False),
        single=need(plan.memory, place, training=False, batch=1),
        largest_batch=found,
        at=at,
        beyond=beyond,
        largest_inference=largest_batch(plan.memory, place, training=False)[0],
        suggestions=suggestions(plan.memory, place, found),
        share=share(plan.memory, fleet) if fleet else None,
        times=times(plan),
        deployment=deployment(plan.graph),
    )


def amount_of(memory: int | str) -> int:
    """An amount of memory in bytes.

    Raises:
        UsageError: it is none.
    """
    from pydantic_core import PydanticCustomError

    from cnnplan.settings import quantity

    try:
        found = quantity(memory)
    except PydanticCustomError:
        found = 0
    if found < 1:
        raise UsageError(f"memory is an amount such as 16GiB or 24GB, not '{memory}'")
    return found


def times(plan: Plan) -> Times:
    """The lower bounds of an inference and of a training step on the plan's device."""
    device = plan.conditions.device
    roofs = plan.roofline.values()
    forward, backward = total([r.forward for r in roofs]), total([r.backward for r in roofs])
    states = OPTIMIZERS[plan.conditions.optimizer].states
    update = step(plan.trainable_parameters, states, plan.memory.setting.precision.parameter, device)
    inference = total([r.forward for r in plan.inference_roofline.values()])
    return Times(inference, forward, backward, update, total([forward, backward, update]))


def machine_memory() -> int:
    """The memory of this machine, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 1 << 34


def free_memory() -> int:
    """The memory of this machine that a process can still have, in bytes."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123 - no file of the user's
            return next(1024 * int(line.split()[1]) for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return machine_memory()
