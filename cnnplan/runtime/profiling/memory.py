"""Memory over a step, layer by layer, beside what is planned.

On a CPU storages are counted (`Tracker`), on a CUDA device its allocator is asked (torch.cuda.memory_allocated). A
pass of its own measures it, whose times nobody takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from cnnplan.runtime.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from cnnplan.analyses.tape import Tape
    from cnnplan.graph import Node
    from cnnplan.planning import Plan
    from cnnplan.runtime.profiling.walk import Walk

    Key = tuple[str, Node | None]


class Held(NamedTuple):
    """Bytes that are alive in a part of a step.

    Attributes:
        after: when it is over.
        peak: the most while it runs.
    """

    after: int
    peak: int


class Timeline(NamedTuple):
    """Memory over a step: planned and measured, by phase and layer, in the order they run."""

    planned: dict[Key, Held]
    measured: dict[Key, Held]


def timeline(plan: Plan, walk: Walk, held: Sequence[Tensor]) -> Timeline:
    """Measure the second pass of a walk: in the first the optimizer makes its state.

    Args:
        held: what is there before: parameters, buffers, inputs and targets.
    """
    tape = plan.memory.tape if walk.step else plan.memory.inference_tape
    measure = _on_cuda if walk.inputs[0].is_cuda else _on_cpu
    return Timeline(planned(tape, plan.batch), measure(walk, held))


def peak_of(run: Callable[[], object], held: Sequence[Tensor]) -> int:
    """The most bytes that are alive in the second of two runs."""
    if held[0].is_cuda:
        run()
        torch.cuda.reset_peak_memory_stats()
        run()
        return int(torch.cuda.max_memory_allocated())
    with Tracker(held) as tracker:
        run()
        tracker.peak = tracker.live
        run()
    return int(sum(t.untyped_storage().nbytes() for t in held) + tracker.peak)


def planned(tape: Tape, batch: int) -> dict[Key, Held]:
    """What the tape says of each part."""
    found: dict[Key, Held] = {}
    before = 0
    for place, live in zip(tape.places, tape.play(batch).live, strict=True):
        key = (place.phase, place.node)
        peak = found[key].peak if key in found else before
        found[key] = Held(live, max(peak, live))
        before = live
    return found


def _on_cpu(walk: Walk, held: Sequence[Tensor]) -> dict[Key, Held]:
    found: dict[Key, Held] = {}
    base = sum(t.untyped_storage().nbytes() for t in held)
    with Tracker(held) as tracker:
        for _ in range(2):
            keys: list[Key] = []
            found.clear()

            def at(phase: str, node: Node | None, keys: list[Key] = keys) -> None:
                if keys:
                    _note(found, keys[-1], Held(base + tracker.live, base + tracker.peak))
                tracker.peak = tracker.live
                keys.append((phase, node))

            walk(at)
    return found


def _on_cuda(walk: Walk, held: Sequence[Tensor]) -> dict[Key, Held]:
    found: dict[Key, Held] = {}
    for _ in range(2):
        keys: list[Key] = []
        found.clear()

        def at(phase: str, node: Node | None, keys: list[Key] = keys) -> None:
            if keys:
                _note(found, keys[-1], Held(torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated()))
            torch.cuda.reset_peak_memory_stats()
            keys.append((phase, node))

        walk(at)
    return found


def _note(found: dict[Key, Held], key: Key, held: Held) -> None:
    """A layer that gives several values may begin more than once in the backward pass."""
    found[key] = Held(held.after, max(held.peak, found[key].peak) if key in found else held.peak)
