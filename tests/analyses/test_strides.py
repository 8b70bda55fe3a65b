"""Views and copies: strides against torch's own, and whether a layer's output lies where its input does."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

import cnnplan
from cnnplan.analyses.strides import copying, ordered
from cnnplan.ops.base import Shape
from cnnplan.ops.strides import contiguous, dense, viewed
from cnnplan.runtime.interpreter import Interpreter
from tests.language.helpers import net, plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.graph import Node

sizes = st.lists(st.integers(1, 4), min_size=1, max_size=4)


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """A tensor whose axes were permuted and cut."""
    x = torch.arange(prod(shape := draw(sizes))).view(shape)
    for _ in range(draw(st.integers(0, 3))):
        if draw(st.booleans()):
            x = x.permute(draw(st.permutations(range(x.dim()))))
        else:
            axis = draw(st.integers(0, x.dim() - 1))
            start = draw(st.integers(0, x.shape[axis] - 1))
            x = x.narrow(axis, start, draw(st.integers(1, x.shape[axis] - start)))
    return x


@st.composite
def targets(draw: st.DrawFn, units: int) -> tuple[int, ...]:
    """A shape of so many units."""
    found = []
    for _ in range(draw(st.integers(0, 3))):
        n = draw(st.sampled_from([d for d in range(1, units + 1) if units % d == 0]))
        found.append(n)
        units //= n
    return (*found, units)


def same(strides: Sequence[int], x: Tensor) -> bool:
    """Whether strides are those of a tensor; that of a single unit says nothing."""
    return all(n == 1 or a == b for n, a, b in zip(x.shape, strides, x.stride(), strict=True))


@given(sizes, st.data())
def test_dense_strides(shape: list[int], data: st.DataObject) -> None:
    """Those of a tensor that is made in one order of its axes and seen in another."""
    order = data.draw(st.permutations(range(len(shape))))
    x = torch.empty([shape[axis] for axis in order]).permute([order.index(axis) for axis in range(len(shape))])
    assert x.shape == torch.Size(shape)
    assert dense(shape, order) == x.stride()
    assert contiguous(shape) == torch.empty(shape).stride()
    if 1 not in shape:
        assert ordered(Shape(shape), x.stride()) == tuple(order)


@given(tensors(), st.data())
def test_a_view_or_a_copy(x: Tensor, data: st.DataObject) -> None:
    """`reshape` shares the storage where `viewed` says so, with its strides."""
    target = data.draw(targets(x.numel()))
    y = x.reshape(target)
    found = viewed(x.shape, x.stride(), target)
    shares = y.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    assert (found is not None) == shares
    if found is not None:
        assert same(found, y)


def test_views_by_hand() -> None:
    """Axes are one where their strides are nested; (2, 3, 4) turned to (4, 2, 3) is two runs: 4, and 2 · 3."""
    turned = (1, 12, 4)
    assert viewed((4, 2, 3), turned, (4, 6)) == (1, 4)
    assert viewed((4, 2, 3), turned, (2, 2, 6)) == (2, 1, 4)
    assert viewed((4, 2, 3), turned, (8, 3)) is None
    assert viewed((4, 2, 3), turned, (24,)) is None


# ------------------------------------------------------------------------- networks


def judged(text: str, batch: int = 2) -> tuple[set[str], set[str]]:
    """The layers that are views by their kind, but copy: as planned, and as torch does it."""
    graph = plan(text).graph
    model = cnnplan.build(text).train()
    found: set[str] = set()

    def watch(node: Node, inputs: Sequence[Tensor], outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if node.op.is_view(*node.shapes):
            apart = outputs[0].untyped_storage().data_ptr() != inputs[0].untyped_storage().data_ptr()
            if apart:
                found.add(node.name)
        return outputs

    inputs = [torch.randn(batch, *v.shape) for v in graph.inputs]
    with torch.no_grad():
        Interpreter(graph, model).run(inputs, watch)
    return {node.name for node in copying(graph)[0]}, found


# the layers in front of a flatten or a reshape, which copies or does not
NETWORKS = {
    "contiguous": ("", False),
    "channels last": ("- permute: [1, 2, 0]", True),
    "turned and turned back": ("- permute: [1, 2, 0]\n- permute: [2, 0, 1]", False),
    "channels cut": ("- slice: {start: 1}", False),
    "rows cut": ("- slice: {axis: 1, stop: 3}", True),
    "cropped": ("- crop: [3, 5]", True),
    "columns alone cropped": ("- crop: [4, 3]", True),
    "cropped to its own size": ("- crop: [4, 5]", False),
    "the first half of the channels": ("- split: [2, 1]\n  name: part\n- identity:\n  from: part.0", False),
    "the upper half": ("- split: {sections: 2, axis: 1}\n  name: part\n- identity:\n  from: part.1", True),
    "turned, then a tanh that keeps the order": ("- permute: [1, 2, 0]\n- tanh", True),
    "turned, then a convolution": (
        "- permute: [1, 2, 0]\n- conv: {out_channels: 2, kernel_size: 3, padding: 1}",
        False,
    ),
    "a norm over channels": ("- layernorm: channels", True),
    "a norm over channels, then activations": ("- layernorm: channels\n- gelu\n- hardswish", True),
    "a norm over channels, then all": ("- layernorm: channels\n- layernorm", False),
    "a norm over one channel": ("- slice: {stop: 1}\n- layernorm: channels", False),
    "a global pool": ("- permute: [1, 2, 0]\n- global_avgpool: {keepdim: true}", False),
    "rows of one column cut": ("- slice: {axis: 2, stop: 1}\n- slice: {axis: 1, stop: 3}", True),
    "a sum of turned values": ("- permute: [1, 2, 0]\n  name: t\n- add:\n    a: [tanh]\n    b: []", True),
    "channels joined": ("- layernorm: channels\n- concat:\n    a: [tanh]\n    b: []", True),
    "a dropout of 0": ("- permute: [1, 2, 0]\n- dropout: 0", True),
    "dropout": ("- permute: [1, 2, 0]\n- dropout", True),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_flatten_copies(name: str) -> None:
    layers, copies = NETWORKS[name]
    text = net(f"- identity\n{layers}\n- flatten", head="cnnplan: 1\nname: net\ninput: [3, 4, 5]\n")
    planned, found = judged(text)
    assert planned == found == ({"flatten1"} if copies else set())


def test_a_reshape_may_be_a_view_where_a_flatten_copies() -> None:
    """Behind a cut of rows, channels stay apart: 3 x 3 x 5 is 3 x 15, but not 45."""
    head = "cnnplan: 1\nname: net\ninput: [3, 4, 5]\n"
    planned, found = judged(net("- slice: {axis: 1, stop: 3}\n- reshape: [3, 15]\n- flatten", head=head))
    assert planned == found == {"flatten1"}


CONVOLUTION = "conv: {out_channels: 4, kernel_size: 3, padding: 1}"
TURNED = tuple(f"permute: {order}" for order in ("[1, 2, 0]", "[2, 0, 1]", "[0, 2, 1]", "[1, 0, 2]", "[2, 1, 0]"))
CUT = ("slice: {axis: 1, stop: -1}", "slice: {axis: 2, start: 1}", "crop: 3", "identity", "reshape: [4, -1]")
SAME = (
    *("tanh", "gelu", "scale", "dropout: 0.5", "stochastic_depth: 0.5", "prelu", "relu", "hardtanh", "abs"),
    *("layer_scale", "leaky_relu", "add: {a: [tanh], b: []}", "multiply: {a: [sigmoid], b: []}"),
    *("mean: {a: [tanh], b: [], c: [abs]}", "subtract: {a: [], b: [abs]}", "maximum: {a: [], b: [tanh]}"),
)
OWN = ("layernorm: channels", "layernorm", "instancenorm", "reshape: [2, -1, 2]")
FORMAT = (
    *(
        CONVOLUTION,
        "depthwise_conv: {kernel_size: 3, padding: 1}",
        "conv_transpose: {out_channels: 4, kernel_size: 2}",
        "batchnorm",
    ),
    *("maxpool: {kernel_size: 3, stride: 1, padding: 1}", "avgpool: {kernel_size: 3, stride: 1, padding: 1}"),
    *("pad: 1", "upsample: 2"),
    *("adaptive_avgpool: 4", "adaptive_maxpool: 3", "pad: {padding: 1, mode: reflect}"),
)


def agree(steps: Sequence[str]) -> None:
    """Layers, then a flatten."""
    head = "cnnplan: 1\nname: net\ninput: [4, 6, 4]\n"
    text = net("\n".join(f"- {item}" for item in ("identity", *steps, "flatten")), head=head)
    try:
        plan(text)
    except cnnplan.SpecError:
        assume(False)
    planned, found = judged(text)
    assert planned == found, text


@given(st.lists(st.sampled_from((*TURNED, *CUT, *SAME, *OWN, "slice: {start: 1}")), min_size=1, max_size=6))
def test_any_turns_and_cuts(steps: list[str]) -> None:
    """Elementwise layers keep the order of any map without gaps; norms make maps of their own."""
    agree(steps)


@given(st.lists(st.sampled_from((*TURNED, *SAME, *OWN, *FORMAT)), min_size=1, max_size=5))
def test_any_layers_between_them(steps: list[str]) -> None:
    """Convolutions, pools and batch norms give channels last where that is what enters them."""
    agree(["layernorm: channels", *steps])


IMAGE, SERIES, VOLUME = "[8, 6, 4]", "[4, 6]", "[4, 4, 4, 4]"
LAST = "- identity\n- layernorm: channels"
OTHER = "- identity\n- permute: [1, 0, 2]"
GAPS = f"{LAST}\n- slice: {{start: 2}}"
# in front of a flatten: the input, what gives the order, a layer, and what it does with it
KEEPERS: dict[str, tuple[str, str, str, str]] = {
    "softmax": (IMAGE, LAST, "softmax", "torch's softmax gives a row-major map, whatever enters"),
    "log_softmax": (IMAGE, OTHER, "log_softmax", "torch's softmax gives a row-major map, whatever enters"),
    "concat": (IMAGE, OTHER, "concat: {a: [tanh], b: []}", "torch.cat keeps no other order than channels last"),
    "concat of series": (SERIES, LAST, "concat: {a: [tanh], b: []}", "torch.cat keeps no order of three axes"),
    "concat of two orders": (
        IMAGE,
        "- identity",
        "concat: {a: [{layernorm: channels}], b: []}",
        "torch.cat keeps channels last where all its inputs have them",
    ),
    "lrn": (IMAGE, OTHER, "lrn: 3", "a quotient keeps the order of what enters"),
    "lrn of volumes": (VOLUME, LAST, "lrn: 3", "it makes its input row-major"),
    "lrn of turned volumes": (VOLUME, "- identity\n- permute: [0, 2, 1, 3]", "lrn: 3", "it makes its input row-major"),
    "groupnorm": (IMAGE, LAST, "groupnorm: 2", "torch's group norm keeps channels last"),
    "channel_shuffle": (IMAGE, LAST, "channel_shuffle: 2", "torch's channel shuffle keeps channels last"),
    "space_to_depth": (IMAGE, LAST, "space_to_depth: 2", "torch's pixel unshuffle keeps channels last"),
    "pixel_shuffle": (IMAGE, LAST, "pixel_shuffle: 2", "torch's pixel shuffle keeps channels last"),
    "lppool": (IMAGE, LAST, "lppool: {p: 2, kernel_size: 2}", "its average pooling keeps channels last"),
    "circular": (IMAGE, LAST, "pad: {padding: 1, mode: circular}", "circular padding gives a row-major map"),
    "circular conv": (
        IMAGE,
        LAST,
        "conv: {out_channels: 4, kernel_size: 3, padding: 1, padding_mode: circular}",
        "circular padding gives a row-major map",
    ),
    "conv of series": (SERIES, LAST, "conv: {out_channels: 4, kernel_size: 3}", "series have no channels-last format"),
    "batchnorm of series": (SERIES, LAST, "batchnorm", "series have no channels-last format"),
    "avgpool of volumes": (VOLUME, LAST, "avgpool: 2", "torch's 3-D average pooling gives a row-major map"),
    "a cut of channels": (IMAGE, GAPS, CONVOLUTION, "channels last with gaps are channels last to torch"),
    "a cut of channels, a pool": (IMAGE, GAPS, "maxpool: 2", "channels last with gaps are channels last to torch"),
    "a cut of channels, a norm": (IMAGE, GAPS, "batchnorm", "channels last with gaps are channels last to torch"),
}


@pytest.mark.parametrize(
    ("shape", "front", "layer"),
    [pytest.param(*case, id=name) for name, (*case, _) in KEEPERS.items()],
)
def test_what_an_order_becomes(shape: str, front: str, layer: str) -> None:
    planned, found = judged(net(f"{front}\n- {layer}\n- flatten", head=f"cnnplan: 1\nname: net\ninput: {shape}\n"))
    assert planned == found
