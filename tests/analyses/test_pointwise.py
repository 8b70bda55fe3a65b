"""Which 1x1 convolutions run as dense layers, and which GELU by rows: those whose input has its channels last."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

import cnnplan
from cnnplan.analyses.pointwise import pointwise
from cnnplan.runtime.interpreter import Interpreter
from tests.cli.run import ROOT
from tests.language.helpers import net, plan

NORM = "- layernorm: {axis: channels}\n"
ONE = "- conv: {out_channels: 6, kernel_size: 1}\n"
RUN_BY_ROWS = ("PointwiseConv2d", "PointwiseGELU")
CASES = {
    "behind a norm of channels": (NORM + ONE, "conv1"),
    "and behind another one": (NORM + ONE + "- gelu\n" + ONE, "conv1 gelu1 conv2"),
    "behind what is contiguous": (ONE + "- gelu\n" + ONE, ""),
    "a window": (NORM + "- conv: {out_channels: 6, kernel_size: 3, padding: 1}\n", ""),
    "a stride": (NORM + "- conv: {out_channels: 6, kernel_size: 1, stride: 2}\n", ""),
    "groups": (NORM + "- conv: {out_channels: 6, kernel_size: 1, groups: 3}\n", ""),
    "a border": (NORM + "- conv: {out_channels: 6, kernel_size: 1, padding: 1}\n", ""),
}


@pytest.mark.parametrize("name", CASES)
def test_which(name: str) -> None:
    layers, expected = CASES[name]
    found = plan(net(layers))
    assert {node.name for node in pointwise(found.graph)} == set(expected.split())
    written = cnnplan.build(found)
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 8)
    (by_layer,) = Interpreter(found.graph, written).run([x])
    torch.testing.assert_close(written(x), by_layer, rtol=1e-5, atol=1e-5)
    kinds = [type(module).__name__ for module in written.modules()]
    assert sum(kind in RUN_BY_ROWS for kind in kinds) == len(expected.split())


@pytest.mark.parametrize("name", ["convnext", "convnext_v2", "resnet18"])
def test_their_inputs_lie_so(name: str) -> None:
    """Strides as torch gives them, where such a layer runs."""
    planned = cnnplan.plan(ROOT / "specs" / f"{name}.yaml", input_size=64)
    model = cnnplan.build(planned)
    seen: list[bool] = []

    def look(module: object, inputs: tuple[Tensor, ...]) -> None:
        (x,) = inputs
        seen.append(x.movedim(1, -1).is_contiguous())

    chosen = [module for module in model.modules() if type(module).__name__ in RUN_BY_ROWS]
    for module in chosen:
        module.register_forward_pre_hook(look)
    model(torch.randn(2, 3, 64, 64))
    assert len(seen) == len(chosen) == len({node.path for node in pointwise(planned.graph)})
    assert bool(chosen) is (name != "resnet18")
    assert all(seen)


def test_weights_are_those_of_a_convolution() -> None:
    model = cnnplan.build(plan(net(NORM + ONE)))
    assert {name: tuple(p.shape) for name, p in model.named_parameters() if "conv" in name} == {
        "conv1.weight": (6, 3, 1, 1),
        "conv1.bias": (6,),
    }


def test_one_source_for_all_runs() -> None:
    """Where one of the runs of an item is contiguous, none is a dense layer."""
    text = net(
        "- layers:\n    - conv: {out_channels: 3, kernel_size: 1}\n    - layernorm: {axis: channels}\n  repeat: 2\n"
    )
    found = plan(text).graph
    convolutions = [node for node in found.nodes if node.op.kind == "conv"]
    assert [a.name < b.name for a, b in pairwise(convolutions)] == [True]
    assert not pointwise(found)
