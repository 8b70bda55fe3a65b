"""Networks with operations beside the usual ones: regions, pyramids, unpooling, slices, recurrence, local weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tests.zoo import reference_newer as reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import nn

    import cnnplan

TOTALS = {
    # paper's methods, layer by layer: 230,592 + 11 · 331,968 + 192 + 361; 361 · (230,400 + 11 · 331,776 + 192) MACs
    "alphago_policy": (3_882_793, 1_400_726_208),
    # paper's methods, layer by layer: 235,392 + 11 · 331,968 + 193 + 92,672 + 257
    "alphago_value": (3_980_162, 1_402_551_680),
    "deconvnet": (251_805_653, 32_745_979_904),  # paper: approximately 252 M; MACs layer by layer
    # paper's figure 2, layer by layer: 11,648 + 41,488 + 62,774,800 + 7,850,000 + 2,829,456 + 28,905,472 + 16,510,910
    "deepface": (118_923_774, 517_624_448),
    # layer by layer: 14,714,688 of VGG-16's convolutions, and 119,976,041 of the head, 119,967,744 MACs for a region
    "fast_rcnn": (134_690_729, 191_547_199_488),
    # authors' definition, layer by layer: 60,937,856 for each frame, 1024 · (4096 + 256 + 2), and 257 · 101
    "lrcn": (65_422_309, 19_110_429_184),
    # authors' definition, layer by layer: 64 · 96 + 64 · 48 · 96 + 25 · 48 · 96, 96 · (21² + 9² + 6²) biases, 217 · 10
    "maxout_mnist": (471_994, 30_746_736),
    # ResNet-18, with 520,224,768 MACs more in three convolutions that do not stride, and 9 · 464,128 of filters
    "resnet18_antialiased": (11_689_512, 2_338_475_264),
    "segnet": (29_449_355, 106_712_432_640),  # paper's figure 2 and authors' definition, layer by layer
    "spatial_transformer_mnist": (27_360, 771_300),  # PyTorch's tutorial, layer by layer
    # paper's table 1, layer by layer: 3,726,464 of convolutions, 12,801 · 4096, 4097 · 4096 and 4097 · 1000
    "spp_net": (77_037_672, 1_182_712_960),
    # paper, layer by layer: 300 · 18,765 of words, and 901 · 100 + 1201 · 100 + 1501 · 100 + 301 · 2
    "text_cnn": (5_990_402, 19_020_600),
}

VARIANTS: list[tuple[str, dict[str, Any], int | None, tuple[int, int]]] = [
    # 1200 · filters, 11 · 9 · filters² and 13 · filters + 361
    ("alphago_policy", {"filters": 128}, None, (1_777_641, 641_043_584)),
    ("alphago_policy", {"filters": 256}, None, (6_798_953, 2_453_182_720)),
    ("alphago_policy", {"filters": 384}, None, (15_064_297, 5_436_417_408)),
    ("fast_rcnn", {"regions": 2000}, None, (134_690_729, 423_804_751_872)),  # 1936 · 119,967,744 MACs more
    ("lrcn", {"units": 1024}, None, (82_021_093, 19_375_911_424)),  # 4096 · (4096 + 1024 + 2) and 1025 · 101
    ("resnet18_antialiased", {"filter": 2}, None, (11_689_512, 2_336_154_624)),  # 5 · 464,128 MACs less
    ("resnet18_antialiased", {"filter": 5}, None, (11_689_512, 2_345_901_312)),  # 16 · 464,128 MACs more
    ("spp_net", {}, 180, (77_037_672, 738_002_944)),
    ("spp_net", {"pyramid": [4, 3, 2, 1]}, None, (56_066_152, 1_161_741_440)),  # 20 · 256 · 4096 less
    ("text_cnn", {"static": True}, None, (5_990_402, 19_020_600)),
]

SMALL: dict[str, Sequence[int] | Mapping[str, Any] | None] = {
    "alphago_policy": (15, 15),
    "alphago_value": (15, 15),
    "deconvnet": {"input_size": 64, "variables": {"units": 64, "window": 2}},
    "deepface": (80, 80),
    "fast_rcnn": {"variables": {"height": 80, "width": 120, "regions": 6, "units": 64}},
    "lrcn": (4, 67, 67),
    "maxout_mnist": None,
    "segnet": (45, 64),
    "spatial_transformer_mnist": None,
    "spp_net": (150, 180),
    "text_cnn": {"variables": {"words": 6, "vocabulary": 50}},
}

NO_CLASSES = ("alphago_policy", "alphago_value", "fast_rcnn")


def proposals(plan: cnnplan.Plan, batch: int) -> Tensor:
    """Boxes on the image: x1, y1, x2, y2."""
    image, boxes = (value.shape for value in plan.graph.inputs)
    corners = torch.rand(batch, boxes[0], 2, 2) * torch.tensor([image[2], image[1]])
    return corners.sort(2).values.flatten(2)


INPUTS: dict[tuple[str, str], Callable[[cnnplan.Plan, int], Tensor]] = {("fast_rcnn", "proposals"): proposals}

REFERENCES: dict[str, Callable[[], nn.Module]] = {}

# they compute in another way, or at another size
REFERENCE_VARIANTS: list[tuple[str, dict[str, Any], Callable[[], nn.Module]]] = [
    ("alphago_policy", {}, lambda: reference.AlphaGoPolicy(15)),
    ("deconvnet", {}, lambda: reference.DeconvNet(units=64, window=2)),
    ("deepface", {}, reference.DeepFace),
    ("fast_rcnn", {}, lambda: reference.FastRCNN(units=64)),
    ("lrcn", {}, lambda: reference.LRCN(map_size=1)),
    ("maxout_mnist", {}, reference.MaxoutMnist),
    ("resnet18_antialiased", {}, reference.AntialiasedResNet18),
    ("segnet", {}, reference.SegNet),
    ("spatial_transformer_mnist", {}, reference.SpatialTransformerMnist),
    ("spp_net", {}, reference.SppNet),
    ("text_cnn", {}, lambda: reference.TextCNN(vocabulary=50)),
]
