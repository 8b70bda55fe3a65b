"""A hundred networks from the literature, written without a look at the rules: what is found in them is there.

Findings of level info are advice, and not listed.
"""

from collections import Counter
from pathlib import Path

import pytest

import cnnplan
from cnnplan.codes import INFO

SPECS = {path.stem: path for path in sorted((Path(__file__).parent / "corpus").glob("*.yaml"))}

BIASES = "biases before instance norm or batch norm, as published: their gradients are zero"
ODD = "transposed convolutions whose kernel is no multiple of their stride, as published"
DEAD = "the last residual convolution of the stack is not used, as in the published code"
SMALL = "3x3 predictors, 4x4 or 7x7 kernels on maps that are smaller, as published"
LOGITS = "the paper's last convolution has a ReLU before the average"
DENSE = "the paper's first dense layer has a weight for each unit of the last map"

GENUINE: dict[str, tuple[str, dict[str, int]]] = {
    "F601": ("made for larger pictures than the 32x32 that they see", {"fractalnet_cifar": 1, "vgg16_bn_cifar": 1}),
    "G101": ("the stem leaves out the last row and column of the published size", {"pilotnet": 1, "two_stream": 1}),
    "G109": (SMALL, {"pix2pix_unet256": 1, "ssd300_vgg16": 1, "van_b0": 1}),
    "G116": ("without the pooling indices of the original, pool and up-sampling meet", {"segnet_basic": 1}),
    "H305": (LOGITS, {"all_cnn_c": 1, "nin_cifar": 1}),
    "H309": (DENSE, {"overfeat_fast": 1, "siamese_omniglot": 1, "yolov1": 1, "zfnet": 1}),
    "N201": (
        BIASES,
        {
            "cyclegan_generator": 3,
            "enet": 2,
            "erfnet": 3,
            "fast_style_transfer": 1,
            "hourglass_small": 6,
            "patchgan_70": 1,
            "unet3d": 1,
            "van_b0": 1,
        },
    ),
    "N202": (
        "linear on purpose: a feature pyramid, a decoder without activations, a stem",
        {"panoptic_fpn_semantic": 1, "segnet_basic": 1, "vdcnn9": 1},
    ),
    "N209": ("the papers' batches are as small", {"erfnet": 1, "pix2pix_unet256": 1, "unet3d": 1}),
    "N212": ("26 layers, drawn without the batch norm of later versions", {"yolov1": 1}),
    "P701": ("36 channels in float16 hold half of its work", {"pilotnet": 1}),
    "R401": (DEAD, {"conv_tasnet": 1, "wavenet": 1}),
    "U501": (ODD, {"cyclegan_generator": 1, "enet": 1, "erfnet": 1, "world_models_decoder": 1}),
}


@pytest.mark.parametrize("name", SPECS)
def test_what_is_found_is_there(name: str) -> None:
    found = Counter(d.code for d in cnnplan.plan(SPECS[name]).diagnostics if d.severity != INFO)
    assert found == {code: specs[name] for code, (_, specs) in GENUINE.items() if name in specs}


def test_every_network_is_there() -> None:
    assert len(SPECS) > 100
    assert {name for _, specs in GENUINE.values() for name in specs} <= SPECS.keys()


def test_a_shift_that_is_small_beside_the_field_is_advice() -> None:
    found = [d for d in cnnplan.plan(SPECS["inception_time"]).diagnostics if d.code == "R404"]
    assert {d.severity for d in found} == {INFO}


def test_what_hardly_weighs_is_advice() -> None:
    found = [d for d in cnnplan.plan(SPECS["pilotnet"]).diagnostics if d.code == "P701"]
    assert sorted(d.severity for d in found) == [INFO, INFO, INFO, "warning"]
