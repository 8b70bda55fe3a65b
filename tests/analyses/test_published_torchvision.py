"""Receptive fields of networks as they are built: torchvision's, and some whose papers or arithmetic give them."""

from fractions import Fraction
from pathlib import Path

import pytest

import cnnplan
from cnnplan import zoo
from cnnplan.analyses.field import ReceptiveField
from cnnplan.planning import Plan
from tests.analyses.test_field import last_axes
from tests.language.helpers import blocked, net, plan

# size, stride and padding (= -start) of the last map, for an image of 224 (inception_v3: 299). They follow from the
# kernels, strides and paddings of torchvision's definitions by the formulas of Araujo, Norris & Sim 2019
# (doi:10.23915/distill.00021), whose own table is of TF-slim's definitions: it agrees where those do, for vgg11, vgg16
# and inception_v3, and but for the padding for alexnet.
TORCHVISION = {
    "alexnet": (195, 32, 66),
    "densenet": (2071, 32, 1021),
    "googlenet_bn": (379, 32, 167),
    "inception_v3": (1311, 32, 618),
    "mnasnet": (843, 32, 421),
    "mobilenet_v2": (491, 32, 245),
    "resnet18": (435, 32, 217),
    "resnet34": (899, 32, 449),
    "resnet50": (427, 32, 213),
    "resnet101": (971, 32, 485),
    "resnet152": (1451, 32, 725),
    "shufflenet_v2": (527, 32, 263),
    "squeezenet1_0": (155, 16, 60),
    "vgg11": (150, 32, 59),
    "vgg16": (212, 32, 90),
    "vgg16_bn": (212, 32, 90),
}


def planned(name: str) -> Plan:
    """A network of the zoo, or of the specs beside the tests."""
    beside = Path(__file__).parent / "published" / f"{name}.yaml"
    return cnnplan.plan(beside if beside.exists() else zoo.find(name))


def numbers(field: ReceptiveField | None) -> tuple[int, Fraction, int]:
    """Size, stride and padding (= -start), which all axes share."""
    assert field
    ((size, stride, start),) = set(zip(field.size, field.stride, field.start, strict=True))
    assert size
    assert stride
    assert start is not None
    return size, stride, -start


@pytest.mark.parametrize("name", TORCHVISION)
def test_networks_of_torchvision(name: str) -> None:
    found = planned(name)
    assert numbers(found.receptive_field) == TORCHVISION[name]
    assert all(axis.aligned for axis in last_axes(found.graph))


# ------------------------------------------------------------------------- layers of other networks of the zoo

LAYERS = {
    ("lenet5", "avgpool2"): (16, 4, 0),  # S4
    ("lenet5", "conv3"): (32, 4, 0),  # C5: LeCun et al. 1998, section II.B: the whole image of 32x32
    ("dcgan_discriminator", "down4.conv1"): (46, 16, 15),  # Radford et al. 2016: 4, 10, 22, 46
}


@pytest.mark.parametrize(("name", "layer"), LAYERS)
def test_layers_of_the_zoo(name: str, layer: str) -> None:
    assert numbers(planned(name).layer(layer).receptive_field) == LAYERS[name, layer]


# ------------------------------------------------------------------------- networks of a few layers

NETWORKS = {
    # Waibel et al. 1989, doi:10.1109/29.21701, figure 2: windows of 3 frames, and of 5 of those
    "TDNN": (
        "[16, 15]",
        """
        - conv: {out_channels: 8, kernel_size: 3}
        - sigmoid
        - conv: {out_channels: 3, kernel_size: 5}
        """,
        (7, 1, 0),
    ),
    # Lin, Chen & Yan 2014, arXiv:1312.4400: the third convolution, 5 + 2 + 2·4 + 2·2 + 4·2
    "NIN on CIFAR": (
        "[3, 32, 32]",
        """
        - conv: {out_channels: 192, kernel_size: 5, padding: 2}
        - relu
        - conv: {out_channels: 160, kernel_size: 1}
        - relu
        - conv: {out_channels: 96, kernel_size: 1}
        - relu
        - maxpool: {kernel_size: 3, stride: 2, ceil_mode: true}
        - dropout
        - conv: {out_channels: 192, kernel_size: 5, padding: 2}
        - relu
        - layers:
            - conv: {out_channels: 192, kernel_size: 1}
            - relu
          repeat: 2
        - avgpool: {kernel_size: 3, stride: 2, ceil_mode: true}
        - dropout
        - conv: {out_channels: 192, kernel_size: 3, padding: 1}
        """,
        (27, 4, 10),
    ),
    # Mnih et al. 2015, doi:10.1038/nature14236, methods: 8 + 4·3 + 8·2
    "DQN": (
        "[4, 84, 84]",
        """
        - conv: {out_channels: 32, kernel_size: 8, stride: 4}
        - relu
        - conv: {out_channels: 64, kernel_size: 4, stride: 2}
        - relu
        - conv: {out_channels: 64, kernel_size: 3}
        """,
        (36, 8, 0),
    ),
    # Silver et al. 2016, doi:10.1038/nature16961, methods: 5x5, eleven of 3x3 and 1x1 on planes of 19x19
    "AlphaGo's policy": (
        "[48, 19, 19]",
        """
        - conv: {out_channels: 192, kernel_size: 5, padding: 2}
        - relu
        - layers:
            - conv: {out_channels: 192, kernel_size: 3, padding: 1}
            - relu
          repeat: 11
        - conv: {out_channels: 1, kernel_size: 1}
        """,
        (27, 1, 13),
    ),
    # Chatfield et al. 2014, arXiv:1405.3531, table 1: 7, 11, 27, 43, 75, 107, 139, 171
    "CNN-M": (
        "[3, 224, 224]",
        """
        - conv: {out_channels: 96, kernel_size: 7, stride: 2}
        - relu
        - lrn: 5
        - maxpool: {kernel_size: 3, stride: 2, ceil_mode: true}
        - conv: {out_channels: 256, kernel_size: 5, stride: 2, padding: 1}
        - relu
        - lrn: 5
        - maxpool: {kernel_size: 3, stride: 2, ceil_mode: true}
        - layers:
            - conv: {out_channels: 512, kernel_size: 3, padding: 1}
            - relu
          repeat: 3
        - maxpool: {kernel_size: 3, stride: 2, ceil_mode: true}
        """,
        (171, 32, 52),
    ),
    # Sabour, Frosst & Hinton 2017, arXiv:1710.09829, figure 1: PrimaryCaps, 9 + 8
    "CapsNet": (
        "[1, 28, 28]",
        """
        - conv: {out_channels: 256, kernel_size: 9}
        - relu
        - conv: {out_channels: 256, kernel_size: 9, stride: 2}
        """,
        (17, 2, 0),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_a_few_layers(name: str) -> None:
    shape, layers, expected = NETWORKS[name]
    found = plan(net(layers, head=f"cnnplan: 1\nname: net\ninput: {shape}\n"))
    assert numbers(found.receptive_field) == expected
    assert all(axis.aligned for axis in last_axes(found.graph))


# ------------------------------------------------------------------------- causal networks

WAVENET = blocked(
    """
    gated:
      params: {dilation: int}
      layers:
        - add:
            body:
              - pad: [[=dilation, 0]]
              - multiply:
                  value: [{conv: {out_channels: 8, kernel_size: 2, dilation: =dilation}}, tanh]
                  gate: [{conv: {out_channels: 8, kernel_size: 2, dilation: =dilation}}, sigmoid]
              - conv: {out_channels: 8, kernel_size: 1}
            shortcut: []
    """,
    """
    - layers:
        - gated: =2 ** index
          repeat: 10
      repeat: {stack: =stacks}
    """,
    head="cnnplan: 1\nname: net\ninput: [8, 4000]\nvariables: {stacks: 1}\n",
)


@pytest.mark.parametrize(("stacks", "size"), [(1, 1024), (3, 3070)])
def test_wavenet(stacks: int, size: int) -> None:
    """Van den Oord et al. 2016, arXiv:1609.03499: 1,024 samples from dilations of 1 to 512, 1,023 a further stack."""
    found = plan(WAVENET, variables={"stacks": stacks})
    assert numbers(found.receptive_field) == (size, 1, size - 1)


TCN = blocked(
    """
    causal:
      params: {dilation: int}
      layers:
        - pad: ["=[dilation * (kernel_size - 1), 0]"]
        - conv: {out_channels: 4, kernel_size: =kernel_size, dilation: =dilation}
        - relu
    """,
    """
    - add:
        body:
          - causal: =2 ** level
            repeat: 2
        shortcut: []
      repeat: {level: =levels}
    """,
    head="cnnplan: 1\nname: net\ninput: [4, 4000]\nvariables: {kernel_size: 2, levels: 1}\n",
)


@pytest.mark.parametrize(("kernel_size", "levels", "size"), [(7, 8, 3061), (3, 4, 61), (2, 8, 511)])
def test_tcn(kernel_size: int, levels: int, size: int) -> None:
    """Bai, Kolter & Koltun 2018, arXiv:1803.01271: two convolutions a level, 1 + 2 (k - 1) (2^n - 1)."""
    found = plan(TCN, variables={"kernel_size": kernel_size, "levels": levels})
    assert numbers(found.receptive_field) == (size, 1, size - 1)
