"""Rules of activations and of what stands between layers: N202, N203, N207, N208, R402; and networks that all of
these rules, and those of normalization, must leave alone. Torch is the oracle where it can be one."""

from itertools import product
from typing import Any

import pytest
import torch

import cnnplan
from cnnplan import zoo
from cnnplan.codes import INFO
from cnnplan.diagnostics import Diagnostic
from cnnplan.lint.edits import applied
from cnnplan.lint.selection import Choice, Selection
from tests.language.helpers import dedent, net
from tests.lint.justified import JUSTIFIED

MAP = "cnnplan: 1\nname: net\ninput: [4, 8, 8]\n"
CODES = ("S011", "N201", "N202", "N203", "N204", "N206", "N207", "N208", "N209", "N210", "N211", "N212", "R402")


def found(code: str, layers: str, *, head: str = MAP, more: str = "", **options: Any) -> list[Diagnostic]:
    """What one rule finds."""
    return of(net(layers, head=head, more=more), code, **options)


def of(text: str, *codes: str, **options: Any) -> list[Diagnostic]:
    """What some rules find in a spec."""
    selection = Selection(asked=Choice(select=codes))
    return list(cnnplan.plan(text, selection=selection, **options).diagnostics)


def layers(code: str, text: str, **options: Any) -> list[str | None]:
    """The layers that one rule finds."""
    return [d.layer for d in found(code, text, **options)]


def mended(diagnostics: list[Diagnostic], text: str) -> str:
    """The text with all fixes."""
    return applied(text, [edit for d in diagnostics for edit in (d.fix.edits if d.fix else ())])


def alike(old: str, new: str, shape: tuple[int, ...] = (3, 4, 8, 8), *, atol: float = 0.0) -> bool:
    """Whether two specs compute the same with the same weights: outputs, and gradients of the input."""
    models = [cnnplan.build(text).eval() for text in (old, new)]
    torch.manual_seed(0)
    state = {name: torch.randn_like(value) for name, value in models[0].named_parameters()}
    x = 4 * torch.randn(shape)
    results = []
    for model in models:
        model.load_state_dict({name: state[name] for name, _ in model.named_parameters()}, strict=False)
        given = x.clone().requires_grad_()
        y = model(given)
        torch.manual_seed(1)
        y.backward(torch.randn_like(y))
        results.append((y.detach(), given.grad))
    return all(torch.allclose(a, b, rtol=atol, atol=atol) for a, b in zip(*results, strict=True))


# ------------------------------------------------------------------------ N202 linear-chain


def conv(channels: int, kernel: int = 3, **more: object) -> str:
    arguments = "".join(f", {name}: {str(value).lower()}" for name, value in more.items())
    return f"- conv: {{out_channels: {channels}, kernel_size: {kernel}, padding: half{arguments}}}\n"


TWO = conv(8) + conv(8)
CHAINS = {
    "convolutions": (TWO, ["conv2"]),
    "three": (TWO + conv(8), ["conv2", "conv3"]),
    "dense layers": ("- flatten\n- linear: 64\n- linear: 10", ["linear2"]),
    "an activation between": (conv(8) + "- relu\n" + conv(8), []),
    "a max pool between": (conv(8) + "- maxpool: 2\n" + conv(8), []),
    "a pool of powers between": (conv(8) + "- lppool: {p: 2, kernel_size: 2}\n" + conv(8), []),
    "an average pool between": (conv(8) + "- avgpool: 2\n" + conv(8), ["conv2"]),
    "batch norm between": (conv(8, bias=False) + "- batchnorm\n" + conv(8), ["conv2"]),
    "batch norm that keeps no statistics": (conv(8) + "- batchnorm: {track_running_stats: false}\n" + conv(8), []),
    "layer norm between": (conv(8) + "- layernorm\n" + conv(8), []),
    "group norm between": (conv(8) + "- groupnorm: 2\n" + conv(8), []),
    "instance norm between": (conv(8) + "- instancenorm\n" + conv(8), []),
    "lrn between": (conv(8) + "- lrn: 3\n" + conv(8), []),
    "dropout between": (conv(8) + "- dropout\n" + conv(8), ["conv2"]),
    "all that is linear between": (
        conv(8) + "- identity\n- dropout2d\n- alpha_dropout\n- stochastic_depth: 0.1\n- pad: 1\n- crop: {size: 8}\n"
        "- scale\n- layer_scale\n- adaptive_avgpool: 4\n" + conv(8),
        ["conv2"],
    ),
    "flatten": (conv(8) + "- flatten\n- linear: 10", ["linear1"]),
    "global average": (conv(8) + "- global_avgpool\n- linear: 10", ["linear1"]),
    "global maximum": (conv(8) + "- global_maxpool\n- linear: 10", []),
    # factorizations
    "depthwise first": ("- depthwise_conv: 3\n" + conv(8, 1), []),
    "depthwise second": (conv(8, 1) + "- depthwise_conv: 3\n", []),
    "depthwise by groups": (conv(8, groups=4) + conv(8, 1), []),
    "groups that are not depthwise": (conv(8, groups=2) + conv(8, 1), ["conv2"]),
    "a feature pyramid": (
        "- conv_bn_relu: 8\n  name: c\n- maxpool: 2\n- conv: {out_channels: 8, kernel_size: 1}\n- upsample: 2\n"
        "- add:\n  from: [previous, c]\n" + TWO,
        [],
    ),
    "a sum that is no pyramid": ("- conv_bn_relu: 8\n- add: [[], [tanh]]\n" + TWO, ["conv2"]),
    "a bottleneck": (conv(16) + "- relu\n" + conv(8) + conv(16), []),
    "as wide as what enters": (conv(16) + "- relu\n" + conv(16) + conv(32), ["conv3"]),
    "as wide as what leaves": (conv(16) + "- relu\n" + conv(8) + conv(8), ["conv3"]),
    "narrower and narrower": ("- flatten\n- linear: 64\n- linear: 32\n- linear: 8", ["linear2", "linear3"]),
    "a dense bottleneck": ("- flatten\n- linear: 64\n- linear: 8\n- linear: 64\n", ["linear2"]),
    "pointwise, before a wider one": (conv(4, 1) + conv(8, 1), []),
    "pointwise, before one as wide": (conv(4, 1) + conv(4, 1), ["conv2"]),
    "pointwise and wider": (conv(8, 1) + conv(16, 1), ["conv2"]),
    "pointwise before 3x3": (conv(4, 1) + conv(8), ["conv2"]),
    "3x3 before pointwise": (conv(4) + conv(8, 1), ["conv2"]),
    "pointwise before dense": (conv(4, 1) + "- global_avgpool\n- linear: 8", ["linear1"]),
    "dense as wide as before": ("- flatten\n- linear: 256\n- linear: 300", ["linear2"]),
    "along one axis, then the other": (
        "- conv: {out_channels: 4, kernel_size: [1, 3]}\n- conv: {out_channels: 4, kernel_size: [3, 1]}",
        [],
    ),
    "of two units": (
        "- conv: {out_channels: 4, kernel_size: [1, 2]}\n- conv: {out_channels: 4, kernel_size: [2, 1]}",
        [],
    ),
    "twice along one axis": (
        "- conv: {out_channels: 4, kernel_size: [1, 3]}\n- conv: {out_channels: 4, kernel_size: [1, 3]}",
        ["conv2"],
    ),
    "along one axis, then both": (
        "- conv: {out_channels: 4, kernel_size: [1, 3]}\n- conv: {out_channels: 4, kernel_size: 3}",
        ["conv2"],
    ),
    # no chain
    "transposed first": ("- conv_transpose: {out_channels: 4, kernel_size: 2, stride: 2}\n" + conv(4), []),
    "transposed second": (conv(4) + "- conv_transpose: {out_channels: 4, kernel_size: 2, stride: 2}", []),
    "up-sampling between": (conv(4) + "- upsample: 2\n" + conv(4), []),
    "sub-pixel convolution": (conv(16) + "- pixel_shuffle: 2\n" + conv(4), []),
    "a shuffle between": (conv(8, groups=2) + "- channel_shuffle: 2\n" + conv(8, groups=2), []),
    "a dense layer as a map": ("- flatten\n- linear: 256\n- reshape: [4, 8, 8]\n" + conv(4), []),
    "a sum between": (f"- add:\n    a: []\n    b:\n      {conv(4)}{conv(4)}", []),
    "read by something else": (
        conv(4) + "  name: a\n" + conv(4) + "- add:\n  from: [a, previous]",
        [],
    ),
    "what stands between is read by something else": (
        conv(4, bias=False) + "- batchnorm:\n  name: a\n" + conv(4) + "- add:\n  from: [a, previous]",
        [],
    ),
    "frozen first": (conv(4) + "  trainable: false\n" + conv(4), []),
    "frozen second": (conv(4) + conv(4) + "  trainable: false\n", []),
    "the network's input": (conv(4), []),
}


@pytest.mark.parametrize(("text", "hits"), CHAINS.values(), ids=CHAINS)
def test_n202(text: str, hits: list[str]) -> None:
    assert layers("N202", text) == hits


def test_n202_says_which() -> None:
    (one,) = found("N202", conv(8) + conv(16))
    assert one.message == (
        "nothing nonlinear stands between 'conv1' (4 to 8 channels) and 'conv2' (to 16): "
        "together they are one linear layer"
    )
    assert [(r.message, r.start and r.start.line) for r in one.related] == [("'conv1' is the other one", 5)]
    assert one.severity == "warning"


def test_n202_of_an_output() -> None:
    text = conv(4) + "  name: a\n" + conv(4) + "  name: b\n"
    assert not layers("N202", text, more="outputs: [a, b]\n")
    assert layers("N202", text) == ["b"]


def test_n202_finds_what_is_shared_once() -> None:
    text = f"- layers:\n    {conv(4)}    {conv(4)}  name: t\n- relu\n- share: t"
    assert layers("N202", text) == ["t.conv2"]


@pytest.mark.parametrize(
    ("code", "inside"),
    [
        ("N203", "relu, relu"),
        ("N207", "relu, maxpool: 2"),
        ("R402", "add: {body: [conv_bn_relu: 4, conv_bn_relu: 4], shortcut: []}"),
    ],
)
def test_what_is_shared_is_found_once(code: str, inside: str) -> None:
    text = f"- layers: [{inside}]\n  name: t\n- share: t\n  from: input\n  name: u\n"
    (one,) = found(code, text, more="outputs: [t, u]\n")
    assert (one.layer or "").startswith("t.")


@pytest.mark.parametrize(
    ("between", "new"),
    [
        ("", "- relu\n"),
        ("- batchnorm\n", "- batchnorm\n- relu\n"),
        ("- avgpool: 2\n", "- relu\n- avgpool: 2\n"),
        ("- dropout\n- batchnorm\n", "- relu\n- dropout\n- batchnorm\n"),
    ],
)
def test_n202_inserts_an_activation(between: str, new: str) -> None:
    text = conv(8) + between + conv(8)
    diagnostics = found("N202", text)
    assert diagnostics[0].fix
    assert not diagnostics[0].fix.safe
    assert mended(diagnostics, net(text, head=MAP)) == net(conv(8) + new + conv(8), head=MAP)


@pytest.mark.parametrize(
    "act",
    "relu leaky_relu prelu elu selu celu gelu silu mish relu6 hardswish tanh".split(),  # noqa: SIM905
)
def test_n202_takes_the_activation_that_is_used_most(act: str) -> None:
    most = f"- {act}\n{conv(4)}- {act}\n"
    other = "- relu\n" if act != "relu" else "- silu\n"
    text = conv(8) + conv(8) + other + conv(4) + most + conv(3) + "- sigmoid\n" + conv(3) + "- sigmoid\n" * 3
    (one,) = found("N202", text)
    assert f"`- {act}`" in one.help


# ------------------------------------------------------------------------ N203 double-activation

ACTS = """
blocks:
  post:
    layers:
      - conv: {out_channels: 4, kernel_size: 1}
      - relu
  pre:
    layers:
      - relu
      - conv: {out_channels: 4, kernel_size: 1}
  leaky:
    layers:
      - conv: {out_channels: 4, kernel_size: 1}
      - leaky_relu
"""
# what is found, what the fix removes, and whether that is safe
DOUBLE = {
    "relu": ("- relu\n- relu", "relu2", True),
    "three": ("- relu\n- relu\n- relu", "relu2 relu3", True),
    "relu behind relu6": ("- relu6\n- relu", "relu1", True),
    "relu behind sigmoid": ("- sigmoid\n- relu", "relu1", True),
    "relu behind hardsigmoid": ("- hardsigmoid\n- relu", "relu1", True),
    "relu behind softplus": ("- softplus\n- relu", "relu1", True),
    "relu behind softmax": ("- softmax\n- relu", "relu1", True),
    "relu behind abs": ("- abs\n- relu", "relu1", True),
    "relu behind abs_tanh": ("- abs_tanh\n- relu", "relu1", True),
    "relu behind a clamp at 0": ("- hardtanh: {min_val: 0, max_val: 3}\n- relu", "relu1", True),
    "relu behind a clamp below 0": ("- hardtanh: {min_val: -0.1, max_val: 3}\n- relu", "", None),
    "abs behind relu": ("- relu\n- abs", "abs1", True),
    "leaky relu behind relu": ("- relu\n- leaky_relu", "leaky_relu1", True),
    "elu behind relu": ("- relu\n- elu", "elu1", True),
    "celu behind relu": ("- relu\n- celu", "celu1", True),
    "prelu behind relu": ("- relu\n- prelu", "prelu1", False),
    "selu behind relu": ("- relu\n- selu", "selu1", False),
    "relu6 behind relu6": ("- relu6\n- relu6", "relu62", True),
    "relu6 behind sigmoid": ("- sigmoid\n- relu6", "relu61", True),
    "relu6 behind a wider clamp": ("- hardtanh: {min_val: 0, max_val: 7}\n- relu6", "", None),
    "relu6 behind a clamp within": ("- hardtanh: {min_val: 0, max_val: 6}\n- relu6", "relu61", True),
    "clamps": ("- hardtanh\n- hardtanh: {min_val: -1, max_val: 1}", "hardtanh2", True),
    "a narrower clamp": ("- hardtanh\n- hardtanh: {min_val: -0.5, max_val: 1}", "", None),
    "a clamp of tanh": ("- tanh\n- hardtanh", "hardtanh1", True),
    "a clamp of relu": ("- relu\n- hardtanh", "", None),
    # the first one does nothing
    "relu6 behind relu": ("- relu\n- relu6", "relu1", True),
    "relu behind leaky relu": ("- leaky_relu\n- relu", "leaky_relu1", True),
    "relu behind leaky relu, slope 0": ("- leaky_relu: 0.0\n- relu", "leaky_relu1", True),
    "relu behind leaky relu that falls": ("- leaky_relu: -0.1\n- relu", "relu1", False),
    "relu behind elu": ("- elu\n- relu", "elu1", True),
    "relu behind elu that falls": ("- elu: -1.0\n- relu", "relu1", False),
    "relu behind celu": ("- celu\n- relu", "celu1", True),
    "a clamp at 0 behind relu": ("- relu\n- hardtanh: {min_val: 0, max_val: 3}", "relu1", True),
    "a clamp above 0 behind elu": ("- elu\n- hardtanh: {min_val: 1, max_val: 3}", "elu1", True),
    "a clamp behind elu": ("- elu\n- hardtanh: {min_val: -0.1, max_val: 3}", "", None),
    "relu6 behind silu": ("- silu\n- relu6", "relu61", False),
    # both do something
    "tanh behind relu": ("- relu\n- tanh", "relu1", False),
    "sigmoid behind tanh": ("- tanh\n- sigmoid", "tanh1", False),
    "hardsigmoid behind relu": ("- relu\n- hardsigmoid", "relu1", False),
    "tanh twice": ("- tanh\n- tanh", "tanh1", False),
    "gelu behind silu": ("- silu\n- gelu", "gelu1", False),
    "relu behind tanh": ("- tanh\n- relu", "relu1", False),
    "relu behind prelu": ("- prelu\n- relu", "relu1", False),
    "relu behind log_softmax": ("- log_softmax\n- relu", "relu1", False),
    "rectified tanh": ("- tanh\n- abs", "", None),
    "tanh of what is rectified": ("- abs\n- tanh", "", None),
    # softmaxes
    "softmax twice": ("- softmax\n- softmax", "softmax2", False),
    "log_softmax twice": ("- log_softmax\n- log_softmax", "log_softmax2", True),
    "softmax of log_softmax": ("- log_softmax\n- softmax", "log_softmax1", True),
    "log_softmax of softmax": ("- softmax\n- log_softmax", "softmax1", False),
    "along two axes": ("- softmax\n- softmax: 1", "", None),
    "along one axis, said otherwise": ("- softmax: 2\n- softmax: -1", "softmax2", False),
    "flattened between": ("- softmax\n- flatten\n- softmax", "", None),
    "softmax behind relu is H305's": ("- relu\n- softmax", "", None),
    "sigmoid behind relu, as an output, is H305's": ("- relu\n- flatten\n- sigmoid", "", None),
    "the same of relu6": ("- relu6\n- sigmoid\n- flatten", "", None),
    "the same of softmax is not": ("- softmax\n- sigmoid", "softmax1", False),
    "sigmoid behind relu, inside": ("- relu\n- sigmoid\n- conv: {out_channels: 4, kernel_size: 1}", "relu1", False),
    "sigmoid behind sigmoid": ("- sigmoid\n- sigmoid", "sigmoid1", False),
    # what stands between
    "flatten": ("- relu\n- flatten\n- relu\n- linear: 4", "relu2", True),
    "dropout": ("- relu\n- dropout\n- relu", "relu2", True),
    "dropout before the first that does nothing": ("- leaky_relu\n- dropout\n- relu", "leaky_relu1", True),
    "dropout that shifts": ("- relu\n- alpha_dropout\n- relu", "relu2", False),
    "dropout that shifts, behind elu": ("- elu\n- alpha_dropout\n- relu", "relu1", False),
    "dropout scales what is bounded": ("- relu6\n- dropout\n- relu6", "relu62", False),
    "max pool": ("- relu\n- maxpool: 2\n- relu", "relu2", True),
    "average": ("- relu\n- avgpool: 2\n- relu", "relu2", True),
    "to a given size": ("- relu\n- adaptive_avgpool: 4\n- adaptive_maxpool: 2\n- relu", "relu2", True),
    "global average": ("- relu\n- global_avgpool: {keepdim: true}\n- global_maxpool\n- relu", "relu2", True),
    "an average of both signs": ("- leaky_relu\n- avgpool: 2\n- relu", "", None),
    "two nonlinear ones around a pool": ("- relu\n- maxpool: 2\n- tanh", "", None),
    "a convolution": ("- relu\n- conv: {out_channels: 4, kernel_size: 1}\n- relu", "", None),
    "a norm": ("- relu\n- batchnorm\n- relu", "", None),
    "a norm of pools": ("- relu\n- lppool: {p: 3, kernel_size: 2}\n- relu", "", None),
    "up-sampling that overshoots": ("- relu\n- upsample: {scale_factor: 2, mode: bicubic}\n- relu", "", None),
    # who reads it
    "read by something else": ("- relu:\n  name: a\n- relu\n- add:\n  from: [a, previous]", "", None),
    "two branches": ("- relu\n- add:\n    a: [relu]\n    b: []", "", None),
    "a gate": ("- multiply:\n    a: []\n    b: [softplus, tanh]", "", None),
    "a gate, resized": (
        "- multiply:\n    a: []\n    b: [global_avgpool, relu, sigmoid, reshape: [4, 1, 1]]",
        "",
        None,
    ),
    "a gate does nothing": ("- multiply:\n    a: []\n    b: [sigmoid, relu]", "multiply1.b.relu1", True),
    # blocks
    "the seam of two blocks": ("- post\n- post\n- pre\n- pre", "", None),
    "a block used once": ("- post\n- pre\n- pre", "pre1.relu1", True),
    "a block and a layer": ("- post\n- post\n- relu", "relu1", True),
    "a built-in block and a layer": ("- conv_bn_relu: 4\n- conv_bn_relu: 4\n- relu", "relu1", True),
}


@pytest.mark.parametrize(("text", "hits", "safe"), DOUBLE.values(), ids=DOUBLE)
def test_n203(text: str, hits: str, safe: bool | None) -> None:
    diagnostics = found("N203", text, head=MAP + ACTS.lstrip())
    assert len(diagnostics) == len(hits.split())
    for one, hit in zip(diagnostics, hits.split(), strict=True):
        assert one.fix
        assert (one.help.startswith("remove '"), one.fix.safe) == (True, safe)
        assert not safe or "changes nothing" in one.message
        assert "pre" in text or one.help == f"remove '{hit}'"


@pytest.mark.parametrize("name", [name for name, (_, _, safe) in DOUBLE.items() if safe])
def test_n203_torch_agrees(name: str) -> None:
    """What is found to change nothing can go: outputs and gradients stay the same."""
    text, _, _ = DOUBLE[name]
    old = net(text, head=MAP + ACTS.lstrip())
    diagnostics = found("N203", text, head=MAP + ACTS.lstrip())
    new = mended(diagnostics[:1], old)
    assert new != old
    assert alike(old, new, atol=1e-5 if "softmax" in text else 0)


def test_n203_names_the_one_that_goes() -> None:
    (one,) = found("N203", "- leaky_relu\n- relu")
    assert (one.layer, one.help) == ("relu1", "remove 'leaky_relu1'")
    assert one.message == "'leaky_relu1' changes nothing: 'relu1' leaves nothing below 0"
    assert [r.message for r in one.related] == ["'leaky_relu1' is before it"]
    (one,) = found("N203", "- sigmoid\n- relu6")
    assert one.message == "'relu61' changes nothing: 'sigmoid1' gives 0 to 1"
    (one,) = found("N203", "- relu\n- relu")
    assert one.message == "'relu2' changes nothing: 'relu1' gives nothing below 0"
    (one,) = found("N203", "- post\n- pre\n- pre", head=MAP + ACTS.lstrip())
    assert (one.layer, one.help) == ("pre1.relu1", "remove 'post1.relu1'")
    (one,) = found("N203", "- leaky\n- leaky\n- relu", head=MAP + ACTS.lstrip())
    assert (one.help, one.fix) == ("let one of 'leaky2.leaky_relu1' and 'relu1' go", None)


@pytest.mark.parametrize(
    ("first", "second", "bounds"),
    [
        ("relu", "hardsigmoid", "0.50 to 1.00"),
        ("sigmoid", "tanh", "0.00 to 0.76"),
        ("tanh", "sigmoid", "0.27 to 0.73"),
        ("relu", "tanh", "0.00 to 1.00"),
        ("softplus", "tanh", "0.00 to 1.00"),
        ("hardsigmoid", "tanh", "0.00 to 0.76"),
        ("abs_tanh", "sigmoid", "0.50 to 0.73"),
        ("softmax", "sigmoid", "0.50 to 0.73"),
        ("relu6", "hardsigmoid", "0.50 to 1.00"),
        ("tanh", "hardsigmoid", "0.33 to 0.67"),
        ("silu", "tanh", None),
        ("hardtanh", "tanh", ""),
    ],
)
def test_n203_says_what_is_left(first: str, second: str, bounds: str | None) -> None:
    text = f"- {first}\n- {second}\n"
    said = f": it gives {bounds}" if bounds else ""
    messages = [f"'{second}1' takes what '{first}1' gives, which is an activation already{said}"]
    assert [d.message for d in found("N203", text)] == (messages if bounds != "" else [])
    if bounds:
        y = cnnplan.build(net(text, head=MAP))((torch.arange(-1024.0, 1024) / 8).view(8, 4, 8, 8))
        least, most = map(float, bounds.split(" to "))
        assert least - 0.006 < y.min() < least + 0.006
        assert most - 0.006 < y.max() < most + 0.006


# ------------------------------------------------------------------------ N207 activation-before-maxpool

POOLED = {
    "relu": ("- relu\n- maxpool: 2", ["relu1"]),
    "relu6": ("- relu6\n- maxpool: 2", ["relu61"]),
    "tanh": ("- tanh\n- maxpool: 2", ["tanh1"]),
    "sigmoid": ("- sigmoid\n- maxpool: 2", ["sigmoid1"]),
    "selu": ("- selu\n- maxpool: 2", ["selu1"]),
    "hardtanh": ("- hardtanh\n- maxpool: 2", ["hardtanh1"]),
    "hardsigmoid": ("- hardsigmoid\n- maxpool: 2", ["hardsigmoid1"]),
    "leaky relu": ("- leaky_relu\n- maxpool: 2", ["leaky_relu1"]),
    "leaky relu, slope 0": ("- leaky_relu: 0.0\n- maxpool: 2", ["leaky_relu1"]),
    "leaky relu that falls": ("- leaky_relu: -0.01\n- maxpool: 2", []),
    "elu": ("- elu\n- maxpool: 2", ["elu1"]),
    "elu that falls": ("- elu: -1.0\n- maxpool: 2", []),
    "elu that is flat": ("- elu: 0.0\n- maxpool: 2", ["elu1"]),
    "celu": ("- celu: 2.0\n- maxpool: 2", ["celu1"]),
    "softplus": ("- softplus\n- maxpool: 2", ["softplus1"]),
    "softplus with a step": ("- softplus: {threshold: 19}\n- maxpool: 2", []),
    "gelu": ("- gelu\n- maxpool: 2", []),
    "silu": ("- silu\n- maxpool: 2", []),
    "mish": ("- mish\n- maxpool: 2", []),
    "hardswish": ("- hardswish\n- maxpool: 2", []),
    "prelu": ("- prelu\n- maxpool: 2", []),
    "abs": ("- abs\n- maxpool: 2", []),
    "softmax": ("- softmax\n- maxpool: 2", []),
    "average": ("- relu\n- avgpool: 2", []),
    "padding": ("- relu\n- maxpool: {kernel_size: 3, stride: 2, padding: 1}", ["relu1"]),
    "padding of one side": ("- relu\n- maxpool: {kernel_size: 3, stride: 2, padding: [[0, 1], [1, 0]]}", ["relu1"]),
    "same": ("- relu\n- maxpool: {kernel_size: 3, stride: 2, padding: same}", ["relu1"]),
    "dilation": ("- relu\n- maxpool: {kernel_size: 2, stride: 2, dilation: 3}", ["relu1"]),
    "dilation with padding": ("- relu\n- maxpool: {kernel_size: 2, stride: 2, dilation: 3, padding: 1}", []),
    "dilation by 2 with padding before": (
        "- relu\n- maxpool: {kernel_size: 2, stride: 2, dilation: 2, padding: [[1, 0], [0, 0]]}",
        [],
    ),
    "dilation with padding behind": (
        "- relu\n- maxpool: {kernel_size: 2, stride: 2, dilation: 2, padding: [[0, 0], [0, 1]]}",
        [],
    ),
    "rounded up": ("- relu\n- maxpool: {kernel_size: 3, stride: 3, ceil_mode: true}", ["relu1"]),
    "nothing spared": ("- relu\n- maxpool: {kernel_size: 3, stride: 1, padding: 1}", []),
    "a little spared": ("- relu\n- maxpool: {kernel_size: 2, stride: 1}", ["relu1"]),
    "adaptive": ("- relu\n- adaptive_maxpool: 3", ["relu1"]),
    "adaptive to more": ("- relu\n- adaptive_maxpool: 9", []),
    "global": ("- relu\n- global_maxpool", ["relu1"]),
    "a convolution before": ("- conv: {out_channels: 4, kernel_size: 1}\n- maxpool: 2", []),
    "at the input": ("- maxpool: 2", []),
    "something between": ("- relu\n- dropout\n- maxpool: 2", []),
    "read by something else": (
        "- relu:\n  name: a\n- maxpool: 2\n- upsample: 2\n- add:\n  from: [a, previous]",
        [],
    ),
    "in a built-in block": ("- conv_bn_relu: 4\n- maxpool: 2", []),
    "in a block": ("- post\n- maxpool: 2", ["post1.relu1"]),
    "in a block that something else follows": ("- post\n- maxpool: 2\n- post\n- conv_bn_relu: 4", []),
    "in a row": ("- layers: [conv: {out_channels: 4, kernel_size: 1}, relu]\n  repeat: 2\n- maxpool: 2", []),
    "in a row of pools": ("- layers: [relu, maxpool: 2]\n  repeat: 2", ["relu1"]),
}


@pytest.mark.parametrize(("text", "hits"), POOLED.values(), ids=POOLED)
def test_n207(text: str, hits: list[str]) -> None:
    diagnostics = found("N207", text, head=MAP + ACTS.lstrip())
    assert [d.layer for d in diagnostics] == hits
    assert {d.severity for d in diagnostics} <= {"info"}


@pytest.mark.parametrize("name", [name for name, (text, hits) in POOLED.items() if hits and "post" not in text])
def test_n207_torch_agrees(name: str) -> None:
    text, _ = POOLED[name]
    old = net(text, head=MAP)
    diagnostics = found("N207", text)
    assert diagnostics[0].fix
    assert diagnostics[0].fix.safe
    new = mended(diagnostics, old)
    assert new != old
    assert alike(old, new, atol=0 if "relu" in text or "hard" in text else 1e-6)


def test_n207_windows_of_padding_alone_are_left_out() -> None:
    """Dilation can put every tap of a window on padding: minus infinity, which a ReLU behind it would make 0."""
    text = "- {}\n- maxpool: {{kernel_size: 2, dilation: 9, padding: 1}}\n- {}"
    before, after = (
        cnnplan.build(net(text.format(*acts), head=MAP)) for acts in (("relu", "identity"), ("identity", "relu"))
    )
    x = torch.randn(1, 4, 8, 8)
    assert before(x).min() == float("-inf")
    assert after(x).min() == 0


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_n207_every_other_window_sees_a_unit(size: int) -> None:
    x = torch.randn(1, 1, size)
    for kernel, stride, padding, ceil in product((1, 2, 3), (1, 2, 3), (0, 1), (False, True)):
        if padding <= kernel // 2 and size + 2 * padding >= kernel:
            y = torch.nn.functional.max_pool1d(x, kernel, stride, padding, ceil_mode=ceil)
            assert y.isfinite().all()


@pytest.mark.parametrize("act", ["relu", "relu6", "tanh", "sigmoid", "softplus", "hardtanh", "hardsigmoid"])
def test_n207_says_what_is_spared(act: str) -> None:
    text = f"{conv(4)}- {act}\n- maxpool: 2\n{conv(4)}"
    (one,) = found("N207", text)
    assert f"'{act}1' runs over 256 elements a sample; behind 'maxpool1' it would run over 64 and" in one.message
    saved = [
        cnnplan.plan(t, batch=3).training.saved_activations
        for t in (net(text, head=MAP), mended([one], net(text, head=MAP)))
    ]
    assert ("training would keep 768 B a sample less" in one.message) is (saved[0] - saved[1] == 3 * 768)


def test_n207_promises_no_memory_where_the_activation_runs_in_place() -> None:
    (one,) = found("N207", conv(4) + "- leaky_relu\n- maxpool: 2")
    assert "keep" not in one.message


# ------------------------------------------------------------------------ N208 saturating-hidden-act


def saturated(count: int, act: str = "sigmoid", between: str = "") -> str:
    return f"- layers:\n    {conv(4)}{between}    - {act}\n  repeat: {count}\n"


END = "- flatten\n- linear: 3"
SATURATED = {
    "four": (saturated(4) + END, "sigmoid1"),
    "four at the end": (saturated(4) + "- global_avgpool", ""),
    "one at the input does not count": ("- tanh\n" + saturated(3) + END, ""),
    "four, and another row later": (saturated(4) + conv(4) + "- batchnorm\n" + conv(4), "sigmoid1"),
    "three": (saturated(3) + END, ""),
    "tanh": (saturated(4, "tanh") + END, "tanh1"),
    "hardsigmoid": (saturated(4, "hardsigmoid") + END, "hardsigmoid1"),
    "mixed": (saturated(2) + saturated(2, "tanh") + END, "sigmoid1"),
    "others between": (saturated(2) + saturated(3, "relu") + saturated(2) + END, "sigmoid1"),
    "hardtanh": (saturated(4, "hardtanh") + END, ""),
    "the last of four is the output": (saturated(4), ""),
    "five, the last is the output": (saturated(5), "sigmoid1"),
    "LeNet-5: one of four is behind a dense layer": (
        saturated(3, "tanh") + "- flatten\n- linear: 9\n- tanh\n- linear: 3",
        "",
    ),
    "dense layers alone": ("- flatten\n" + "- linear: 9\n- tanh\n" * 6 + "- linear: 3", ""),
    "pools and scales before them": (
        saturated(4, between="    - avgpool: 1\n    - maxpool: 1\n    - scale\n    - layer_scale\n    - dropout\n")
        + END,
        "sigmoid1",
    ),
    "transposed": (
        "- layers: [conv_transpose: {out_channels: 4, kernel_size: 1}, sigmoid]\n  repeat: 4\n" + END,
        "sigmoid1",
    ),
    "batch norm before": (saturated(4, between="    - batchnorm\n") + END, ""),
    "batch norm behind": (f"- layers:\n    {conv(4)}    - sigmoid\n    - batchnorm\n  repeat: 6\n" + END, ""),
    "batch norm in the middle": (saturated(3) + "- batchnorm\n" + saturated(3) + END, ""),
    "lrn in the middle": (saturated(2) + "- lrn: 3\n" + saturated(2) + END, "sigmoid1"),
    "gates": (
        "- multiply:\n    a: [conv: {out_channels: 4, kernel_size: 1}, tanh]\n"
        "    b: [conv: {out_channels: 4, kernel_size: 1}, sigmoid]\n  repeat: 6\n" + END,
        "",
    ),
    "gates, resized": (
        "- multiply:\n    a: [conv: {out_channels: 4, kernel_size: 1}, tanh, upsample: 1]\n"
        "    b: [conv: {out_channels: 4, kernel_size: 1}, sigmoid, upsample: 1]\n  repeat: 6\n" + END,
        "",
    ),
    "gates with dropout": (
        "- multiply:\n    a: [conv: {out_channels: 4, kernel_size: 1}, tanh, dropout]\n"
        "    b: [conv: {out_channels: 4, kernel_size: 1}, sigmoid, dropout]\n  repeat: 6\n" + END,
        "",
    ),
    "a factor behind another convolution": (
        "- multiply:\n    a: []\n    b: ["
        + "conv: {out_channels: 4, kernel_size: 1}, tanh, " * 4
        + "conv: {out_channels: 4, kernel_size: 1}]",
        "multiply1.b.tanh1",
    ),
    "skips": ("- add:\n    a: []\n    b: [conv: {out_channels: 4, kernel_size: 1}, tanh]\n  repeat: 6\n" + END, ""),
    "branches, each with one": (
        "- concat:\n    a: [conv: {out_channels: 4, kernel_size: 1}, tanh]\n"
        "    b: [conv: {out_channels: 4, kernel_size: 1}, tanh]\n  repeat: 4\n" + END,
        "concat1.a.tanh1",
    ),
    "behind a sum": ("- add:\n    a: []\n    b: [relu]\n- sigmoid\n- relu\n" * 4 + END, ""),
}


@pytest.mark.parametrize(("text", "hit"), SATURATED.values(), ids=SATURATED)
def test_n208(text: str, hit: str) -> None:
    assert layers("N208", text) == ([hit] if hit else [])


def test_n208_says_how_little_is_left() -> None:
    (one,) = found("N208", saturated(2) + saturated(2, "hardsigmoid") + END)
    assert one.message == (
        "4 convolutions on one path have a saturating activation, from 'sigmoid1' to 'hardsigmoid2': "
        "their slopes leave at most 1/576 of the gradient"
    )
    assert one.severity == "warning"
    (one,) = found("N208", saturated(4, "tanh") + END)
    assert one.message.endswith("from 'tanh1' to 'tanh4'")
    (one,) = found("N208", saturated(50) + END)
    assert "at most 1/1,000,000 of the gradient" in one.message


def test_n208_slopes_are_those_of_torch() -> None:
    from cnnplan.lint.rules.saturating_hidden_act import STEEPEST

    x = torch.linspace(-4, 4, 8001, requires_grad=True)
    for kind, inverse in STEEPEST.items():
        (slope,) = torch.autograd.grad(getattr(torch.nn.functional, kind)(x).sum(), x)
        assert slope.max() == pytest.approx(1 / inverse, abs=1e-6)


def test_n208_is_mended_with_relu() -> None:
    text = saturated(3) + conv(4) + "- tanh:\n  name: last\n" + conv(2) + END
    diagnostics = found("N208", text)
    assert diagnostics[0].fix
    assert not diagnostics[0].fix.safe
    new = mended(diagnostics, net(text, head=MAP))
    assert new == net(text, head=MAP).replace("sigmoid", "relu").replace("tanh", "relu")


# ------------------------------------------------------------------------ R402 residual-ends-in-relu

BODY = "    body:\n      - conv_bn_relu: 4\n      - conv: {out_channels: 4, kernel_size: 3, padding: 1, bias: false}\n"
ENDS = BODY + "      - batchnorm\n      - relu\n"
IDENTITY = "    shortcut: []\n"
RESIDUAL = {
    "an identity": ("- add:\n" + ENDS + IDENTITY, "add1.body.relu1"),
    "the shortcut first": ("- add:\n" + IDENTITY + ENDS, "add1.body.relu1"),
    "relu6": ("- add:\n" + BODY + "      - relu6\n" + IDENTITY, "add1.body.relu61"),
    "leaky relu": ("- add:\n" + BODY + "      - leaky_relu\n" + IDENTITY, ""),
    "silu": ("- add:\n" + BODY + "      - silu\n" + IDENTITY, ""),
    "no activation": ("- add:\n" + BODY + IDENTITY, ""),
    "a projection": (
        "- add:\n" + ENDS + "    shortcut: [conv: {out_channels: 4, kernel_size: 1, bias: false}, batchnorm]\n",
        "add1.body.relu1",
    ),
    "a projection of pooled values": (
        "- add:\n    body:\n      - conv_bn_relu: {out_channels: 4, stride: 2}\n      - conv_bn_relu: 4\n"
        "    shortcut: [avgpool: 2, conv: {out_channels: 4, kernel_size: 1}, identity, groupnorm: 2]\n",
        "add1.body.conv_bn_relu2.relu1",
    ),
    "a 3x3 beside it is a branch": ("- add:\n" + ENDS + f"    other:\n      {conv(4)}", ""),
    "other norms of a projection": (
        "- add:\n" + ENDS + "    shortcut: [layernorm, conv: {out_channels: 4, kernel_size: 1}, instancenorm]\n",
        "add1.body.relu1",
    ),
    "a 2x2 beside it": (
        "- add:\n" + ENDS + "    other: [conv: {out_channels: 4, kernel_size: 2, padding: [[0, 1], [0, 1]]}]",
        "",
    ),
    "half of what enters": (
        "- identity:\n  name: x\n- split: 2\n  name: s\n- conv_bn_relu: 2\n  from: s.1\n- conv_bn_relu: 4\n"
        "- add:\n  from: [x, previous]",
        "conv_bn_relu2.relu1",
    ),
    "two layers beside it are a branch": (
        "- add:\n"
        + ENDS
        + "    other: [conv: {out_channels: 4, kernel_size: 1}, conv: {out_channels: 4, kernel_size: 1}]",
        "",
    ),
    "both end in relu": (
        "- add:\n" + ENDS + "    other:\n      - conv_bn_relu: {out_channels: 4, kernel_size: 1}\n",
        "",
    ),
    "one layer with weights": (
        "- add:\n    body:\n      - conv_bn_relu: 4\n" + IDENTITY,
        "add1.body.conv_bn_relu1.relu1",
    ),
    "one layer with weights beside a projection": (
        "- add:\n    body:\n      - conv_bn_relu: 4\n    shortcut: [conv: {out_channels: 4, kernel_size: 1}]\n",
        "",
    ),
    "none": ("- add:\n    body: [relu]\n" + IDENTITY, ""),
    "dropout behind it, as in TCN": ("- add:\n" + ENDS + "      - dropout: 0.2\n" + IDENTITY, ""),
    "three to add": ("- add:\n" + ENDS + IDENTITY + "    third: []\n", ""),
    "concat": ("- concat:\n" + ENDS + IDENTITY, ""),
    "read by something else": (
        "- identity:\n  name: x\n- conv_bn_relu: 4\n- conv_bn_relu: 4\n  name: y\n- add:\n  from: [x, y]\n"
        "- concat:\n  from: [previous, y]",
        "",
    ),
    "by name": (
        "- relu:\n  name: x\n- conv_bn_relu: 4\n- conv_bn_relu: 4\n- add:\n  from: [x, previous]",
        "conv_bn_relu2.relu1",
    ),
    "an hourglass": (
        "- add:\n    low:\n      - maxpool: 2\n      - conv_bn_relu: 4\n      - upsample: 2\n      - conv_bn_relu: 4\n"
        + IDENTITY,
        "",
    ),
    "an encoder and a decoder": (
        "- add:\n    low:\n      - conv_bn_relu: {out_channels: 4, stride: 2}\n"
        "      - conv_transpose: {out_channels: 4, kernel_size: 2, stride: 2}\n      - relu\n" + IDENTITY,
        "",
    ),
    "a merge inside": (
        "- add:\n    body:\n      - conv_bn_relu: 4\n      - squeeze_excite: 2\n      - conv_bn_relu: 4\n" + IDENTITY,
        "",
    ),
    "two features": (
        "- conv: {out_channels: 4, kernel_size: 1}\n  name: a\n- conv_bn_relu: 4\n  from: input\n- conv_bn_relu: 4\n"
        "- add:\n  from: [a, previous]",
        "conv_bn_relu2.relu1",
    ),
    "features of two inputs of a split": (
        "- split: 2\n  name: s\n- conv_bn_relu: 2\n  from: s.1\n- conv_bn_relu: 2\n- add:\n  from: [s.0, previous]",
        "",
    ),
    "a long way": (
        "- relu:\n  name: x\n" + "- conv_bn_relu: 4\n" * 8 + "- add:\n  from: [x, previous]",
        "conv_bn_relu8.relu1",
    ),
    "too long a way": (
        "- relu:\n  name: x\n- identity\n" + "- conv_bn_relu: 4\n" * 8 + "- add:\n  from: [x, previous]",
        "",
    ),
}


@pytest.mark.parametrize(("text", "hit"), RESIDUAL.values(), ids=RESIDUAL)
def test_r402(text: str, hit: str) -> None:
    assert layers("R402", text) == ([hit] if hit else [])


def test_r402_says_where() -> None:
    (one,) = found("R402", "- identity:\n  name: x\n- add:\n" + ENDS + IDENTITY)
    assert one.message == (
        "'add1.body.relu1' is the end of the branch that 'add1' adds to 'x': it can add and never take away"
    )
    assert [(r.message, r.start and r.start.line) for r in one.related] == [("'add1' adds it", 7)]
    assert one.severity == "warning"


@pytest.mark.parametrize(
    ("behind", "new", "help"),
    [
        ("", "- relu\n", "put `relu` behind `add`"),
        ("- batchnorm\n", "- relu\n- batchnorm\n", "put `relu` behind `add`"),
        ("- relu\n", "- relu\n", "remove `relu`: one is behind the sum"),
        ("- silu\n", "- silu\n", "remove `relu`: one is behind the sum"),
    ],
)
def test_r402_moves_the_relu_behind_the_sum(behind: str, new: str, help: str) -> None:
    text = "- add:\n" + ENDS + IDENTITY + behind + conv(4)
    diagnostics = found("R402", text)
    assert diagnostics[0].help == help
    assert diagnostics[0].fix
    assert not diagnostics[0].fix.safe
    wanted = "- add:\n" + ENDS.replace("      - relu\n", "") + IDENTITY + new + conv(4)
    assert mended(diagnostics, net(text, head=MAP)) == net(wanted, head=MAP)


# ------------------------------------------------------------------------ networks that are as they should be

IMAGE = "cnnplan: 1\nname: net\ninput: [3, 64, 64]\n"
GOOD = {
    "MobileNetV3-Small's first blocks": """
        input: [3, 64, 64]
        layers:
          - conv: {out_channels: 16, kernel_size: 3, stride: 2, padding: 1, bias: false}
          - batchnorm
          - hardswish
          - depthwise_conv: {kernel_size: 3, stride: 2, padding: 1, bias: false}
          - batchnorm
          - relu
          - squeeze_excite: {reduction: 2, hard: true}
          - conv: {out_channels: 16, kernel_size: 1, bias: false}
          - batchnorm
          - conv: {out_channels: 72, kernel_size: 1, bias: false}
          - batchnorm
          - relu
          - depthwise_conv: {kernel_size: 3, padding: 1, bias: false}
          - batchnorm
          - relu
          - conv: {out_channels: 24, kernel_size: 1, bias: false}
          - batchnorm
          - conv: {out_channels: 88, kernel_size: 1, bias: false}
          - batchnorm
          - relu
          - global_avgpool
          - linear: 100
          - hardswish
          - dropout: 0.2
          - linear: 10
        """,
    "ConvNeXt": """
        input: [3, 64, 64]
        blocks:
          block:
            layers:
              - add:
                  body:
                    - depthwise_conv: {kernel_size: 7, padding: 3}
                    - layernorm: {axis: channels, eps: 1e-6}
                    - conv: {out_channels: =4 * in_channels, kernel_size: 1}
                    - gelu
                    - conv: {out_channels: =in_channels // 4, kernel_size: 1}
                    - layer_scale
                    - stochastic_depth: 0.1
                  skip: []
        layers:
          - conv: {out_channels: 16, kernel_size: 4, stride: 4}
          - layernorm: {axis: channels, eps: 1e-6}
          - block:
            repeat: 3
          - layernorm: {axis: channels, eps: 1e-6}
          - conv: {out_channels: 32, kernel_size: 2, stride: 2}
          - block:
            repeat: 3
          - global_avgpool
          - layernorm: {eps: 1e-6}
          - linear: 10
        """,
    "a pre-activation ResNet": """
        input: [3, 64, 64]
        layers:
          - conv: {out_channels: 16, kernel_size: 3, padding: 1, bias: false}
          - add:
              body:
                - layers: [batchnorm, relu, conv: {out_channels: 16, kernel_size: 3, padding: 1, bias: false}]
                  repeat: 2
              skip: []
            repeat: 3
          - batchnorm
          - relu
          - global_avgpool
          - linear: 10
        """,
    "DenseNet with dropout": """
        input: [3, 64, 64]
        layers:
          - conv: {out_channels: 16, kernel_size: 3, padding: 1, bias: false}
          - concat:
              skip: []
              new: [batchnorm, relu, conv: {out_channels: 12, kernel_size: 3, padding: 1, bias: false}, dropout: 0.2]
            repeat: 4
          - batchnorm
          - relu
          - global_avgpool
          - linear: 10
        """,
    "Darknet's residual": """
        input: [32, 64, 64]
        layers:
          - add:
              body:
                - conv: {out_channels: 16, kernel_size: 1, bias: false}
                - batchnorm
                - leaky_relu: 0.1
                - conv: {out_channels: 32, kernel_size: 3, padding: 1, bias: false}
                - batchnorm
                - leaky_relu: 0.1
              skip: []
        """,
    "SqueezeNet with bypass": """
        input: [128, 16, 16]
        layers:
          - add:
              skip: []
              fire:
                - conv: {out_channels: 16, kernel_size: 1}
                - relu
                - concat:
                    - [conv: {out_channels: 64, kernel_size: 1}, relu]
                    - [conv: {out_channels: 64, kernel_size: 3, padding: 1}, relu]
          - conv: {out_channels: 10, kernel_size: 1}
        """,
    "WaveNet": """
        input: [32, 256]
        layers:
          - add:
              skip: []
              body:
                - multiply:
                    - [pad: [[2, 0]], conv: {out_channels: 32, kernel_size: 2, dilation: 2}, tanh]
                    - [pad: [[2, 0]], conv: {out_channels: 32, kernel_size: 2, dilation: 2}, sigmoid]
                - conv: {out_channels: 32, kernel_size: 1}
            repeat: 8
          - relu
          - conv: {out_channels: 64, kernel_size: 1}
          - relu
          - conv: {out_channels: 256, kernel_size: 1}
        """,
    "TCN": """
        input: [25, 128]
        blocks:
          causal:
            params: {dilation: int}
            layers:
              - conv: {out_channels: 25, kernel_size: 3, dilation: =dilation, padding: "=[[2 * dilation, 0]]"}
              - relu
              - dropout: 0.2
        layers:
          - layers:
              - add:
                  skip: []
                  body: [causal: =2 ** index, causal: =2 ** index]
              - relu
            repeat: 4
          - conv: {out_channels: 10, kernel_size: 1}
        """,
    "U-Net with batch norm": """
        input: [1, 64, 64]
        layers:
          - conv_bn_relu: 16
          - conv_bn_relu: 16
            name: fine
          - maxpool: 2
          - conv_bn_relu: 32
          - conv_bn_relu: 32
          - conv_transpose: {out_channels: 16, kernel_size: 2, stride: 2}
          - concat:
            from: [fine, previous]
          - conv_bn_relu: 16
          - conv_bn_relu: 16
          - conv: {out_channels: 1, kernel_size: 1}
          - sigmoid
        """,
    "LinkNet": """
        input: [16, 64, 64]
        layers:
          - basic_block: 16
            name: enc1
          - basic_block: {out_channels: 32, stride: 2}
          - conv_bn_relu: {out_channels: 8, kernel_size: 1}
          - conv_transpose: {out_channels: 8, kernel_size: 3, stride: 2, padding: 1, output_padding: 1, bias: false}
          - batchnorm
          - relu
          - conv_bn_relu: {out_channels: 16, kernel_size: 1}
          - add:
            from: [enc1, previous]
          - conv_bn_relu: 16
          - conv: {out_channels: 2, kernel_size: 1}
        """,
    "FCN-16s": """
        input: [3, 64, 64]
        layers:
          - conv_bn_relu: {out_channels: 32, stride: 4}
            name: pool4
          - conv_bn_relu: {out_channels: 64, stride: 2}
          - dropout2d
          - conv: {out_channels: 21, kernel_size: 1}
          - conv_transpose: {out_channels: 21, kernel_size: 4, stride: 2, padding: 1, bias: false}
            name: up
          - conv: {out_channels: 21, kernel_size: 1}
            from: pool4
          - add:
            from: [up, previous]
          - conv_transpose: {out_channels: 21, kernel_size: 8, stride: 4, padding: 2, bias: false}
        """,
    "DeepLab's pyramid": """
        input: [32, 32, 32]
        layers:
          - concat:
              one: [conv_bn_relu: {out_channels: 16, kernel_size: 1}]
              two: [conv_bn_relu: {out_channels: 16, dilation: 6}]
              image:
                - global_avgpool: {keepdim: true}
                - conv_bn_relu: {out_channels: 16, kernel_size: 1}
                - upsample: {size: 32, mode: bilinear}
          - conv_bn_relu: {out_channels: 16, kernel_size: 1}
          - dropout
          - conv: {out_channels: 21, kernel_size: 1}
          - upsample: {scale_factor: 8, mode: bilinear}
        """,
    "FPN": """
        input: [3, 64, 64]
        outputs: [p2, p3]
        layers:
          - conv_bn_relu: {out_channels: 16, stride: 2}
            name: c2
          - conv_bn_relu: {out_channels: 32, stride: 2}
          - conv: {out_channels: 24, kernel_size: 1}
            name: m3
          - conv: {out_channels: 24, kernel_size: 3, padding: 1}
            name: p3
          - conv: {out_channels: 24, kernel_size: 1}
            from: c2
            name: lateral
          - upsample: 2
            from: m3
          - add:
            from: [lateral, previous]
          - conv: {out_channels: 24, kernel_size: 3, padding: 1}
            name: p2
        """,
    "HRNet's fusion": """
        input: [16, 32, 32]
        layers:
          - conv_bn_relu: 16
            name: high
          - conv_bn_relu: {out_channels: 32, stride: 2}
          - conv: {out_channels: 16, kernel_size: 1, bias: false}
          - batchnorm
          - upsample: 2
          - add:
            from: [high, previous]
          - relu
          - conv: {out_channels: 2, kernel_size: 1}
        """,
    "EDSR": """
        input: [3, 24, 24]
        layers:
          - conv: {out_channels: 16, kernel_size: 3, padding: 1}
          - add:
              skip: []
              body:
                - add:
                    skip: []
                    body:
                      - conv: {out_channels: 16, kernel_size: 3, padding: 1}
                      - relu
                      - conv: {out_channels: 16, kernel_size: 3, padding: 1}
                  repeat: 4
                - conv: {out_channels: 16, kernel_size: 3, padding: 1}
          - layers: [conv: {out_channels: 64, kernel_size: 3, padding: 1}, pixel_shuffle: 2]
            repeat: 2
          - conv: {out_channels: 3, kernel_size: 3, padding: 1}
        """,
    "WDSR's linear bottleneck": """
        input: [32, 24, 24]
        layers:
          - add:
              skip: []
              body:
                - conv: {out_channels: 192, kernel_size: 1}
                - relu
                - conv: {out_channels: 25, kernel_size: 1}
                - conv: {out_channels: 32, kernel_size: 3, padding: 1}
        """,
    "ESPCN": """
        input: [1, 24, 24]
        layers:
          - conv: {out_channels: 64, kernel_size: 5, padding: 2}
          - tanh
          - conv: {out_channels: 32, kernel_size: 3, padding: 1}
          - tanh
          - conv: {out_channels: 9, kernel_size: 3, padding: 1}
          - pixel_shuffle: 3
        """,
    "a convolutional autoencoder": """
        input: [1, 28, 28]
        layers:
          - conv: {out_channels: 16, kernel_size: 3, stride: 2, padding: 1}
          - relu
          - conv: {out_channels: 4, kernel_size: 3, stride: 2, padding: 1}
          - conv_transpose: {out_channels: 16, kernel_size: 2, stride: 2}
          - relu
          - conv_transpose: {out_channels: 1, kernel_size: 2, stride: 2}
          - sigmoid
        """,
    "a dense autoencoder": """
        input: [784]
        layers:
          - linear: 128
          - relu
          - linear: 32
          - linear: 128
          - relu
          - linear: 784
        """,
    "a generator that begins with a dense layer": """
        input: [100]
        layers:
          - linear: {out_features: 2048}
          - reshape: [128, 4, 4]
          - batchnorm
          - upsample: 2
          - conv: {out_channels: 64, kernel_size: 3, padding: 1, bias: false}
          - batchnorm
          - leaky_relu: 0.2
          - upsample: 2
          - conv: {out_channels: 3, kernel_size: 3, padding: 1}
          - tanh
        """,
    "ShallowConvNet: time, then electrodes": """
        input: [1, 22, 250]
        layers:
          - conv: {out_channels: 40, kernel_size: [1, 25], bias: false}
          - conv: {out_channels: 40, kernel_size: [22, 1], bias: false}
          - batchnorm
          - elu
          - avgpool: {kernel_size: [1, 75], stride: [1, 15]}
          - dropout
          - flatten
          - linear: 4
        """,
    "EEGNet": """
        input: [1, 22, 256]
        layers:
          - conv: {out_channels: 8, kernel_size: [1, 64], padding: same, bias: false}
          - batchnorm
          - depthwise_conv: {kernel_size: [22, 1], multiplier: 2, bias: false}
          - batchnorm
          - elu
          - avgpool: [1, 4]
          - dropout
          - separable_conv: {out_channels: 16, kernel_size: [1, 16], padding: same, bias: false}
          - batchnorm
          - elu
          - avgpool: [1, 8]
          - dropout
          - flatten
          - linear: 4
        """,
    "a face embedding": """
        input: [64, 7, 7]
        layers:
          - add:
              skip: []
              body: [batchnorm, conv: {out_channels: 64, kernel_size: 3, padding: 1, bias: false}, batchnorm]
          - batchnorm
          - dropout: 0.4
          - flatten
          - linear: {out_features: 512, bias: false}
          - batchnorm: {affine: false}
        """,
    "PointNet": """
        input: [3, 1024]
        layers:
          - conv_bn_relu: {out_channels: 64, kernel_size: 1}
          - conv: {out_channels: 256, kernel_size: 1, bias: false}
          - batchnorm
          - global_maxpool
          - linear: 10
        """,
    "a siamese network": """
        inputs: {left: [1, 28, 28], right: [1, 28, 28]}
        layers:
          - layers: [conv_bn_relu: 8, maxpool: 2, conv_bn_relu: 16, global_avgpool, linear: 8]
            from: left
            name: tower
          - share: tower
            from: right
            name: twin
          - subtract:
            from: [tower, twin]
          - abs
          - linear: 1
        """,
    "a policy and a value": """
        input: [17, 19, 19]
        outputs: [policy, value]
        layers:
          - conv_bn_relu: 32
          - basic_block: 32
            repeat: 10
            name: trunk
          - conv_bn_relu: {out_channels: 2, kernel_size: 1}
          - flatten
          - linear: 362
            name: policy
          - conv_bn_relu: {out_channels: 1, kernel_size: 1}
            from: trunk
          - flatten
          - linear: 256
          - relu
          - linear: 1
          - tanh:
            name: value
        """,
    "attention over positions": """
        input: [64, 14, 14]
        layers:
          - multiply:
              value: []
              gate:
                - concat:
                    - [conv: {out_channels: 1, kernel_size: 1}]
                    - [conv: {out_channels: 1, kernel_size: 1}, relu]
                - conv: {out_channels: 1, kernel_size: 7, padding: 3}
                - sigmoid
          - global_avgpool
          - linear: 10
        """,
    "interleaved group convolutions": """
        input: [32, 16, 16]
        layers:
          - conv: {out_channels: 32, kernel_size: 3, padding: 1, groups: 2, bias: false}
          - channel_shuffle: 2
          - conv: {out_channels: 32, kernel_size: 1, groups: 16, bias: false}
          - batchnorm
          - relu
          - conv: {out_channels: 10, kernel_size: 1}
        """,
    "DQN": """
        input: [4, 84, 84]
        layers:
          - conv: {out_channels: 32, kernel_size: 8, stride: 4}
          - relu
          - conv: {out_channels: 64, kernel_size: 4, stride: 2}
          - relu
          - conv: {out_channels: 64, kernel_size: 3}
          - relu
          - flatten
          - linear: 512
          - relu
          - linear: 6
        """,
    "a small network without activations before its pools": """
        input: [1, 28, 28]
        layers:
          - conv: {out_channels: 8, kernel_size: 5}
          - maxpool: 2
          - relu
          - conv: {out_channels: 16, kernel_size: 5}
          - dropout2d
          - maxpool: 2
          - relu
          - flatten
          - linear: 50
          - relu
          - dropout
          - linear: 10
          - log_softmax
        """,
    "tokens": """
        input: [3, 64, 64]
        layers:
          - conv: {out_channels: 64, kernel_size: 8, stride: 8}
          - reshape: [64, 64]
          - permute: [1, 0]
          - layernorm
          - permute: [1, 0]
          - add:
              skip: []
              body:
                - layernorm: {axis: channels}
                - conv: {out_channels: 128, kernel_size: 1}
                - gelu
                - conv: {out_channels: 64, kernel_size: 1}
            repeat: 4
          - layernorm: {axis: channels}
          - global_avgpool
          - linear: 10
        """,
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_good_networks_are_left_alone(text: str) -> None:
    spec = f"cnnplan: 1\nname: net\n{dedent(text)}"
    hits = [d for d in of(spec, *CODES) if d.severity != INFO]
    assert not hits, [str(d) for d in hits]


@pytest.mark.parametrize("name", [name for name in zoo.names() if not name.endswith("_bn")])
def test_the_zoo_is_left_alone(name: str) -> None:
    justified = {code for spec, code in JUSTIFIED if spec == name}
    assert {d.code for d in of(str(zoo.find(name)), *CODES)} <= {"N207", "N210", *justified}
