"""What has to be shipped: state dicts in float32 and float16, norms folded by torch itself, int8 by hand."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

import cnnplan
from cnnplan import zoo
from cnnplan.analyses.deployment import deployment
from tests.emit.small_networks import NAMES, SPECS, disturbed
from tests.language.helpers import net, plan
from tests.test_zoo import small

if TYPE_CHECKING:
    from collections.abc import Iterable

CONV = "conv: {out_channels: 4, kernel_size: 3, padding: 1}"
BARE = "conv: {out_channels: 4, kernel_size: 3, padding: 1, bias: false}"
HEAD = "- global_avgpool\n- linear: 5"


def shipped(tensors: Iterable[Tensor]) -> int:
    """Bytes of tensors, without a file's header."""
    return sum(t.nbytes for t in tensors)


@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_of_a_state_dict(name: str) -> None:
    """As they are, and with `half()`, which leaves the counts of norms as they are."""
    weights = deployment(plan(SPECS[name]).graph).weights
    model = cnnplan.build(SPECS[name])
    assert weights.float32 == shipped(model.state_dict().values())
    assert weights.float16 == shipped(model.half().state_dict().values())


@pytest.mark.parametrize("name", zoo.names())
def test_the_zoo(name: str) -> None:
    planned = small(name)
    weights = deployment(planned.graph).weights
    with torch.device("meta"):
        model = cnnplan.build(planned)
    assert weights.float32 == shipped(model.state_dict().values())


# ------------------------------------------------------------------------- folding

# the layers, and the norms that are folded: behind a convolution or a dense layer that nobody else reads
FOLDED = {
    "behind a convolution": (f"- {CONV}\n- batchnorm\n- relu\n{HEAD}", "batchnorm1"),
    "without a bias": (f"- {BARE}\n- batchnorm\n- relu\n{HEAD}", "batchnorm1"),
    "without weights of its own": (f"- {BARE}\n- batchnorm: {{affine: false}}\n{HEAD}", "batchnorm1"),
    "behind a depthwise convolution": (
        f"- depthwise_conv: {{kernel_size: 3, bias: false}}\n- batchnorm\n{HEAD}",
        "batchnorm1",
    ),
    "behind a grouped convolution": (
        f"- {CONV}\n- conv: {{out_channels: 6, kernel_size: 1, groups: 2, bias: false}}\n- batchnorm\n{HEAD}",
        "batchnorm1",
    ),
    "behind a transposed convolution": (
        f"- conv_transpose: {{out_channels: 2, kernel_size: 2, bias: false}}\n- batchnorm\n{HEAD}",
        "batchnorm1",
    ),
    "behind a dense layer": (
        "- flatten\n- linear: {out_features: 4, bias: false}\n- batchnorm\n- linear: 3",
        "batchnorm1",
    ),
    "in branches": (
        f"- add:\n    a: [{{{BARE}}}, batchnorm]\n    b: [{{{BARE}}}, batchnorm, relu]\n{HEAD}",
        "add1.a.batchnorm1 add1.b.batchnorm1",
    ),
    "the second of two": (f"- {BARE}\n- batchnorm\n- batchnorm\n{HEAD}", "batchnorm1"),
    "first": (f"- batchnorm\n- {BARE}\n{HEAD}", ""),
    "behind an activation": (f"- {BARE}\n- relu\n- batchnorm\n{HEAD}", ""),
    "behind a sum": (f"- add:\n    a: [{{{BARE}}}]\n    b: [{{{BARE}}}]\n- batchnorm\n{HEAD}", ""),
    "somebody else reads it": (f"- {BARE}\n  name: a\n- batchnorm\n- add:\n  from: [a, previous]\n{HEAD}", ""),
    "somebody takes its size": (
        f"- {BARE}\n  name: a\n- batchnorm\n- maxpool: 2\n- upsample: {{like: a}}\n{HEAD}",
        "",
    ),
    "it is an output": (f"- {BARE}\n  name: a\n- batchnorm:\n  name: b\noutputs: [a, b]", ""),
    "it is shared": (
        f"- layers: [{{conv: {{out_channels: 3, kernel_size: 1, bias: false}}}}, batchnorm]\n"
        f"  name: twice\n- share: twice\n{HEAD}",
        "",
    ),
    "another norm": (f"- {BARE}\n- groupnorm: 2\n- {BARE}\n- layernorm\n- {BARE}\n- instancenorm\n{HEAD}", ""),
}


def folded(text: str, names: Iterable[str]) -> int:
    """The bytes with these norms folded by torch; and a check that the network still computes the same."""
    torch.manual_seed(0)
    planned = plan(text)
    model = disturbed(cnnplan.build(planned)).eval()
    other = copy.deepcopy(model)
    for name in names:
        (node,) = (n for n in planned.graph.nodes if n.name == name)
        assert node.inputs[0].node is not None
        before: Any = other.get_submodule(node.inputs[0].node.path)
        norm: Any = other.get_submodule(node.path)
        if isinstance(before, nn.Linear):
            fused = fuse_linear_bn_eval(before, norm)
        else:
            fused = fuse_conv_bn_eval(before, norm, transpose=before.transposed)
        other.set_submodule(node.inputs[0].node.path, fused)
        other.set_submodule(node.path, nn.Identity())
    inputs = [torch.randn(2, *v.shape) for v in planned.graph.inputs]
    with torch.no_grad():
        found, expected = other(*inputs), model(*inputs)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    return shipped(other.state_dict().values())


@pytest.mark.parametrize("name", FOLDED)
def test_norms_are_folded(name: str) -> None:
    layers, names = FOLDED[name]
    text = net(layers)
    found = deployment(plan(text).graph)
    assert found.norms == len(names.split())
    assert found.folded.float32 == folded(text, names.split())


def test_a_norm_without_statistics_is_not_folded() -> None:
    found = deployment(plan(net(f"- {BARE}\n- batchnorm: {{track_running_stats: false}}\n{HEAD}")).graph)
    assert found.norms == 0


TRACED = ("densenet", "googlenet", "m5", "mnasnet", "mobilenet_v3_large", "resnet18", "resnet50", "vgg11_bn")


@pytest.mark.parametrize("name", [*TRACED, "shufflenet_v2"])
def test_the_zoo_folded(name: str) -> None:
    """torch.fx follows the built model and folds what it finds: norms behind convolutions that nobody else reads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it imports
        from torch.fx.experimental.optimization import fuse
    planned = small(name)
    with torch.device("meta"):
        fused = fuse(cnnplan.build(planned).eval())
    assert deployment(planned.graph).folded.float32 == shipped(fused.state_dict().values())


# ------------------------------------------------------------------------- int8


def test_int8_by_hand() -> None:
    """A byte for each weight and a float32 for each output channel; biases and norms in float32.

    Convolution 4 · 3 · 9 with 4 biases, norm of 4 · 4 and a count of 8 bytes, dense layer 5 · 4 with 5 biases.
    """
    found = deployment(plan(net(f"- {CONV}\n- batchnorm\n- relu\n{HEAD}")).graph)
    dense = 20 + 4 * 5 + 4 * 5
    assert found.weights.int8 == (108 + 4 * 4 + 4 * 4) + (4 * 16 + 8) + dense
    assert found.folded.int8 == (108 + 4 * 4 + 4 * 4) + dense


def test_int8_folded_without_a_bias() -> None:
    """The convolution gains one: 4 float32 more, and the norm's 72 bytes less."""
    found = deployment(plan(net(f"- {BARE}\n- batchnorm\n{HEAD}")).graph)
    assert found.weights.int8 - found.folded.int8 == 4 * 16 + 8 - 4 * 4


def test_int8_of_transposed_and_grouped_convolutions() -> None:
    """A scale for each output channel: 6 of 3 · 6 · 4 weights; 8 of 8 · 3 · 1."""
    found = deployment(
        plan(
            net(
                """
                - conv_transpose: {out_channels: 6, kernel_size: 2, bias: false}
                - conv: {out_channels: 8, kernel_size: 1, groups: 2, bias: false}
                """
            )
        ).graph
    )
    assert found.weights.int8 == (3 * 6 * 4 + 4 * 6) + (8 * 3 + 4 * 8)


def test_factors_stay_as_they_are() -> None:
    """One for each channel, they are multiplied with, not a matrix: 3 of a layer scale, 1 of a PReLU."""
    found = deployment(plan(net("- layer_scale\n- prelu\n- scale")).graph)
    assert found.weights.int8 == found.weights.float32 == 4 * (3 + 1 + 6)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("- global_avgpool\n- linear: {out_features: 1, bias: false}", 3 + 4),
        ("- conv: {out_channels: 1, kernel_size: 1, bias: false}", 3 + 4),
        ("- slice: {stop: 1}\n- conv: {out_channels: 9, kernel_size: 1, bias: false}", 9 + 4 * 9),
    ],
    ids=["one unit", "one map", "of one map"],
)
def test_int8_of_a_single_unit(layers: str, expected: int) -> None:
    """The weights of one output are as much a row of products as those of several."""
    assert deployment(plan(net(layers)).graph).weights.int8 == expected


def test_int8_of_a_norm_over_the_sample() -> None:
    """Everything that is no product stays in float32: weight and bias of 3 · 8 · 8."""
    assert deployment(plan(net("- layernorm")).graph).weights.int8 == 4 * 2 * 192
