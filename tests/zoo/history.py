"""Networks of 1980 to 1998."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.zoo import reference_history as reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

TOTALS = {
    # no published number: the planes grow in learning; layer by layer for the planes of this file
    "cresceptron": (64_266, 10_067_968),
    # paper: 60,000 trainable (156, 12, 1516, 32, 48120, 10164), and 84 · 10 of the RBF units; its 340,908 connections
    # without biases and subsampling: 117,600 + 150,000 + 48,000 + 10,080, and 840 of the RBF units
    "lenet5_1998": (60_840, 326_520),
    # no published number: 24 · (25 + 1), 2 · 24 · (24 · 25 + 1) of S-cells, 24 · (25 + 25 + 4) fixed ones of C-cells
    "neocognitron": (30_768, 1_214_496),
    "siann": (2_821, 2_867_200),  # no published number: layer by layer for the sizes of this file
    "tdnn": (521, 6_072),  # paper's figure 2: (16 · 3 + 1) · 8 and (8 · 5 + 1) · 3, and 6; 13 · 8 · 48 + 9 · 3 · 40
}

SMALL: dict[str, Sequence[int] | None] = {
    "cresceptron": None,
    "lenet5_1998": None,
    "neocognitron": None,
    "siann": (16, 16),
    "tdnn": None,
}

# they compute in another way, and keep other tensors: values are compared, not memory
REFERENCE_VARIANTS: list[tuple[str, dict[str, Any], Callable[[], nn.Module]]] = [
    ("lenet5_1998", {}, reference.LeNet5),
    ("tdnn", {}, reference.TDNN),
]
