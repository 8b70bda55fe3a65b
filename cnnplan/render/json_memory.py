"""Memory, time and devices in JSON: what `fit` prints, and `check` of memory. Fields are only ever added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnplan.analyses.fit import Need
    from cnnplan.analyses.roofline import Pass
    from cnnplan.devices import Device
    from cnnplan.fitting import Fit
    from cnnplan.memory import Peak
    from cnnplan.planning import Plan
    from cnnplan.runtime.measure import Measured


def memory(plan: Plan) -> dict[str, Any]:
    """The memory of inference and training, in bytes, under the plan's conditions."""
    it = plan.conditions
    inference, training = plan.inference, plan.training
    return {
        "batch": it.batch,
        "dtype": it.dtype,
        "mixed": it.mixed,
        "optimizer": it.optimizer,
        "implementation": it.implementation,
        "target": it.device.key if it.device else it.target,
        "inference": {
            "parameters": inference.parameters,
            "buffers": inference.buffers,
            "input": inference.input,
            "peak": inference.peak,
            "peak_at": peak(inference.peak_at),
        },
        "training": {
            "parameters": training.parameters,
            "buffers": training.buffers,
            "gradients": training.gradients,
            "optimizer_state": training.optimizer_state,
            "average": training.average,
            "saved_activations": training.saved_activations,
            "input": training.input,
            "target": training.target,
            "loss": training.loss,
            "peak": training.peak,
            "peak_at": peak(training.peak_at),
            "at_peak": dict(training.at_peak),
        },
    }


def peak(found: Peak) -> dict[str, Any]:
    """When memory is highest."""
    return {"phase": found.phase, "layer": found.layer, "line": found.line}


def need(found: Need) -> dict[str, Any]:
    """What a device has to hold."""
    return {
        "batch": found.batch,
        "allocated": found.peak,
        "reserved": found.reserved,
        "squeezed": found.squeezed,
        "workspace": found.workspace._asdict(),
        "context": found.context._asdict(),
        "total": found.total._asdict(),
    }


def fit(found: Fit, measured: Measured | None = None) -> dict[str, Any]:
    """Whether a network fits."""
    plan, place = found.plan, found.place
    out: dict[str, Any] = {
        "path": plan.path,
        "name": plan.name,
        "memory": memory(plan),
        "limit": place.limit,
        "fits": found.fits,
        "tight": found.tight,
        "headroom": found.headroom,
        "training": need(found.training),
        "inference": need(found.inference),
        "inference_batch_1": need(found.single),
        "largest_batch": {
            "training": found.largest_batch,
            "inference": found.largest_inference,
            "at": need(found.at),
            "beyond": need(found.beyond),
        },
        "suggestions": [
            {"what": one.what, "cost": one.cost, "saves": one.saves, "total": one.need.total._asdict()}
            for one in found.suggestions
        ],
        "devices": found.share._asdict() if found.share else None,
        "roofline": {
            "inference": _pass(found.times.inference),
            "training": {
                name: _pass(getattr(found.times, name)) for name in ("forward", "backward", "step", "training")
            },
            "layers": [
                {"name": x.name, "format": r.format, "forward": _pass(r.forward), "backward": _pass(r.backward)}
                for x, r in zip(plan.layers, plan.roofline.values(), strict=True)
            ],
        },
        "deployment": {
            "weights": found.deployment.weights._asdict(),
            "folded": found.deployment.folded._asdict(),
            "norms": found.deployment.norms,
        },
    }
    if measured:
        out["measured"] = measured._asdict()
    return out


def _pass(found: Pass) -> dict[str, Any]:
    return {
        "flops": found.flops,
        "bytes": found.bytes,
        "intensity": found.intensity,
        "seconds": found.seconds,
        "bound": found.bound or None,
    }


def device(found: Device) -> dict[str, Any]:
    """A device's figures."""
    major, minor = found.compute_capability
    return {**found._asdict(), "compute_capability": f"{major}.{minor}", "sources": list(found.sources)}
