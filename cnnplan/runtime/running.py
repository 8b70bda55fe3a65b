"""The emitted source: its `forward` against the layers one by one, as a file, and in a backward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cnnplan.emit import emit
from cnnplan.runtime.check import DIFFERS, EQUAL, EXACT, LEFT_OUT, Check, Difference, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cnnplan.planning import Plan

TOLERANCE = 1e-4
"""Outputs of the same layers in the same order: torch may still sum in another order."""

FORWARD = "layers one by one"
SOURCE = "the emitted file"
BACKWARD = "one backward pass"


class _Failed(Exception):
    """The emitted model does not run."""


def _run(model: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    try:
        outputs = model(*inputs)
    except (RuntimeError, ValueError, IndexError, TypeError, AttributeError) as error:
        raise _Failed(f"torch refuses: {str(error).partition(chr(10))[0]}") from error
    return [outputs] if isinstance(outputs, Tensor) else list(outputs)


def checked(what: str, oracle: str, planned: str, check: Callable[[], Check]) -> Check:
    """A check whose model may not run at all."""
    try:
        return check()
    except _Failed as failed:
        return Check(what, planned, "", oracle, DIFFERS, (Difference(what, None, "runs", str(failed)),))


@torch.no_grad()
def forward(plan: Plan, model: nn.Module, inputs: Sequence[Tensor], expected: Sequence[Tensor]) -> Check:
    """The emitted `forward` gives what the planned layers give, one after the other."""
    return _same(plan, "forward", FORWARD, _run(model, inputs), expected)


@torch.no_grad()
def source(plan: Plan, model: nn.Module, inputs: Sequence[Tensor]) -> Check:
    """The file that `cnnplan build` writes, run as a file of its own, is the built model."""
    emitted = emit(plan.graph)
    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(emitted.text, "<emitted>", "exec"), namespace)  # noqa: S102 - our own emitter's output
    with torch.device("meta"):
        other: nn.Module = namespace[emitted.model]()
    other.load_state_dict(model.state_dict(), strict=True, assign=True)
    return _same(plan, "source", SOURCE, _run(other.eval(), inputs), _run(model, inputs))


def _same(plan: Plan, what: str, oracle: str, found: Sequence[Tensor], expected: Sequence[Tensor]) -> Check:
    names = list(plan.graph.outputs)
    differences = []
    apart = 0.0
    for index, (name, value) in enumerate(plan.graph.outputs.items()):
        if index >= len(found) or index >= len(expected) or found[index].shape != expected[index].shape:
            differences.append(Difference(name, None, str(value.shape), "missing, or of another shape"))
            continue
        a, b = found[index].double(), expected[index].double()
        both = a.isnan() & b.isnan() | (a == b)
        known = b[b.isfinite()].abs()
        away = torch.where(both, 0.0, (a - b).abs() / (known.amax().clamp(min=1e-6) if known.numel() else 1.0))
        off = float("inf") if bool((a.isnan() != b.isnan()).any()) else float(away.max())
        apart = max(apart, off)
        if not off <= TOLERANCE:
            differences.append(Difference(name, None, "the same", f"{off:.2g} of the largest value apart"))
    if expected and not any(bool(y.isfinite().any()) for y in expected):
        return Check(what, counted(len(names), "output"), "not finite", oracle, LEFT_OUT)
    text = "the same bits" if apart == 0 else f"{apart:.1g} apart"
    planned = counted(len(names), "output")
    verdict = DIFFERS if differences or len(found) != len(names) else EXACT if apart == 0 else EQUAL
    return Check(what, planned, text, oracle, verdict, tuple(differences))


def gradients(plan: Plan, model: nn.Module, inputs: Sequence[Tensor]) -> Check:
    """One backward pass reaches every trainable parameter."""
    wanted = {name: p for name, p in model.named_parameters() if p.requires_grad}
    oracle = BACKWARD
    if not wanted:
        return Check("gradients", "none", "none", "no parameter is trainable", EXACT)
    total = torch.zeros((), device=inputs[0].device)
    for y in _run(model, inputs):
        if y.requires_grad:
            total = total + (y * torch.randn_like(y)).sum()
    if total.requires_grad:
        total.backward()  # type: ignore[no-untyped-call]
    missing = [name for name, p in wanted.items() if p.grad is None]
    model.zero_grad(set_to_none=True)
    lines = {f"{x.node.path}.{name}": x.line for x in plan.layers for name in x.work.tensors}
    differences = tuple(
        Difference(name, lines.get(name), "a gradient", "none: no path to an output") for name in missing
    )
    measured = counted(len(wanted) - len(missing), "tensor")
    return Check(
        "gradients", counted(len(wanted), "tensor"), measured, oracle, DIFFERS if missing else EXACT, differences
    )
