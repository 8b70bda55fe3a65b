"""Every operation of `cnnplan ops` that takes one value, by --format export: the bits of the built model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.runtime.exporting.operations import SIZES, side_by_side
from tests.runtime.exporting.running import export_agrees

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("size", SIZES, ids=len)
def test_operations(size: list[int], tmp_path: Path) -> None:
    export_agrees(side_by_side(size), tmp_path / "model.pt2", (2, 3))
