"""Networks on sound, series and video."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.zoo import reference_signals as reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

TOTALS = {
    "anomaly_1d": (9_505, 999_936),  # Keras' example prints 9,505; MACs layer by layer, at 144, 72, 144, 288 and 288
    "r3d_18": (33_371_472, 40_696_553_472),  # torchvision: 40.70
    "tcn": (66_510, 51_607_050),  # paper's tables 1 and 2: 70 K, k = 7, n = 8, 25 hidden units; 784 · 65,825 + 250 MACs
    # paper: CNN-M-2048 on 101 classes, layer by layer; its fully-connected layers are those of 18,432 - 4096 - 2048
    "two_stream_spatial": (90_627_813, 1_663_894_560),
    "two_stream_temporal": (90_707_781, 2_613_994_368),  # 17 · 96 · 49 weights more than of the spatial stream
    # no published number: 256 · 32, 30 · (4 · 32² + 32 · 256), 29 · 32² and 2 · 256² weights, 4096 times; biases
    "wavenet": (548_672, 2_202_009_600),
}

VARIANTS = [
    ("r3d_18", {"classes": 101}, None, (33_218_085, 40_696_400_384)),  # 299 · 513 parameters, 299 · 512 MACs less
    ("two_stream_spatial", {"classes": 1000}, None, (92_469_864, 1_665_735_712)),  # vgg-m-2048 of MatConvNet: 353 MB
    ("wavenet", {"last_residual": True}, None, (549_728, 2_206_203_904)),  # 32 · (32 + 1) parameters more
]

SMALL: dict[str, Sequence[int] | None] = {
    "anomaly_1d": (32,),
    "r3d_18": (16, 32, 32),
    "tcn": (200,),
    "two_stream_spatial": (64, 64),
    "two_stream_temporal": (64, 64),
    "wavenet": (64,),
}

NO_CLASSES = ("anomaly_1d",)

REFERENCES: dict[str, Callable[[], nn.Module]] = {"r3d_18": reference.r3d_18}

# they compute in another way, or at another size
REFERENCE_VARIANTS: list[tuple[str, dict[str, Any], Callable[[], nn.Module]]] = [
    ("anomaly_1d", {}, reference.Anomaly),
    ("tcn", {}, reference.TCN),
    ("two_stream_spatial", {}, lambda: reference.cnn_m_2048(3, True, map_size=1)),
    ("two_stream_temporal", {}, lambda: reference.cnn_m_2048(20, False, map_size=1)),
    ("wavenet", {"last_residual": True}, reference.WaveNet),
]
