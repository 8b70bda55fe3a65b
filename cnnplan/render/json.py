"""`check --format json`: the contract for programs. Fields are only ever added."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cnnplan.render import shifts
from cnnplan.render.json_memory import memory
from cnnplan.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from cnnplan.analyses.legal import Legal
    from cnnplan.analyses.region import Sight
    from cnnplan.analyses.sizes import Answer, Axis
    from cnnplan.diagnostics import Diagnostic
    from cnnplan.graph import Value
    from cnnplan.planning import Layer, Plan
    from cnnplan.reach import Reach
    from cnnplan.runtime.verify import Verification

FORMAT_VERSION = "1.0"


def document(specs: Sequence[dict[str, Any]]) -> str:
    """The whole document, for the specs as `spec` gives them."""
    found = [d["severity"] for s in specs for d in s["diagnostics"]]
    whole = {
        "format_version": FORMAT_VERSION,
        "tool": {"name": "cnnplan", "version": __version__},
        "specs": list(specs),
        "summary": {
            "errors": found.count("error"),
            "warnings": found.count("warning"),
            "info": found.count("info"),
        },
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def text(value: dict[str, Any]) -> str:
    """A document of its own."""
    return json.dumps({"format_version": FORMAT_VERSION, **value}, indent=1, ensure_ascii=False) + "\n"


def spec(
    path: str, name: str | None, plan: Plan | None, diagnostics: Sequence[Diagnostic], sight: Sight | None = None
) -> dict[str, Any]:
    """One spec: its numbers if it is valid, its findings, and what a unit sees where that is asked."""
    out: dict[str, Any] = {"path": path, "name": name, "valid": plan is not None}
    if plan:
        out["inputs"] = {v.name: list(v.shape) for v in plan.graph.inputs}
        out["outputs"] = {name: list(v.shape) for name, v in plan.graph.outputs.items()}
        out["totals"] = {
            "layers": len(plan.layers),
            "weighted_layers": plan.weighted_layers,
            "parameters": plan.parameters,
            "trainable_parameters": plan.trainable_parameters,
            "buffers": plan.buffers,
            "macs": plan.macs,
            "flops": plan.flops,
            "connections": plan.connections,
        }
    else:
        out |= {"inputs": None, "outputs": None, "totals": None}
    last = plan.reach.last_value if plan else None
    out |= {
        "memory": memory(plan) if plan else None,
        "receptive_field": field(last, plan.reach) if plan and last else None,
        "translation": shifts.as_list(plan) if plan else None,
    }
    out["layers"] = [layer(x) for x in plan.layers] if plan else None
    if plan and sight:
        out["unit"] = unit(sight, plan)
    out["diagnostics"] = [d.as_dict() for d in diagnostics]
    return out


def unit(found: Sight, plan: Plan) -> dict[str, Any]:
    """What one unit sees of each input: first and last unit along each axis, and how many of them."""
    inputs = []
    for given, region, local in zip(plan.graph.inputs, found.regions, found.local, strict=True):
        if region.boxes and region.shape.rank:
            axes = range(region.shape.rank)
            seen: dict[str, Any] = {"input": given.name, "exact": region.exact}
            for key, part in (("sees", region), ("local", local)):
                seen[key] = {
                    "interval": [part.interval(axis) for axis in axes],
                    "units": [part.count(axis) for axis in axes],
                    "positions": part.positions,
                }
            inputs.append(seen)
    return {
        "layer": found.value.name,
        "unit": list(found.unit),
        "inputs": inputs,
        "global_through": [node.name for node in found.wide],
    }


def layer(found: Layer) -> dict[str, Any]:
    """One layer."""
    node = found.node
    out: dict[str, Any] = {
        "name": found.name,
        "op": found.op,
        "line": found.line,
        "inputs": list(found.inputs),
        "output": list(found.output),
        "parameters": found.parameters,
        "macs": found.macs,
        "flops": found.flops,
        "saved_bytes": found.saved_bytes,
        "receptive_field": field(found.node.output, found.reach),
    }
    if found.connections is None:
        out |= {"connections": None, "unknown": {"connections": "they depend on the data, or are not defined"}}
    elif found.connections:
        out["connections"] = found.connections
    if found.dense_parameters is not None:
        out["dense_parameters"] = found.dense_parameters
    if found.kept is not None:
        out["kept"] = float(found.kept)
    if len(node.outputs) > 1:
        out["outputs"] = [list(shape) for shape in found.outputs]
    if node.output.slices > 1:
        out["slices"] = node.output.slices
    if found.buffers:
        out["buffers"] = found.buffers
    if node.like:
        out["like"] = node.like.name
    if node.shared_with:
        out["shared_with"] = node.shared_with
    if not node.trainable:
        out["trainable"] = False
    if node.checkpoint:
        out["checkpoint"] = True
    return out


def field(value: Value, reach: Reach) -> dict[str, Any] | None:
    """The receptive field of a value: null for what is not local, with the reason where that is another."""
    found = reach.of(value)
    if found is None:
        return None
    local = any(size is not None for size in found.size)
    out: dict[str, Any] = {
        "size": list(found.size) if local else None,
        "stride": [stride if stride is None else _number(stride) for stride in found.stride] if local else None,
        "start": list(found.start) if local else None,
        "min_size": list(found.min_size) if local else None,
        "coverage": [n if n is None else round(n, 4) for n in reach.coverage(value)] if local else None,
    }
    if local:
        out["estimate"] = {"effective_size": [n if n is None else round(n, 2) for n in reach.effective_size(value)]}
    if not found.aligned:
        out["aligned"] = False
    if len(reach.graph.inputs) > 1:
        out["input"] = found.input
    if found.is_global:
        out["global"] = True
    if any(found.phases):
        out["phases"] = [[list(interval) for interval in axis] for axis in found.phases]
    if found.unknown:
        out["unknown"] = {"size": found.unknown}
    return out


def _number(stride: Fraction) -> int | str:
    return int(stride) if stride.denominator == 1 else str(stride)


def explained(found: Layer, plan: Plan) -> dict[str, Any]:
    """A layer and how its numbers came about."""
    from cnnplan.analyses.explain import explanation
    from cnnplan.emit import emit

    return {
        "spec": plan.path,
        "layer": layer(found),
        "numbers": [line._asdict() for line in explanation(found)],
        "tensors": {name: list(shape) for name, shape in found.work.tensors.items()},
        "keeps": [{"what": what, "bytes": n, "first": first} for what, n, first in plan.memory.keeps(found.node)],
        "in_place": plan.memory.runs_in_place(found.node),
        "source_line": emit(plan.graph).line(found.node),
    }


def sizes(plan: Plan, axes: Sequence[Axis], answer: Answer | None, own: bool = True) -> dict[str, Any]:
    """The legal sizes along each axis, what refuses the others, and whether one size is legal.

    Args:
        own: whether the plan has the spec's own size; if not, it says at which sizes the spec is valid.
    """
    from cnnplan.analyses.sizes import refused
    from cnnplan.ops.base import AXES

    found = [
        {
            "inputs": [value.name for value in axis.inputs],
            "axis": AXES[axis.inputs[0].shape.rank][axis.axis],
            "planned": axis.planned if own else None,
            "legal": _legal(axis.legal) if own else None,
            "valid": _legal(axis.valid),
            "refused": [
                {"size": size, "layer": why.layer or None, "message": why.message, "help": why.help}
                for size, why in (refused(plan.graph, axis) if own else [])
            ],
        }
        for axis in axes
    ]
    out: dict[str, Any] = {"spec": plan.path, "axes": found}
    if answer:
        why = answer.refusal
        out["asked"] = {
            "size": list(answer.size),
            "legal": answer.legal,
            "reason": why and why.message,
            "layer": (why.layer or None) if why else None,
            "nearest": [list(near) for near in answer.nearest],
        }
    return out


def _legal(legal: Legal) -> dict[str, Any]:
    out: dict[str, Any] = {
        "modulus": legal.modulus or None,
        "remainders": list(legal.remainders),
        "at_least": legal.at_least or None,
        "others": [{"first": first, "last": last, "step": step} for first, last, step in legal.others],
    }
    if legal.tried:
        out["tried_up_to"] = legal.tried
    return out


def verified(found: Sequence[Verification], left: Sequence[tuple[str, list[Any], str]] = ()) -> dict[str, Any]:
    """Each spec's checks, and every layer as it ran; `left` are those that were not verified, and why."""
    specs = []
    for one in found:
        layers = [
            {
                "name": planned.name,
                "line": planned.line,
                "planned": {"outputs": [list(shape) for shape in planned.outputs], "macs": planned.macs},
                "measured": {"outputs": [list(shape) for shape in measured.outputs], "macs": measured.macs},
            }
            for planned, measured in zip(one.plan.layers, one.layers, strict=False)
        ]
        checks = [check._asdict() | {"differences": [d._asdict() for d in check.differences]} for check in one.checks]
        specs.append(
            {
                "path": one.plan.path,
                "name": one.plan.name,
                "passed": one.passed,
                "checks": checks,
                "layers": layers,
                "notes": list(one.notes),
            }
        )
    for path, diagnostics, error in left:
        specs.append(
            {"path": path, "passed": False, "checks": None, "diagnostics": diagnostics, "error": error or None}
        )
    return {"passed": not left and all(one.passed for one in found), "specs": specs}
