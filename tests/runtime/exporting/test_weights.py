"""Weights of a file and what stands beside them; packages that are missing."""

from __future__ import annotations

import json
import sys
from math import isnan
from typing import TYPE_CHECKING

import onnx
import pytest
import torch

import cnnplan
from cnnplan.runtime.exporting import export
from cnnplan.runtime.training.artifact import Trained, save
from tests.emit import small_networks
from tests.runtime.exporting.running import agree, built, expected, in_onnxruntime, inputs, onnx_session

if TYPE_CHECKING:
    from pathlib import Path

TRAINED = Trained(
    classes=("cat", "dog", "emu", "fox", "gnu"),
    mean=((0.1, 0.2, 0.3),),
    std=((0.4, 0.5, 0.6),),
    network="chain",
    loss="cross_entropy",
    inputs=((3, 12, 12),),
)
NORMALIZED = (
    "inputs are to be normalized as in training: (x - mean) / std of each channel, x from 0 to 1, for input; "
    "the numbers are in the file's metadata"
)
FRESH = "the weights are fresh, of seed 0: --weights model.safetensors gives trained ones"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Weights and statistics that are not fresh."""
    path = tmp_path / "weights.safetensors"
    save(path, small_networks.build("chain", seed=5).state_dict(), TRAINED)
    return path


def test_onnx(weights: Path, tmp_path: Path) -> None:
    plan = small_networks.plan("chain")
    found = export(plan, "onnx", tmp_path / "model.onnx", weights)
    assert found.notes == (
        f"wrote {tmp_path / 'model.onnx'}: chain with 2,945 parameters; outputs differ from the model's by "
        f"{found.difference:.1g}",
        NORMALIZED,
    )
    model, xs = small_networks.build("chain", seed=5).eval(), inputs(plan, 4)
    agree(in_onnxruntime(onnx_session(tmp_path / "model.onnx"), plan, xs), expected(model, xs))
    metadata = {entry.key: entry.value for entry in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert json.loads(metadata["classes"]) == ["cat", "dog", "emu", "fox", "gnu"]
    assert json.loads(metadata["normalization"]) == {"input": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}}
    assert metadata["loss"] == "cross_entropy"


def test_torch_export(weights: Path, tmp_path: Path) -> None:
    plan = small_networks.plan("chain")
    assert export(plan, "export", tmp_path / "model.pt2", weights).difference == 0
    extra = {"cnnplan.json": ""}
    program = torch.export.load(tmp_path / "model.pt2", extra_files=extra).module()
    (x,) = inputs(plan, 4)
    assert torch.equal(program(x), small_networks.build("chain", seed=5).eval()(x))
    found = json.loads(extra["cnnplan.json"])
    assert found["classes"] == ["cat", "dog", "emu", "fox", "gnu"]
    assert found["normalization"] == {"input": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}}


def test_fresh_weights_are_those_of_seed_0(tmp_path: Path) -> None:
    """And the numbers that come next are drawn as if nothing had been exported."""
    plan = small_networks.plan("chain")
    torch.manual_seed(7)
    wanted = torch.rand(3)
    torch.manual_seed(7)
    assert export(plan, "export", tmp_path / "model.pt2").notes[1:] == (FRESH,)
    assert torch.equal(torch.rand(3), wanted)
    state, model = torch.export.load(tmp_path / "model.pt2").state_dict, built(plan)
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())


def test_another_size_than_in_training(weights: Path, tmp_path: Path) -> None:
    save(weights, small_networks.build("chain").state_dict(), TRAINED._replace(inputs=((3, 14, 10),), options=" --x 1"))
    found = export(small_networks.plan("chain"), "export", tmp_path / "model.pt2", weights)
    assert found.notes[2] == f"{weights} was trained at 3x14x10, and this network takes 3x12x12: give --x 1"


def test_a_file_of_tensors_alone(tmp_path: Path) -> None:
    torch.save(small_networks.build("chain").state_dict(), tmp_path / "weights.pt")
    found = export(small_networks.plan("chain"), "export", tmp_path / "model.pt2", tmp_path / "weights.pt")
    said = f"{tmp_path / 'weights.pt'} says nothing of classes and normalization: neither is in the file"
    assert found.notes[1:] == (said,)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("weights.safetensors", r"layer 'conv1' \(line \d+\): .* in the spec"),
        ("none.safetensors", "no such file"),
        ("folder", "directory"),
        ("text.safetensors", "text.safetensors"),
    ],
)
def test_weights_of_another_network_or_none(name: str, said: str, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.safetensors").write_text("hello")
    (tmp_path / "out").mkdir()
    with pytest.raises(cnnplan.UsageError, match=said):
        export(small_networks.plan("audio"), "export", tmp_path / "out" / "model.pt2", tmp_path / name)
    assert list(tmp_path.joinpath("out").iterdir()) == []


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(cnnplan.UsageError, match=rf"^this needs {package}: pip install 'cnnplan\[export\]'$"):
        export(small_networks.plan("chain"), "onnx", tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
    assert export(small_networks.plan("chain"), "export", tmp_path / "model.pt2").difference == 0


def test_safetensors_is_missing(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.delitem(sys.modules, "cnnplan.runtime.training.artifact")
    with pytest.raises(cnnplan.UsageError, match=r"^this needs safetensors: pip install 'cnnplan\[export\]'$"):
        export(small_networks.plan("chain"), "export", tmp_path / "model.pt2", weights)


def test_without_onnxruntime_the_file_is_checked_and_said_to_be_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found = export(small_networks.plan("chain"), "onnx", tmp_path / "model.onnx")
    assert isnan(found.difference)
    assert found.notes[0] == f"wrote {tmp_path / 'model.onnx'}: chain with 2,945 parameters"
    assert found.notes[-1] == "onnxruntime is not installed: the file is checked, but has not been run"
    monkeypatch.undo()
    plan, xs = small_networks.plan("chain"), inputs(small_networks.plan("chain"), 2)
    agree(in_onnxruntime(onnx_session(tmp_path / "model.onnx"), plan, xs), expected(built(plan), xs))
