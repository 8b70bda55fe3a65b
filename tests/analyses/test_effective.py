"""The effective field: exact for linear networks whose windows weigh all inputs alike; torch is the oracle."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import cnnplan
from cnnplan import zoo
from cnnplan.analyses.effective import UNKNOWN, Known, Spread, spreads
from tests.language.helpers import net, plan
from tests.networks import Spec, networks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.graph import Graph


def spreads_of(graph: Graph, index: int = 0) -> tuple[Known, ...]:
    """Those of the output, on one input."""
    (value,) = graph.outputs.values()
    paths = spreads(graph)[value][index]
    assert paths
    return paths.axes


def influence(text: Any, unit: Sequence[int], index: int = 0) -> list[tuple[float, float]] | None:
    """Mean and variance, along each axis of an input, of the gradient of one unit; None where it reaches the border.

    All weights of a convolution are alike and sum to 1, as those of an average pool do.
    """
    model = cnnplan.build(text).double().eval()
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, 1 / parameter[0].numel())
    graph = plan(text).graph
    xs = [torch.ones(1, *given.shape, dtype=torch.float64, requires_grad=True) for given in graph.inputs]
    (gradient,) = torch.autograd.grad(model(*xs)[(0, slice(None), *unit)].sum(), xs[index])
    weights = gradient[0].abs().sum(0)
    weights = weights / weights.sum()
    found = []
    for axis, size in enumerate(weights.shape):
        along = weights.movedim(axis, 0).reshape(size, -1).sum(1)
        if along[0] or along[-1]:
            return None
        places = torch.arange(size, dtype=torch.float64)
        mean = float((along * places).sum())
        found.append((mean, float((along * (places - mean) ** 2).sum())))
    return found


def agrees(text: Any, index: int = 0) -> bool:
    """Hold the spreads of the middle unit against the gradient; whether it is away from the border."""
    graph = plan(text).graph
    (value,) = graph.outputs.values()
    unit = tuple(size // 2 for size in value.shape.spatial)
    found = influence(text, unit, index)
    if found is None:
        return False
    for axis, at in zip(spreads_of(graph, index), unit, strict=True):
        assert isinstance(axis, Spread)
        mean, variance = found[axis.axis]
        assert float(axis.stride) * at + axis.mean == pytest.approx(mean, abs=1e-9)
        assert axis.variance == pytest.approx(variance, abs=1e-9)
        assert axis.size == max(1, 4 * math.sqrt(axis.variance))
    return True


CONV = "conv: {out_channels: 2, kernel_size: 3, bias: false}"
PADDED = "conv: {out_channels: 2, kernel_size: 5, padding: 2, bias: false}"
POINT = "conv: {out_channels: 2, kernel_size: 1, bias: false}"
NETWORKS = {
    "convolutions": f"- {CONV}\n  repeat: 4",
    "even kernels": "- conv: {out_channels: 2, kernel_size: [2, 4], bias: false}\n  repeat: 3",
    "strides": f"""
        - {CONV}
        - conv: {{out_channels: 3, kernel_size: 5, stride: [2, 3], padding: 1, bias: false}}
        - {CONV}
    """,
    "dilations": "- conv: {out_channels: 2, kernel_size: [3, 2], dilation: [4, 7], bias: false}\n  repeat: 2",
    "pools": f"- avgpool: 2\n- {CONV}\n- avgpool: {{kernel_size: 3, stride: 2}}\n- {CONV}",
    "one side padded": f"- pad: [[5, 0], [1, 2]]\n- {PADDED}",
    "a crop": f"- {CONV}\n- crop: [21, 18]\n- {PADDED}",
    "depthwise": "- depthwise_conv: {kernel_size: 3, dilation: 2, bias: false}\n  repeat: 2",
    "groups": """
        - conv: {out_channels: 4, kernel_size: 3, bias: false}
        - conv: {out_channels: 6, kernel_size: 4, groups: 2, bias: false}
    """,
    "residuals": f"- {POINT}\n- add:\n    a: [{{{PADDED}}}]\n    b: []\n  repeat: 3\n- {CONV}",
    "three paths": f"- add:\n    a: [{{{PADDED}}}, {{{PADDED}}}]\n    b: [{{{PADDED}}}]\n    c: [{{{POINT}}}]",
    "paths off the centre": """
        - mean:
            a: [{pad: [[4, 0], [0, 0]]}, {conv: {out_channels: 2, kernel_size: [5, 1], bias: false}}]
            b: [{conv: {out_channels: 2, kernel_size: [1, 1], bias: false}}]
    """,
    "joined channels": f"""
        - concat:
            a: [{{conv: {{out_channels: 6, kernel_size: 7, padding: 3, bias: false}}}}]
            b: [{{conv: {{out_channels: 1, kernel_size: 3, padding: 1, bias: false}}}}]
            c: [{{avgpool: {{kernel_size: 3, stride: 1, padding: 1}}}}]
        - {CONV}
    """,
    "joined channels off the centre": f"""
        - concat:
            a: [{{conv: {{out_channels: 5, kernel_size: 4, padding: [[3, 0], [1, 2]], bias: false}}}}]
            b: [{{conv: {{out_channels: 2, kernel_size: 3, padding: [[0, 2], [2, 0]], bias: false}}}}]
        - {CONV}
    """,
    "dense": f"- concat:\n    a: [{{{PADDED}}}]\n    b: []\n  repeat: 4\n- {CONV}",
    "turned": "- permute: [0, 2, 1]\n- conv: {out_channels: 2, kernel_size: [5, 2], stride: [2, 1], bias: false}",
    "a branch of strides": """
        - add:
            a: [{conv: {out_channels: 2, kernel_size: 3, stride: 4, padding: 1, bias: false}}]
            b:
              - conv: {out_channels: 2, kernel_size: 5, stride: 2, padding: 2, bias: false}
              - conv: {out_channels: 2, kernel_size: 3, stride: 2, padding: 1, bias: false}
    """,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_of_a_linear_network_has_this_mean_and_variance(name: str) -> None:
    assert agrees(net(NETWORKS[name], head="cnnplan: 1\nname: net\ninput: [1, 40, 48]\n"))


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_copied_units_spread_as_those_they_copy(factor: int) -> None:
    """Up-sampling adds no variance; its mean is that of the copies of a unit together."""
    text = net(f"- {CONV}\n- avgpool: 2\n- upsample: {factor}", head="cnnplan: 1\nname: net\ninput: [1, 40, 41]\n")
    for axis, along in enumerate(spreads_of(plan(text).graph)):
        assert isinstance(along, Spread)
        units = [(u, u) for u in range(6 * factor, 7 * factor)]
        found = [moments[axis] for unit in units if (moments := influence(text, unit))]
        assert len(found) == factor
        centres = [mean - float(along.stride) * unit[axis] for unit, (mean, _) in zip(units, found, strict=True)]
        assert along.mean == pytest.approx(sum(centres) / factor, abs=1e-9)
        assert [variance for _, variance in found] == pytest.approx([along.variance] * factor, abs=1e-9)


@pytest.mark.parametrize("count", [1, 5, 20])
@pytest.mark.parametrize("kernel", [2, 3, 7])
def test_stacked_convolutions(kernel: int, count: int) -> None:
    """Luo et al. 2016, arXiv:1701.04128: uniform kernels give a standard deviation of sqrt(n (k² - 1) / 12)."""
    layers = f"- conv: {{out_channels: 1, kernel_size: {kernel}}}\n  repeat: {count}"
    found = plan(net(layers, head="cnnplan: 1\nname: net\ninput: [1, 200]\n"))
    (axis,) = spreads_of(found.graph)
    assert isinstance(axis, Spread)
    assert math.sqrt(axis.variance) == pytest.approx(math.sqrt(count * (kernel**2 - 1) / 12))
    field = count * (kernel - 1) + 1
    assert found.layers[-1].effective_size == pytest.approx((min(field, 4 * math.sqrt(axis.variance)),))


def test_each_input_by_itself() -> None:
    layers = f"- avgpool: 2\n  from: b\n- {PADDED}\n- add:\n  from: [a, previous]\n- {CONV}"
    text = net(layers, head="cnnplan: 1\nname: net\ninputs: {a: [2, 20, 22], b: [1, 40, 44]}\n")
    assert agrees(text, 0)
    assert agrees(text, 1)


@st.composite
def linear_networks(draw: st.DrawFn) -> Spec:
    """Convolutions, average pools, sums and concatenations over a line."""

    def window(kernels: st.SearchStrategy[int], **more: int) -> dict[str, Any]:
        sizes = {"kernel_size": draw(kernels), "dilation": draw(st.integers(1, 3)), **more}
        return {"conv": {"out_channels": draw(st.integers(1, 3)), "bias": False, **sizes}}

    def kept(width: int) -> dict[str, Any]:
        item = window(st.sampled_from([1, 3, 5]), out_channels=width)
        item["conv"]["padding"] = "half"
        return item

    layers: list[Any] = []
    width = 1
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["conv", "pool", "add", "concat"]))
        if kind == "conv":
            item = window(st.integers(1, 4), stride=draw(st.integers(1, 2)), padding=draw(st.integers(0, 2)))
            width = item["conv"]["out_channels"]
        elif kind == "pool":
            item = {"avgpool": {"kernel_size": draw(st.integers(1, 3)), "stride": draw(st.integers(1, 2))}}
        else:
            merged = [draw(st.integers(1, 3)) if kind == "concat" else width for _ in range(draw(st.integers(1, 2)))]
            item = {kind: [[], *([kept(n)] for n in merged)]}
            width += sum(merged) if kind == "concat" else 0
        layers.append(item)
    return {"cnnplan": 1, "name": "net", "input": [1, 700], "layers": [*layers, kept(1)]}


@given(linear_networks())
def test_any_linear_network(spec: Spec) -> None:
    assume(agrees(spec))


@given(networks(most=6))
def test_never_more_than_the_field(spec: Spec) -> None:
    for layer in cnnplan.plan(spec).layers:
        field = layer.receptive_field
        assert (field is None) == (layer.effective_size == ()) or not layer.output.rank
        for effective, whole in zip(layer.effective_size, field.size if field else (), strict=True):
            assert effective is None or (whole is not None and 1 <= effective <= whole)


@pytest.mark.parametrize("name", ["resnet50", "vgg16", "unet", "densenet", "googlenet", "m5"])
def test_a_part_of_the_field_of_real_networks(name: str) -> None:
    """Luo et al. 2016: the share that is used shrinks as the network grows deeper."""
    found = cnnplan.plan(zoo.find(name))
    value = found.reach.last_value
    assert value
    field = found.reach.of(value)
    assert field
    for effective, whole in zip(found.reach.effective_size(value), field.size, strict=True):
        assert effective is not None
        assert whole is not None
        assert 1 < effective < 0.9 * whole


UNKNOWNS = {
    "strides that differ": "- add:\n    a: [{maxpool: 8}]\n    b: [{slice: {axis: 1, stop: 8}}]",
    "behind it": "- add:\n    a: [{maxpool: 8}]\n    b: [{slice: {axis: 1, stop: 8}}]\n- relu\n- maxpool: 2",
    "joined along the axis": "- concat: {axis: 1}\n  from: [input, previous]",
    "no input is so large": f"- maxpool: {{kernel_size: 1, stride: {2**31}}}\n  repeat: 3",
}


@pytest.mark.parametrize("name", UNKNOWNS)
def test_what_is_not_followed_is_not_known(name: str) -> None:
    length = 2**62 if "large" in name else 64
    found = plan(net(UNKNOWNS[name], head=f"cnnplan: 1\nname: net\ninput: [1, {length}]\n"))
    assert spreads_of(found.graph) == (UNKNOWN,)
    assert found.layers[-1].effective_size == (None,)


def test_a_whole_axis_has_no_spread() -> None:
    found = plan(net("- global_avgpool: {keepdim: true}"))
    assert spreads_of(found.graph) == (None, None)
    assert found.layers[-1].effective_size == (None, None)
    (along, _) = spreads_of(plan(net("- conv: {out_channels: 4, kernel_size: 3}\n- squeeze_excite: 2")).graph)
    assert isinstance(along, Spread)
    assert (along.axis, along.stride, along.mean) == (0, Fraction(1), 1.0)
    assert along.variance == pytest.approx(2 / 3)
