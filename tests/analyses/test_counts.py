"""What textbooks count, against what they print, and against edges drawn one by one."""

import itertools
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import cnnplan
from cnnplan import zoo
from cnnplan.ops.window import PAST, POINTWISE, WHOLE, Adaptive, Resize, Sliding, Spread, Window
from cnnplan.runtime.runner import Runner
from tests.language.helpers import net, plan

# LeCun et al. 1998, section II.B, layer by layer; the fixed units of the output have 840
LENET = {
    "conv1": 122_304,
    "subsample1": 5_880,
    "sparse_conv1": 151_600,
    "subsample2": 2_000,
    "conv2": 48_120,
    "linear1": 10_164,
    "linear2": 840,
}


def test_lenet_has_its_connections() -> None:
    plan = cnnplan.plan(zoo.find("lenet5_1998"))
    for name, wanted in LENET.items():
        inside = [layer for layer in plan.layers if layer.name == name or layer.name.startswith(f"{name}.")]
        assert sum(layer.connections or 0 for layer in inside) == wanted, name
    assert plan.connections == sum(LENET.values()) == 340_908
    assert plan.trainable_parameters == 60_000


@pytest.mark.parametrize(
    ("name", "variables", "layers"),
    [
        ("lenet5", {}, 5),
        ("alexnet", {}, 8),
        ("vgg11", {}, 11),
        ("vgg16", {}, 16),
        ("vgg19_bn", {}, 19),
        ("googlenet", {}, 22),
        ("inception_v3", {}, 48),
        ("resnet18", {}, 18),
        ("resnet34", {}, 34),
        ("resnet50", {}, 50),
        ("resnet152", {}, 152),
        ("resnext50", {}, 50),
        ("densenet", {}, 121),
        ("densenet", {"depth": 201}, 201),
        ("squeezenet1_0", {}, 18),
        ("mobilenet_v1", {}, 28),
    ],
)
def test_networks_have_the_depth_of_their_names(name: str, variables: dict[str, int], layers: int) -> None:
    """Their papers count convolutions and dense layers, and no projections beside the path."""
    assert cnnplan.plan(zoo.find(name), variables=variables).weighted_layers == layers


def drawn(layer: str, head: str = "cnnplan: 1\nname: net\ninput: [2, 5, 4]\n") -> int:
    """The edges of a layer one by one: for each input unit, the outputs that it reaches in torch; and the biases."""
    (found,) = plan(net(f"- {layer}", head=head)).layers
    node = found.node
    runner = Runner(node.op, node.shapes).double().eval()
    for parameter in runner.parameters():
        torch.nn.init.uniform_(parameter, 0.5, 1.5)
    x = torch.zeros(1, *node.shapes[0], dtype=torch.float64)
    edges = 0
    for place in itertools.product(*map(range, node.shapes[0])):
        y = x.clone()
        y[(0, *place)] = torch.nan
        edges += int(runner(y).isnan().sum())
    return edges + ("bias" in found.work.tensors) * found.output.numel


@pytest.mark.parametrize(
    "layer",
    [
        "conv: {out_channels: 4, kernel_size: 3}",
        "conv: {out_channels: 4, kernel_size: 3, padding: 1, bias: false}",
        "conv: {out_channels: 4, kernel_size: [3, 2], stride: 2, padding: [2, 1], dilation: [2, 1], groups: 2}",
        "conv: {out_channels: 2, kernel_size: 3, stride: 2, padding: same}",
        "depthwise_conv: {kernel_size: 3, padding: 1, multiplier: 2}",
        "conv_transpose: {out_channels: 3, kernel_size: 3, stride: 2, padding: 1, output_padding: 1}",
        "maxpool: 2",
        "maxpool: {kernel_size: 3, stride: 2, padding: 1, ceil_mode: true}",
        "avgpool: {kernel_size: 3, stride: 1, padding: same}",
        "global_avgpool",
        "global_maxpool: {keepdim: true}",
        "adaptive_avgpool: [3, 2]",
        "adaptive_maxpool: 1",
    ],
)
def test_edges(layer: str) -> None:
    (found,) = plan(net(f"- {layer}", head="cnnplan: 1\nname: net\ninput: [2, 5, 4]\n")).layers
    assert found.connections == drawn(layer)


def test_edges_of_a_dense_layer() -> None:
    head = "cnnplan: 1\nname: net\ninput: [7]\n"
    for layer in ("linear: 3", "linear: {out_features: 4, bias: false}"):
        assert plan(net(f"- {layer}", head=head)).connections == drawn(layer, head)


windows = st.one_of(
    st.sampled_from([WHOLE, PAST, POINTWISE]),
    st.builds(
        lambda kernel, stride, dilation, before: Sliding(kernel, stride, dilation, before).window,
        *(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 3)),
    ),
    st.builds(
        lambda kernel, stride, dilation, padding: Spread(kernel, stride, dilation, padding).window,
        *(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 3)),
    ),
    st.builds(lambda n, out: Adaptive(n, out).window, st.integers(1, 9), st.integers(1, 9)),
    st.builds(lambda scale: Resize("bilinear", scale).window, st.fractions(Fraction(1, 4), 4, max_denominator=5)),
)


@given(windows, st.integers(1, 12), st.integers(1, 12))
def test_edges_of_any_window(window: Window, out: int, size: int) -> None:
    assert window.edges(out, size) == sum(len(window.reads(unit, size)) for unit in range(out))


def test_padding_that_repeats_units_has_edges() -> None:
    """A tap in the padding is an edge to the unit that is repeated there."""
    layer = "conv: {out_channels: 2, kernel_size: 3, padding: 1, padding_mode: reflect, bias: false}"
    assert plan(net(f"- {layer}", head="cnnplan: 1\nname: net\ninput: [1, 4]\n")).connections == 2 * 4 * 3


def test_a_dense_layer_in_its_place() -> None:
    text = net(
        "- conv: {out_channels: 4, kernel_size: 3}\n- relu\n- maxpool: 2\n- flatten\n"
        "- linear: {out_features: 5, bias: false}"
    )
    found = plan(text).layers
    assert [layer.dense_parameters for layer in found] == [192 * 144 + 144, None, None, None, 36 * 5]
    assert [layer.kept for layer in found] == [None, None, Fraction(1, 4), None, None]


def test_kept() -> None:
    text = net("- maxpool: {kernel_size: 3, stride: 1, padding: 1}\n- avgpool: 2\n- global_maxpool")
    assert [layer.kept for layer in plan(text).layers] == [1, Fraction(1, 4), Fraction(1, 16)]


def test_slices_have_edges_of_their_own_and_shared_runs_too() -> None:
    one = plan(net("- conv: {out_channels: 4, kernel_size: 3}")).connections
    assert one is not None
    sliced = net(
        "- conv: {out_channels: 4, kernel_size: 3}\n  each: 1", head="cnnplan: 1\nname: net\ninput: [3, 5, 8, 8]\n"
    )
    assert plan(sliced).connections == 5 * one
    shared = net(
        "- conv: {out_channels: 4, kernel_size: 3}\n  name: c\n- share: c\n  from: input\n- add:\n  from: [c, previous]"
    )
    assert plan(shared).connections == 2 * one


def test_long_windows_are_counted_at_once() -> None:
    text = net(
        f"- conv: {{out_channels: 1, kernel_size: {2**60}, padding: {2**60}}}",
        head="cnnplan: 1\nname: n\ninput: [1, 9]\n",
    )
    assert plan(text).connections is None
