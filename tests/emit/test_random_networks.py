"""Random networks: the emitted model is the planned one, and its source looks written by hand."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import torch
from hypothesis import HealthCheck, given, settings

import cnnplan
from cnnplan.emit import emit
from cnnplan.runtime.build import build
from cnnplan.runtime.interpreter import interpret
from tests.networks import Spec, networks

slow = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much])


@given(networks())
@slow
def test_the_built_model_is_the_planned_network(spec: Spec) -> None:
    plan = cnnplan.plan(spec)
    model = build(plan.graph)
    planned = {
        f"{layer.name}.{name}": shape
        for layer in plan.layers
        if not layer.node.shared_with
        for name, shape in layer.work.tensors.items()
    }
    assert {name: tuple(p.shape) for name, p in model.named_parameters()} == planned
    assert sum(p.numel() for p in model.parameters()) == plan.parameters
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == plan.trainable_parameters
    assert sum(b.numel() for b in model.buffers()) == plan.buffers
    x = [torch.randn(2, *v.shape) for v in plan.graph.inputs]
    model.eval()
    (expected,) = interpret(plan.graph, model, x)
    y = model(*x)
    assert tuple(y.shape[1:]) == tuple(next(iter(plan.graph.outputs.values())).shape)
    torch.testing.assert_close(y, expected, equal_nan=True)
    torch.testing.assert_close(copy.deepcopy(model)(*x), y, equal_nan=True)
    torch.testing.assert_close(pickle.loads(pickle.dumps(model))(*x), y, equal_nan=True)


@given(networks())
@slow
def test_gradients_reach_what_reaches_the_output(spec: Spec) -> None:
    plan = cnnplan.plan(spec)
    model = build(plan.graph).train()
    x = [torch.randn(3, *v.shape) for v in plan.graph.inputs]
    y = model(*x)
    if not y.requires_grad:
        assert plan.trainable_parameters == 0
        return
    y.sum().backward()
    dead = {d.layer for d in plan.diagnostics if d.code == "R401"}
    if not dead:
        assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_the_source_is_as_a_formatter_leaves_it(tmp_path: Path) -> None:
    count = 0

    @given(networks(most=9))
    @slow
    def collect(spec: Spec) -> None:
        nonlocal count
        (tmp_path / f"net{count}.py").write_text(emit(cnnplan.plan(spec).graph).text)
        count += 1

    collect()
    assert count > 20
    ruff = [sys.executable, "-m", "ruff"]
    checks = [
        [*ruff, "check", "--isolated", "--select", "E,F,I,B,UP", "--line-length", "120", tmp_path],
        [*ruff, "format", "--isolated", "--diff", "--line-length", "100", tmp_path],
    ]
    for command in checks:
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-500:]
