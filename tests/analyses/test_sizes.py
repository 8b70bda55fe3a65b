"""Legal sizes of inputs: the model that is built runs at exactly these. Torch is the oracle."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cnnplan
from cnnplan.analyses.legal import Legal
from cnnplan.analyses.sizes import Axis, asked, clash, legal_sizes, refusal, refused
from cnnplan.errors import SpecError, UsageError
from tests.language.helpers import net, plan
from tests.networks import Spec, networks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cnnplan.graph import Graph

Sizes = tuple[tuple[int, ...], ...]
"""The spatial sizes of each input."""

CONV = "conv: {out_channels: 2, kernel_size: 3, padding: 1}"
VALID = "conv: {out_channels: 2, kernel_size: 3}"
FAR = (127, 128, 160, 257, 1000)
ANY = (1, (0,), 1)


class Net(NamedTuple):
    """A network, and what is known of its legal sizes along the first axis.

    Attributes:
        shapes: of the inputs; several are called a, b …
        layers: the spec's.
        expected: modulus, remainders and least size; None where the sizes have no end.
        refusing: the layers that refuse sizes along the first axis.
    """

    shapes: tuple[tuple[int, ...], ...]
    layers: str
    expected: tuple[int, tuple[int, ...], int] | None
    refusing: tuple[str, ...] = ()


PADDED_U = f"""
    - {CONV}
      name: e1
    - maxpool: 2
    - {CONV}
      name: e2
    - maxpool: 2
    - {CONV}
      name: e3
    - maxpool: 2
    - {CONV}
    - conv_transpose: {{out_channels: 2, kernel_size: 2, stride: 2}}
    - concat:
      from: [e3, previous]
    - conv_transpose: {{out_channels: 2, kernel_size: 2, stride: 2}}
    - concat:
      from: [e2, previous]
    - conv_transpose: {{out_channels: 2, kernel_size: 2, stride: 2}}
    - concat:
      from: [e1, previous]
    - {CONV}
"""
VALID_U = f"""
    - {VALID}
      name: e1
    - maxpool: 2
    - {VALID}
      name: e2
    - maxpool: 2
    - {VALID}
    - conv_transpose: {{out_channels: 2, kernel_size: 2, stride: 2}}
      name: u2
    - crop: {{like: u2}}
      from: e2
    - concat:
      from: [previous, u2]
    - {VALID}
    - conv_transpose: {{out_channels: 2, kernel_size: 2, stride: 2}}
      name: u1
    - crop: {{like: u1}}
      from: e1
    - concat:
      from: [previous, u1]
    - {VALID}
"""
NETWORKS = {
    "padded U": Net(
        ((1, 32, 24),), PADDED_U, (8, (0,), 8), ("concat1", "concat2", "concat3", "maxpool1", "maxpool2", "maxpool3")
    ),
    "valid U with crops": Net(((1, 40, 44),), VALID_U, (1, (0,), 22), ("e1", "e2", "conv1", "conv2")),
    "dense head": Net(
        ((1, 12, 10),), f"- {VALID}\n- maxpool: 2\n- flatten\n- linear: 3", None, ("linear1", "conv1", "maxpool1")
    ),
    "adaptive head": Net(((1, 12, 9),), f"- {VALID}\n- adaptive_avgpool: 3\n- flatten\n- linear: 3", (1, (0,), 3)),
    "global head": Net(((1, 12, 9),), f"- {VALID}\n- maxpool: 2\n- global_avgpool\n- linear: 3", (1, (0,), 4)),
    "same padding, even": Net(
        ((1, 16, 14),), "- conv: {out_channels: 2, kernel_size: 3, stride: 2, padding: same}", (2, (0,), 2), ("conv1",)
    ),
    "same padding, odd": Net(
        ((1, 15, 16),), "- conv: {out_channels: 2, kernel_size: 3, stride: 2, padding: same}", (2, (1,), 1), ("conv1",)
    ),
    "same padding in threes": Net(
        ((1, 30, 31),), "- conv: {out_channels: 2, kernel_size: 3, stride: 3, padding: same}", (3, (0,), 3), ("conv1",)
    ),
    "space to depth": Net(((1, 12, 8),), f"- space_to_depth: 4\n- {CONV}", (4, (0,), 4), ("space_to_depth1",)),
    "thirds of the height": Net(
        ((1, 12, 8),),
        "- split: {sections: 3, axis: 1}\n  name: part\n- add:\n  from: [part.0, part.1, part.2]",
        (3, (0,), 3),
        ("part",),
    ),
    "halves behind a stride": Net(
        ((1, 24, 8),),
        "- maxpool: 2\n- split: {sections: 2, axis: 1}\n  name: part\n- concat:\n  from: [part.1, part.0]",
        (4, (0, 1), 4),
        ("part", "maxpool1"),
    ),
    "split into sizes": Net(
        ((1, 7, 8),), "- split: {sections: [3, 4], axis: 1}\n  name: p\n- maxpool: 2\n  from: p.1", None, ("p",)
    ),
    "reshape to rows": Net(((3, 8, 6),), "- reshape: [3, -1]", ANY),
    "reshape to two": Net(((1, 6, 5),), "- reshape: [2, -1, 3]", None, ("reshape1",)),
    "reshape to a vector": Net(((2, 6, 5),), "- reshape: [-1]", ANY),
    "dilated": Net(
        ((1, 20, 24),),
        "- conv: {out_channels: 2, kernel_size: 3, dilation: 3}\n- conv: {out_channels: 2, kernel_size: 2, stride: 3}",
        (1, (0,), 8),
        ("conv1", "conv2"),
    ),
    "transposed and joined": Net(
        ((1, 16, 14),),
        """
        - conv: {out_channels: 2, kernel_size: 3, stride: 2, padding: 1}
        - conv_transpose: {out_channels: 1, kernel_size: 3, stride: 2, padding: 1, output_padding: 1}
        - add:
          from: [input, previous]
        """,
        (2, (0,), 2),
        ("add1",),
    ),
    "transposed without the rest": Net(
        ((1, 15, 13),),
        """
        - conv: {out_channels: 2, kernel_size: 3, stride: 2, padding: 1}
        - conv_transpose: {out_channels: 1, kernel_size: 3, stride: 2, padding: 1}
        - concat:
          from: [input, previous]
        """,
        (2, (1,), 1),
        ("concat1",),
    ),
    "size in an expression": Net(
        ((1, 12, 12),), "- conv: {out_channels: '=1 + in_size[0] // 5', kernel_size: 3}", None
    ),
    "size in a condition": Net(((1, 20, 10),), "- relu:\n  if: =in_size[0] % 4 == 0\n- tanh", (4, (0,), 4)),
    "pools rounded up": Net(
        ((1, 13, 12),),
        "- maxpool: {kernel_size: 3, stride: 2, ceil_mode: true}\n- avgpool: {kernel_size: 2, ceil_mode: true}",
        (1, (0,), 2),
        ("maxpool1",),
    ),
    "two inputs": Net(
        ((1, 10, 8), (2, 10, 8)),
        f"- maxpool: 2\n  from: a\n- upsample: 2\n- concat:\n  from: [b, previous]\n- {CONV}",
        (2, (0,), 2),
        ("concat1", "maxpool1"),
    ),
    "inputs of different sizes": Net(
        ((1, 9), (1, 18)), "- maxpool: 2\n  from: b\n- add:\n  from: [a, previous]", None, ("add1",)
    ),
    "audio": Net(
        ((1, 640),),
        "- conv: {out_channels: 2, kernel_size: 16, stride: 4}\n- maxpool: 4\n- maxpool: 4\n- global_avgpool",
        (1, (0,), 76),
        ("maxpool2", "maxpool1", "conv1"),
    ),
    "audio there and back": Net(
        ((1, 256),),
        "- maxpool: 4\n- maxpool: 4\n- maxpool: 4\n- upsample: 64\n- add:\n  from: [input, previous]",
        (64, (0,), 64),
    ),
    "layer norm": Net(((1, 6, 5),), f"- {CONV}\n- layernorm", None, ("layernorm1",)),
    "crop to a size": Net(((1, 16, 14),), "- crop: 9\n- flatten\n- linear: 2", (1, (0,), 9), ("crop1",)),
    "slice": Net(
        ((1, 12, 9),), "- slice: {axis: 1, start: 2, stop: -3}\n- maxpool: 2", (1, (0,), 7), ("slice1", "maxpool1")
    ),
    "reflected": Net(((1, 12, 9),), "- pad: {padding: 4, mode: reflect}", (1, (0,), 5), ("pad1",)),
    "scaled by a half more": Net(
        ((1, 12, 8),), "- upsample: 1.5\n- maxpool: 3\n- upsample: 2\n- add:\n  from: [input, previous]", (2, (0,), 2)
    ),
    "volume": Net(((1, 8, 6, 10),), f"- {VALID}\n- maxpool: [2, 1, 2]\n- upsample: [2, 1, 2]\n- {CONV}", (1, (0,), 4)),
    "broadcast": Net(((1, 10),), "- add:\n    a: []\n    b: [{maxpool: 8}]", None, ("add1", "add1.b.maxpool1")),
}


def text_of(layers: str, shapes: Iterable[Sequence[int]]) -> str:
    """The spec with inputs of these shapes."""
    written = [str(list(shape)) for shape in shapes]
    named = ", ".join(f"{name}: {shape}" for name, shape in zip("abc", written, strict=False))
    given = f"input: {written[0]}" if len(written) == 1 else f"inputs: {{{named}}}"
    return net(layers, head=f"cnnplan: 1\nname: net\n{given}\n")


def planned_at(layers: str, shapes: Sequence[Sequence[int]]) -> list[tuple[int, ...]] | None:
    """The shapes of the outputs of a plan with inputs of these shapes; None where the spec is not valid then."""
    try:
        graph = plan(text_of(layers, shapes)).graph
    except SpecError:
        return None
    return [tuple(value.shape) for value in graph.outputs.values()]


def runs(model: torch.nn.Module, layers: str, shapes: Sequence[tuple[int, ...]]) -> bool:
    """Whether the model takes inputs of these shapes, and gives what one that is built for them gives."""
    chance = torch.Generator().manual_seed(0)
    xs = [torch.randn(16, *shape, generator=chance) for shape in shapes]
    try:
        with torch.no_grad():
            given = model(*xs)
    except (RuntimeError, IndexError, ValueError):
        return False
    planned = planned_at(layers, shapes)
    if planned is None or [tuple(given.shape[1:])] != planned:
        return False
    if not ("same" in layers or "in_size" in layers or shapes[0][-1] % 4 == 0):
        return True  # of equal shape, but not equal: only these build something else for another size
    other = cnnplan.build(text_of(layers, shapes)).eval()
    try:
        other.load_state_dict(model.state_dict())
    except RuntimeError:
        return False
    with torch.no_grad():
        return torch.allclose(given, other(*xs), atol=1e-6)


def varied(shapes: Sequence[tuple[int, ...]], axis: Axis, size: int) -> list[tuple[int, ...]]:
    """The shapes with another size along an axis of the inputs that are varied together."""
    spatial = axis.inputs[0].shape.spatial
    return [
        (*shape[: axis.axis + 1], size, *shape[axis.axis + 2 :]) if shape[1:] == spatial else tuple(shape)
        for shape in shapes
    ]


def count_of(layers: str, shapes: Sequence[tuple[int, ...]], axis: Axis, sizes: Iterable[int]) -> dict[str, set[int]]:
    """The sizes along an axis at which the built model runs, and those at which the spec is valid: one by one."""
    model = cnnplan.build(text_of(layers, shapes)).eval()
    found: dict[str, set[int]] = {"legal": set(), "valid": set()}
    for n in sizes:
        at = varied(shapes, axis, n)
        if planned_at(layers, at) is not None:
            found["valid"].add(n)
        if runs(model, layers, at):
            found["legal"].add(n)
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_the_built_model_runs_at_the_legal_sizes_alone(name: str) -> None:
    shapes, layers, *_ = NETWORKS[name]
    axes = legal_sizes(plan(text_of(layers, shapes)).graph)
    assert len(axes) == len({shape[1:] for shape in shapes}) * (len(shapes[0]) - 1)
    for index, axis in enumerate(axes):
        most = 12 if index else 40
        tried = [*range(1, most + 1), *FAR]
        counted = count_of(layers, shapes, axis, tried)
        assert {n for n in tried if n in axis.legal} == counted["legal"], axis.legal
        assert {n for n in tried if n in axis.valid} == counted["valid"], axis.valid
        for legal, real in ((axis.legal, counted["legal"]), (axis.valid, counted["valid"])):
            near = {n for n in real if n <= most}
            for n in range(1, most + 1):
                assert legal.next_below(n) == max((m for m in near if m < n), default=None)
                above = min((m for m in near if m > n), default=None)
                found = legal.next_above(n)
                assert found == above or (above is None and (found is None or found > most))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_period_is_the_smallest(name: str) -> None:
    """As people say it: "a multiple of 8"."""
    legal = legal_sizes(plan(text_of(NETWORKS[name].layers, NETWORKS[name].shapes)).graph)[0].legal
    assert legal.tried == 0
    if NETWORKS[name].expected is None:
        assert legal.modulus == 0
    else:
        assert (legal.modulus, legal.remainders, legal.at_least) == NETWORKS[name].expected


@pytest.mark.parametrize("name", NETWORKS)
def test_the_layer_that_refuses_is_named(name: str) -> None:
    shapes, layers, _, refusing = NETWORKS[name]
    graph = plan(text_of(layers, shapes)).graph
    axis = legal_sizes(graph)[0]
    found = refused(graph, axis)
    assert not refusing or {why.layer for _, why in found} == set(refusing)
    counted = count_of(layers, shapes, axis, [n for n, _ in found])
    assert not counted["legal"]
    names = {node.name: node.op.kind for node in graph.nodes}
    for n, why in found:
        assert why.message
        if why.layer:
            assert why.layer in names
        assert (why.finding is None) == (n in counted["valid"])
        if why.node:
            assert f"'{why.layer}'" in why.message


TOGETHER = {
    "one position has no variance": ((1, 6, 5), "- instancenorm", {"input": (1, 1)}),
    "an expression of both": ((1, 6, 5), "- relu:\n  if: =in_size[0] + in_size[1] > 2\n- tanh", {"input": (1, 1)}),
    "independent axes": ((1, 8, 12), "- space_to_depth: 4", None),
}


@pytest.mark.parametrize("name", TOGETHER)
def test_sizes_that_clash_are_legal_one_by_one_alone(name: str) -> None:
    shape, layers, expected = TOGETHER[name]
    graph = plan(text_of(layers, [shape])).graph
    axes = legal_sizes(graph)
    found = clash(graph, axes)
    assert found == expected
    if found:
        (sizes,) = found.values()
        model = cnnplan.build(text_of(layers, [shape])).eval()
        both = [(shape[0], *sizes)]
        assert not runs(model, layers, both)
        for axis in axes:
            alone = varied([shape], axis, sizes[axis.axis])
            assert runs(model, layers, alone)


ASKED: dict[str, list[tuple[int, ...]]] = {
    "padded U": [(32, 24), (40,), (36, 30), (7, 8), (8, 8)],
    "dense head": [(12, 10), (13, 11), (14, 10), (12, 5)],
    "audio": [(640,), (76,), (75,), (16000,), (1,)],
    "volume": [(8, 6, 10), (3, 6, 10), (4, 3, 4), (4, 2, 3)],
    "two inputs": [(10, 8), (11, 8), (12,), (1, 1)],
}


@pytest.mark.parametrize("name", ASKED)
def test_one_size_is_judged_as_torch_does(name: str) -> None:
    shapes, layers, *_ = NETWORKS[name]
    graph = plan(text_of(layers, shapes)).graph
    axes = legal_sizes(graph)
    model = cnnplan.build(text_of(layers, shapes)).eval()
    for size in ASKED[name]:
        whole = size * 2 if len(shapes[0]) == 3 and len(size) == 1 else size
        at = [(shape[0], *whole) for shape in shapes]
        answer = asked(graph, axes, size)
        assert answer.size == whole
        assert answer.legal == runs(model, layers, at)
        for axis, n, nearest in zip(axes, whole, answer.nearest, strict=True):
            counted = count_of(layers, shapes, axis, [n, *nearest])["legal"]
            assert (n in counted) == (not nearest)
            assert counted >= set(nearest)
            between = range(min(nearest, default=n) + 1, max(nearest, default=n))
            assert not count_of(layers, shapes, axis, between)["legal"]


def test_the_nearest_sizes_of_a_u_net() -> None:
    graph = plan(text_of(PADDED_U, [(1, 32, 24)])).graph
    answer = asked(graph, legal_sizes(graph), (36, 30))
    assert answer.nearest == ((32, 40), (24, 32))
    assert answer.refusal
    assert answer.refusal.layer == "concat1"
    assert "axis 1 is 9 and 8" in answer.refusal.message


@pytest.mark.parametrize("size", [(32, 32, 32), (), (1, 2, 3, 4)])
def test_a_size_has_one_number_for_each_axis(size: tuple[int, ...]) -> None:
    graph = plan(text_of(PADDED_U, [(1, 32, 24)])).graph
    with pytest.raises(UsageError, match=f"the input of 'net' has 2 spatial axes, not {len(size)}"):
        asked(graph, legal_sizes(graph), size)


def test_a_vector_has_no_axes() -> None:
    assert legal_sizes(plan(text_of("- linear: 3", [(4,)])).graph) == []


LONG = {
    "pools": ("- maxpool: 101\n- maxpool: 41", 5000),
    "pools and back": ("- maxpool: 67\n  name: m\n- upsample: 67\n- crop: {like: m}\n- maxpool: 64", 4300),
    "an adaptive pool": ("- adaptive_avgpool: 2", 4099),
}


@pytest.mark.parametrize("name", LONG)
def test_long_periods_are_not_followed(name: str) -> None:
    """Then sizes are tried one by one: up to one, and around the planned one."""
    layers, planned = LONG[name]
    (axis,) = legal_sizes(plan(text_of(layers, [(1, planned)])).graph)
    assert planned in axis.legal
    assert axis.legal.tried
    tried = {n for n in (*range(1, 4 * planned, 97), planned - 1, planned + 1) if n <= axis.legal.tried}
    tried |= {planned - 20, planned, planned + 20}
    counted = count_of(layers, [(1, planned)], axis, tried)
    assert {n for n in tried if n in axis.legal} == counted["legal"]
    assert {n for n in tried if n in axis.valid} == counted["valid"]


def test_sizes_without_a_period_are_tried_one_by_one() -> None:
    """`in_size` may stand in any expression: here it asks for squares."""
    layers = "- relu:\n  if: =in_size[0] == round(sqrt(in_size[0])) ** 2\n- tanh"
    (axis,) = legal_sizes(plan(text_of(layers, [(1, 49)])).graph)
    assert axis.legal.tried >= 64
    squares = [i * i for i in range(1, 99) if i * i <= axis.legal.tried]
    assert [n for n in range(1, axis.legal.tried + 1) if n in axis.legal] == squares


# -------------------------------------------------------------------------------------- random ones


@st.composite
def legals(draw: st.DrawFn) -> Legal:
    """A few intervals, and behind them, perhaps, all sizes of some remainders."""
    others: list[tuple[int, int, int]] = []
    at = 1
    for _ in range(draw(st.integers(0, 3))):
        step = draw(st.integers(1, 4))
        first = draw(st.integers(at, at + 6))
        last = first + step * draw(st.integers(0, 3))
        others.append((first, last, step))
        at = last + 1
    modulus = draw(st.integers(0, 9))
    if not modulus:
        return Legal(0, (), 0, tuple(others))
    remainders = draw(st.sets(st.integers(0, modulus - 1), min_size=1))
    least = next(n for n in range(at, at + modulus) if n % modulus in remainders)
    return Legal(modulus, tuple(sorted(remainders)), least, tuple(others))


@given(legals())
@settings(max_examples=200)
def test_neighbours_of_a_size(legal: Legal) -> None:
    members = {n for first, last, step in legal.others for n in range(first, last + 1, step)}
    if legal.modulus:
        members |= {n for n in range(legal.at_least, 120) if n % legal.modulus in legal.remainders}
    assert [n for n in range(-3, 120) if n in legal] == sorted(members)
    for n in range(100):
        assert legal.next_below(n) == max((m for m in members if m < n), default=None)
        assert legal.next_above(n) == min((m for m in members if m > n), default=None)


@given(networks(most=4), st.data())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much])
def test_random_networks_run_at_their_legal_sizes_alone(spec: Spec, data: st.DataObject) -> None:
    """At a legal size a plan has the same modules and torch takes it; at others there is none, or other modules."""
    graph = cnnplan.plan(spec).graph
    axis = data.draw(st.sampled_from(legal_sizes(graph)))
    (shape,) = (tuple(value.shape) for value in graph.inputs)
    model = cnnplan.build(spec).eval()
    for n in sorted(data.draw(st.sets(st.integers(1, 40), min_size=6, max_size=6))):
        if 0 < axis.legal.tried < n:
            continue
        (at,) = varied([shape], axis, n)
        other = _planned(spec | {"input": list(at)})
        assert (n in axis.valid) == (other is not None), n
        assert (n in axis.legal) == (other is not None and modules(other) == modules(graph)), n
        if other:
            with torch.no_grad():
                try:
                    given = model(torch.zeros(1, *at))
                except (RuntimeError, ValueError):
                    assert n not in axis.legal
                else:
                    assert n not in axis.legal or [tuple(given.shape[1:])] == [v.shape for v in other.outputs.values()]


def modules(graph: Graph) -> list[object]:
    """What is built for each layer."""
    return [(n.name, n.op.parameters(*n.shapes), n.op.torch(*n.shapes)) for n in graph.nodes]


def _planned(spec: Spec) -> Graph | None:
    try:
        return cnnplan.plan(spec).graph
    except SpecError:
        return None


def test_sizes_that_broadcast_are_legal_too() -> None:
    """From 30 to 59 the pooled map has one unit, which broadcasts; from 150 to 179 it has five."""
    layers = "- add:\n    a: [{crop: 5}]\n    b: [{maxpool: 30}]"
    (axis,) = legal_sizes(plan(text_of(layers, [(1, 160)])).graph)
    tried = range(20, 190, 10)
    assert {n for n in tried if n in axis.legal} == count_of(layers, [(1, 160)], axis, tried)["legal"]


def test_refusal_of_sizes_that_are_legal() -> None:
    graph = plan(text_of(PADDED_U, [(1, 32, 24)])).graph
    for sizes in itertools.product((8, 16, 40), repeat=2):
        assert refusal(graph, {"input": sizes}) is None
