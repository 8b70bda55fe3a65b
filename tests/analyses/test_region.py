"""What one unit sees: against a walk from tap to tap, and against torch, input by input."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, NamedTuple

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import cnnplan
from cnnplan.analyses.region import MAX_BOXES, MAX_UNITS, Box, Look, Region, seen, sight
from cnnplan.errors import UsageError
from cnnplan.ops.base import Shape
from tests.language.helpers import dedent, net, plan
from tests.networks import Spec, networks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnnplan.graph import Graph, Value

Place = tuple[int, ...]
"""One element of a value: its channel, and its index along each spatial axis."""

quickly = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
)


def members(units: int) -> set[int]:
    """The set that the bits of a number stand for."""
    return {i for i in range(units.bit_length()) if units >> i & 1}


def elements(region: Region) -> set[Place]:
    """All elements of a region, channels first."""
    return {place for box in region.boxes for place in itertools.product(*map(members, box.axes))}


def positions(places: set[Place]) -> set[Place]:
    """Without the channels."""
    return {place[1:] for place in places}


# ------------------------------------------------------------------------------ against a walk, tap by tap


class Walk:
    """Follows every tap of every element, one by one."""

    def __init__(self, graph: Graph, local: bool) -> None:
        self.graph = graph
        self.local = local
        self.known: dict[tuple[Value, Place], frozenset[tuple[int, Place]]] = {}

    def seen(self, value: Value, unit: Place) -> list[set[Place]]:
        """What all channels of a unit see of each input."""
        found: list[set[Place]] = [set() for _ in self.graph.inputs]
        for channel in range(value.shape.channels):
            for index, place in self.walk(value, (channel, *unit)):
                found[index].add(place)
        return found

    def walk(self, value: Value, place: Place) -> frozenset[tuple[int, Place]]:
        """The elements of the inputs, with the number of the input, that an element comes from."""
        if value.node is None:
            return frozenset({(self.graph.inputs.index(value), place)})
        key = (value, place)
        if key not in self.known:
            taps = self.taps(value, place)
            self.known[key] = frozenset().union(*(self.walk(before, tap) for before, tap in taps))
        return self.known[key]

    def taps(self, value: Value, place: Place) -> Iterator[tuple[Value, Place]]:
        """The elements that one element is computed from."""
        node = value.node
        assert node
        port = node.outputs.index(value)
        for index, before in enumerate(node.inputs):
            windows = node.op.reads(index, port, *node.shapes)
            local = len(windows) == len(before.shape) and all(window.phases for window in windows[1:])
            if self.local and not local:
                continue
            axes = [set(range(size)) for size in before.shape]
            for axis, (window, unit) in enumerate(zip(windows, place, strict=True)):
                source = axis if axis == 0 or window.source is None else window.source + 1
                if window.phases and source < len(axes):
                    axes[source] &= set(window.reads(unit, before.shape[source]))
            for tap in itertools.product(*axes):
                yield before, tap


@given(networks(most=3), st.data())
@quickly
def test_a_walk_from_tap_to_tap_finds_the_same(spec: Spec, data: st.DataObject) -> None:
    graph = cnnplan.plan(spec).graph
    values = [value for node in graph.nodes for value in node.outputs]
    value = data.draw(st.sampled_from(values[-4:]), label="value")
    assume(max(v.shape.numel for v in values) <= 600)
    for local in (False, True):
        look, walk = Look(graph), Walk(graph, local)
        for _ in range(2):
            unit = tuple(data.draw(st.integers(0, size - 1)) for size in value.shape.spatial)
            for region, counted in zip(look.seen(value, unit, local=local), walk.seen(value, unit), strict=True):
                found = elements(region)
                assert found == counted if region.exact else found >= counted
                assert region.positions == len(positions(found))


# ---------------------------------------------------------------------------------------- against torch


def by_nan(model: torch.nn.Module, shapes: Sequence[Shape], index: int, *, channels: bool) -> dict[Place, torch.Tensor]:
    """For each element of an input (each position, without `channels`): where in the output a NaN there arrives."""
    shape = shapes[index]
    places: list[Place] = list(itertools.product(*map(range, shape if channels else shape.spatial)))
    xs = [torch.ones(len(places), *other, dtype=torch.float64) for other in shapes]
    for sample, place in enumerate(places):
        at: tuple[int | slice, ...] = place if channels else (slice(None), *place)
        xs[index][(sample, *at)] = torch.nan
    with torch.no_grad():
        reached = model.double().eval()(*xs).isnan().any(1)
    return dict(zip(places, reached, strict=True))


def by_gradient(model: torch.nn.Module, shapes: Sequence[Shape], unit: Place) -> list[set[Place]]:
    """The elements of each input at which the sum of a unit's channels has a derivative."""
    for parameter in model.double().eval().parameters():
        torch.nn.init.uniform_(parameter, 0.5, 1.5)
    xs = [torch.rand(1, *shape, dtype=torch.float64).add(0.5).requires_grad_() for shape in shapes]
    gradients = torch.autograd.grad(model(*xs)[0].sum(0)[unit], xs, allow_unused=True, materialize_grads=True)
    return [{tuple(place) for place in (g[0].abs() > 1e-9).nonzero().tolist()} for g in gradients]


@given(networks(most=5), st.data())
@quickly
def test_torch_sees_the_same(spec: Spec, data: st.DataObject) -> None:
    graph = cnnplan.plan(spec).graph
    assume(not any(node.op.interpolates() for node in graph.nodes))
    (value,) = graph.outputs.values()
    (given,) = graph.inputs
    reached = by_nan(cnnplan.build(spec), [given.shape], 0, channels=False)
    look = Look(graph)
    units = list(itertools.product(*map(range, value.shape.spatial)))
    for unit in data.draw(st.lists(st.sampled_from(units), min_size=1, max_size=8)):
        (region,) = look.seen(value, unit)
        found = {place for place, output in reached.items() if output[unit]}
        assert found <= positions(elements(region))
        assert found == positions(elements(region)) or not region.exact


SMALL = "conv: {out_channels: 2, kernel_size: 3}"
CROSS = """
    - add:
        across: [{conv: {out_channels: 1, kernel_size: [1, 3], padding: [0, 1]}}]
        down: [{conv: {out_channels: 1, kernel_size: [3, 1], padding: [1, 0]}}]
"""
NETWORKS: dict[str, tuple[str, str]] = {
    "a convolution": ("[2, 7, 6]", f"- {SMALL}"),
    "holes": ("[1, 12, 11]", "- conv: {out_channels: 2, kernel_size: 3, dilation: 3}"),
    "gridding": (
        "[1, 15, 13]",
        "- conv: {out_channels: 2, kernel_size: 3, dilation: 2, padding: 2}\n  repeat: 3",
    ),
    "a border": ("[2, 6, 7]", "- conv: {out_channels: 2, kernel_size: 5, padding: 2}\n  repeat: 2"),
    "strides and a border": (
        "[1, 9, 10]",
        "- conv: {out_channels: 2, kernel_size: 3, padding: 2, stride: 2}\n  repeat: 2",
    ),
    "the same, with a pool": (
        "[1, 9, 8]",
        f"- conv: {{out_channels: 2, kernel_size: 4, padding: same}}\n- maxpool: 3\n- {CROSS.strip()[2:]}",
    ),
    "transposed with holes": (
        "[1, 5, 4]",
        "- conv_transpose: {out_channels: 2, kernel_size: 2, stride: 3}\n- conv: {out_channels: 1, kernel_size: 2}",
    ),
    "transposed and dilated": (
        "[2, 5, 6]",
        "- conv_transpose: {out_channels: 2, kernel_size: 3, stride: 2, dilation: 2, padding: 1, output_padding: 1}",
    ),
    "reflected": ("[1, 7, 6]", f"- pad: {{padding: 3, mode: reflect}}\n- {SMALL}"),
    "reflected convolution": (
        "[1, 6, 6]",
        "- conv: {out_channels: 2, kernel_size: 5, padding: 2, padding_mode: reflect}\n  repeat: 2",
    ),
    "circular": (
        "[1, 7, 6]",
        "- conv: {out_channels: 2, kernel_size: 3, padding: 1, padding_mode: circular}\n  repeat: 2",
    ),
    "circular, twice around": (
        "[1, 4, 3]",
        "- pad: {padding: 3, mode: circular}\n- maxpool: {kernel_size: 2, stride: 3}",
    ),
    "replicated": (
        "[1, 5, 6]",
        "- pad: {padding: [[4, 1], [0, 2]], mode: replicate}\n- maxpool: {kernel_size: 2, stride: 1}",
    ),
    "one branch of two": (
        "[2, 8, 8]",
        f"""
        - concat:
            wide: [{{conv: {{out_channels: 3, kernel_size: 5, padding: 2}}}}]
            narrow: [{{conv: {{out_channels: 2, kernel_size: 1}}}}]
        - slice: {{axis: 0, start: 3}}
        - {SMALL}
        """,
    ),
    "both branches, a little": (
        "[2, 7, 8]",
        """
        - concat:
            wide: [{conv: {out_channels: 3, kernel_size: 5, padding: 2}}]
            narrow: [{conv: {out_channels: 2, kernel_size: 1}}]
        - slice: {axis: 0, start: 2, stop: 4}
        """,
    ),
    "half of the channels": (
        "[4, 6, 6]",
        f"- split: 2\n  name: half\n- {SMALL}\n  from: half.1",
    ),
    "groups": (
        "[4, 6, 5]",
        "- conv: {out_channels: 4, kernel_size: 3, groups: 2}\n- slice: {axis: 0, stop: 2}",
    ),
    "shuffled groups": (
        "[4, 5, 5]",
        "- depthwise_conv: {kernel_size: 3}\n- channel_shuffle: 2\n- slice: {axis: 0, start: 1, stop: 2}",
    ),
    "a cross": ("[1, 8, 9]", CROSS),
    "a cross of crosses": ("[1, 9, 9]", CROSS.replace("- add", "- add", 1) + CROSS),
    "halves of the height": (
        "[1, 8, 6]",
        f"""
        - split: {{sections: 2, axis: 1}}
          name: half
        - concat: {{axis: 1}}
          from: [half.1, half.0]
        - {SMALL}
        """,
    ),
    "squeeze and excite": ("[2, 6, 7]", f"- {SMALL}\n- squeeze_excite: 2\n- {SMALL}"),
    "a broadcast row": (
        "[1, 6, 6]",
        "- add:\n    rows: [{conv: {out_channels: 1, kernel_size: [6, 1]}}]\n    map: []",
    ),
    "adaptive": ("[1, 10, 7]", "- adaptive_avgpool: [4, 3]\n- maxpool: {kernel_size: 2, stride: 1}"),
    "turned": ("[1, 5, 8]", f"- permute: [0, 2, 1]\n- {SMALL}"),
    "nearest": ("[1, 5, 6]", f"- upsample: [3, 2]\n- {SMALL}\n- maxpool: 2"),
    "a line": ("[2, 20]", "- conv: {out_channels: 2, kernel_size: 2, dilation: 4, stride: 3}\n- maxpool: 2"),
    "a volume": (
        "[1, 5, 4, 6]",
        "- conv: {out_channels: 2, kernel_size: [3, 1, 2], padding: [1, 0, 0], dilation: [2, 1, 3]}",
    ),
    "two inputs": (
        "a: [1, 8, 7], b: [2, 4, 4]",
        """
        - upsample: 2
          from: b
        - crop: {like: a}
        - conv: {out_channels: 1, kernel_size: 3, padding: 1}
        - add:
          from: [a, previous]
        - conv: {out_channels: 1, kernel_size: [1, 3]}
        """,
    ),
}


def text_of(name: str) -> str:
    shape, layers = NETWORKS[name]
    inputs = f"input: {shape}" if shape.startswith("[") else f"inputs: {{{shape}}}"
    return net(layers, head=f"cnnplan: 1\nname: net\n{inputs}\n")


@pytest.mark.parametrize("name", NETWORKS)
def test_nans_come_from_what_is_seen_alone(name: str) -> None:
    """Every element of every input, and every unit: exactly, channels included."""
    graph = plan(text_of(name)).graph
    (value,) = graph.outputs.values()
    model, look = cnnplan.build(text_of(name)), Look(graph)
    shapes = [given.shape for given in graph.inputs]
    for index in range(len(shapes)):
        reached = by_nan(model, shapes, index, channels=True)
        for unit in itertools.product(*map(range, value.shape.spatial)):
            region = look.seen(value, unit)[index]
            assert region.exact
            assert elements(region) == {place for place, output in reached.items() if output[unit]}, unit


@pytest.mark.parametrize("name", sorted({*NETWORKS} - {"squeeze and excite"}))
def test_gradients_come_from_all_that_is_seen(name: str) -> None:
    """Max pooling passes the gradient of one unit alone; all others of all that they read."""
    text = text_of(name).replace("maxpool", "avgpool")
    graph = plan(text).graph
    (value,) = graph.outputs.values()
    model = cnnplan.build(text)
    for unit in itertools.islice(itertools.product(*map(range, value.shape.spatial)), 0, None, 5):
        regions = seen(value, unit, graph)
        assert by_gradient(model, [given.shape for given in graph.inputs], unit) == list(map(elements, regions)), unit


@pytest.mark.parametrize(
    "mode", ["bilinear", "bicubic", "bilinear, align_corners: true"], ids=["bilinear", "bicubic", "corners"]
)
@pytest.mark.parametrize("size", ["scale_factor: 2", "size: [7, 9]", "scale_factor: 1.5"])
def test_interpolation_sees_what_it_weighs(mode: str, size: str) -> None:
    layers = f"- conv: {{out_channels: 2, kernel_size: 2}}\n- upsample: {{{size}, mode: {mode}}}"
    text = net(layers, head="cnnplan: 1\nname: net\ninput: [1, 7, 6]\n")
    graph = plan(text).graph
    (value,) = graph.outputs.values()
    model = cnnplan.build(text)
    for unit in itertools.product(*map(range, value.shape.spatial)):
        (region,) = seen(value, unit, graph)
        (found,) = by_gradient(model, [graph.inputs[0].shape], unit)
        assert found == elements(region), unit


class Loose(NamedTuple):
    """Layers that mix axes: what is seen is bounded, exactly where `exact` says so."""

    shape: str
    layers: str
    exact: bool


MIXED = {
    "unshuffled": Loose("[1, 8, 6]", f"- space_to_depth: 2\n- {SMALL}", True),
    "some channels of an unshuffled map": Loose(
        "[1, 8, 6]", "- space_to_depth: 2\n- slice: {axis: 0, start: 1, stop: 2}", False
    ),
    "shuffled": Loose("[4, 3, 4]", "- pixel_shuffle: 2", True),
    "rows of another width": Loose(
        "[1, 6, 4]", "- reshape: [1, 4, 6]\n- conv: {out_channels: 1, kernel_size: 2}", False
    ),
    "the same shape": Loose("[1, 6, 4]", f"- reshape: [1, 6, 4]\n- {SMALL}", True),
    "channels as an axis": Loose("[4, 3, 5]", "- permute: [1, 0, 2]", False),
    "flattened": Loose("[1, 3, 4]", "- flatten\n- linear: 2", True),
    "a part of a vector": Loose("[1, 3, 4]", "- flatten\n- slice: {axis: 0, stop: 5}", False),
}


@pytest.mark.parametrize("name", MIXED)
def test_mixed_axes_give_bounds_and_say_so(name: str) -> None:
    case = MIXED[name]
    text = net(case.layers, head=f"cnnplan: 1\nname: net\ninput: {case.shape}\n")
    graph = plan(text).graph
    (value,) = graph.outputs.values()
    reached = by_nan(cnnplan.build(text), [graph.inputs[0].shape], 0, channels=True)
    for unit in itertools.product(*map(range, value.shape.spatial)):
        (region,) = seen(value, unit, graph)
        found = {place for place, output in reached.items() if output[unit]}
        assert region.exact == case.exact
        assert found <= elements(region)
        if region.exact:
            assert positions(found) == positions(elements(region))


@pytest.mark.parametrize(
    "layers",
    [
        f"- {SMALL}\n- GATE\n- {SMALL}",
        f"- {SMALL}\n- GATE\n- conv: {{out_channels: 2, kernel_size: 2, stride: 2}}\n- GATE",
    ],
)
def test_local_paths_are_those_of_the_network_without_gates(layers: str) -> None:
    head = "cnnplan: 1\nname: net\ninput: [2, 7, 8]\n"
    gated, plain = (net(layers.replace("GATE", gate), head=head) for gate in ("squeeze_excite: 2", "relu"))
    found = plan(gated)
    (value,) = found.graph.outputs.values()
    shapes = [found.graph.inputs[0].shape]
    everything = by_nan(cnnplan.build(gated), shapes, 0, channels=True)
    reached = by_nan(cnnplan.build(plain), shapes, 0, channels=True)
    for unit in itertools.product(*map(range, value.shape.spatial)):
        what = sight(value, unit, found.graph)
        assert elements(what.local[0]) == {place for place, output in reached.items() if output[unit]}
        assert elements(what.regions[0]) == {place for place, output in everything.items() if output[unit]}
        assert [node.op.kind for node in what.wide] == ["global_avgpool"] * layers.count("GATE")


def test_a_cross_is_no_square() -> None:
    graph = plan(text_of("a cross")).graph
    (value,) = graph.outputs.values()
    (region,) = seen(value, (3, 4), graph)
    assert (region.positions, region.count(0), region.count(1)) == (5, 3, 3)
    assert (region.interval(0), region.interval(1)) == ((2, 4), (3, 5))
    assert region.sees((1 << 2, 1 << 4))
    assert not region.sees((1 << 2, 1 << 3))


def test_an_input_that_is_not_read_is_not_seen() -> None:
    text = net("- relu:\n  from: a\n- concat:\n  from: [previous, b]\n- slice: {axis: 0, stop: 1}", head=TWO)
    graph = plan(text).graph
    (value,) = graph.outputs.values()
    a, b = seen(value, (1, 1), graph)
    assert (a.positions, b.positions) == (1, 0)
    assert (b.interval(0), b.count(0), b.boxes, b.exact) == (None, 0, (), True)
    assert not b.sees((-1, -1))


TWO = "cnnplan: 1\nname: net\ninputs: {a: [1, 4, 4], b: [1, 4, 4]}\n"


@pytest.mark.parametrize("depth", [3, 7, 8])
def test_too_many_boxes_are_put_into_one(depth: int) -> None:
    """Each of `depth` steps goes 2^i to the right or 2^i down: 2^depth single positions on a diagonal."""
    step = """
        - add:
            right: [{conv: {out_channels: 1, kernel_size: [1, 2], dilation: N}}, {slice: {axis: 1, stop: -N}}]
            down: [{conv: {out_channels: 1, kernel_size: [2, 1], dilation: N}}, {slice: {axis: 2, stop: -N}}]
    """
    layers = "".join(dedent(step.replace("N", str(2**i))) for i in range(depth))
    graph = plan(net(layers, head=f"cnnplan: 1\nname: net\ninput: [1, {2**depth}, {2**depth}]\n")).graph
    (value,) = graph.outputs.values()
    assert value.shape == (1, 1, 1)
    (region,) = seen(value, (0, 0), graph)
    wanted = walked(depth)
    assert region.exact == (len(region.boxes) > 1)
    assert positions(elements(region)) >= wanted
    assert region.exact == (2**depth <= MAX_BOXES)
    if region.exact:
        assert positions(elements(region)) == wanted


def walked(depth: int) -> set[Place]:
    """All ways to go nowhere, 2^i to the right or 2^i down in each step."""
    found: set[Place] = {(0, 0)}
    for step in (2**i for i in range(depth)):
        found |= {(y, x + step) for y, x in found} | {(y + step, x) for y, x in found}
    return found


# ------------------------------------------------------------------------------------- unions of boxes


@st.composite
def regions(draw: st.DrawFn) -> Region:
    """A union of a few boxes in a small shape."""
    shape = Shape(draw(st.lists(st.integers(1, 5), min_size=2, max_size=4)))
    box = st.tuples(*(st.integers(1, (1 << size) - 1) for size in shape)).map(Box)
    return Region(shape, tuple(draw(st.lists(box, max_size=6))))


@given(regions(), st.data())
@settings(max_examples=300)
def test_a_union_of_boxes_is_counted(region: Region, data: st.DataObject) -> None:
    places = positions(elements(region))
    assert region.positions == len(places)
    for axis, size in enumerate(region.shape.spatial):
        units = {place[axis] for place in places}
        assert members(region.along(axis)) == units
        assert region.count(axis) == len(units)
        assert region.interval(axis) == ((min(units), max(units)) if units else None)
        assert max(units, default=0) < size
    asked = data.draw(st.tuples(*(st.integers(0, (1 << size) - 1) for size in region.shape.spatial)))
    hit = any(all(unit in members(units) for unit, units in zip(place, asked, strict=True)) for place in places)
    assert region.sees(asked) == hit


# --------------------------------------------------------------------------------------------- errors


HEAD = "cnnplan: 1\nname: net\ninput: [1, 9, 7]\n"
WRONG: dict[str, tuple[str, int | Place, str]] = {
    "below": (f"- {SMALL}", (-1, 0), "unit -1 is outside the height of 'conv1' (2x7x5): 0 to 6"),
    "beyond": (f"- {SMALL}", (0, 5), "unit 5 is outside the width of 'conv1' (2x7x5): 0 to 4"),
    "too few": (f"- {SMALL}", 3, "'conv1' is 2x7x5: a unit of it has 2 indexes, not 1"),
    "too many": (f"- {SMALL}", (1, 1, 1), "'conv1' is 2x7x5: a unit of it has 2 indexes, not 3"),
    "a vector": ("- flatten", (0,), "'flatten1' is a vector of 63: it has no spatial axes to index"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_unit_that_is_not_there_is_refused(name: str) -> None:
    layers, unit, message = WRONG[name]
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        plan(net(layers, head=HEAD)).layers[-1].sees(unit)


@pytest.mark.parametrize("layers", ["- relu", f"- maxpool: {2 * MAX_UNITS}", "- flatten\n- reshape: [1, -1]"])
def test_long_axes_are_not_followed(layers: str) -> None:
    size = 2 * MAX_UNITS
    found = plan(net(layers, head=f"cnnplan: 1\nname: net\ninput: [1, {size}]\n")).layers[-1]
    message = f"an axis has {size:,} units; at most {MAX_UNITS:,} are followed one by one"
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        found.sees(0)


def test_one_number_is_enough_on_a_line() -> None:
    layer = plan(
        net("- conv: {out_channels: 1, kernel_size: 3}", head="cnnplan: 1\nname: net\ninput: [1, 9]\n")
    ).layers[0]
    what = layer.sees(2)
    assert what == layer.sees((2,))
    assert (what.unit, what.regions[0].interval(0), what.wide) == ((2,), (2, 4), ())
    with pytest.raises(UsageError, match=r"a unit of it has 1 index, not 2"):
        layer.sees((2, 2))
