"""How a checkpoint fits a network, for people and for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnplan.diagnostics import printable
from cnnplan.render.numbers import plural
from cnnplan.render.styled import Styled
from cnnplan.safetensors import sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.planning import Plan
    from cnnplan.weights import Mismatch, Planned, Weights

SHOWN = 6
"""So many differences of a kind are listed."""


def lines(found: Weights, plan: Plan) -> Styled:
    """What fits, what does not, and why."""
    out = Styled("weights     ")
    if found.fits:
        out.add(f"all {plural(found.tensors, 'tensor')} fit", "green")
        out.add(f"{_counters(found)}\n")
    else:
        out.add(f"the checkpoint does not fit '{plan.name}'", "bold red")
        out.add(f": {found.fitting:,} of {plural(found.tensors, 'tensor')} fit, {found.found:,} are in the file\n")
    _listed(out, "of another shape", [_mismatch(one) for one in found.mismatched])
    _listed(out, "not in the file", [_missing(one) for one in found.missing])
    extra = [(name, f"{tensor.dtype} {sizes(tensor.shape)}") for name, tensor in found.unexpected]
    _listed(out, "of no layer", extra)
    for hint in found.hints:
        out.add("  = ", "blue")
        out.add("help: " if not found.fits else "note: ", "bold")
        out.add(f"{hint}\n")
    out.add("\n")
    return out


def _counters(found: Weights) -> str:
    if not found.counters:
        return ""
    return f"; {plural(found.counters, 'counter')} of batches, not in the file, start from 0"


def _mismatch(one: Mismatch) -> tuple[str, str]:
    note = f"; {one.note}" if one.note else ""
    said = f"{sizes(one.found.shape)} in the file, {sizes(one.planned.shape)} here"
    return one.planned.name, f"{said} (line {one.planned.node.line}){note}"


def _missing(one: Planned) -> tuple[str, str]:
    return one.name, f"{sizes(one.shape)} (line {one.node.line})"


def _listed(out: Styled, what: str, rows: Sequence[tuple[str, str]]) -> None:
    if not rows:
        return
    out.add(f"  {len(rows):,} {what}\n")
    width = min(60, max(len(printable(name)) for name, _ in rows[:SHOWN]))
    for name, said in rows[:SHOWN]:
        out.add(f"    {printable(name):<{width}}  ")
        out.add(f"{said}\n", "dim")
    if len(rows) > SHOWN:
        out.add(f"    and {len(rows) - SHOWN:,} more\n", "dim")


def as_dict(found: Weights) -> dict[str, Any]:
    """The same for programs: every difference."""
    return {
        "fits": found.fits,
        "tensors": found.tensors,
        "in_file": found.found,
        "fitting": found.fitting,
        "missing": [_planned(one) for one in found.missing],
        "unexpected": [{"name": name, "dtype": t.dtype, "shape": list(t.shape)} for name, t in found.unexpected],
        "mismatched": [
            _planned(one.planned)
            | {"found": {"dtype": one.found.dtype, "shape": list(one.found.shape)}, "note": one.note or None}
            for one in found.mismatched
        ],
        "counters": found.counters,
        "prefix": found.prefix or None,
        "lacks": found.lacks or None,
        "dtypes": dict(found.dtypes),
        "hints": list(found.hints),
    }


def _planned(one: Planned) -> dict[str, Any]:
    return {
        "name": one.name,
        "layer": one.node.name,
        "line": one.node.line,
        "shape": list(one.shape),
        "dtype": one.dtype,
    }
