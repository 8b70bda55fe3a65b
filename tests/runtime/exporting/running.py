"""Runs exported files as their users do, without cnnplan; and the built model, which they have to agree with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import torch

import cnnplan
from cnnplan.runtime.exporting import export

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor, nn

BATCHES = (1, 2, 5)
HEAD = "cnnplan: 1\nname: net\n"


def built(plan: cnnplan.Plan) -> nn.Module:
    """The model with the weights that an export without a file of weights has."""
    torch.manual_seed(0)
    return cnnplan.build(plan).eval()


def inputs(plan: cnnplan.Plan, batch: int) -> list[Tensor]:
    """Random samples, which are not those that the export was compared on."""
    torch.manual_seed(100 + batch)
    tokens = min([getattr(node.op, "num_embeddings", 9) for node in plan.graph.nodes])
    return [
        torch.randint(tokens, (batch, *v.shape)) if v.dtype == "int64" else torch.randn(batch, *v.shape)
        for v in plan.graph.inputs
    ]


@torch.no_grad()
def expected(model: nn.Module, xs: Sequence[Tensor]) -> list[Tensor]:
    """What the model gives."""
    y = model(*xs)
    return [y] if isinstance(y, torch.Tensor) else list(y)


def onnx_session(path: Path) -> onnxruntime.InferenceSession:
    """A file of ONNX, ready to run."""
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def in_onnxruntime(session: onnxruntime.InferenceSession, plan: cnnplan.Plan, xs: Sequence[Tensor]) -> list[Tensor]:
    """What onnxruntime gives for inputs, and outputs, by the names of the spec."""
    names = [value.name for value in plan.graph.inputs]
    given = {name: x.numpy() for name, x in zip(names, xs, strict=True)}
    return [torch.from_numpy(np.asarray(y)) for y in session.run(list(plan.graph.outputs), given)]


def agree(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> None:
    """Hold outputs against each other, up to rounding: 1e-5 of the largest number."""
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        scale = float(b.nan_to_num(0, 0, 0).abs().max()) if b.is_floating_point() else 0.0
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5 * scale, equal_nan=True)


def onnx_agrees(plan: cnnplan.Plan, path: Path, batches: Sequence[int] = BATCHES) -> None:
    """Export a network as ONNX, and run the file on batches of several sizes."""
    found = export(plan, "onnx", path)
    assert 0 <= found.difference <= 1e-5
    session, model = onnx_session(path), built(plan)
    for batch in batches:
        xs = inputs(plan, batch)
        agree(in_onnxruntime(session, plan, xs), expected(model, xs))


def export_agrees(plan: cnnplan.Plan, path: Path, batches: Sequence[int] = BATCHES) -> None:
    """Export a network with torch.export, and run the file: the same operations, so the same bits."""
    assert export(plan, "export", path).difference == 0
    program, model = torch.export.load(path).module(), built(plan)
    for batch in batches:
        xs = inputs(plan, batch)
        for a, b in zip(expected(program, xs), expected(model, xs), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)
