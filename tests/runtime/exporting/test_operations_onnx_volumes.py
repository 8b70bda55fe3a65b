"""Every operation of `cnnplan ops` that takes a volume, by --format onnx, held against torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.runtime.exporting.operations import SIZES, side_by_side
from tests.runtime.exporting.running import onnx_agrees

if TYPE_CHECKING:
    from pathlib import Path


def test_operations(tmp_path: Path) -> None:
    onnx_agrees(side_by_side(SIZES[3]), tmp_path / "model.onnx", (2, 3))
