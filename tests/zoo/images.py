"""The zoo's first networks: image classification, with C3D, DCGAN, U-Net and M5."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import reference_models as reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

TOTALS = {
    "alexnet": (61_100_840, 714_188_480),  # torchvision: 0.71
    "alexnet_2012": (60_965_224, 724_406_816),  # paper: 60 million; Caffe's bvlc_alexnet: 60,965,224
    "c3d": (78_409_573, 38_547_378_176),  # paper's figure 3; 38.5 G is the usual count for 16 frames
    "dcgan_discriminator": (2_765_568, 103_817_216),  # PyTorch's tutorial, layer by layer
    "dcgan_generator": (3_576_704, 104_628_224),  # PyTorch's tutorial, layer by layer
    "densenet": (7_978_856, 2_834_161_664),  # torchvision: 2.83
    "googlenet": (6_998_552, 1_582_671_872),  # paper: 1.5 G; the rows of its table 1 sum to 6.8 M
    "inception_v3": (23_834_568, 5_713_216_096),  # torchvision: 5.71, without its auxiliary head
    "lenet5": (61_706, 416_520),  # paper: 60,000, with sparse connections in C3
    "m5": (558_090, 278_533_120),  # paper's table 1: 0.5 M, cut rather than rounded
    "mnasnet": (4_383_312, 314_415_872),  # torchvision: 0.31
    "mobilenet_v1": (4_231_976, 568_740_352),  # paper's table 6: 4.2 M and 569 M
    "mobilenet_v2": (3_504_872, 300_774_272),  # torchvision: 0.30; paper's table 4: 3.4 M and 300 M
    "mobilenet_v3_large": (5_483_032, 216_589_760),  # torchvision: 0.22; paper's table 3: 5.4 M and 219 M
    "resnet101": (44_549_160, 7_801_405_440),  # torchvision: 7.80
    "resnet152": (60_192_808, 11_513_626_624),  # torchvision: 11.51
    "resnet18": (11_689_512, 1_814_073_344),  # torchvision: 1.81; paper's table 1: 1.8 G
    "resnet34": (21_797_672, 3_663_761_408),  # torchvision: 3.66; paper's table 1: 3.6 G
    "resnet50": (25_557_032, 4_089_184_256),  # torchvision: 4.09
    "resnext50": (25_028_904, 4_230_479_872),  # torchvision: 4.23; paper's table 1: 25.0 M and 4.2 G
    "shufflenet_v2": (2_278_604, 144_907_992),  # torchvision: 0.14; paper's table 5: 2.3 M and 146 M
    "squeezenet1_0": (1_248_424, 818_924_576),  # torchvision: 0.82; paper's table 1: 1,248,424
    "squeezenet1_1": (1_235_496, 349_151_936),  # torchvision: 0.35
    "unet": (31_030_658, 150_428_424_448),  # paper's figure 1, layer by layer
    "vgg11": (132_863_336, 7_609_090_048),  # torchvision: 7.61; paper's table 2: 133 M
    "vgg11_bn": (132_868_840, 7_609_090_048),  # torchvision: 7.61
    "vgg13": (133_047_848, 11_308_466_176),  # torchvision: 11.31; paper's table 2: 133 M
    "vgg13_bn": (133_053_736, 11_308_466_176),  # torchvision: 11.31
    "vgg16": (138_357_544, 15_470_264_320),  # torchvision: 15.47; paper's table 2: 138 M
    "vgg16_bn": (138_365_992, 15_470_264_320),  # torchvision: 15.47
    "vgg19": (143_667_240, 19_632_062_464),  # torchvision: 19.63; paper's table 2: 144 M
    "vgg19_bn": (143_678_248, 19_632_062_464),  # torchvision: 19.63
    "wide_resnet50": (68_883_240, 11_398_021_120),  # torchvision: 11.40
}

VARIANTS = [
    ("c3d", {"classes": 487}, None, (79_991_015, 38_548_959_232)),  # Sports-1M: 386 · 4096 more, and biases
    ("googlenet", {"auxiliary": True}, None, (13_378_280, 1_591_044_096)),  # Caffe's bvlc_googlenet
    ("inception_v3", {"auxiliary": True}, None, (27_161_264, 5_718_899_296)),  # torchvision, with its auxiliary head
    ("mobilenet_v1", {"alpha": 0.75}, None, (2_585_560, 325_400_448)),  # paper's table 6: 2.6 M and 325 M
    ("mobilenet_v1", {"alpha": 0.5}, 160, (1_331_592, 76_524_800)),  # paper's table 9: 1.32 M and 76 M
]

SMALL: dict[str, Sequence[int] | None] = {
    "alexnet": (63, 63),
    "alexnet_2012": (67, 67),
    "c3d": (16, 32, 32),
    "dcgan_discriminator": None,
    "dcgan_generator": None,
    "inception_v3": (75, 75),
    "lenet5": None,
    "m5": (3200,),
    "unet": (188, 188),
}

NO_CLASSES = ("dcgan_discriminator", "dcgan_generator")

REFERENCES: dict[str, Callable[[], nn.Module]] = {
    "densenet": reference.densenet121,
    "googlenet": reference.GoogLeNet,
    "mobilenet_v2": reference.mobilenet_v2,
    "mobilenet_v3_large": reference.mobilenet_v3_large,
    "resnet18": lambda: reference.ResNet(reference.BasicBlock, [2, 2, 2, 2]),
    "resnet34": lambda: reference.ResNet(reference.BasicBlock, [3, 4, 6, 3]),
    "resnet50": lambda: reference.ResNet(reference.Bottleneck, [3, 4, 6, 3]),
    "resnet101": lambda: reference.ResNet(reference.Bottleneck, [3, 4, 23, 3]),
    "resnext50": lambda: reference.ResNet(reference.Bottleneck, [3, 4, 6, 3], groups=32, width_per_group=4),
    "squeezenet1_1": reference.squeezenet1_1,
    "unet": reference.UNet,
    "vgg11_bn": lambda: reference.vgg([1, 1, 2, 2, 2], map_size=2, batchnorm=True),
    "vgg16": lambda: reference.vgg([2, 2, 3, 3, 3], map_size=2),
    "wide_resnet50": lambda: reference.ResNet(reference.Bottleneck, [3, 4, 6, 3], width_per_group=128),
}
