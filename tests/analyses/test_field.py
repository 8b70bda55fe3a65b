"""Receptive fields: published tables, and a count of the units that are really read, one by one."""

import itertools
from fractions import Fraction

import pytest
import torch
from hypothesis import HealthCheck, given, settings

import cnnplan
from cnnplan import zoo
from cnnplan.analyses.field import Axis, Span, composed, fields, last_local, reduced
from cnnplan.graph import Graph, Value
from cnnplan.ops.window import Adaptive, Resize, Sliding, Spread, Window
from tests.language.helpers import net, plan
from tests.networks import Spec, networks


def last_axes(graph: Graph) -> tuple[Axis, ...]:
    """The axes of the last value that has local paths."""
    found = fields(graph)
    value = last_local(graph, found)
    assert value
    (field,) = [field for field in found[value] if field]
    return field.axes


def span_of(axis: Axis) -> Span:
    assert axis.span
    return axis.span


def test_axes_differ() -> None:
    """C3D (Tran et al. 2015): 76 frames, 150 pixels."""
    spans = [span_of(axis) for axis in last_axes(cnnplan.plan(zoo.find("c3d")).graph)]
    assert [(s.size, s.stride) for s in spans] == [(76, 16), (150, 32), (150, 32)]


def test_the_output_of_a_u_net_is_periodic() -> None:
    """Ronneberger et al. 2015: what a pixel sees depends on its place among 16; 188 to 204 pixels."""
    for axis in last_axes(cnnplan.plan(zoo.find("unet")).graph):
        span = span_of(axis)
        sizes = [high - low + 1 for low, high in zip(span.low, span.high, strict=True)]
        assert (span.period, span.stride, span.start) == (16, 1, 0)
        assert (min(sizes), max(sizes)) == (188, 204)


VGG_16 = {"stage1": 6, "stage2": 16, "stage3": 44, "stage4": 100, "stage5": 212}


def test_the_field_grows_as_published() -> None:
    sizes = {}
    for layer in cnnplan.plan(zoo.find("vgg16")).layers:
        assert layer.receptive_field
        if layer.receptive_field.size:
            sizes[layer.name.partition(".")[0]] = layer.receptive_field.size[0]
    assert {k: v for k, v in sizes.items() if k.startswith("stage")} == VGG_16


@pytest.mark.parametrize(
    ("kernel", "dilations", "size"),
    [(2, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512], 1024), (3, [1, 2, 4, 8], 31), (7, [2**i for i in range(8)], 1531)],
)
def test_dilated_stacks(kernel: int, dilations: list[int], size: int) -> None:
    """WaveNet (van den Oord et al. 2016): 1,024 samples from ten layers; TCN: 1 + (k - 1)(2^n - 1)."""
    items = "".join(f"- conv: {{out_channels: 2, kernel_size: {kernel}, dilation: {d}}}\n" for d in dilations)
    (axis,) = last_axes(plan(net(items, head="cnnplan: 1\nname: net\ninput: [1, 4000]\n")).graph)
    assert span_of(axis).size == size


def test_paths_of_different_strides_have_no_common_span() -> None:
    layers = "- add:\n    a: [{maxpool: 2}, {upsample: 4}]\n    b: [{upsample: 2}]"
    axes = last_axes(plan(net(layers)).graph)
    assert all(axis.span for axis in axes)
    layers = "- add:\n    a: [{maxpool: 8}]\n    b: [{conv: {out_channels: 3, kernel_size: 8, stride: 1}}]"
    for axis in last_axes(plan(net(layers)).graph):
        assert axis.span is None
        assert {span.stride for span in axis.spans} == {8, 1}
        assert not axis.aligned


def test_a_gate_sees_everything_and_leaves_the_local_paths() -> None:
    axes = last_axes(plan(net("- conv: {out_channels: 4, kernel_size: 3}\n- squeeze_excite: 2")).graph)
    assert all(axis.is_global and span_of(axis).size == 3 for axis in axes)
    graph = plan(net("- global_avgpool")).graph
    ((field,),) = [fields(graph)[value] for value in graph.outputs.values()]
    assert field
    assert field.is_global


def test_the_smallest_of_all_paths() -> None:
    """Richter et al. 2021, arXiv:2106.12307: the shortest way through a residual network counts."""
    layers = "- add:\n    a: [{conv: {out_channels: 3, kernel_size: 7, padding: 3}}]\n    b: []\n  repeat: 3"
    for axis in last_axes(plan(net(layers)).graph):
        assert axis.least
        assert (span_of(axis).size, axis.least.size) == (19, 1)


# ------------------------------------------------------------------------- against a count, unit by unit


def reads(graph: Graph) -> dict[Value, list[list[set[int]]]]:
    """For each value, axis and unit: the units of the first input that it really depends on, by following every tap."""
    found: dict[Value, list[list[set[int]]]] = {}
    (value,) = graph.inputs
    found[value] = [[{unit} for unit in range(size)] for size in value.shape.spatial]
    for node in graph.nodes:
        sizes = node.output.shape.spatial
        for port, output in enumerate(node.outputs):
            windows = node.op.reads(0, port, *node.shapes)[1:]
            axes = []
            for index, (window, size) in enumerate(zip(windows, sizes, strict=True)):
                units: list[set[int]] = [set() for _ in range(size)]
                for entering in node.inputs:
                    source = index if window.source is None else window.source
                    inner = found[entering][source] if source < entering.shape.rank else [set()]
                    for unit in range(size):
                        taps = (
                            [0] if len(inner) == 1 < size and len(node.inputs) > 1 else window.reads(unit, len(inner))
                        )
                        units[unit].update(*(inner[tap] for tap in taps))
                axes.append(units)
            found[output] = axes
    return found


@given(networks(most=7))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much])
def test_nothing_outside_the_field_is_read(spec: Spec) -> None:
    graph = cnnplan.plan(spec).graph
    found, counted = fields(graph), reads(graph)
    for node in graph.nodes:
        for value in node.outputs:
            (field,) = found[value]
            for axis, units in zip(field.axes if field else (), counted[value], strict=True):
                if axis.is_global or axis.unknown or (field and field.is_global):  # as behind a norm over the map
                    continue
                for unit, read in enumerate(units):
                    intervals = [span.at(unit) for span in axis.spans]
                    assert all(any(low <= i <= high for low, high in intervals) or _between(intervals, i) for i in read)


def _between(intervals: list[tuple[int, int]], unit: int) -> bool:
    return min(low for low, _ in intervals) <= unit <= max(high for _, high in intervals)


WINDOWS = {
    "conv": Sliding(3, 2, 1, 1).window,
    "dilated": Sliding(3, 1, 4).window,
    "transposed": Spread(4, 2, 1, 1).window,
    "transposed with holes": Spread(2, 3).window,
    "transposed and dilated": Spread(3, 2, 2).window,
    "nearest": Resize("nearest", Fraction(2, 3)).window,
    "bilinear": Resize("bilinear", Fraction(1, 2)).window,
    "adaptive": Adaptive(10, 4).window,
}


@pytest.mark.parametrize("first", WINDOWS)
@pytest.mark.parametrize("second", WINDOWS)
def test_two_windows_compose_exactly(first: str, second: str) -> None:
    """Far from the border, the interval is the hull of what is read, tap by tap."""
    a, b = WINDOWS[first], WINDOWS[second]
    start = Span(0, 1, (0,), (0,))
    inner = composed(start, a)
    assert inner
    span = composed(inner, b)
    assert span
    for unit in range(60, 60 + 2 * span.period):
        read = [i for middle in taps(b, unit) for i in taps(a, middle)]
        low, high = span.at(unit)
        assert (low, high) == (min(read), max(read)) if read else high < low


def taps(window: Window, unit: int) -> list[int]:
    period, phase = divmod(unit, len(window.phases))
    return [tap + window.advance * period for tap in window.phases[phase]]


CONV = "conv: {out_channels: 2, kernel_size: 3}"
PROBED = {
    "chain": f"- {CONV}\n- avgpool: 2\n- {CONV}",
    "dilated": f"- {CONV}\n- conv: {{out_channels: 2, kernel_size: [3, 2], dilation: [2, 3]}}",
    "padded": f"- {CONV}\n- conv: {{out_channels: 2, kernel_size: 5, padding: 2, stride: 2}}",
    "transposed": f"- {CONV}\n- conv_transpose: {{out_channels: 2, kernel_size: 3, stride: 2, padding: 1}}\n- {CONV}",
    "holes": "- conv_transpose: {out_channels: 2, kernel_size: 2, stride: 3}",
    "nearest": f"- {CONV}\n- upsample: 3\n- {CONV}",
    "bilinear": f"- {CONV}\n- upsample: {{scale_factor: 2, mode: bilinear}}\n- avgpool: 3",
    "residual": f"- add:\n    a: [{{conv: {{out_channels: 2, kernel_size: 5, padding: 2}}}}, {CONV}]\n    b: [{CONV}]",
    "crop": f"- conv: {{out_channels: 2, kernel_size: 3, padding: 1}}\n- crop: 9\n- {CONV}",
    "shuffle": f"- conv: {{out_channels: 4, kernel_size: 3}}\n- pixel_shuffle: 2\n- {CONV}",
    "unshuffle": f"- space_to_depth: 2\n- {CONV}",
    "U": f"""
        - {CONV}
          name: a
        - avgpool: 2
        - {CONV}
        - conv_transpose: {{out_channels: 2, kernel_size: 2, stride: 2}}
          name: up
        - crop: {{like: up}}
          from: a
        - concat:
          from: [previous, up]
        - avgpool: {{kernel_size: 3, stride: 1}}
    """,
}


@pytest.mark.parametrize("name", PROBED)
def test_gradients_come_from_the_field_and_all_of_it(name: str) -> None:
    """Torch as the oracle: with positive weights, an output unit has a gradient at each input that it depends on."""
    size = "[1, 18, 20]" if name == "unshuffle" else "[1, 17, 20]"
    text = net(PROBED[name], head=f"cnnplan: 1\nname: net\ninput: {size}\n")
    graph = plan(text).graph
    model = cnnplan.build(text).double().eval()
    for parameter in model.parameters():
        torch.nn.init.uniform_(parameter, 0.5, 1.5)
    (value,) = graph.outputs.values()
    ((field,),) = [fields(graph)[value]]
    assert field
    x = torch.ones(1, *graph.inputs[0].shape, dtype=torch.float64, requires_grad=True)
    y = model(x)[0].sum(0)
    exact = 0
    for unit in itertools.product(*map(range, value.shape.spatial)):
        (gradient,) = torch.autograd.grad(y[unit], x, retain_graph=True, allow_unused=True)
        support = gradient[0].abs().sum(0) > 1e-9
        intervals = [span_of(axis).at(index) for axis, index in zip(field.axes, unit, strict=True)]
        if any(high < low for low, high in intervals):  # a hole
            assert not support.any()
            continue
        for axis, (low, high) in enumerate(intervals):
            read = support.any(dim=1 - axis).nonzero().flatten().tolist()
            assert read
            assert all(low <= i <= high for i in read)
            if low >= 0 and high < x.shape[2 + axis] and name != "padded":
                exact += 1
                assert (read[0], read[-1]) == (low, high)
    assert exact > 20 or name == "padded"


def test_periods_are_the_smallest() -> None:
    assert reduced(Span(0, 4, (0, 2), (1, 3))) == Span(0, 2, (0,), (1,))
    assert reduced(Span(0, 4, (0, 1), (1, 3))).period == 2


def test_long_periods_are_not_followed() -> None:
    items = "".join(
        f"- upsample: {{scale_factor: {k}, mode: nearest}}\n- conv: {{out_channels: 1, kernel_size: 3, padding: 1}}\n"
        for k in (3, 5, 7, 11, 2)
    )
    graph = plan(net(items, head="cnnplan: 1\nname: net\ninput: [1, 4]\n")).graph
    ((field,),) = [fields(graph)[value] for value in graph.outputs.values()]
    assert field
    assert field.axes[0].unknown
