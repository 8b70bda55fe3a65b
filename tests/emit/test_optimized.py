"""`build --optimize`: the function is the same, in double precision; every batch norm that can fold does."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import cnnplan
from cnnplan.emit import emit
from cnnplan.planning import Plan
from cnnplan.runtime.build import execute
from tests.cli.run import ROOT

HEAD = "cnnplan: 1\nname: one\n"

SPECS = {
    "convolution": (
        HEAD + "input: [3, 9, 9]\nlayers:\n  - conv: {out_channels: 4, kernel_size: 3}\n  - batchnorm\n",
        0,
    ),
    "volumes": (HEAD + "input: [3, 5, 9, 9]\nlayers:\n  - conv: {out_channels: 4, kernel_size: 3}\n  - batchnorm\n", 0),
    "transposed": (
        HEAD + "input: [4, 9, 9]\nlayers:\n  - conv_transpose: {out_channels: 6, kernel_size: 2, stride: 2}\n"
        "  - batchnorm\n",
        0,
    ),
    "transposed in groups, which torch does not fuse": (
        HEAD + "input: [4, 9, 9]\nlayers:\n  - conv_transpose: {out_channels: 6, kernel_size: 2, groups: 2}\n"
        "  - batchnorm\n",
        1,
    ),
    "grouped": (
        HEAD + "input: [4, 9, 9]\nlayers:\n  - conv: {out_channels: 6, kernel_size: 3, groups: 2}\n  - batchnorm\n",
        0,
    ),
    "depthwise, then dense": (
        HEAD + "input: [4, 9, 9]\nlayers:\n  - depthwise_conv: {kernel_size: 3}\n  - batchnorm\n  - global_avgpool\n"
        "  - linear: 5\n  - batchnorm\n  - relu\n",
        0,
    ),
    "in a sequence, by its last axis": (
        HEAD + "input: [4, 9]\nlayers:\n  - conv: {out_channels: 5, kernel_size: 3}\n  - batchnorm\n  - relu\n",
        0,
    ),
    "behind an activation": (
        HEAD + "input: [3, 9, 9]\nlayers:\n  - conv: {out_channels: 4, kernel_size: 3}\n  - relu\n  - batchnorm\n",
        1,
    ),
    "read twice": (
        HEAD + "input: [3, 9, 9]\nlayers:\n  - conv: {out_channels: 4, kernel_size: 3}\n    name: first\n"
        "  - batchnorm\n  - add:\n    from: [first, previous]\n",
        1,
    ),
    "an output itself": (
        HEAD + "input: [3, 9, 9]\noutputs: [first, last]\nlayers:\n  - conv: {out_channels: 4, kernel_size: 3}\n"
        "    name: first\n  - batchnorm:\n    name: last\n",
        1,
    ),
}


def optimized(plan: Plan) -> tuple[nn.Module, nn.Module]:
    """The model in evaluation, and another one that was optimized, with the same random weights and statistics."""
    source = emit(plan.graph, optimize=True)
    module: Any = execute(source)
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        model: nn.Module = getattr(module, source.model)().double()
        with torch.no_grad():
            for name, tensor in (*model.named_buffers(), *model.named_parameters()):
                if tensor.is_floating_point() and ("norm" in name or name.endswith("bias")):
                    tensor.copy_(torch.rand_like(tensor) + 0.5)
        models.append(model)
    return models[0].eval(), module.optimized(models[1])


def run(model: nn.Module, plan: Plan) -> list[Tensor]:
    torch.manual_seed(1)
    inputs = [torch.randn(2, *v.shape, dtype=torch.float64) for v in plan.graph.inputs]
    with torch.no_grad():
        found = model(*inputs)
    return [found] if isinstance(found, Tensor) else list(found)


def norms(model: nn.Module) -> int:
    return sum(isinstance(child, nn.modules.batchnorm._BatchNorm) for child in model.modules())


def compare(plan: Plan) -> tuple[nn.Module, nn.Module]:
    plain, fast = optimized(plan)
    for a, b in zip(run(plain, plan), run(fast, plan), strict=True):
        torch.testing.assert_close(b, a, rtol=1e-9, atol=1e-9 * a.abs().max().item())
    assert not fast.training
    return plain, fast


@pytest.mark.parametrize("name", SPECS)
def test_small_networks(name: str) -> None:
    text, left = SPECS[name]
    plain, fast = compare(cnnplan.plan(text))
    assert norms(plain) >= 1
    assert norms(fast) == left


@pytest.mark.parametrize(
    ("name", "size", "left"),
    [  # DenseNet's norms stand before their convolutions, but for those between the two of a layer, and the stem's
        ("resnet18", 64, 0),
        ("mobilenet_v2", 64, 0),
        ("shufflenet_v2", 64, 0),
        ("regnet_y", 64, 0),
        ("densenet", 64, 62),
        ("dcgan_paper", None, 1),
        ("siamese", None, 0),
    ],
)
def test_networks_of_the_zoo(name: str, size: int | None, left: int) -> None:
    _, fast = compare(cnnplan.plan(ROOT / "specs" / f"{name}.yaml", input_size=size))
    assert norms(fast) == left


def test_a_norm_that_several_share_stays() -> None:
    text = (
        HEAD + "input: [3, 9, 9]\nlayers:\n  - conv: {out_channels: 3, kernel_size: 3, padding: 1}\n    name: first\n"
        "  - batchnorm:\n    name: norm\n  - conv: {out_channels: 3, kernel_size: 3, padding: 1}\n  - share: norm\n"
    )
    _, fast = compare(cnnplan.plan(text))
    assert norms(fast) == 1


def test_channels_last() -> None:
    _, fast = optimized(cnnplan.plan(ROOT / "specs" / "resnet18.yaml", input_size=64))
    weights = [p for p in fast.parameters() if p.dim() == 4 and min(p.shape[1:3]) > 1]
    assert weights
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in weights)


def test_without_maps_and_norms() -> None:
    plan = cnnplan.plan(HEAD + "input: [3]\nlayers:\n  - linear: 2\n")
    compare(plan)
    text = emit(plan.graph, optimize=True).text
    assert "nothing folds" in text
    assert "memory_format" not in text


def test_source_without_it_is_as_before(tmp_path: Path) -> None:
    plan = cnnplan.plan(ROOT / "specs" / "resnet18.yaml")
    plain, more = emit(plan.graph).text, emit(plan.graph, optimize=True).text
    assert "optimized" not in plain
    shared = re.sub(r"^from torch\.nn\.utils.*\n", "", more, flags=re.MULTILINE)
    assert shared.replace("import torch\n", "", 1).startswith(plain.replace("import torch\n", "", 1).rstrip())
    compile(more, "more", "exec")
