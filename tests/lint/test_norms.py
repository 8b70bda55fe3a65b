"""Rules of normalization and dropout: N201, N204, N206, N209 to N212, S011. Torch is the oracle where it can be one."""

from typing import Any

import pytest
import torch

import cnnplan
from cnnplan.diagnostics import Diagnostic
from cnnplan.lint.edits import applied
from cnnplan.lint.selection import Choice, Selection
from tests.language.helpers import net

MAP = "cnnplan: 1\nname: net\ninput: [4, 8, 8]\n"
VECTOR = "cnnplan: 1\nname: net\ninput: [6]\n"


def found(code: str, layers: str, *, head: str = MAP, more: str = "", **options: Any) -> list[Diagnostic]:
    """What one rule finds."""
    selection = Selection(asked=Choice(select=(code,)))
    return list(cnnplan.plan(net(layers, head=head, more=more), selection=selection, **options).diagnostics)


def layers(code: str, text: str, **options: Any) -> list[str | None]:
    """The layers that one rule finds."""
    return [d.layer for d in found(code, text, **options)]


def mended(diagnostics: list[Diagnostic], text: str) -> str:
    """The text with all fixes."""
    return applied(text, [edit for d in diagnostics for edit in (d.fix.edits if d.fix else ())])


# ------------------------------------------------------------------------ N201 bias-before-batchnorm

CONV = "- conv: {out_channels: 4, kernel_size: 3, padding: 1}\n"
BIASES = {
    "batch norm": (CONV + "- batchnorm", ["conv1"]),
    "without running statistics": (CONV + "- batchnorm: {track_running_stats: false}", ["conv1"]),
    "without affine": (CONV + "- batchnorm: {affine: false}", ["conv1"]),
    "instance norm": (CONV + "- instancenorm", ["conv1"]),
    "instance norm with affine and statistics": (
        CONV + "- instancenorm: {affine: true, track_running_stats: true}",
        ["conv1"],
    ),
    "group norm of one channel a group": (CONV + "- groupnorm: 4", ["conv1"]),
    "group norm of two": (CONV + "- groupnorm: 2", []),
    "layer norm": (CONV + "- layernorm", []),
    "layer norm over channels": (CONV + "- layernorm: {axis: channels}", []),
    "lrn": (CONV + "- lrn: 3", []),
    "no bias": ("- conv: {out_channels: 4, kernel_size: 3, bias: false}\n- batchnorm", []),
    "no norm": (CONV + "- relu", []),
    "an activation before it": (CONV + "- relu\n- batchnorm", []),
    "dropout scales the bias at random": (CONV + "- dropout\n- batchnorm", []),
    "frozen": (
        "- conv: {out_channels: 4, kernel_size: 3}\n  trainable: false\n- batchnorm",
        [],
    ),
    "transposed": ("- conv_transpose: {out_channels: 4, kernel_size: 2, stride: 2}\n- batchnorm", ["conv_transpose1"]),
    "depthwise": ("- depthwise_conv: 3\n- batchnorm", ["depthwise_conv1"]),
    "dense": ("- flatten\n- linear: 8\n- batchnorm", ["linear1"]),
    "in the built-in block": ("- separable_conv: 8\n- batchnorm", ["separable_conv1.conv1"]),
    "its switch in the built-in block": ("- separable_conv: {out_channels: 8, bias: false}\n- batchnorm", []),
    # what reads it besides
    "an output too": (CONV + "  name: a\n- batchnorm:\n  name: b\noutputs: [a, b]", []),
    "read by something else": (CONV + "  name: a\n- batchnorm\n- add:\n  from: [a, previous]", []),
    "read by two norms": (
        CONV + "  name: a\n- batchnorm:\n  name: b\n- instancenorm:\n  from: a\n- add:\n  from: [b, previous]",
        ["a"],
    ),
    "read by nothing": (CONV + "- relu:\n  from: input", []),
    # what hands it on
    "max pool": (CONV + "- maxpool: {kernel_size: 3, padding: 1}\n- batchnorm", ["conv1"]),
    "average pool": (CONV + "- avgpool: 2\n- batchnorm", ["conv1"]),
    "average pool of zeros": (CONV + "- avgpool: {kernel_size: 3, padding: 1}\n- batchnorm", []),
    "average pool without the zeros": (
        CONV + "- avgpool: {kernel_size: 3, padding: 1, count_include_pad: false}\n- batchnorm",
        ["conv1"],
    ),
    "average pool, zeros on one side": (
        CONV + "- avgpool: {kernel_size: 3, padding: [[0, 1], [0, 0]]}\n- batchnorm",
        [],
    ),
    "average pool, zeros on the other side": (
        CONV + "- avgpool: {kernel_size: 3, padding: [[0, 0], [1, 0]]}\n- batchnorm",
        [],
    ),
    "average pool, same": (CONV + "- avgpool: {kernel_size: 3, padding: same}\n- batchnorm", ["conv1"]),
    "a norm of pools": (CONV + "- lppool: {p: 2, kernel_size: 2}\n- batchnorm", []),
    "flatten": (CONV + "- flatten\n- batchnorm", ["conv1"]),
    "global pool": (CONV + "- global_avgpool\n- batchnorm", ["conv1"]),
    "nothing, a cut and another pool": (
        CONV + "- identity\n- crop: {size: 6}\n- slice: {axis: 1, start: 1}\n- adaptive_avgpool: 4\n- batchnorm",
        ["conv1"],
    ),
    "other pools": (CONV + "- adaptive_maxpool: 4\n- global_maxpool: {keepdim: true}\n- batchnorm", ["conv1"]),
    "mean": ("- mean:\n    a: []\n    b:\n" + f"      {CONV}" + "- batchnorm", ["mean1.b.conv1"]),
    "a learned offset is not looked for": ("- scale\n- batchnorm", []),
    "shuffle": (CONV + "- channel_shuffle: 2\n- batchnorm", ["conv1"]),
    "up-sampling": (CONV + "- upsample: {scale_factor: 2, mode: bilinear}\n- batchnorm", ["conv1"]),
    "pixel shuffle mixes channels and positions": (CONV + "- pixel_shuffle: 2\n- batchnorm", []),
    "space to depth does not": (CONV + "- space_to_depth: 2\n- batchnorm", ["conv1"]),
    "zeros at the border": (CONV + "- pad: 1\n- batchnorm", []),
    "dense to map": ("- flatten\n- linear: 8\n- reshape: [2, 2, 2]\n- batchnorm", []),
    "positions turned": (CONV + "- permute: [0, 2, 1]\n- batchnorm", ["conv1"]),
    "channels turned": (CONV + "- permute: [1, 0, 2]\n- batchnorm", []),
    "factors": (CONV + "- scale\n- layer_scale: 0.5\n- batchnorm", ["conv1"]),
    "a convolution without padding": (
        CONV + "- conv: {out_channels: 4, kernel_size: 3}\n- batchnorm",
        ["conv1", "conv2"],
    ),
    "depthwise, without padding": (CONV + "- depthwise_conv: 3\n- batchnorm", ["conv1", "depthwise_conv1"]),
    "a convolution of zeros": (CONV + "- conv: {out_channels: 4, kernel_size: 3, padding: 1}\n- batchnorm", ["conv2"]),
    "a convolution of zeros before": (
        CONV + "- conv: {out_channels: 4, kernel_size: 3, padding: [[1, 0], [0, 0]]}\n- batchnorm",
        ["conv2"],
    ),
    "a convolution of mirrored units": (
        CONV + "- conv: {out_channels: 4, kernel_size: 3, padding: 1, padding_mode: reflect}\n- batchnorm",
        ["conv1", "conv2"],
    ),
    "a transposed convolution": (
        CONV + "- conv_transpose: {out_channels: 4, kernel_size: 3, stride: 2}\n- batchnorm",
        ["conv_transpose1"],
    ),
    "dense layers": ("- flatten\n- linear: 8\n- linear: 8\n- batchnorm", ["linear1", "linear2"]),
    "both halves": (
        CONV + "- split: 2\n  name: s\n- add:\n  from: [s.0, s.1]\n- batchnorm",
        ["conv1"],
    ),
    "one half": (
        CONV + "- split: 2\n  name: s\n- relu:\n  from: s.0\n- add:\n  from: [s.1, previous]\n- batchnorm",
        [],
    ),
    "concat of channels": ("- concat:\n    a:\n" + f"      {CONV}" + "    b: []\n- batchnorm", ["concat1.a.conv1"]),
    "concat of rows": (
        "- concat:\n    axis: 1\n    a:\n" + f"      {CONV}" + "    b: []\n- batchnorm",
        [],
    ),
    "difference": ("- subtract:\n    a: []\n    b:\n" + f"      {CONV}" + "- batchnorm", ["subtract1.b.conv1"]),
    "product": ("- multiply:\n    a: []\n    b:\n" + f"      {CONV}" + "- batchnorm", []),
    "maximum": ("- maximum:\n    a: []\n    b:\n" + f"      {CONV}" + "- batchnorm", []),
    "sums, as far as a norm": (
        "- conv: {out_channels: 4, kernel_size: 1}\n"
        "- add:\n    a: []\n    b: [batchnorm, relu, conv: {out_channels: 4, kernel_size: 1}]\n"
        "- add:\n    a: []\n    b: [batchnorm, relu, conv: {out_channels: 4, kernel_size: 1}]\n"
        "- batchnorm",
        ["conv1", "add1.b.conv1", "add2.b.conv1"],
    ),
    "sums that leave the network": (
        "- conv: {out_channels: 4, kernel_size: 1}\n"
        "- add:\n    a: []\n    b: [batchnorm, relu, conv: {out_channels: 4, kernel_size: 1}]",
        [],
    ),
    # shared layers
    "both runs": (
        "- layers: [conv: {out_channels: 4, kernel_size: 1}, batchnorm]\n  name: t\n- share: t",
        ["t.conv1"],
    ),
    "one run only": (
        "- conv: {out_channels: 4, kernel_size: 1}\n  name: t\n- batchnorm\n- share: t\n- relu",
        [],
    ),
}


@pytest.mark.parametrize(("text", "hits"), BIASES.values(), ids=BIASES)
def test_n201(text: str, hits: list[str]) -> None:
    text, _, outputs = text.partition("outputs:")
    assert layers("N201", text, more=f"outputs:{outputs}\n" if outputs else "") == hits


def test_n201_says_what_and_how_much() -> None:
    text = "- conv: {out_channels: 24, kernel_size: 3}\n- maxpool: 2\n- batchnorm\n- batchnorm"
    (one,) = found("N201", text)
    assert one.message == "the bias of 'conv1' (24 parameters) is taken away again by 'batchnorm1'"
    assert one.severity == "warning"
    assert one.fix
    assert one.fix.safe
    assert "out_channels: 24, kernel_size: 3, bias: false}" in mended([one], net(text, head=MAP))


@pytest.mark.parametrize("name", [name for name, (_, hits) in BIASES.items() if hits and "frozen" not in name])
def test_n201_torch_agrees(name: str) -> None:
    """The gradient of a bias that is found is zero, and the network computes the same without it."""
    text, hits = BIASES[name]
    model = cnnplan.build(net(text, head=MAP))
    torch.manual_seed(0)
    x = torch.randn(3, 4, 8, 8)
    values = dict(model.named_parameters())
    biases = [values[f"{path}.bias"] for path in hits]
    assert biases
    before = model(x)
    (before * torch.randn_like(before)).sum().backward()
    for bias in biases:
        assert bias.grad is not None
        assert bias.grad.abs().max() < 1e-4
        with torch.no_grad():
            bias += 3 * torch.randn_like(bias)
    assert torch.allclose(model(x), before, atol=1e-4)


@pytest.mark.parametrize(
    "name",
    [
        "group norm of two",
        "layer norm",
        "an activation before it",
        "average pool of zeros",
        "a convolution of zeros",
        "a convolution of zeros before",
        "a transposed convolution",
        "average pool, zeros on one side",
        "average pool, zeros on the other side",
        "a norm of pools",
        "pixel shuffle mixes channels and positions",
        "zeros at the border",
        "dense to map",
        "channels turned",
        "one half",
        "concat of rows",
        "product",
        "maximum",
        "sums that leave the network",
        "one run only",
    ],
)
def test_n201_torch_agrees_where_it_is_silent(name: str) -> None:
    text, _ = BIASES[name]
    model = cnnplan.build(net(text, head=MAP))
    torch.manual_seed(0)
    y = model(torch.randn(3, 4, 8, 8))
    (y * torch.randn_like(y)).sum().backward()
    weighted = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert any(m.bias is not None and m.bias.grad is not None and m.bias.grad.abs().max() > 1e-2 for m in weighted)


def test_n201_mends_blocks_only_where_every_use_allows_it() -> None:
    block = "blocks:\n  unit:\n    params: {norm: bool}\n    layers:\n"
    block += "      - conv: {out_channels: 4, kernel_size: 1}\n      - batchnorm:\n        if: =norm\n      - relu\n"
    (one,) = found("N201", "- unit: {norm: true}\n- unit: {norm: false}", head=MAP + block)
    assert one.fix is None
    (one,) = found("N201", "- unit: {norm: true}\n- unit: {norm: true}", head=MAP + block)
    assert one.fix


# ------------------------------------------------------------------------ N204 dropout-before-batchnorm

THIN = "- conv: {out_channels: 4, kernel_size: 3, padding: 1, bias: false}\n"
DROPOUTS = {
    "directly": ("- dropout: 0.2\n- batchnorm", ["dropout1"]),
    "of whole channels": ("- dropout2d: 0.2\n- batchnorm", ["dropout2d1"]),
    "an activation between": ("- dropout\n- relu\n- batchnorm", ["dropout1"]),
    "pools and shapes between": ("- dropout\n- maxpool: 2\n- flatten\n- batchnorm", ["dropout1"]),
    "behind it": ("- batchnorm\n- dropout", []),
    "a convolution between": ("- dropout\n" + THIN + "- batchnorm", []),
    "a dense layer between": ("- flatten\n- dropout\n- linear: {out_features: 4, bias: false}\n- batchnorm", []),
    "a depthwise one between": ("- dropout\n- depthwise_conv: {kernel_size: 3, bias: false}\n- batchnorm", []),
    "another norm between": ("- dropout\n- groupnorm: 2\n- batchnorm", []),
    "the second of two norms": ("- dropout\n- batchnorm\n- relu\n- batchnorm", ["dropout1"]),
    "a sum between": ("- add:\n    a: []\n    b: [dropout]\n- batchnorm", []),
    "a concatenation, as in DenseNet": ("- concat:\n    a: []\n    b: [dropout]\n- batchnorm", []),
    "a sum between, the other way around": ("- add:\n    a: [dropout]\n    b: []\n- batchnorm", []),
    "nothing dropped": ("- dropout: 0\n- batchnorm", []),
    "everything dropped": ("- dropout: 1.0\n- batchnorm", []),
    "for SELU": ("- alpha_dropout\n- batchnorm\n- dropout", []),
    "of samples": ("- stochastic_depth: 0.1\n- batchnorm\n- dropout", []),
    "statistics of the batch always": ("- dropout\n- batchnorm: {track_running_stats: false}", []),
    "group norm": ("- dropout\n- groupnorm: 2", []),
    "instance norm": ("- dropout\n- instancenorm", []),
    "the last of two": ("- dropout\n- dropout: 0.1\n- batchnorm", ["dropout2"]),
    "two readers": (
        "- dropout:\n  name: d\n- batchnorm:\n  name: b\n- relu:\n  from: d\n- add:\n  from: [b, previous]",
        ["d"],
    ),
}


@pytest.mark.parametrize(("text", "hits"), DROPOUTS.values(), ids=DROPOUTS)
def test_n204(text: str, hits: list[str]) -> None:
    assert layers("N204", text) == hits


def test_n204_says_how_much() -> None:
    (one,) = found("N204", "- dropout: 0.2\n- batchnorm")
    assert "'dropout1' makes the mean square that 'batchnorm1' sees 1.25 times as large" in one.message
    assert one.severity == "warning"


@pytest.mark.parametrize(("between", "fixed"), [("", True), ("- relu\n", False)])
def test_n204_swaps_neighbours_alone(between: str, fixed: bool) -> None:
    text = net(THIN + f"- dropout: 0.2\n{between}- batchnorm\n- relu", head=MAP)
    diagnostics = found("N204", THIN + f"- dropout: 0.2\n{between}- batchnorm\n- relu")
    assert bool(diagnostics[0].fix) is fixed
    if diagnostics[0].fix:
        assert not diagnostics[0].fix.safe
        assert mended(diagnostics, text).endswith("- batchnorm\n- dropout: 0.2\n- relu\n")


# ------------------------------------------------------------------------ N206 dropout-on-logits

LOGITS = {
    "behind a dense layer": ("- global_avgpool\n- linear: 9\n- dropout", ["dropout1"]),
    "behind a convolution": ("- conv: {out_channels: 2, kernel_size: 1}\n- dropout2d: 0.1", ["dropout2d1"]),
    "then softmax": ("- flatten\n- linear: 9\n- dropout\n- softmax", ["dropout1"]),
    "behind softmax": ("- flatten\n- linear: 9\n- softmax\n- dropout", ["dropout1"]),
    "behind sigmoid": ("- flatten\n- linear: 9\n- sigmoid\n- dropout", ["dropout1"]),
    "pooled": ("- conv: {out_channels: 9, kernel_size: 1}\n- dropout\n- global_avgpool", ["dropout1"]),
    "behind a pool": (
        "- conv: {out_channels: 9, kernel_size: 1}\n- global_avgpool\n- alpha_dropout",
        ["alpha_dropout1"],
    ),
    "resized": ("- conv: {out_channels: 9, kernel_size: 1}\n- dropout\n- upsample: 2", ["dropout1"]),
    "pooled more than once": (
        "- conv: {out_channels: 9, kernel_size: 1}\n- dropout\n- avgpool: 2\n- crop: {size: 2}\n- adaptive_avgpool: 2\n"
        "- global_maxpool\n- log_softmax",
        ["dropout1"],
    ),
    "twice": ("- flatten\n- linear: 9\n- dropout\n- dropout: 0.1", ["dropout1", "dropout2"]),
    "before it": ("- flatten\n- dropout\n- linear: 9", []),
    "between two": ("- flatten\n- linear: 9\n- dropout\n- linear: 3", []),
    "nothing dropped": ("- flatten\n- linear: 9\n- dropout: 0", []),
    "features behind an activation": ("- flatten\n- linear: 9\n- relu\n- dropout", []),
    "features of an embedding": ("- flatten\n- linear: {out_features: 9, bias: false}\n- batchnorm\n- dropout", []),
    "an activation follows": ("- flatten\n- linear: 9\n- dropout\n- relu", []),
    "a residual branch": (
        "- add:\n    a: []\n    b: [conv: {out_channels: 4, kernel_size: 1}, dropout]",
        [],
    ),
    "behind a sum": ("- add:\n    a: []\n    b: [conv: {out_channels: 4, kernel_size: 1}]\n- dropout", []),
    "no weights at all": ("- relu\n- dropout", []),
    "of samples": ("- flatten\n- linear: 9\n- stochastic_depth: 0.1", []),
    "also read by another layer": (
        "- flatten\n- linear: 9\n- dropout:\n  name: d\n- relu\n- add:\n  from: [d, previous]",
        [],
    ),
}


@pytest.mark.parametrize(("text", "hits"), LOGITS.values(), ids=LOGITS)
def test_n206(text: str, hits: list[str]) -> None:
    assert layers("N206", text) == hits


def test_n206_is_mended() -> None:
    text = "- flatten\n- linear: 9\n- dropout: 0.25"
    diagnostics = found("N206", text)
    assert diagnostics[0].message == (
        "'dropout1' sets 25% of what 'linear1' gives to zero, and no layer with weights follows"
    )
    assert diagnostics[0].fix
    assert diagnostics[0].fix.safe
    assert mended(diagnostics, net(text, head=MAP)) == net("- flatten\n- linear: 9", head=MAP)


def test_n206_of_one_output_of_two() -> None:
    text = "- flatten:\n  name: f\n- linear: 9\n- dropout:\n  name: a\n- linear: 3\n  from: f\n  name: b"
    assert layers("N206", text, more="outputs: [a, b]\n") == ["a"]


@pytest.mark.parametrize(
    ("code", "inside"),
    [
        ("N201", "conv: {out_channels: 4, kernel_size: 1}, batchnorm"),
        ("N204", "dropout, batchnorm"),
        ("N206", "conv: {out_channels: 4, kernel_size: 1}, dropout"),
        ("N211", "batchnorm, batchnorm"),
    ],
)
def test_what_is_shared_is_found_once(code: str, inside: str) -> None:
    text = f"- layers: [{inside}]\n  name: t\n- share: t\n  from: input\n  name: u\n"
    (one,) = found(code, text, more="outputs: [t, u]\n")
    assert (one.layer or "").startswith("t.")


# ------------------------------------------------------------------------ S011 batchnorm-one-value

ONE = "- global_avgpool: {keepdim: true}\n"
VALUES = {
    "one of one": (ONE + "- batchnorm", "train: {batch: 1}", ["batchnorm1"]),
    "of a vector": ("- flatten\n- batchnorm", "train: {batch: 1}", ["batchnorm1"]),
    "the target's batch": (ONE + "- batchnorm", "target: {batch: 1}", ["batchnorm1"]),
    "batch 2": (ONE + "- batchnorm", "train: {batch: 2}", []),
    "two positions": ("- adaptive_avgpool: [1, 2]\n- batchnorm", "train: {batch: 1}", []),
    "nobody says the batch": (ONE + "- batchnorm", "", []),
    "frozen": (ONE + "- batchnorm:\n  trainable: false", "train: {batch: 1}", ["batchnorm1"]),
    "group norm of one channel a group": (ONE + "- groupnorm: 4", "", ["groupnorm1"]),
    "the same of a batch": (ONE + "- groupnorm: 4", "train: {batch: 64}", ["groupnorm1"]),
    "of two channels a group": (ONE + "- groupnorm: 2", "train: {batch: 1}", []),
    "of two positions": ("- adaptive_avgpool: [2, 1]\n- groupnorm: 4", "train: {batch: 1}", []),
    "layer norm of channels": (ONE + "- layernorm", "train: {batch: 1}", []),
    "layer norm of one channel": (
        "- conv: {out_channels: 1, kernel_size: 1}\n- layernorm: {axis: channels}",
        "",
        ["layernorm1"],
    ),
    "layer norm of a map of one channel": ("- conv: {out_channels: 1, kernel_size: 1}\n- layernorm", "", []),
    "layer norm of one value": ("- flatten\n- linear: 1\n- layernorm", "", ["layernorm1"]),
}


@pytest.mark.parametrize(("text", "more", "hits"), VALUES.values(), ids=VALUES)
def test_s011(text: str, more: str, hits: list[str]) -> None:
    diagnostics = found("S011", text, more=f"{more}\n" if more else "")
    assert [d.layer for d in diagnostics] == hits
    assert {d.severity for d in diagnostics} <= {"error"}


def test_s011_takes_the_batch_of_the_command_line() -> None:
    assert layers("S011", ONE + "- batchnorm", more="train: {batch: 64}\n", batch=1) == ["batchnorm1"]
    assert not layers("S011", ONE + "- batchnorm", more="train: {batch: 1}\n", batch=2)
    (one,) = found("S011", ONE + "- batchnorm", more="train: {batch: 64}\n", batch=1)
    assert not one.related


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ("train: {batch: 1}", 4),
        ("target: {batch: 1}", 4),
        ("train: {batch: 64}\ntarget: {batch: 1}", 5),
        ("target: {device: cpu}\ntrain: {batch: 1}", 5),
    ],
)
def test_s011_and_n209_say_where_the_batch_comes_from(more: str, line: int) -> None:
    (one,) = found("S011", ONE + "- batchnorm", more=f"{more}\n")
    assert [r.start and r.start.line for r in one.related] == [line]
    (one,) = found("N209", "- batchnorm", more=f"{more}\n")
    assert [r.start and r.start.line for r in one.related] == [line]


def test_s011_says_what_to_do() -> None:
    (one,) = found("S011", ONE + "- batchnorm", more="train: {batch: 1}\n")
    assert one.message == "'batchnorm1' would see one value a channel in training: batch 1 of 4x1x1"
    assert one.help == "train with a batch of 2 or more, or use `groupnorm: 1`"
    assert [r.message for r in one.related] == ["the batch size is said here"]
    assert one.fix
    assert not one.fix.safe
    (one,) = found("S011", "- flatten\n- linear: 1\n- batchnorm", more="train: {batch: 1}\n")
    assert one.help == "train with a batch of 2 or more"
    assert one.fix is None
    (one,) = found("S011", ONE + "- groupnorm: 4")
    assert one.message == "'groupnorm1' normalizes single values of 4x1x1: all it gives is its bias"
    assert one.help == "remove `groupnorm`, or use `groupnorm: 1`"


@pytest.mark.parametrize("name", VALUES)
def test_s011_torch_agrees(name: str) -> None:
    """What is found cannot be trained, or gives the same for every input; what is not is neither."""
    text, more, hits = VALUES[name]
    plan = cnnplan.plan(net(text, head=MAP, more=f"{more}\n" if more else ""))
    model = cnnplan.build(plan).train()
    samples = plan.batch if more else 2
    torch.manual_seed(0)
    inputs = torch.randn(samples, 4, 8, 8), torch.randn(samples, 4, 8, 8)
    try:
        same = torch.allclose(*map(model, inputs), atol=1e-4)
    except ValueError as error:
        same = "Expected more than 1 value per channel when training" in str(error)
    assert same is bool(hits)


def test_an_instance_norm_of_one_position_is_refused_before() -> None:
    with pytest.raises(cnnplan.SpecError, match="more than one position"):
        cnnplan.plan(net(ONE + "- instancenorm", head=MAP))
    with pytest.raises(ValueError, match="Expected more than 1 spatial element when training"):
        torch.nn.InstanceNorm2d(4)(torch.randn(2, 4, 1, 1))


# ------------------------------------------------------------------------ N209 small-batch-batchnorm

SMALL = {
    "7": (7, "- batchnorm", ["batchnorm1"]),
    "8": (8, "- batchnorm", []),
    "1": (1, "- batchnorm", ["batchnorm1"]),
    "the first of three": (4, "- batchnorm\n- relu\n- batchnorm\n- relu\n- batchnorm", ["batchnorm1"]),
    "frozen": (4, "- batchnorm:\n  trainable: false", []),
    "frozen and not": (4, "- batchnorm:\n  trainable: false\n- relu\n- batchnorm", ["batchnorm2"]),
    "what S011 finds": (1, ONE + "- batchnorm", []),
    "one position": (2, ONE + "- batchnorm", ["batchnorm1"]),
    "other norms": (1, "- groupnorm: 2\n- relu\n- layernorm\n- relu\n- instancenorm", []),
}


@pytest.mark.parametrize(("batch", "text", "hits"), SMALL.values(), ids=SMALL)
def test_n209(batch: int, text: str, hits: list[str]) -> None:
    assert layers("N209", text, more=f"train: {{batch: {batch}}}\n") == hits
    assert layers("N209", text, more=f"target: {{batch: {batch}}}\n") == hits
    assert not layers("N209", text)


def test_n209_says_how_many() -> None:
    (one,) = found("N209", "- batchnorm", more="train: {batch: 1}\n")
    assert one.message == "'batchnorm1' takes mean and variance of 1 sample on a device, fewer than 8"
    (one,) = found("N209", "- batchnorm\n- relu\n- batchnorm", batch=2)
    assert one.message == "2 batch norms take mean and variance of 2 samples on a device, fewer than 8"
    assert not one.related
    assert (one.severity, one.fix is not None and one.fix.safe) == ("warning", False)


@pytest.mark.parametrize(
    ("channels", "groups"), [(64, 32), (32, 16), (96, 32), (48, 16), (8, 4), (6, 2), (3, 1), (2, 1), (1, 1), (192, 32)]
)
def test_n209_offers_groups_of_two_channels_or_more(channels: int, groups: int) -> None:
    text = f"- conv: {{out_channels: {channels}, kernel_size: 1, bias: false}}\n- batchnorm"
    diagnostics = found("N209", text, batch=2)
    new = mended(diagnostics, net(text, head=MAP))
    assert new.endswith(f"- groupnorm: {groups}\n")
    assert f"`groupnorm: {groups}`" in diagnostics[0].help
    cnnplan.plan(new)


def test_n209_mends_all_batch_norms_alike() -> None:
    text = "- layers:\n    - conv: {out_channels: =8 * (index + 1), kernel_size: 1, bias: false}\n    - batchnorm\n"
    text += "    - relu\n  repeat: 3\n- batchnorm: {momentum: 0.01}"
    diagnostics = found("N209", text, batch=2)
    new = mended(diagnostics, net(text, head=MAP))
    assert new.count("groupnorm: 4") == 1  # of 8, 16 and 24 channels
    assert new.count("groupnorm: 8") == 1  # of 24
    assert "batchnorm" not in new
    cnnplan.plan(new)
    (one,) = found("N209", "- conv_bn_relu: 8\n- batchnorm", batch=2)
    assert one.fix is None  # one of them is in a block that cannot be changed


# ------------------------------------------------------------------------ N210 norm-on-1x1-map

MAPS = {
    "one position": (ONE + "- batchnorm", "", ["batchnorm1"]),
    "two positions": ("- adaptive_avgpool: [2, 1]\n- batchnorm", "", []),
    "a vector": ("- flatten\n- batchnorm", "", []),
    "batch 1 is S011's": (ONE + "- batchnorm", "train: {batch: 1}", []),
    "batch 2": (ONE + "- batchnorm", "train: {batch: 2}", ["batchnorm1"]),
    "other norms": (ONE + "- groupnorm: 2\n- layernorm", "", []),
}


@pytest.mark.parametrize(("text", "more", "hits"), MAPS.values(), ids=MAPS)
def test_n210(text: str, more: str, hits: list[str]) -> None:
    diagnostics = found("N210", text, more=f"{more}\n" if more else "")
    assert [d.layer for d in diagnostics] == hits
    assert {d.severity for d in diagnostics} <= {"info"}


def test_n210_says_how_many() -> None:
    (one,) = found("N210", ONE + "- batchnorm")
    assert (
        one.message == "'batchnorm1' normalizes 4x1x1: each mean is one of the samples of the batch, one value of each"
    )
    (one,) = found("N210", ONE + "- batchnorm", batch=16)
    assert "the 16 samples of the batch" in one.message
    assert one.fix
    assert not one.fix.safe


# ------------------------------------------------------------------------ N211 repeated-norm

BLOCKS = """
blocks:
  post:
    layers:
      - conv: {out_channels: 4, kernel_size: 1, bias: false}
      - batchnorm
  pre:
    layers:
      - batchnorm
      - conv: {out_channels: 4, kernel_size: 1}
"""
REPEATED = {
    "twice": ("- batchnorm\n- batchnorm", [("batchnorm2", False)]),
    "three times": ("- batchnorm\n- batchnorm\n- batchnorm", [("batchnorm2", False), ("batchnorm3", False)]),
    "with other arguments": ("- batchnorm\n- batchnorm: {momentum: 0.01}", [("batchnorm2", False)]),
    "layer norm": ("- layernorm\n- layernorm", [("layernorm2", False)]),
    "without weights": ("- batchnorm: {affine: false, track_running_stats: false}\n" * 2, [("batchnorm2", True)]),
    "with statistics": ("- batchnorm: {affine: false}\n" * 2, [("batchnorm2", False)]),
    "group norm": ("- groupnorm: 2\n- groupnorm: 1", [("groupnorm2", False)]),
    "instance norm": ("- instancenorm\n- instancenorm", [("instancenorm2", True)]),
    "lrn": ("- lrn: 3\n- lrn: 3", [("lrn2", True)]),
    "an identity between": ("- batchnorm\n- identity\n- batchnorm", [("batchnorm2", False)]),
    "batch-channel normalization": ("- batchnorm\n- groupnorm: 2", []),
    "two other kinds": ("- groupnorm: 2\n- batchnorm", [("batchnorm1", False)]),
    "a batch norm and a layer norm": ("- batchnorm\n- layernorm", [("layernorm1", False)]),
    "an activation between": ("- batchnorm\n- relu\n- batchnorm", []),
    "dropout between is N204's": ("- batchnorm\n- dropout\n- batchnorm", []),
    "each feature by itself": ("- batchnorm\n- flatten\n- batchnorm", []),
    "the first is read twice": (
        "- batchnorm:\n  name: a\n- batchnorm\n- add:\n  from: [a, previous]",
        [],
    ),
    "a residual block behind a norm": (
        "- batchnorm\n- add:\n    a: []\n    b: [batchnorm, relu, conv: {out_channels: 4, kernel_size: 1}]",
        [],
    ),
    "the seam of two blocks": ("- post\n- post\n- pre\n- pre", []),
    "a block used once": ("- post\n- pre\n- pre", [("pre1.batchnorm1", False)]),
    "the other one used once": ("- post\n- post\n- pre", [("pre1.batchnorm1", False)]),
}


@pytest.mark.parametrize(("text", "hits"), REPEATED.values(), ids=REPEATED)
def test_n211(text: str, hits: list[tuple[str, bool]]) -> None:
    diagnostics = found("N211", text, head=MAP + BLOCKS.lstrip())
    assert [(d.layer, bool(d.fix and d.fix.safe)) for d in diagnostics] == hits


def test_n211_removes_the_one_that_is_alone() -> None:
    (one,) = found("N211", "- post\n- pre\n- pre", head=MAP + BLOCKS.lstrip())
    assert one.help == "remove 'post1.batchnorm1'"
    assert one.message == "'pre1.batchnorm1' normalizes what 'post1.batchnorm1' has just normalized"
    (one,) = found("N211", "- post\n- post\n- pre", head=MAP + BLOCKS.lstrip())
    assert one.help == "remove 'pre1.batchnorm1'"


# ------------------------------------------------------------------------ N212 deep-plain-stack


def stack(count: int, item: str = "conv: {out_channels: 4, kernel_size: 1}", between: str = "relu") -> str:
    return f"- layers: [{item}, {between}]\n  repeat: {count}\n"


HALF = stack(11)
DEEP = {
    "21": (stack(21), ["conv1"]),
    "20": (stack(20), []),
    "dense layers count": (stack(19) + "- flatten\n- linear: 4\n- relu\n- linear: 3", ["conv1"]),
    "transposed and depthwise too": (
        stack(19) + "- conv_transpose: {out_channels: 4, kernel_size: 1}\n- depthwise_conv: 1",
        ["conv1"],
    ),
    "pools, dropout, activations and lrn between": (
        HALF + "- lrn: 3\n- dropout\n- maxpool: 2\n- tanh\n" + stack(10),
        ["conv1"],
    ),
    "a batch norm between": (HALF + "- batchnorm\n" + HALF, []),
    "a layer norm between": (HALF + "- layernorm\n" + HALF, []),
    "a batch norm before": ("- batchnorm\n" + stack(21), ["conv1"]),
    "normalizing itself": (stack(21, between="selu"), []),
    "frozen layers do not count": (
        stack(21) + "  trainable: false\n" + stack(1),
        [],
    ),
    "skips": ("- add:\n    a: []\n    b: [conv: {out_channels: 4, kernel_size: 1}, relu]\n  repeat: 30", []),
    "a skip in the middle": (HALF + "- add:\n    a: []\n    b: [tanh]\n" + HALF, []),
    "a skip around all": (
        "- add:\n    a: []\n    b:\n" + "".join(f"      {line}\n" for line in stack(21).splitlines()),
        [],
    ),
    "branches": (HALF + "- concat:\n    a: [conv: {out_channels: 4, kernel_size: 1}]\n    b: [tanh]\n" + HALF, []),
    "the network's input joins late": (HALF + HALF + "- concat:\n  from: [input, previous]", []),
    "after a skip": (
        "- add:\n    a: []\n    b: [tanh]\n" + stack(21),
        ["conv1"],
    ),
    "a skip whose branch ends in weights": (
        "- add:\n    a: []\n    b: [conv: {out_channels: 4, kernel_size: 1}]\n" + stack(20),
        [],
    ),
    "a part that nothing reads": ("- split: 2\n  name: s\n- relu:\n  from: s.0\n" + stack(21), ["conv1"]),
    "two rows": (stack(21) + "- batchnorm\n" + stack(21), ["conv1", "conv22"]),
}


@pytest.mark.parametrize(("text", "hits"), DEEP.values(), ids=DEEP)
def test_n212(text: str, hits: list[str]) -> None:
    assert layers("N212", text) == hits


def test_n212_says_from_where_to_where() -> None:
    (one,) = found("N212", stack(21) + "- global_avgpool\n- linear: 3\n  name: head")
    assert one.message == (
        "22 layers with weights in a row, from 'conv1' to 'head', without a normalization and without a skip"
    )
    assert (one.layer, one.severity, one.fix) == ("conv1", "warning", None)


def test_n212_deep_supervision_leads_around() -> None:
    text = stack(11) + "- conv: {out_channels: 4, kernel_size: 1}\n  name: early\n- relu\n" + stack(10)
    assert len(layers("N212", text)) == 1
    text += "- tanh:\n  name: late"
    assert not layers("N212", text, more="outputs: [early, late]\n")
