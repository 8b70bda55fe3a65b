"""Where time goes: each layer's forward and backward pass, again and again.

What takes the time is measured together with what measures it; what that costs is measured too, by whole steps of
the emitted model, which nobody looks at, in turn with those that are.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import torch

from cnnplan.runtime.profiling.stable import Spread, Warm, repeated, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cnnplan.graph import Node
    from cnnplan.runtime.profiling.clock import Clock
    from cnnplan.runtime.profiling.walk import Walk

    Key = tuple[str, Node | None]


class Took(NamedTuple):
    """How long the parts of a step took, in seconds.

    Attributes:
        parts: by phase and layer; the loss, its backward pass and the optimizer's step have no layer.
        waited: the share of a part's time in which the device waited for the CPU that calls, by the same; empty on a
            CPU.
        looked_at: a whole step, layer by layer.
        plain: a whole step of the emitted model, without anything between its layers.
        warm: how the measurement went.
        trace: the parts of the step of median length, each with its start and its length.
    """

    parts: dict[Key, Spread]
    waited: dict[Key, float]
    looked_at: Spread
    plain: Spread
    warm: Warm
    trace: list[tuple[Key, float, float]]

    @property
    def whole(self) -> float:
        """The sum of the parts, in seconds."""
        return sum(part.median for part in self.parts.values())

    @property
    def overhead(self) -> float:
        """Seconds that looking on adds to a step; below 0 where that is less than times scatter."""
        return self.looked_at.median - self.plain.median


class _Pass(NamedTuple):
    keys: list[Key]
    spans: list[float]
    host: list[float]
    plain: float


def timed(walk: Walk, plain: Callable[[], object], clock: Clock, seconds: float, runs: int | None = None) -> Took:
    """Measure a walk, and the same step without looking on.

    Args:
        plain: one step of the emitted model, or one inference.
        seconds, runs: as `stable.repeated` takes them.
    """

    def once() -> _Pass:
        keys: list[Key] = []

        def at(phase: str, node: Node | None) -> None:
            keys.append((phase, node))
            clock.mark()

        clock.start()
        walk(at)
        spans, host = clock.spans(), clock.host()
        clock.start()
        clock.mark()
        plain()
        clock.mark()
        return _Pass(keys[:-1], spans, host, clock.spans()[0])

    passes, warm = repeated(once, lambda one: sum(one.spans) + one.plain, seconds, runs)
    sums = [_summed(one.keys, one.spans) for one in passes]
    keys = list(dict.fromkeys(key for one in sums for key in one))
    parts = {key: spread([one.get(key, 0.0) for one in sums]) for key in keys}
    totals = [sum(one.spans) for one in passes]
    middle = passes[sorted(range(len(passes)), key=totals.__getitem__)[len(passes) // 2]]
    return Took(
        parts=parts,
        waited=_waited(passes, parts),
        looked_at=spread(totals),
        plain=spread([one.plain for one in passes]),
        warm=warm,
        trace=_trace(middle),
    )


def _summed(keys: Sequence[Key], spans: Sequence[float]) -> dict[Key, float]:
    """A layer that gives several values may begin more than once in the backward pass."""
    found: dict[Key, float] = {}
    for key, span in zip(keys, spans, strict=True):
        found[key] = found.get(key, 0.0) + span
    return found


def _waited(passes: Sequence[_Pass], parts: dict[Key, Spread]) -> dict[Key, float]:
    """On a device that works on its own, launching takes the calling CPU at least as long as a part that waits."""
    if passes[0].host == passes[0].spans:
        return {}
    hosts = [_summed(one.keys, one.host) for one in passes]
    launched = {key: spread([one.get(key, 0.0) for one in hosts]).median for key in parts}
    return {key: min(1.0, launched[key] / part.median) if part.median else 0.0 for key, part in parts.items()}


def _trace(one: _Pass) -> list[tuple[Key, float, float]]:
    found, now = [], 0.0
    for key, span in zip(one.keys, one.spans, strict=True):
        found.append((key, now, span))
        now += span
    return found


def launch(place: torch.device) -> float:
    """Seconds that the smallest operation takes, one after the other: no layer is quicker."""
    x = torch.zeros(1, device=place)
    count, best = 200, float("inf")
    with torch.no_grad():
        for _ in range(5):
            if place.type == "cuda":
                torch.cuda.synchronize()
            started = time.perf_counter()
            for _ in range(count):
                x.add_(1)
            if place.type == "cuda":
                torch.cuda.synchronize()
            best = min(best, (time.perf_counter() - started) / count)
    return best
