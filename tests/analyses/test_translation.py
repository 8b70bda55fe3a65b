"""What shifts do: known networks, every kind of layer against shifted inputs, and claims that are wrong on purpose."""

from typing import Any

import pytest
import torch

import cnnplan
from cnnplan import zoo
from cnnplan.analyses import translation
from cnnplan.ops.base import Op
from cnnplan.ops.layernorm import LayerNorm
from cnnplan.ops.upsample import Upsample
from cnnplan.ops.window import Window
from cnnplan.runtime import shifts
from cnnplan.runtime.build import build
from tests.language.helpers import net, plan

# stride of the last map; what ends it, and the layer that does
KNOWN = {
    "vgg16": ("broken", 32, "flatten1"),
    "alexnet": ("broken", 32, "flatten1"),
    "lenet5": ("broken", 4, "conv3"),
    "resnet50": ("invariant", 32, None),
    "densenet": ("invariant", 32, None),
    "squeezenet1_0": ("invariant", 16, None),
    "mobilenet_v3_large": ("invariant", 32, None),
    "unet": ("equivariant", 16, None),
    "m5": ("invariant", 1024, None),
    "dcgan_discriminator": ("broken", 16, "conv1"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_networks(name: str) -> None:
    kind, every, layer = KNOWN[name]
    for effect in cnnplan.plan(zoo.find(name)).translation:
        state = effect.state
        broken = isinstance(state, translation.Broken)
        assert effect.kind == kind
        assert (state.before.every if broken else state.every) == every  # type: ignore[union-attr]
        assert (state.node.name if isinstance(state, translation.Broken) else None) == layer


CONV = "conv: {out_channels: 4, kernel_size: 3, padding: 1}"
STRIDED = "conv: {out_channels: 4, kernel_size: 3, padding: 1, stride: 2}"
HEAD = "cnnplan: 1\nname: net\ninput: [3, 48]\n"
IMAGE = "cnnplan: 1\nname: net\ninput: [3, 40, 12]\n"

CASES: dict[str, tuple[str, str, str, int]] = {
    "a convolution": (HEAD, f"- {CONV}", "equivariant", 1),
    "two strides": (HEAD, f"- {STRIDED}\n- relu\n- maxpool: 3", "equivariant", 6),
    "up again": (
        HEAD,
        f"- {STRIDED}\n- conv_transpose: {{out_channels: 3, kernel_size: 4, stride: 2}}",
        "equivariant",
        2,
    ),
    "up by three halves": (HEAD, "- upsample: {scale_factor: 1.5}\n- tanh", "equivariant", 2),
    "interpolated": (HEAD, f"- {STRIDED}\n- upsample: {{scale_factor: 2, mode: linear}}", "equivariant", 2),
    "aligned corners": (HEAD, "- upsample: {scale_factor: 3, mode: linear, align_corners: true}", "equivariant", 47),
    "aligned corners of many": (HEAD, "- upsample: {size: 48, mode: linear, align_corners: true}", "equivariant", 1),
    "dilated and grouped": (
        HEAD,
        "- conv: {out_channels: 6, kernel_size: 3, dilation: 2, groups: 3}",
        "equivariant",
        1,
    ),
    "a norm of the map": (HEAD, f"- {CONV}\n- instancenorm\n- {CONV}", "equivariant", 1),
    "a norm of groups": (HEAD, f"- {STRIDED}\n- groupnorm: 2\n- silu", "equivariant", 2),
    "a norm of channels": (HEAD, f"- {CONV}\n- layernorm: channels", "equivariant", 1),
    "a norm with weights for positions": (HEAD, f"- {CONV}\n- layernorm", "broken", 1),
    "a norm without": (HEAD, f"- {CONV}\n- layernorm: {{elementwise_affine: false}}", "equivariant", 1),
    "a gate": (IMAGE, f"- {STRIDED}\n- squeeze_excite: {{channels: 2}}\n- {CONV}", "equivariant", 2),
    "a global pool": (HEAD, f"- {STRIDED}\n- tanh\n- global_avgpool\n- linear: 3", "invariant", 2),
    "a pool of the whole map": (HEAD, f"- {STRIDED}\n- maxpool: 24\n- flatten\n- linear: 3", "invariant", 2),
    "an adaptive pool of one": (HEAD, f"- {STRIDED}\n- adaptive_maxpool: 1\n- flatten\n- linear: 3", "invariant", 2),
    "an adaptive pool that divides": (HEAD, "- adaptive_avgpool: 12", "equivariant", 4),
    "an adaptive pool that does not": (HEAD, "- adaptive_avgpool: 11", "broken", 1),
    "a flat map": (HEAD, f"- {STRIDED}\n- flatten\n- linear: 3", "broken", 2),
    "a reshaped map": (HEAD, f"- {CONV}\n- reshape: [8, 24]", "broken", 1),
    "channels in another order": (IMAGE, "- channel_shuffle: 3\n- tanh", "equivariant", 1),
    "weights for positions": (HEAD, "- locally_connected: {out_channels: 2, kernel_size: 3}", "broken", 1),
    "biases for positions": (
        HEAD,
        "- locally_connected: {out_channels: 2, kernel_size: 3, untied: bias}",
        "broken",
        1,
    ),
    "strides that meet": (
        HEAD,
        f"- concat:\n    a: [{{{STRIDED}}}, {{{STRIDED}}}]\n    b: [{{maxpool: 4}}]\n- relu",
        "equivariant",
        4,
    ),
    "strides that do not": (
        HEAD,
        "- add:\n    a: [{maxpool: 2}, {crop: 16}]\n    b: [{maxpool: 3}]\n- tanh",
        "broken",
        2,
    ),
    "one map behind another": (HEAD, f"- {CONV}\n- concat: {{axis: 1, a: [relu], b: [tanh]}}", "broken", 1),
    "a cut": (HEAD, "- slice: {axis: 1, start: 5, stop: 40}\n- crop: 31\n- tanh", "equivariant", 1),
    "a cell": (HEAD, f"- {CONV}\n- lstm: 4", "broken", 1),
    "the end of a cell": (HEAD, f"- {CONV}\n- gru: {{hidden_size: 4, last: true}}", "broken", 1),
    "attention": (HEAD, f"- {CONV}\n- self_attention: 2", "equivariant", 1),
    "slices": (
        IMAGE,
        f"- {STRIDED}\n- conv: {{out_channels: 2, kernel_size: 3, stride: 2}}\n  each: 1",
        "equivariant",
        2,
    ),
    "slices without the rest": (IMAGE, "- layers: [flatten, {linear: 3}]\n  each: 1\n- maxpool: 2", "equivariant", 2),
    "pixels": (IMAGE, f"- {CONV}\n- pixel_shuffle: 2\n- space_to_depth: 4", "equivariant", 2),
    "a pool undone": (
        HEAD,
        f"- maxpool: 2\n  name: p\n- {CONV.replace('4', '3')}\n- max_unpool: p\n- tanh",
        "equivariant",
        2,
    ),
    "padding behind a cut": (HEAD, f"- crop: 30\n- {CONV}\n- {CONV}", "equivariant", 1),
    "a cut that leaves little": (HEAD, f"- crop: 3\n- {CONV}", "equivariant", 1),
    "a softmax over positions": (HEAD, f"- {CONV}\n- softmax: 1", "equivariant", 1),
}


@pytest.mark.parametrize("case", CASES)
def test_layers(case: str) -> None:
    """The first axis moves as it is said, and torch agrees; at least one layer was far enough from the borders."""
    head, layers, kind, every = CASES[case]
    found = plan(net(layers, head=head))
    first = found.translation[0]
    assert first.kind == kind
    assert (first.state.before.every if isinstance(first.state, translation.Broken) else first.state.every) == every
    torch.manual_seed(0)
    check = shifts.translation(found, build(found.graph).eval())
    assert check
    assert check.differences == ()
    assert check.verdict in ("exact", "left out")
    assert check.verdict == "exact" or kind == "broken" or "little" in case


def test_a_deep_network_that_is_invariant(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for its field of 435 units."""
    monkeypatch.setattr(shifts, "BUDGET", 10**10)
    found = cnnplan.plan(zoo.find("resnet18"), input_size=(64, 32))
    check = shifts.translation(found, build(found.graph).eval())
    assert check
    assert check.verdict == "exact"
    assert int(check.measured.split()[0]) >= len(found.layers) - 12  # the last ones stay aside along the width


def lie(monkeypatch: pytest.MonkeyPatch, kind: type[Op], method: str, value: Any) -> None:
    monkeypatch.setattr(kind, method, lambda self, *xs: value)


def checked(layers: str, head: str = HEAD) -> tuple[str, list[str]]:
    found = plan(net(layers, head=head))
    torch.manual_seed(0)
    model = build(found.graph).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.rand_like(parameter))
    check = shifts.translation(found, model)
    assert check
    return check.verdict, [d.layer for d in check.differences]


def test_wrong_claims_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    norm, resized = f"- {CONV}\n- layernorm", "- upsample: {scale_factor: 2, mode: linear, align_corners: true}\n- tanh"
    assert checked(norm)[1] == []
    with monkeypatch.context() as patch:
        lie(patch, LayerNorm, "uniform", True)
        assert checked(norm) == ("differs", ["layernorm1"])
    with monkeypatch.context() as patch:
        lie(patch, Upsample, "windows", (Window(1, (range(1), range(1))),))
        assert checked(resized)[0] == "differs"
    with monkeypatch.context() as patch:
        patch.setattr(translation, "_is_symmetric", lambda node: True)
        assert "flatten1" in checked(f"- {STRIDED}\n- flatten\n- linear: 3")[1]


def test_vectors_and_single_units_have_none() -> None:
    assert plan(net("- linear: 3", head="cnnplan: 1\nname: net\ninput: [4]\n")).translation == []
    head = "cnnplan: 1\nname: net\ninput: [4, 1, 9]\n"
    assert [e.axis for e in plan(net("- relu", head=head)).translation] == [1]


def test_maps_that_stay_hold_others() -> None:
    """A map of another input, or one that a vector was made into, does not move along; a single unit does."""
    two = "cnnplan: 1\nname: net\ninputs: {a: [3, 48], b: [2, 48]}\n"
    for layers, kind in (
        (f"- {CONV}\n  from: a\n- concat:\n  from: [previous, b]\n- tanh", "broken"),
        (
            f"- {CONV}\n  from: b\n  name: c\n- global_avgpool: {{keepdim: true}}\n- add:\n  from: [c, previous]",
            "equivariant",
        ),
        (
            f"- {CONV}\n  from: b\n  name: c\n- global_avgpool: {{keepdim: true}}\n- upsample: {{like: c}}\n"
            "- add:\n  from: [c, previous]",
            "equivariant",
        ),
        (
            f"- {CONV}\n  from: b\n  name: c\n- global_avgpool\n- linear: 192\n- reshape: [4, 48]\n"
            "- add:\n  from: [c, previous]",
            "broken",
        ),
    ):
        found = plan(net(layers, head=two))
        assert {e.kind for e in found.translation if e.input == ("a" if "from: a" in layers else "b")} == {kind}
        torch.manual_seed(0)
        check = shifts.translation(found, build(found.graph).eval())
        assert check
        assert check.differences == ()
