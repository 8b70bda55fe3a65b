"""A layer that a format cannot express, or gets wrong, is named; nothing is written then."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import torch

import cnnplan
from cnnplan.runtime.exporting import export
from cnnplan.runtime.exporting.translations import TRANSLATIONS
from tests.language.helpers import net
from tests.runtime.exporting.running import HEAD

if TYPE_CHECKING:
    from pathlib import Path

MAXPOOL = torch.ops.aten.adaptive_max_pool2d.default
POOLS = """
- conv: {out_channels: 4, kernel_size: 3, padding: 1}
- batchnorm
- relu
- adaptive_maxpool: 7
- adaptive_maxpool: 3
- upsample: 4
- adaptive_maxpool: 7
- global_avgpool
- linear: 3
"""


def pools() -> cnnplan.Plan:
    """A chain with pools in lines 8, 9 and 11, the last like the first."""
    return cnnplan.plan(net(POOLS, head=f"{HEAD}input: [3, 12, 12]\n"))


def refused(plan: cnnplan.Plan, path: Path) -> str:
    """What is said of a network that cannot be exported; an old file stays, alone."""
    path.write_text("old")
    with pytest.raises(cnnplan.UsageError) as found:
        export(plan, "onnx", path)
    assert [p.read_text() for p in path.parent.iterdir()] == ["old"]
    return str(found.value)


def test_what_cannot_be_expressed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's own exporter has no ONNX for this pool."""
    monkeypatch.delitem(TRANSLATIONS, MAXPOOL)
    assert refused(pools(), tmp_path / "model.onnx") == (
        "--format onnx cannot express 'adaptive_maxpool' of layer 'adaptive_maxpool1' (line 8): "
        "No ONNX function found for aten.adaptive_max_pool2d.default; --format export can"
    )


def test_an_error_of_the_runtime_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A translation that onnxruntime refuses to run."""

    def wrong(x: Any, size: Any) -> Any:
        from onnxscript import opset18

        return (opset18.Reshape(x, opset18.Constant(value_ints=[1, 2, 3])),)

    monkeypatch.setitem(TRANSLATIONS, MAXPOOL, wrong)
    said = refused(pools(), tmp_path / "model.onnx")
    assert re.match(r"--format onnx cannot express 'adaptive_maxpool' of layer 'adaptive_maxpool1' \(line 8\): ", said)
    assert "\n" not in said


def test_wrong_numbers_are_seen_and_their_layer_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool of 3 by 3 bins gives a little more than the largest number."""
    right = TRANSLATIONS[MAXPOOL]

    def wrong(x: Any, size: Any) -> Any:
        from onnxscript import opset18

        (y,) = right(x, size)
        factor = opset18.Constant(value_floats=[1.001])
        return (opset18.Mul(y, factor) if size[0] == 3 else y,)

    monkeypatch.setitem(TRANSLATIONS, MAXPOOL, wrong)
    assert refused(pools(), tmp_path / "model.onnx") == (
        "--format onnx gives other numbers than the model: layer 'adaptive_maxpool2' (adaptive_maxpool, line 9) "
        "differs by 0.001 of its largest number, and rounding may by 1e-05; --format export may do it"
    )
