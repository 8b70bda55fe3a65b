"""Small networks, most of them of textbooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.zoo import reference_small as reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

TOTALS = {
    # paper's section 4, layer by layer: 20,992 + 5,308,672; its 6.8 M are these and 1152 · 10 · 16 · 8 of routing
    "capsnet": (5_329_664, 199_397_376),
    "cnn_100": (370, 2_304_100),  # 10 · (25 + 1) + 10 · (10 + 1); 96 · 96 · 10 · 25 + 100
    "keras_mnist": (1_199_882, 11_992_448),  # Keras' summary of mnist_cnn: 1,199,882; MACs layer by layer
    "mlp_100": (1_001_110, 1_001_000),  # 100 · (10,000 + 1) + 10 · (100 + 1)
    "siamese": (38_951_745, 1_817_251_840),  # usual total of its implementations; MACs layer by layer, two towers
    "two_conv_256": (183_242, 33_193_984),  # 32 · (27 + 1) + 64 · (288 + 1) + 10 · (16,384 + 1)
}

VARIANTS = [
    ("keras_mnist", {"widths": [32, 32]}, None, (600_810, 6_094_208)),  # keras-js' notebook of mnist_cnn: 600,810
]

SMALL: dict[str, Sequence[int] | None] = {
    "capsnet": None,
    "cnn_100": (20, 20),
    "keras_mnist": None,
    "mlp_100": (20, 20),
    "siamese": None,
    "two_conv_256": (32, 32),
}

NO_CLASSES = ("capsnet", "siamese")

REFERENCES: dict[str, Callable[[], nn.Module]] = {"siamese": reference.Siamese}

REFERENCE_VARIANTS: list[tuple[str, dict[str, Any], Callable[[], nn.Module]]] = [
    ("capsnet", {}, reference.PrimaryCapsules),
]
