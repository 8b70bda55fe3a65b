"""Image classification from 2013 to 2023: ZFNet and network in network to EfficientNetV2, RegNet and ConvNeXt.

"authors" with two numbers: the exact complexity of each model in pycls, which the authors of RegNet published. It
counts the biases of convolutions and dense layers, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.zoo import reference_imagenet as reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

TOTALS = {
    "convnext": (28_589_128, 4_455_531_264),  # torchvision: 4.46; paper's table 1: 29 M and 4.5 G
    "convnext_v2": (28_635_496, 4_455_531_264),  # authors: 28.6 M, 4.47 G; torchvision's V1: 4.46
    "efficientnet": (5_288_548, 385_814_752),  # torchvision: 0.39; paper's table 2: 5.3 M and 0.39 G
    "efficientnet_v2": (21_458_488, 8_365_617_152),  # torchvision: 8.37; paper's table 7: 22 M and 8.8 G
    "googlenet_bn": (6_624_904, 1_498_376_192),  # torchvision: 1.50
    "mobilenet_v3_small": (2_542_856, 56_510_400),  # torchvision: 0.06; paper's table 3: 2.5 M and 56 M
    "nin_cifar10": (966_986, 222_486_528),  # layer by layer from the authors' definition; paper's section 4: no total
    "nin_imagenet": (7_595_176, 1_100_188_800),  # layer by layer from Caffe's model, whose weights are 29 MB
    "regnet_x": (5_157_512, 397_677_568),  # authors: 5,157,512 and 397,678,568, with 1000 biases
    "regnet_y": (4_344_144, 401_842_848),  # torchvision: 0.40; authors: 4,344,144 and 401,849,056, with 6208 biases
    "zfnet": (62_357_608, 1_168_032_896),  # layer by layer from the paper's figure 3: below
}

# ZFNet, parameters and units of its maps, by figure 3: 7 · 7 · 3 · 96 + 96 on 110x110, 5 · 5 · 96 · 256 + 256 on 26x26,
# 3 · 3 · 256 · 384 + 384, 3 · 3 · 384 · 384 + 384 and 3 · 3 · 384 · 256 + 256 on 13x13, then
# 9216 · 4096 + 4096, 4096 · 4096 + 4096 and 4096 · 1000 + 1000.

# the authors' list of models
CONVNEXTS_V2 = {
    "atto": (3_708_400, 547_332_480),  # 3.7 M and 0.55 G
    "femto": (5_233_240, 779_629_824),  # 5.2 M and 0.78 G
    "pico": (9_066_280, 1_367_055_360),  # 9.1 M and 1.37 G
    "nano": (15_623_800, 2_445_528_320),  # 15.6 M and 2.45 G
    "base": (88_717_800, 15_354_729_472),  # 89 M and 15.4 G
    "large": (197_956_840, 34_361_433_600),  # 198 M and 34.4 G
    "huge": (660_289_640, 114_922_100_480),  # 660 M and 115 G
}

DENSENETS = {
    161: (28_681_000, 7_727_907_072),  # torchvision: 7.73
    169: (14_149_480, 3_359_843_328),  # torchvision: 3.36
    201: (20_013_928, 4_291_365_888),  # torchvision: 4.29
}

EFFICIENTNETS = {
    "b1": (7_794_184, 686_802_832),  # torchvision: 0.69
    "b2": (9_109_994, 993_561_872),  # torchvision's parameters; authors of RegNet: 993,578,282, with 16,410 biases
    "b3": (12_233_232, 1_827_141_392),  # torchvision: 1.83
    "b4": (19_341_616, 4_393_771_024),  # torchvision: 4.39
    "b5": (30_389_784, 10_266_384_752),  # torchvision: 10.27
    "b6": (43_040_704, 19_067_593_536),  # torchvision: 19.07
    "b7": (66_347_960, 37_745_884_192),  # torchvision: 37.75
}

REGNETS_X = {
    "200MF": (2_684_792, 199_039_872),  # authors: 2,684,792 and 199,040,872
    "600MF": (6_196_040, 600_890_112),  # authors: 6,196,040 and 600,891,112
    "800MF": (7_259_656, 799_699_712),  # torchvision: 0.80; authors: 799,700,712
    "1.6GF": (9_190_136, 1_602_849_792),  # torchvision: 1.60; authors: 1,602,850,792
    "3.2GF": (15_296_552, 3_176_621_952),  # torchvision: 3.18; authors: 3,176,622,952
    "4.0GF": (22_118_248, 3_964_498_816),  # authors: 22,118,248 and 3,964,499,816
    "6.4GF": (26_209_256, 6_460_291_264),  # authors: 26,209,256 and 6,460,292,264
    "8.0GF": (39_572_648, 7_995_132_416),  # torchvision: 8.00; authors: 7,995,133,416
    "12GF": (46_106_056, 12_086_678_016),  # authors: 46,106,056 and 12,086,679,016
    "16GF": (54_278_536, 15_940_755_456),  # torchvision: 15.94; authors: 15,940,756,456
    "32GF": (107_811_560, 31_735_929_792),  # torchvision: 31.74; authors: 31,735,930,792
}

REGNETS_Y = {
    "200MF": (3_162_996, 199_514_080),  # authors: 3,162,996 and 199,519,076
    "600MF": (6_055_160, 601_220_992),  # authors: 6,055,160 and 601,227,608
    "800MF": (6_263_168, 797_176_832),  # authors: 6,263,168 and 797,183,328
    "1.6GF": (11_202_430, 1_612_076_160),  # torchvision: 1.61; authors: 1,612,087,326
    "3.2GF": (19_436_338, 3_176_482_752),  # torchvision: 3.18; authors: 3,176,496,162
    "4.0GF": (20_646_656, 3_973_288_448),  # authors: 20,646,656 and 3,973,301,344
    "6.4GF": (30_583_252, 6_355_204_992),  # authors: 30,583,252 and 6,355,221,876
    "8.0GF": (39_180_068, 7_963_057_312),  # authors: 39,180,068 and 7,963,074,196
    "12GF": (51_822_544, 12_092_376_576),  # authors: 51,822,544 and 12,092,395,504
    "16GF": (83_590_140, 15_911_510_272),  # torchvision: 15.91; authors: 15,911,534,044
    "32GF": (145_046_770, 32_279_552_832),  # torchvision: 32.28; authors: 32,279,583,362
}

VARIANTS: list[tuple[str, dict[str, Any], int | None, tuple[int, int]]] = [
    ("convnext", {"size": "small"}, None, (50_223_688, 8_683_712_256)),  # torchvision: 8.68
    ("convnext", {"size": "base"}, None, (88_591_464, 15_354_729_472)),  # torchvision: 15.36
    ("convnext", {"size": "large"}, None, (197_767_336, 34_361_433_600)),  # torchvision: 34.36
    *(("convnext_v2", {"size": size}, None, totals) for size, totals in CONVNEXTS_V2.items()),
    *(("densenet", {"depth": depth}, None, totals) for depth, totals in DENSENETS.items()),
    *(("efficientnet", {"variant": variant}, None, totals) for variant, totals in EFFICIENTNETS.items()),
    ("efficientnet", {"variant": "b2"}, 288, (9_109_994, 1_087_529_456)),  # torchvision, at its size: 1.09
    ("efficientnet_v2", {"size": "m"}, None, (54_139_356, 24_582_460_384)),  # torchvision: 24.58
    ("efficientnet_v2", {"size": "l"}, None, (118_515_272, 56_079_699_008)),  # torchvision: 56.08
    ("googlenet_bn", {"auxiliary": True}, None, (13_004_888, 1_506_748_416)),  # torchvision, with its heads
    ("mnasnet", {"alpha": 0.5}, None, (2_218_512, 104_455_968)),  # torchvision: 0.10
    ("mnasnet", {"alpha": 0.75}, None, (3_170_208, 215_493_104)),  # torchvision: 0.21
    ("mnasnet", {"alpha": 1.3}, None, (6_282_256, 526_362_432)),  # torchvision: 0.53
    *(("regnet_x", {"variant": variant}, None, totals) for variant, totals in REGNETS_X.items()),
    ("regnet_x", {"widths": [32, 64, 160, 400]}, None, (5_495_976, 413_812_608)),  # torchvision: 0.41
    *(("regnet_y", {"variant": variant}, None, totals) for variant, totals in REGNETS_Y.items()),
    # torchvision: 0.83 and 8.47
    ("regnet_y", {"variant": "800MF", "widths": [64, 144, 320, 784]}, None, (6_432_512, 833_856_256)),
    ("regnet_y", {"variant": "8.0GF", "widths": [224, 448, 896, 2016]}, None, (39_381_472, 8_473_070_592)),
    # torchvision: 16.41 for ResNeXt-101 32x8d, 15.46 for 64x4d, 22.75 for Wide ResNet-101-2
    ("resnext50", {"depths": [3, 4, 23, 3], "width_per_group": 8}, None, (88_791_336, 16_414_015_488)),
    ("resnext50", {"depths": [3, 4, 23, 3], "groups": 64}, None, (83_455_272, 15_460_270_080)),
    ("wide_resnet50", {"depths": [3, 4, 23, 3]}, None, (126_886_696, 22_753_050_624)),
    ("shufflenet_v2", {"scale": 0.5}, None, (1_366_792, 40_476_448)),  # torchvision: 0.04; paper: 1.4 M, 41 M
    ("shufflenet_v2", {"scale": 1.5}, None, (3_503_624, 295_759_392)),  # torchvision: 0.30; paper: 3.5 M, 299 M
    ("shufflenet_v2", {"scale": 2.0}, None, (7_393_996, 583_253_464)),  # torchvision: 0.58; paper: 7.4 M, 591 M
]

SMALL: dict[str, Sequence[int] | None] = {
    "nin_cifar10": None,
    "nin_imagenet": (99, 99),
    "zfnet": (64, 64),
}

REFERENCES: dict[str, Callable[[], nn.Module]] = {
    "convnext": reference.convnext_tiny,
    "efficientnet": reference.efficientnet_b0,
    "efficientnet_v2": reference.efficientnet_v2_s,
    "googlenet_bn": reference.GoogLeNetBN,
    "mobilenet_v3_small": reference.mobilenet_v3_small,
    "nin_cifar10": reference.nin_cifar10,
    "nin_imagenet": reference.nin_imagenet,
    "regnet_x": reference.regnet_x_400mf,
    "regnet_y": reference.regnet_y_400mf,
    "shufflenet_v2": reference.shufflenet_v2,
}

# compared in what they compute alone: the paper's formula of the response keeps other tensors than ours
REFERENCE_VARIANTS: list[tuple[str, dict[str, Any], Callable[[], nn.Module]]] = [
    ("convnext_v2", {"size": "atto"}, reference.convnext_v2_atto),
]
