"""Every operation of `cnnplan ops` that takes several values, by both formats; and whether all are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.ops import registry
from tests.runtime.exporting.operations import OF_SEVERAL, SIZES, fitting, of_several
from tests.runtime.exporting.running import export_agrees, onnx_agrees

if TYPE_CHECKING:
    from pathlib import Path


def test_onnx(tmp_path: Path) -> None:
    onnx_agrees(of_several(), tmp_path / "model.onnx", (2, 3))


def test_torch_export(tmp_path: Path) -> None:
    export_agrees(of_several(), tmp_path / "model.pt2", (2, 3))


def test_every_operation_is_asked_here_or_alone() -> None:
    asked = {layer.partition(":")[0] for size in SIZES for layer in fitting(size)}
    assert asked | {*OF_SEVERAL} == {name for name in registry.names() if registry.find(name) is not None}
