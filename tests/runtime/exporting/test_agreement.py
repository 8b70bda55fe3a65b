"""How a file is held against the model: what is rounding, and what is a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

import cnnplan
from cnnplan.runtime.exporting import agreement, export
from cnnplan.runtime.exporting.difference import difference
from tests.emit import small_networks
from tests.language.helpers import net
from tests.runtime.exporting.running import HEAD

if TYPE_CHECKING:
    from pathlib import Path

SENSITIVE = """
- conv: {out_channels: 16, kernel_size: 1, bias: false}
  name: first
  from: image
- global_avgpool: {keepdim: true}
  name: behind
- global_avgpool: {keepdim: true}
  from: image
- share: first
  name: second
- subtract:
  from: [behind, second]
"""
"""0 but for rounding: a convolution of means, and the mean of a convolution."""


def test_rounding_that_is_all_there_is_is_no_fault(tmp_path: Path) -> None:
    plan = cnnplan.plan(net(SENSITIVE, head=f"{HEAD}inputs: {{image: [16, 20, 20]}}\n"))
    found = export(plan, "onnx", tmp_path / "model.onnx")
    assert found.difference > 1e-5
    assert "which is rounding with these weights: each layer by itself agrees to 1e-05, and all" in found.notes[-1]


def test_a_whole_that_differs_though_its_layers_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers wired wrongly: here as if the model were another one when all of it is compared."""
    right = agreement.outputs
    monkeypatch.setattr(agreement, "outputs", lambda model, xs: [y.flip(1) for y in right(model, xs)])
    said = r".*an output of 'chain' differs by \S+ of .*; each layer by itself agrees; --format export may do it"
    with pytest.raises(cnnplan.UsageError, match=f"^{said}$"):
        export(small_networks.plan("chain"), "onnx", tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("found", "wanted", "apart"),
    [
        ([1.0, -4.0], [1.5, -4.0], 0.125),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([1e-9, 0.0], [0.0, 0.0], float("inf")),
        ([float("nan"), 2.0], [float("nan"), 2.0], 0.0),
        ([float("nan"), 2.0], [1.0, 2.0], float("inf")),
        ([float("inf"), 2.0], [float("inf"), 1.0], 1.0),
        ([float("inf"), 2.0], [float("-inf"), 2.0], float("inf")),
        ([1, 2], [1, 2], 0.0),
        ([1, 3], [1, 2], float("inf")),
        ([1.0], [1.0, 1.0], float("inf")),
        ([1, 2], [1.0, 2.0], float("inf")),
        ([], [], 0.0),
    ],
)
def test_difference(found: list[float], wanted: list[float], apart: float) -> None:
    assert difference([torch.tensor(found)], [torch.tensor(wanted)]) == apart
