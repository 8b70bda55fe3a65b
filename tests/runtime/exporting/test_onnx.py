"""ONNX files: onnxruntime gives what torch gives, by the names of the spec, for batches of any size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import onnx
import pytest

import cnnplan
from cnnplan.runtime.exporting import export
from tests.emit import small_networks
from tests.language.helpers import net
from tests.runtime.exporting.running import HEAD, agree, built, expected, in_onnxruntime, inputs, onnx_agrees
from tests.runtime.exporting.running import onnx_session as session

if TYPE_CHECKING:
    from pathlib import Path

COLLIDING = """
- linear: 4
  name: a
  from: linear
- linear: 4
  name: b
  from: linear_1
- relu:
  name: relu_2
  from: a
- relu:
  name: relu
  from: b
- linear: 3
  name: linear_2
- linear: 3
  name: linear_3
  from: relu
"""
"""Inputs and outputs that are called what the exporter calls values in between."""


def sizes(values: object) -> dict[str, list[str | int]]:
    """Names and shapes of inputs or outputs."""
    return {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["two_inputs", "tokens", "audio", "modern"])
def test_a_network(name: str, tmp_path: Path) -> None:
    plan = small_networks.plan(name)
    onnx_agrees(plan, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    graph = plan.graph
    assert sizes(model.graph.input) == {v.name: ["batch", *v.shape] for v in graph.inputs}
    assert sizes(model.graph.output) == {k: ["batch", *v.shape] for k, v in graph.outputs.items()}
    assert [entry.version for entry in model.opset_import if not entry.domain] == [20]


def test_names_that_the_exporter_uses_itself(tmp_path: Path) -> None:
    head = f"{HEAD}inputs: {{linear: [4], linear_1: [4]}}\noutputs: [linear_3, linear_2, relu_2, relu]\n"
    plan = cnnplan.plan(net(COLLIDING, head=head))
    onnx_agrees(plan, tmp_path / "model.onnx")
    assert list(sizes(onnx.load(tmp_path / "model.onnx").graph.input)) == ["linear", "linear_1"]


def test_what_enters_may_leave(tmp_path: Path) -> None:
    """An output that is an input, one that two names have, and names that Python has for other things."""
    layers = "- identity:\n  name: same\n  from: print\n- relu:\n  name: len\n- identity:\n  name: str\n"
    head = f"{HEAD}inputs: {{print: [4], torch: [2, 3]}}\noutputs: [same, len, str]\n"
    onnx_agrees(cnnplan.plan(net(layers, head=head)), tmp_path / "model.onnx")


def test_metadata(tmp_path: Path) -> None:
    text = net("- linear: 1\n", head=f"{HEAD}description: 'café → x'\ninput: [4]\n")
    export(cnnplan.plan(text), "onnx", tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    found = {entry.key: entry.value for entry in model.metadata_props}
    assert found == {
        "network": "net",
        "cnnplan": cnnplan.__version__,
        "description": "café → x",
        "inputs": json.dumps({"input": [4]}),
        "outputs": json.dumps({"linear1": [1]}),
    }
    assert (model.graph.name, model.doc_string) == ("net", "café → x")


def test_the_same_file_each_time_without_this_machines_paths(tmp_path: Path) -> None:
    written = []
    for name in ("a", "b"):
        export(small_networks.plan("two_outputs"), "onnx", tmp_path / f"{name}.onnx")
        written.append((tmp_path / f"{name}.onnx").read_bytes())
    assert written[0] == written[1]
    assert b".py" not in written[0]


def test_large_weights_are_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of ONNX may have 2 GiB: here as if it were 1,000 bytes."""
    monkeypatch.setattr("torch.onnx._internal.exporter._onnx_program._LARGE_MODEL_THRESHOLD", 1_000)
    plan = small_networks.plan("chain")
    (tmp_path / "out").mkdir()
    for _ in range(2):  # the second one replaces both files
        onnx_agrees(plan, tmp_path / "out" / "model.onnx")
        assert sorted(p.name for p in tmp_path.joinpath("out").iterdir()) == ["model.onnx", "model.onnx.data"]
    assert (tmp_path / "out" / "model.onnx.data").stat().st_size >= 4 * 1_000
    (tmp_path / "out").rename(tmp_path / "moved")
    xs = inputs(plan, 2)
    agree(in_onnxruntime(session(tmp_path / "moved" / "model.onnx"), plan, xs), expected(built(plan), xs))
