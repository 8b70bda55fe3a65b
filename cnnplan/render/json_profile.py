"""`profile --format json`: times in seconds, sizes in bytes; `layers` are named as `check` names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnplan.render.json_memory import device

if TYPE_CHECKING:
    from cnnplan.analyses.roofline import Pass
    from cnnplan.runtime.profiling.batches import Batch
    from cnnplan.runtime.profiling.memory import Held
    from cnnplan.runtime.profiling.profile import Measured, Profile
    from cnnplan.runtime.profiling.stable import Spread
    from cnnplan.runtime.profiling.whole import Speed


def profile(found: Profile) -> dict[str, Any]:
    """All that was measured, beside the plan."""
    plan, took, it = found.plan, found.took, found.plan.conditions
    parts = {"loss": ("loss", None), "loss_backward": ("backward", None), "step": ("step", None)}
    return {
        "path": plan.path,
        "name": plan.name,
        "mode": "training" if found.trains else "inference",
        "conditions": {
            "batch": it.batch,
            "dtype": it.dtype,
            "mixed": it.mixed and found.trains,
            "optimizer": it.optimizer if found.trains else None,
            "device": it.target,
        },
        "device": {
            **device(found.machine.device),
            "measured": found.machine.measured,
            "threads": found.machine.threads,
        },
        "measurement": {
            "warm_up": took.warm.warm_up,
            "stable": took.warm.stable,
            "runs": took.warm.runs,
            "looked_at": _spread(took.looked_at),
            "plain": _spread(took.plain),
            "overhead": took.overhead,
            "smallest_operation": found.launch,
            "load": found.load,
        },
        "whole": {
            **_speed(found.speed, plan.batch),
            "inference_bound": found.bounds[0],
            "training_bound": found.bounds[1] if found.trains else None,
        },
        "memory": {"planned_peak": found.planned_peak, "measured_peak": found.peak},
        "parts": {name: _spread(took.parts[key]) for name, key in parts.items() if key in took.parts},
        "layers": [_layer(one) for one in found.layers],
        "costly": [one.layer.name for one in found.costly[:10]],
        "sweep": [_way(one, plan.batch) for one in found.sweep],
        "batches": [_batch(one) for one in found.batches],
    }


def _layer(one: Measured) -> dict[str, Any]:
    layer = one.layer
    return {
        "name": layer.name,
        "op": layer.op,
        "line": layer.line,
        "output": list(layer.output),
        "forward": _pass(one.forward, one.work[0]),
        "backward": _pass(one.backward, one.work[1]) if one.backward else None,
        "memory": {"planned": _held(one.planned), "measured": _held(one.held)},
        "fraction_of_bound": one.fraction,
        "why": one.why,
    }


def _pass(took: Spread, work: Pass) -> dict[str, Any]:
    median = took.median
    return {
        **_spread(took),
        "bound": work.seconds,
        "limit": work.bound or None,
        "flops": work.flops,
        "bytes": work.bytes,
        "flops_per_second": work.flops / median if median else None,
        "bytes_per_second": work.bytes / median if median else None,
    }


def _spread(took: Spread) -> dict[str, float]:
    return {"median": took.median, "low": took.low, "high": took.high}


def _held(held: Held) -> dict[str, int]:
    return {"allocated": held.after, "peak": held.peak}


def _speed(speed: Speed, batch: int) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, took in (("inference", speed.inference), ("training", speed.training)):
        rate = batch / took.median if took and took.median else None
        out[name] = {**_spread(took), "samples_per_second": rate} if took else None
    return out


def _way(one: Speed, batch: int) -> dict[str, Any]:
    faster = dict(zip(("inference", "training"), one.faster, strict=True))
    return {"way": one.way.name, **_speed(one, batch), "times_faster_than_eager": faster, "reason": one.reason or None}


def _batch(one: Batch) -> dict[str, Any]:
    speed = _speed(one.speed, one.size) if one.speed else {"inference": None, "training": None}
    peaks = {"planned_peak": one.planned, "measured_peak": one.measured}
    return {"batch": one.size, **speed, **peaks, "note": one.note or None}
