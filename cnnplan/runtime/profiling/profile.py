"""Where do time and memory go? A network on the device that is here, beside its plan.

found = profile(plan, device="cuda")
found.layers[3].forward.median, found.layers[3].roof.seconds, found.speed.training.median
"""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

import torch

from cnnplan.analyses.optimizers import OPTIMIZERS
from cnnplan.analyses.roofline import Pass, step, total
from cnnplan.errors import UsageError
from cnnplan.runtime.interpreter import Refused
from cnnplan.runtime.places import place as place_of
from cnnplan.runtime.profiling import batches as batch_sizes
from cnnplan.runtime.profiling.batches import Room
from cnnplan.runtime.profiling.clock import clock as clock_of
from cnnplan.runtime.profiling.layers import launch, timed
from cnnplan.runtime.profiling.machine import machine as machine_of
from cnnplan.runtime.profiling.memory import Held, peak_of, timeline
from cnnplan.runtime.profiling.ready import ready
from cnnplan.runtime.profiling.reasons import why
from cnnplan.runtime.profiling.walk import BACKWARD, FORWARD
from cnnplan.runtime.profiling.whole import EAGER, Speed, Whole, ways

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cnnplan.conditions import Conditions
    from cnnplan.graph import Node
    from cnnplan.planning import Layer, Plan
    from cnnplan.runtime.profiling.batches import Batch
    from cnnplan.runtime.profiling.layers import Took
    from cnnplan.runtime.profiling.machine import Machine
    from cnnplan.runtime.profiling.memory import Timeline
    from cnnplan.runtime.profiling.stable import Spread


class Measured(NamedTuple):
    """A layer of the plan as it ran.

    Attributes:
        layer: the planned one.
        forward, backward: seconds; None where it has no such pass.
        work: of both passes: operations, bytes and lower bounds.
        planned, held: bytes alive when its forward pass is over, and the most during both passes: of the plan, and
            measured.
        why: what its time goes for.
    """

    layer: Layer
    forward: Spread
    backward: Spread | None
    work: tuple[Pass, Pass]
    planned: Held
    held: Held
    why: str

    @property
    def seconds(self) -> float:
        """Of both passes."""
        return self.forward.median + (self.backward.median if self.backward else 0.0)

    @property
    def roof(self) -> Pass:
        """The work and the bytes of both passes, and the bound of their time."""
        return total(self.work)

    @property
    def fraction(self) -> float | None:
        """The share of the time that the bound explains; None where the bound is 0."""
        bound = self.roof.seconds
        return bound / self.seconds if bound and self.seconds else None


class Profile(NamedTuple):
    """What `cnnplan profile` measures.

    Attributes:
        plan: under the conditions of the device.
        machine: the device, with its figures.
        trains: whether it is of a training step, and not of an inference.
        layers: in the order they run.
        took: all parts of a step, how they were measured, and what measuring costs.
        launch: seconds of the smallest operation.
        timeline: memory over the step.
        planned_peak, peak: bytes of the whole step as it is emitted.
        speed: of the whole network.
        bounds: the lower bounds of an inference and of a training step, in seconds.
        sweep: other ways to run it.
        batches: other batch sizes.
        load: processes that ran or waited on this machine in the minute before; None where nobody counts them.
    """

    plan: Plan
    machine: Machine
    trains: bool
    layers: tuple[Measured, ...]
    took: Took
    launch: float
    timeline: Timeline
    planned_peak: int
    peak: int
    speed: Speed
    bounds: tuple[float, float]
    sweep: tuple[Speed, ...]
    batches: tuple[Batch, ...]
    load: float | None

    @property
    def costly(self) -> list[Measured]:
        """The layers, the most costly first."""
        return sorted(self.layers, key=lambda one: -one.seconds)

    @property
    def busy(self) -> bool:
        """Whether the machine had other work, which makes times longer than they need be."""
        return self.load is not None and self.load > (os.cpu_count() or 1) / 2

    @property
    def too_fast(self) -> list[Measured]:
        """Layers that beat their bound: it would be wrong."""
        return [one for one in self.layers if _beats(one.forward, one.work[0]) or _beats(one.backward, one.work[1])]


def _beats(took: Spread | None, work: Pass) -> bool:
    return took is not None and (work.seconds or 0.0) > took.median


def profile(
    plan: Plan,
    *,
    device: str = "auto",
    inference: bool = False,
    sweep: bool = False,
    batches: bool = False,
    memory: int | None = None,
    seconds: float = 3.0,
    runs: int | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Profile:
    """Measure a network on a device that is here, layer by layer and as a whole.

    Args:
        plan: whose batch, dtype and optimizer are used; its target becomes the device.
        device: "cpu", "cuda", "cuda:1" or "auto".
        inference: leave the backward pass and the optimizer out.
        sweep: run it in other ways, too: channels last, compiled, in mixed precision, with folded norms.
        batches: double the batch until memory ends.
        memory: bytes that may be used; all that are free, unless it is given.
        seconds: for each thing that is measured; there are five runs at least.
        runs: how many runs count, instead.
        say: is told what is measured.

    Raises:
        UsageError: there is no such device, the batch does not fit, or torch refuses a layer.
    """
    place = place_of(device)
    here = torch.cuda.device(place) if place.type == "cuda" else nullcontext()  # events and the allocator's bytes
    with here, _refusals(plan):
        room = Room(batch_sizes.available(place))
        if memory is not None and memory < room.bytes:
            room = Room(memory, "allowed")
        say("figures of the device")
        machine = machine_of(place, plan.conditions.dtype)
        plan = plan.under(_conditions(plan, place, machine))
        batch_sizes.room_for(plan, room, training=not inference)
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        clock = clock_of(place)
        whole = Whole(plan, place, clock, seconds, runs)
        say("layers")
        made = ready(plan, place, inference)
        took = timed(made.walk, made.plain, clock, seconds, runs)
        smallest = launch(place)
        say("memory")
        made = ready(plan, place, inference)
        line = timeline(plan, made.walk, made.held)
        made = ready(plan, place, inference)
        peak = peak_of(made.plain, made.held)
        del made
        say("whole network")
        infers = took.plain if inference else whole.speed(EAGER, training=False).inference
        speed = Speed(EAGER, infers, None if inference else took.plain)
        rows = []
        for way in ways(plan, place) if sweep else ():
            say(way.name)
            rows.append(whole.speed(way, training=not inference, beside=way != EAGER))
        sizes = []
        for batch in batch_sizes.batches(whole, room, training=not inference) if batches else ():
            say(f"batch {batch.size}")
            sizes.append(batch)
        return Profile(
            plan=plan,
            machine=machine,
            trains=not inference,
            layers=tuple(_layers(plan, machine, took, line, smallest, inference)),
            took=took,
            launch=smallest,
            timeline=line,
            planned_peak=plan.inference.peak if inference else plan.training.peak,
            peak=peak,
            speed=speed,
            bounds=_bounds(plan),
            sweep=tuple(rows),
            batches=tuple(sizes),
            load=load,
        )


@contextmanager
def _refusals(plan: Plan) -> Iterator[None]:
    """What a network or a batch is to blame for, in words."""
    try:
        yield
    except Refused as refused:
        node = refused.node
        raise UsageError(
            f"torch refuses layer '{node.name}' (line {node.line}) at batch {plan.batch:,}: {refused.reason}"
        ) from None
    except (torch.OutOfMemoryError, MemoryError) as error:
        reason = str(error).partition(".")[0].lower()
        raise UsageError(f"the memory is not enough for batch {plan.batch:,}: {reason}") from None


def _conditions(plan: Plan, place: torch.device, machine: Machine) -> Conditions:
    """Those of the plan, on the device that is here."""
    it = plan.conditions
    usual = {"cpu": "forloop", "cuda": "foreach"}
    if it.target != place.type:
        if it.implementation == usual[it.target]:
            it = it._replace(implementation=usual[place.type])
        it = it._replace(target=place.type)
    return it._replace(device=machine.device)


def _layers(
    plan: Plan, machine: Machine, took: Took, line: Timeline, smallest: float, inference: bool
) -> Iterator[Measured]:
    roofs = plan.inference_roofline if inference else plan.roofline
    planned = measured = Held(0, 0)
    for layer in plan.layers:
        node = layer.node
        forward, backward = (FORWARD, node), (BACKWARD, node)
        planned = _held(line.planned, node, planned.after)
        measured = _held(line.measured, node, measured.after)
        passes = took.parts[forward], took.parts.get(backward)
        roof = roofs[node]
        # a layer that hands gradients on as they are has no backward pass of its own
        work = total([roof.forward, roof.backward] if passes[1] else [roof.forward])
        seconds = sum(one.median for one in passes if one)
        waited = sum(
            took.waited.get(key, 0.0) * took.parts[key].median for key in (forward, backward) if key in took.parts
        )
        reason = why(node, work, roof.format, seconds, machine.device, smallest, waited / seconds if seconds else 0.0)
        yield Measured(layer, *passes, (roof.forward, roof.backward), planned, measured, reason)


def _held(line: dict[tuple[str, Node | None], Held], node: Node, before: int) -> Held:
    """After the forward pass, and the most in both; what happens in no event changes nothing."""
    forward = line.get((FORWARD, node), Held(before, before))
    backward = line.get((BACKWARD, node), forward)
    return Held(forward.after, max(forward.peak, backward.peak))


def _bounds(plan: Plan) -> tuple[float, float]:
    """Lower bounds of an inference and of a training step, in seconds."""
    inference = total([roof.forward for roof in plan.inference_roofline.values()])
    passes = [one for roof in plan.roofline.values() for one in (roof.forward, roof.backward)]
    states = OPTIMIZERS[plan.conditions.optimizer].states
    update = step(plan.trainable_parameters, states, plan.memory.setting.precision.parameter, plan.conditions.device)
    return inference.seconds or 0.0, total([*passes, update]).seconds or 0.0
