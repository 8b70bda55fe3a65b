"""Every operation of `cnnplan ops` that takes a vector or a sequence, by --format onnx, held against torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.runtime.exporting.operations import SIZES, side_by_side
from tests.runtime.exporting.running import onnx_agrees

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("size", SIZES[:2], ids=len)
def test_operations(size: list[int], tmp_path: Path) -> None:
    onnx_agrees(side_by_side(size), tmp_path / "model.onnx", (2, 3))
