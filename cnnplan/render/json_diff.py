"""`diff --format json`: two specs side by side. Fields are only ever added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnplan.differences import BYTES, STATUSES, field_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.differences import Difference, LayerDifference, Metric
    from cnnplan.planning import Layer, Plan
    from cnnplan.thresholds import Condition


def difference(found: Difference, failed: Sequence[Condition], every: bool) -> dict[str, Any]:
    """The totals, the layers that differ, or all, and the conditions that hold."""
    return {
        "old": _spec(found.old),
        "new": _spec(found.new),
        "totals": {name: _metric(pair) | {"unit": _unit(name)} for name, pair in found.totals.items()},
        "summary": {status: len(found.of(status)) for status in STATUSES},
        "layers": [_layer(layer) for layer in found.layers if every or layer.status != "same"],
        "failed": [_failed(one, found) for one in failed],
    }


def _spec(plan: Plan) -> dict[str, Any]:
    it = plan.conditions
    return {
        "path": plan.path,
        "name": plan.name,
        "inputs": {v.name: list(v.shape) for v in plan.graph.inputs},
        "outputs": {name: list(v.shape) for name, v in plan.graph.outputs.items()},
        "batch": it.batch,
        "dtype": it.dtype,
        "optimizer": it.optimizer,
        "target": it.device.key if it.device else it.target,
    }


def _unit(name: str) -> str:
    return "bytes" if name in BYTES else "input units" if name == "receptive_field" else "count"


def _metric(pair: Metric) -> dict[str, Any]:
    return {"old": pair.old, "new": pair.new, "change": pair.change, "percent": pair.percent}


def _layer(found: LayerDifference) -> dict[str, Any]:
    return {
        "name": found.name,
        "status": found.status,
        "changed": [one._asdict() for one in found.arguments],
        "old": _side(found.old),
        "new": _side(found.new),
    }


def _side(layer: Layer | None) -> dict[str, Any] | None:
    if layer is None:
        return None
    field = field_of(layer)
    return {
        "name": layer.name,
        "op": layer.op,
        "line": layer.line,
        "outputs": [list(shape) for shape in layer.outputs],
        "parameters": layer.parameters,
        "trainable_parameters": layer.trainable_parameters,
        "buffers": layer.buffers,
        "macs": layer.macs,
        "flops": layer.flops,
        "saved_bytes": layer.saved_bytes,
        "receptive_field": list(field) if field else None,
    }


def _failed(one: Condition, found: Difference) -> dict[str, Any]:
    out: dict[str, Any] = {"condition": one.text, "metric": one.metric}
    if one.metric in found.totals:
        return out | _metric(found.totals[one.metric])
    old, new = found.inputs if one.metric == "inputs" else found.outputs
    shapes = [{name: list(shape) for name, shape in side.items()} for side in (old, new)]
    return out | {"old": shapes[0], "new": shapes[1], "change": None, "percent": None}
