"""Parameters and buffers: the tensors of the plan against those of the built model."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from cnnplan.runtime.check import DIFFERS, EXACT, Check, Difference, counted, sizes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

    from cnnplan.graph import Node
    from cnnplan.planning import Plan


def tensors(plan: Plan, model: nn.Module) -> Iterator[Check]:
    """Parameters and buffers, by name and shape."""
    parameters, buffers, frozen = {}, {}, set()
    for layer in plan.layers:
        node = layer.node
        if node.shared_with:
            continue
        parameters.update({(node, name): shape for name, shape in layer.work.tensors.items()})
        buffers.update({(node, name): shape for name, shape in node.op.buffers(*node.shapes).items()})
        if not node.trainable:
            frozen |= {f"{node.path}.{name}" for name in layer.work.tensors}
    found = {name: tuple(p.shape) for name, p in model.named_parameters()}
    yield _compared("parameters", plan.parameters, parameters, found)
    yield _compared("buffers", plan.buffers, buffers, {name: tuple(b.shape) for name, b in model.named_buffers()})
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if frozen or trained != plan.trainable_parameters:
        wrong = [name for name, p in model.named_parameters() if p.requires_grad == (name in frozen)]
        differences = tuple(Difference(name, None, "frozen" if name in frozen else "trained", "not") for name in wrong)
        verdict = DIFFERS if wrong or trained != plan.trainable_parameters else EXACT
        planned = f"{plan.trainable_parameters:,}"
        yield Check("trainable", planned, f"{trained:,}", "requires_grad", verdict, differences)


def _compared(
    what: str, total: int, planned: Mapping[tuple[Node, str], tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> Check:
    differences = []
    left = dict(found)
    for (node, name), shape in planned.items():
        measured = left.pop(f"{node.path}.{name}", None)
        if measured != shape:
            text = "none" if measured is None else sizes(measured)
            differences.append(Difference(f"{node.path}.{name}", node.line, sizes(shape), text))
    differences += [Difference(name, None, "none", sizes(shape)) for name, shape in left.items()]
    measured_total = sum(map(prod, found.values()))
    verdict = DIFFERS if differences or total != measured_total else EXACT
    oracle = f"{counted(len(found), 'tensor')} by name"
    return Check(what, f"{total:,}", f"{measured_total:,}", oracle, verdict, tuple(differences))
