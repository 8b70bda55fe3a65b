"""Networks with an output at each pixel or each region, generators, and 3-D grids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.zoo import reference_dense as reference
from tests.zoo import reference_small as small

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

TOTALS = {
    # paper: layers and filters; 9 channels, no padding and no pooling are assumed: layer by layer
    "atomnet": (267_764_225, 8_107_852_800),
    "conv_autoencoder": (4_385, 751_680),  # Keras' summary of it: 4,385; MACs layer by layer
    "dcgan_paper": (18_855_043, 640_614_400),  # paper's figure 1, layer by layer
    "deeplabv3": (42_004_074, 178_721_945_088),  # torchvision: 178.72, with its auxiliary head
    "espcn": (22_729, 6_538_336),  # paper, layer by layer: 1,664, 18,464 and 2,601
    # paper's table 1: 134 M, which leaves out the frozen up-sampling of 21 · 21 · 64 · 64 weights
    "fcn": (136_152_917, 181_365_854_976),
    "fcn_resnet50": (35_322_218, 152_716_512_000),  # torchvision: 152.72, with its auxiliary head
    # torchvision's fasterrcnn_resnet50_fpn: 41,755,286, without 53,120 of frozen batch norms, with 14,362,055 of a head
    # for regions; 134.38 G, with 1000 regions of 14,359,552
    "fpn": (27_446_351, 120_020_169_216),
    "hrnet": (21_299_004, 4_283_537_072),  # its authors' table of HRNet-W18-C: 21.3 M and 3.99 G, in units of 2^30
    "rcnn": (56_954_261, 720_396_832),  # Caffe's bvlc_alexnet, of 60,965,224, with 21 · 4097 instead of 1000 · 4097
    "recurrent_conv": (672_202, 219_710_400),  # paper's tables: 0.67 M
    "unet_padded": (31_031_745, 192_669_548_544),  # layer by layer: that of the paper with 2 · 64 · 9 more and 65 less
}

VARIANTS = [
    ("deeplabv3", {"depth": 101}, None, (60_996_202, 258_743_039_488)),  # torchvision: 258.74
    ("deeplabv3", {"auxiliary": False}, None, (39_638_869, 168_731_205_888)),  # 1024 · 256 · 9 + 512 + 257 · 21 less
    ("espcn", {"factor": 2}, None, (21_284, 6_122_176)),  # 5 channels less to the last convolution
    # 134,346,581 and (512 + 1) · 21 + 21² · 16 + 21² · 32², and 5,397 + 21² · 16 more with 21² · 16² at the end
    ("fcn", {"stride": 16}, None, (134_815_994, 181_448_086_272)),
    ("fcn", {"stride": 8}, None, (134_489_759, 181_529_034_048)),
    ("fcn_resnet50", {"depth": 101}, None, (54_314_346, 232_737_606_400)),  # torchvision: 232.74
    # the same table: 37.7 M, 41.2 M, 57.6 M, 67.1 M, 77.5 M and 128.1 M; 7.55, 8.31, 11.8, 13.9, 16.1 and 26.9 G
    ("hrnet", {"width": 30}, None, (37_712_220, 8_105_781_680)),
    ("hrnet", {"width": 32}, None, (41_232_680, 8_921_133_056)),
    ("hrnet", {"width": 40}, None, (57_557_160, 12_691_997_440)),
    ("hrnet", {"width": 44}, None, (67_064_984, 14_883_104_960)),
    ("hrnet", {"width": 48}, None, (77_469_864, 17_277_996_032)),
    ("hrnet", {"width": 64}, None, (128_059_944, 28_895_395_840)),
    ("recurrent_conv", {"width": 128}, None, (1_191_178, 387_319_040)),  # paper's tables: 1.19 M
    ("recurrent_conv", {"width": 160}, None, (1_857_610, 602_113_600)),  # paper's tables: 1.86 M
]

SMALL: dict[str, Sequence[int] | None] = {
    "atomnet": (12, 12, 12),
    "conv_autoencoder": None,
    "dcgan_paper": None,
    "rcnn": (67, 67),
}

NO_CLASSES = ("conv_autoencoder", "dcgan_paper", "espcn", "fpn")

REFERENCES: dict[str, Callable[[], nn.Module]] = {
    "dcgan_paper": small.DcganGenerator,
    "deeplabv3": reference.deeplabv3,
    "fcn_resnet50": reference.fcn_resnet50,
    "hrnet": reference.HRNet,
    "recurrent_conv": reference.RecurrentCNN,
    "unet_padded": reference.PaddedUNet,
}

# they compute in another way, and keep other tensors: values are compared, not memory
REFERENCE_VARIANTS: list[tuple[str, dict[str, Any], Callable[[], nn.Module]]] = [
    ("conv_autoencoder", {}, small.ConvAutoencoder),
    ("espcn", {}, small.ESPCN),
    ("fcn", {}, reference.FCN),
    ("fcn", {"stride": 16}, lambda: reference.FCN(16)),
    ("fcn", {"stride": 8}, lambda: reference.FCN(8)),
    ("fpn", {}, reference.FPN),
]
