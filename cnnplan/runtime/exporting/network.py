"""The model of a plan with its weights, in evaluation, and random samples for it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError
from cnnplan.runtime.build import build
from cnnplan.runtime.exporting.base import Subject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from cnnplan.graph import Graph
    from cnnplan.planning import Plan
    from cnnplan.runtime.training.artifact import Trained

SEED = 0
"""Of fresh weights."""
FITTED = 16
"""Samples that the statistics of batch norms are taken from: of 4, a fresh EfficientNetV2 is none the calmer."""


class Network(NamedTuple):
    """What is exported.

    Attributes:
        model: on the CPU, in evaluation, in float32.
        trained: what the file of weights says beside them.
        notes: lines to read.
        subject: the model as exporters take it.
    """

    model: nn.Module
    trained: Trained | None
    notes: tuple[str, ...]
    subject: Subject


def network(plan: Plan, weights: Path | None) -> Network:
    """The model of a plan, with the weights of a file or fresh ones.

    Raises:
        UsageError: the file cannot be read, or is of another network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = build(plan.graph).eval()
    trained: Trained | None = None
    notes: tuple[str, ...] = (f"the weights are fresh, of seed {SEED}: --weights model.safetensors gives trained ones",)
    if weights is not None:
        try:
            from cnnplan.runtime.training.artifact import into, load
        except ModuleNotFoundError as error:
            raise UsageError(f"this needs {error.name}: pip install 'cnnplan[export]'") from None
        state, trained = load(weights)
        notes = (*into(model, plan, state, weights, strict=True), *_said(plan, trained, weights))
    return Network(model, trained, notes, _subject(plan.graph, model))


def tamed(graph: Graph, network: Network) -> Network:
    """The same with batch norms whose statistics are those of a batch: nothing grows from layer to layer."""
    model = copy.deepcopy(network.model)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 - torch has no other name for them all
            module.momentum = 1.0
            module.train()
    with torch.no_grad():
        model(*samples(graph, FITTED))
    return network._replace(model=model.eval(), subject=_subject(graph, model))


def _subject(graph: Graph, model: nn.Module) -> Subject:
    batch = torch.export.Dim("batch")
    return Subject(
        _renamed(model),
        tuple(samples(graph, 2)),
        tuple({0: batch} for _ in graph.inputs),
        tuple(value.name for value in graph.inputs),
        tuple(graph.outputs),
    )


def samples(graph: Graph, count: int) -> list[Tensor]:
    """A batch of random samples of each input; the same ones for the same size of the batch."""
    chance = torch.Generator().manual_seed(count)
    tokens = min((getattr(node.op, "num_embeddings", 2) for node in graph.nodes), default=2)
    return [
        torch.randint(tokens, (count, *value.shape), generator=chance)
        if value.dtype == "int64"
        else torch.randn(count, *value.shape, generator=chance)
        for value in graph.inputs
    ]


def _said(plan: Plan, trained: Trained | None, weights: Path) -> Iterator[str]:
    shown = printable(str(weights))
    if trained is None:
        yield f"{shown} says nothing of classes and normalization: neither is in the file"
        return
    names = [value.name for value, mean in zip(plan.graph.inputs, trained.mean, strict=False) if mean]
    if names:
        yield (
            f"inputs are to be normalized as in training: (x - mean) / std of each channel, x from 0 to 1, "
            f"for {', '.join(names)}; the numbers are in the file's metadata"
        )
    now = tuple(tuple(value.shape) for value in plan.graph.inputs)
    if trained.inputs and trained.inputs != now:
        then, here = (", ".join("x".join(map(str, s)) for s in shapes) for shapes in (trained.inputs, now))
        asked = f": give{printable(trained.options)}" if trained.options else ""
        yield f"{shown} was trained at {then}, and this network takes {here}{asked}"


def _renamed(model: nn.Module) -> nn.Module:
    """The model, without children that torch.fx's modules would hide behind members of their own, such as `code`.

    They get a `_` behind their names; the model itself is left as it is.
    """
    members = set(dir(torch.export.export(nn.Identity(), (torch.zeros(1),)).module()))
    children = dict(model.named_children())
    names: dict[str, str] = {}
    for name in members & set(children):
        names[name] = f"{name}_"
        while names[name] in members | set(children):
            names[name] += "_"
    if not names:
        return model
    kind = type(model)
    found: nn.Module = kind.__new__(type(kind.__name__, (kind,), {old: _child(new) for old, new in names.items()}))
    found.__dict__.update(model.__dict__)
    found.__dict__["_modules"] = {names.get(name, name): child for name, child in children.items()}
    return found


def _child(name: str) -> property:
    return property(lambda self: getattr(self, name))
