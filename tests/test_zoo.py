"""The zoo: published totals, models that are the planned ones, the wiring of hand-written PyTorch."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import cnnplan
from cnnplan import zoo
from cnnplan.emit import emit
from tests import reference_models as reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

# name: (parameters, multiply-accumulates of convolutions and matrix products for one sample)
#
# "torchvision": num_params of torchvision's documentation of weights, and its GFLOPS, which are
# multiply-accumulates, to the two decimals it gives; the exact numbers follow from the layers.
TOTALS = {
    "alexnet": (61_100_840, 714_188_480),  # torchvision: 0.71
    "alexnet_2012": (60_965_224, 724_406_816),  # paper: 60 million; Caffe's bvlc_alexnet: 60,965,224
    "c3d": (78_409_573, 38_547_378_176),  # paper's figure 3; 38.5 G is the usual count for 16 frames
    "dcgan_discriminator": (2_765_568, 103_817_216),  # PyTorch's tutorial, layer by layer
    "dcgan_generator": (3_576_704, 104_628_224),  # PyTorch's tutorial, layer by layer
    "densenet121": (7_978_856, 2_834_161_664),  # torchvision: 2.83
    "googlenet": (6_998_552, 1_582_671_872),  # paper: 1.5 G; the rows of its table 1 sum to 6.8 M
    "inception_v3": (23_834_568, 5_713_216_096),  # torchvision: 5.71, without its auxiliary head
    "lenet5": (61_706, 416_520),  # paper: 60,000, with sparse connections in C3
    "m5": (558_090, 278_533_120),  # paper's table 1: 0.5 M, cut rather than rounded
    "mnasnet1_0": (4_383_312, 314_415_872),  # torchvision: 0.31
    "mobilenet_v1": (4_231_976, 568_740_352),  # paper's table 6: 4.2 M and 569 M
    "mobilenet_v2": (3_504_872, 300_774_272),  # torchvision: 0.30; paper's table 4: 3.4 M and 300 M
    "mobilenet_v3_large": (5_483_032, 216_589_760),  # torchvision: 0.22; paper's table 3: 5.4 M and 219 M
    "resnet101": (44_549_160, 7_801_405_440),  # torchvision: 7.80
    "resnet152": (60_192_808, 11_513_626_624),  # torchvision: 11.51
    "resnet18": (11_689_512, 1_814_073_344),  # torchvision: 1.81; paper's table 1: 1.8 G
    "resnet34": (21_797_672, 3_663_761_408),  # torchvision: 3.66; paper's table 1: 3.6 G
    "resnet50": (25_557_032, 4_089_184_256),  # torchvision: 4.09
    "resnext50": (25_028_904, 4_230_479_872),  # torchvision: 4.23; paper's table 1: 25.0 M and 4.2 G
    "shufflenet_v2_x1_0": (2_278_604, 144_907_992),  # torchvision: 0.14; paper's table 5: 2.3 M and 146 M
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

# name, variables, input size: (parameters, multiply-accumulates)
VARIANTS = [
    ("c3d", {"classes": 487}, None, (79_991_015, 38_548_959_232)),  # Sports-1M: 386 · 4096 more, and biases
    ("googlenet", {"auxiliary": True}, None, (13_378_280, 1_591_044_096)),  # Caffe's bvlc_googlenet
    ("inception_v3", {"auxiliary": True}, None, (27_161_264, 5_718_899_296)),  # torchvision, with its auxiliary head
    ("mobilenet_v1", {"alpha": 0.75}, None, (2_585_560, 325_400_448)),  # paper's table 6: 2.6 M and 325 M
    ("mobilenet_v1", {"alpha": 0.5}, 160, (1_331_592, 76_524_800)),  # paper's table 9: 1.32 M and 76 M
]

# input sizes at which a test is quick; the networks with a fixed head of 1x1 take no other than theirs
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
IMAGE = (64, 64)

every_spec = pytest.mark.parametrize("name", zoo.names())


def test_every_spec_has_its_totals() -> None:
    assert zoo.names() == sorted(TOTALS)


@every_spec
def test_totals(name: str) -> None:
    plan = cnnplan.plan(zoo.find(name))
    assert plan.name == name
    assert (plan.parameters, plan.macs) == TOTALS[name]


@pytest.mark.parametrize(("name", "variables", "size", "totals"), VARIANTS)
def test_totals_of_variants(name: str, variables: dict[str, Any], size: int | None, totals: tuple[int, int]) -> None:
    plan = cnnplan.plan(zoo.find(name), variables=variables, input_size=size)
    assert (plan.parameters, plan.macs) == totals
    with torch.device("meta"):
        model = cnnplan.build(zoo.find(name), variables=variables, input_size=size).eval()
        assert shapes(model(*inputs(plan))) == outputs(plan)
    assert sum(p.numel() for p in model.parameters()) == plan.parameters


@every_spec
def test_it_says_what_it_is(name: str) -> None:
    plan = cnnplan.plan(zoo.find(name))
    assert plan.spec.description
    assert plan.spec.reference


@pytest.mark.parametrize("name", [name for name in zoo.names() if not name.startswith("dcgan")])
def test_classes_are_a_variable(name: str) -> None:
    """Each class is a channel of what leaves the network."""
    plan = cnnplan.plan(zoo.find(name), variables={"classes": 7})
    assert [shape[0] for shape in outputs(plan)] == [7]


@every_spec
def test_the_built_model_is_the_planned_one(name: str) -> None:
    """At full size, on torch's meta device: shapes without numbers. Torch counts the work, too."""
    plan = cnnplan.plan(zoo.find(name))
    with torch.device("meta"):
        model = cnnplan.build(zoo.find(name)).eval()
        x = inputs(plan)
    planned = [
        (f"{layer.name}.{tensor}", shape)
        for layer in plan.layers
        if not layer.node.shared_with
        for tensor, shape in layer.work.tensors.items()
    ]
    assert [(name, tuple(p.shape)) for name, p in model.named_parameters()] == planned
    assert sum(b.numel() for b in model.buffers()) == plan.buffers
    with FlopCounterMode(display=False) as counter:
        assert shapes(model(*x)) == outputs(plan)
    assert counter.get_total_flops() == 2 * len(x[0]) * plan.macs


@every_spec
def test_the_built_model_runs_and_learns(name: str) -> None:
    size = SMALL.get(name, IMAGE)
    plan = cnnplan.plan(zoo.find(name), input_size=size)
    torch.manual_seed(0)
    model = cnnplan.build(zoo.find(name), input_size=size)
    x = inputs(plan)
    with torch.no_grad():
        y = model.eval()(*x)
    assert shapes(y) == outputs(plan)
    assert y.isfinite().all()
    y = model.train()(*x)
    assert shapes(y) == outputs(plan)
    y.square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def inputs(plan: cnnplan.Plan, batch: int = 2) -> list[Tensor]:
    return [torch.randn(batch, *value.shape) for value in plan.graph.inputs]


def outputs(plan: cnnplan.Plan) -> list[tuple[int, ...]]:
    return [tuple(value.shape) for value in plan.graph.outputs.values()]


def shapes(y: Tensor | tuple[Tensor, ...]) -> list[tuple[int, ...]]:
    """The shapes of a model's outputs, without the batch."""
    return [tuple(value.shape[1:]) for value in (y if isinstance(y, tuple) else (y,))]


# ------------------------------------------------------------------------- the emitted source


@pytest.mark.parametrize(
    ("name", "most"), [("resnet50", 150), ("googlenet", 150), ("unet", 120), ("mobilenet_v3_large", 200)]
)
def test_the_source_is_short(name: str, most: int) -> None:
    text = emit(cnnplan.plan(zoo.find(name)).graph).text
    assert len([line for line in text.splitlines() if line.strip()]) <= most


def test_the_source_is_as_a_formatter_leaves_it(tmp_path: Path) -> None:
    for name in zoo.names():
        (tmp_path / f"{name}.py").write_text(emit(cnnplan.plan(zoo.find(name)).graph).text, encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    for command in (
        [*ruff, "check", "--isolated", "--select", "E,F,I,B,UP", "--line-length", "120", tmp_path],
        [*ruff, "format", "--isolated", "--check", "--line-length", "100", tmp_path],
    ):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-500:]


# ------------------------------------------------------------------------- hand-written PyTorch

REFERENCES: dict[str, Callable[[], nn.Module]] = {
    "densenet121": reference.densenet121,
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


@pytest.mark.parametrize("name", REFERENCES)
def test_weights_of_hand_written_pytorch_fit_leaf_by_leaf(name: str) -> None:
    torch.manual_seed(0)
    size = SMALL.get(name, IMAGE)
    theirs, ours = REFERENCES[name]().double(), cnnplan.build(zoo.find(name), input_size=size).double()
    (x,) = inputs(cnnplan.plan(zoo.find(name), input_size=size))
    x = 10 * x.double()  # large enough that relu6 and local response normalization show
    sources, leaves = leaves_of(theirs, x), leaves_of(ours, x)
    assert list(map(tensors, leaves)) == list(map(tensors, sources))
    for leaf, source in zip(leaves, sources, strict=True):
        disturb(source)
        leaf.load_state_dict(source.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def leaves_of(model: nn.Module, x: Tensor) -> list[nn.Module]:
    """The modules with parameters and no children, in the order in which they run."""
    found: list[nn.Module] = []
    hooks = [
        module.register_forward_hook(lambda module, *_: found.append(module))
        for module in model.modules()
        if not list(module.children()) and list(module.parameters())
    ]
    with torch.no_grad():
        model.eval()(x)
    for hook in hooks:
        hook.remove()
    assert len(found) == len(hooks)
    return found


def tensors(leaf: nn.Module) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, tuple(tensor.shape)) for name, tensor in leaf.state_dict().items()]


def disturb(leaf: nn.Module) -> None:
    """Numbers that show where the leaf is: a fresh batch normalization does nothing in evaluation."""
    with torch.no_grad():
        if isinstance(leaf, nn.BatchNorm2d):
            leaf.weight.uniform_(0.7, 1.3)
            leaf.running_mean.normal_(0, 0.2)
            leaf.running_var.uniform_(0.1, 0.3)  # the usual initial weights shrink what they multiply
            leaf.num_batches_tracked.fill_(7)
        if leaf.bias is not None:
            leaf.bias.normal_(0, 0.2)


# ------------------------------------------------------------------------- another counter


@pytest.mark.parametrize(
    "name",
    [
        "alexnet_2012",
        "c3d",
        "dcgan_discriminator",
        "dcgan_generator",
        "googlenet",
        "m5",
        "mobilenet_v3_large",
        "resnext50",
        "unet",
    ],
)
def test_macs_are_those_of_fvcore(name: str) -> None:
    size = SMALL.get(name, IMAGE)
    plan = cnnplan.plan(zoo.find(name), input_size=size)
    model = cnnplan.build(zoo.find(name), input_size=size).eval()
    x = tuple(inputs(plan, batch=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(model, x)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        counts = analysis.by_operator()
    assert sum(counts[operator] for operator in ("conv", "linear", "addmm", "matmul")) == plan.macs
