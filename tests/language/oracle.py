"""Torch as the oracle: what the emitted module must agree with the plan about."""

import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import cnnplan
from cnnplan.emit import emit
from cnnplan.planning import Plan
from tests.language.helpers import plan as planned

RUFF = [sys.executable, "-m", "ruff"]
LIMIT = 3_000_000


def agrees(spec: str, **options: Any) -> Plan:
    """Build a spec and hold the module against the plan: tensors by name, shapes, outputs."""
    plan = planned(spec, **options)
    if plan.parameters > LIMIT or max(v.shape.numel for n in plan.graph.nodes for v in n.outputs) > LIMIT:
        return plan  # valid, but nothing for a test to run
    wanted = {
        f"{node.name}.{tensor}": tuple(shape)
        for node in plan.graph.nodes
        if not node.shared_with
        for tensor, shape in node.op.parameters(*node.shapes).items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module = cnnplan.build(spec, **options).eval()
        assert {name: tuple(p.shape) for name, p in module.named_parameters()} == wanted
        assert sum(p.numel() for p in module.parameters()) == plan.parameters
        assert sum(p.numel() for p in module.parameters() if p.requires_grad) == plan.trainable_parameters
        assert sum(b.numel() for b in module.buffers()) == plan.buffers
        given = run(module, [v.shape for v in plan.graph.inputs], [v.dtype for v in plan.graph.inputs])
    assert [tuple(x.shape) for x in given] == [(2, *v.shape) for v in plan.graph.outputs.values()]
    return plan


def run(module: torch.nn.Module, shapes: Sequence[Sequence[int]], dtypes: Sequence[str]) -> list[torch.Tensor]:
    """What a module gives for two samples of each input."""
    inputs = [
        torch.zeros(2, *shape, dtype=torch.int64) if dtype == "int64" else torch.randn(2, *shape)
        for shape, dtype in zip(shapes, dtypes, strict=True)
    ]
    with torch.no_grad():
        given = module(*inputs)
    if isinstance(given, torch.Tensor):
        return [given]
    return list(given.values()) if isinstance(given, dict) else list(given)


def source(spec: str) -> str:
    """The emitted source, which compiles without a warning."""
    text = emit(planned(spec).graph).text
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compile(text, "model.py", "exec")
    return text


def clean(sources: Sequence[str], folder: Path) -> None:
    """Hold emitted sources against ruff, its formatter included."""
    for index, text in enumerate(sources):
        (folder / f"m{index}.py").write_text(text, encoding="utf-8", newline="")
    for command in (
        ["check", "--select", "E,F,I,B,UP", "--line-length", "120"],
        ["format", "--check", "--diff", "--line-length", "100"],
    ):
        ran = subprocess.run(
            [*RUFF, command[0], "--isolated", "--no-cache", *command[1:], "."],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
