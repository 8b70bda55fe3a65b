"""Heads and losses: what stands between the last layer and the loss; torch is the oracle of what losses do."""

from math import e, log

import pytest
import torch
from torch.nn import functional

import cnnplan
from cnnplan import plan
from cnnplan.diagnostics import Diagnostic
from cnnplan.lint.fix import State, mended
from cnnplan.lint.selection import Choice, Selection

Found = list[tuple[str, str]]


def spec(layers: str, loss: str = "", *, input: str = "[3, 8, 8]", more: str = "") -> str:
    """A spec whose items are separated by semicolons, or stand below each other."""
    if "\n" not in layers:
        layers = "\n".join(f"- {item}" for item in layers.split("; "))
    train = f"train: {{loss: {loss}}}\n" if loss else ""
    return f"cnnplan: 1\nname: net\ninput: {input}\n{train}{more}layers:\n{layers.strip()}\n"


def found(text: str, code: str) -> list[Diagnostic]:
    """The findings of one rule."""
    return list(cnnplan.plan(text, selection=Selection(asked=Choice(select=(code,)))).diagnostics)


def check(code: str, text: str, expected: Found) -> None:
    """The findings of one rule are of these layers, and each says this."""
    these = found(text, code)
    assert [d.layer for d in these] == [layer for layer, _ in expected], [str(d) for d in these]
    for finding, (_, part) in zip(these, expected, strict=True):
        assert part in f"{finding.severity}: {finding.message}; {finding.help}"


def fixed(text: str, code: str, *, unsafe: bool = False) -> str:
    """The text after the fixes of one rule."""
    selection = Selection(asked=Choice(select=(code,)))

    def load(text: str) -> State:
        plan = cnnplan.plan(text, selection=selection)
        return State(text, plan, plan.diagnostics)

    return mended(load(text), load, unsafe=unsafe)[0].text


# ------------------------------------------------------------------ H301, H303: probabilities in place of logits

CLASSES = "flatten; linear: 10"
MAP = "conv: {out_channels: 5, kernel_size: 1}"
NAMED = """
- flatten
- linear: 10
  name: logits
- softmax:
  name: p
"""
PROBABILITIES: dict[str, tuple[str, str]] = {
    "at the end": (f"{CLASSES}; softmax", "softmax1"),
    "a sigmoid": (f"{CLASSES}; sigmoid", "sigmoid1"),
    "a hard sigmoid": (f"{CLASSES}; hardsigmoid", "hardsigmoid1"),
    "before an identity": (f"{CLASSES}; softmax; identity", "softmax1"),
    "before dropout": (f"{CLASSES}; softmax; dropout: 0.5", "softmax1"),
    "before a flatten": (f"{MAP}; global_avgpool: {{keepdim: true}}; softmax; flatten", "softmax1"),
    "before a reshape": (f"{CLASSES}; softmax; reshape: [10, 1, 1]", "softmax1"),
    "before a permute": (f"{MAP}; softmax; permute: [0, 2, 1]", "softmax1"),
    "of a map": (f"{MAP}; softmax", "softmax1"),
    "of a map, before a pool": (f"{MAP}; softmax; global_avgpool", "softmax1"),
    "of a map, before a max pool": (f"{MAP}; softmax; maxpool: 2", "softmax1"),
    "of a map, before other pools": (
        f"{MAP}; softmax; avgpool: 2; adaptive_maxpool: 2; adaptive_avgpool: 1",
        "softmax1",
    ),
    "of a map, before the largest": (f"{MAP}; softmax; global_maxpool", "softmax1"),
    "of a map, before up-sampling": (f"{MAP}; softmax; upsample: {{scale_factor: 2, mode: bilinear}}", "softmax1"),
    "of a map, before a crop": (f"{MAP}; softmax; crop: 4; slice: {{stop: 4}}; channel_shuffle: 2", "softmax1"),
    "of a map, before rearranging": (f"{MAP}; softmax; space_to_depth: 2; pixel_shuffle: 2", "softmax1"),
    "over another axis": (f"{MAP}; softmax: 1", "softmax1"),
    "over an axis from the end": (f"{MAP}; softmax: -1", "softmax1"),
}
LOGITS = {
    "logits": CLASSES,
    "a hidden softmax": f"{CLASSES}; softmax; linear: 10",
    "a softmax that is scaled": f"{CLASSES}; softmax; scale",
    "a bicubic interpolation": f"{MAP}; softmax; upsample: {{scale_factor: 2, mode: bicubic}}",
    "a normalized softmax": f"{MAP}; softmax; batchnorm",
    "a tanh": f"{CLASSES}; tanh",
    "of one channel": "flatten; linear: 1; softmax",
    "over one unit": "conv: {out_channels: 5, kernel_size: [8, 1]}; softmax: 1",
    "a gate": "conv: {out_channels: 5, kernel_size: 1}; squeeze_excite: 2; global_avgpool",
}


@pytest.mark.parametrize(("layers", "layer"), PROBABILITIES.values(), ids=PROBABILITIES)
def test_probabilities_where_a_loss_takes_logits(layers: str, layer: str) -> None:
    check("H301", spec(layers, "cross_entropy"), [(layer, "error: ")])
    check("H301", spec(layers, "{cross_entropy: {label_smoothing: 0.1}}"), [(layer, "not numbers from 0 to 1")])
    check("H303", spec(layers, "binary_cross_entropy"), [(layer, "error: ")])
    for loss in ("binary_cross_entropy", "nll", "mse", "l1", ""):
        check("H301", spec(layers, loss), [])
    for loss in ("cross_entropy", "nll", "mse", "l1", ""):
        check("H303", spec(layers, loss), [])


@pytest.mark.parametrize("layers", LOGITS.values(), ids=LOGITS)
def test_no_probabilities(layers: str) -> None:
    check("H301", spec(layers, "cross_entropy"), [])
    check("H303", spec(layers, "binary_cross_entropy"), [])


def test_parts_of_probabilities() -> None:
    parts = spec(f"- {MAP}\n- softmax\n- slice: {{stop: 4}}\n- split: 2\n  name: s\n", more="outputs: [s.0, s.1]\n")
    for code, loss in (("H301", "cross_entropy"), ("H303", "binary_cross_entropy")):
        check(code, parts.replace("layers:", f"train: {{loss: {{s.1: {loss}}}}}\nlayers:"), [("softmax1", "'s.1' is")])


def test_a_sigmoid_of_one_unit_is_a_probability() -> None:
    check("H303", spec("flatten; linear: 1; sigmoid", "binary_cross_entropy"), [("sigmoid1", "0.50 to 0.73")])
    check("H301", spec("flatten; linear: 1; sigmoid", "cross_entropy"), [])


def test_what_is_said_of_two_classes_and_of_a_sigmoid() -> None:
    check("H301", spec("flatten; linear: 2; softmax", "cross_entropy"), [("softmax1", "applies softmax itself")])
    check("H301", spec("flatten; linear: 2; sigmoid", "cross_entropy"), [("sigmoid1", "takes logits")])
    check("H301", spec(f"{CLASSES}; softmax; dropout: 0.5; identity", "cross_entropy"), [("softmax1", "to 1; remove")])


@pytest.mark.parametrize("classes", [2, 4, 10, 1000])
@pytest.mark.parametrize("layers", ["softmax", "sigmoid", "softmax: 0; identity"])
def test_the_loss_of_a_perfect_answer(classes: int, layers: str) -> None:
    floor = log(e + classes - 1) - 1
    text = spec(f"linear: {classes}; {layers}", "cross_entropy", input="[4]")
    (finding,) = found(text, "H301")
    assert f"with {classes:,} classes the loss stays above {floor:.2f}" in finding.message
    perfect = torch.zeros(1, classes)
    perfect[0, 1] = 1
    assert functional.cross_entropy(perfect, torch.tensor([1])).item() == pytest.approx(floor, rel=1e-5)
    outputs = cnnplan.build(text)(100 * torch.randn(200, 4))
    assert functional.cross_entropy(outputs, outputs.argmax(1), reduction="none").min() >= floor - 1e-5


def test_what_a_sigmoid_of_probabilities_gives() -> None:
    ends = torch.tensor([0.0, 1.0])
    assert [f"{p:.2f}" for p in ends.sigmoid().tolist()] == ["0.50", "0.73"]
    assert functional.binary_cross_entropy_with_logits(ends[:1], ends[:1]).item() == pytest.approx(0.69, abs=0.005)
    assert functional.binary_cross_entropy_with_logits(ends[1:], ends[1:]).item() == pytest.approx(0.31, abs=0.005)


@pytest.mark.parametrize(("code", "loss"), [("H301", "cross_entropy"), ("H303", "binary_cross_entropy")])
def test_probabilities_beside_logits(code: str, loss: str) -> None:
    both = f"train: {{loss: {loss}}}\noutputs: [logits, p]\n"
    check(code, spec(NAMED, more=both), [("p", f"`loss: {{logits: {loss}}}`")])
    assert found(spec(NAMED, more=both), code)[0].fix is None
    assert fixed(spec(NAMED, more=both), code) == spec(NAMED, more=both)
    alone = f"train: {{loss: {{logits: {loss}}}}}\noutputs: [logits, p]\n"
    check(code, spec(NAMED, more=alone), [])
    wrong = f"train: {{loss: {{p: {loss}, logits: mse}}}}\noutputs: [logits, p]\n"
    check(code, spec(NAMED, more=wrong), [("p", "logits")])


def test_each_output_has_its_own() -> None:
    heads = """
- flatten
- linear: 10
  name: trunk
- linear: 4
- softmax:
  name: a
- linear: 3
  from: trunk
- sigmoid:
  name: b
- linear: 2
  from: trunk
- softmax:
  name: c
"""
    losses = "train: {loss: {a: cross_entropy, b: binary_cross_entropy, c: mse}}\noutputs: [a, b, c]\n"
    check("H301", spec(heads, more=losses), [("a", "4 classes")])
    check("H303", spec(heads, more=losses), [("b", "'b' is trained")])


@pytest.mark.parametrize(("code", "loss"), [("H301", "cross_entropy"), ("H303", "binary_cross_entropy")])
def test_the_fix_removes_it(code: str, loss: str) -> None:
    assert fixed(spec(f"{CLASSES}; softmax", loss), code) == spec(CLASSES, loss)
    assert fixed(spec(f"{CLASSES}; sigmoid; identity", loss), code) == spec(f"{CLASSES}; identity", loss)
    named = f"train: {{loss: {loss}}}\noutputs: [p]\n"
    assert fixed(spec(NAMED, more=named), code) == spec(NAMED.replace("softmax", "identity"), more=named)
    shared = "- flatten\n- linear: 10\n- softmax:\n  name: p\n- linear: 2\n  name: q\n"
    two = f"train: {{loss: {{p: {loss}, q: mse}}}}\noutputs: [p, q]\n"
    check(code, spec(shared, more=two), [("p", "remove `softmax`")])
    assert fixed(spec(shared, more=two), code) == spec(shared, more=two)
    apart = f"{shared}- identity:\n  name: r\n  from: p\n"
    three = f"train: {{loss: {{r: {loss}, q: mse}}}}\noutputs: [r, q]\n"
    check(code, spec(apart, more=three), [("p", "remove `softmax`")])
    assert found(spec(apart, more=three), code)[0].fix is None


# ------------------------------------------------------------------ H302

TWICE = {
    "at the end": f"{CLASSES}; log_softmax",
    "before an identity": f"{CLASSES}; log_softmax; identity",
    "of a map": f"{MAP}; log_softmax",
    "flattened": f"{MAP}; global_avgpool: {{keepdim: true}}; log_softmax; flatten",
    "reshaped": f"{MAP}; log_softmax; reshape: [5, 64]",
    "by its other number": f"{MAP}; log_softmax: -3",
}
ONCE = {
    "logits": CLASSES,
    "over another axis": f"{MAP}; log_softmax: 1",
    "of other classes": f"{MAP}; log_softmax; flatten",
    "in another order": "conv: {out_channels: 8, kernel_size: 1}; log_softmax; permute: [1, 0, 2]",
    "with dropout": f"{CLASSES}; log_softmax; dropout: 0.5",
    "of the mean": f"{MAP}; log_softmax; global_avgpool",
    "over one unit": "flatten; linear: 1; log_softmax",
    "a softmax": f"{CLASSES}; softmax",
}


@pytest.mark.parametrize("layers", TWICE.values(), ids=TWICE)
def test_a_log_softmax_that_is_taken_twice(layers: str) -> None:
    text = spec(layers, "cross_entropy")
    check("H302", text, [("log_softmax1", "info: ")])
    for loss in ("nll", "mse", "binary_cross_entropy", ""):
        check("H302", spec(layers, loss), [])
    outputs = cnnplan.build(text)(torch.randn(3, 3, 8, 8))
    assert torch.allclose(outputs.log_softmax(1), outputs, atol=1e-5)


@pytest.mark.parametrize("layers", ONCE.values(), ids=ONCE)
def test_a_log_softmax_that_is_taken_once(layers: str) -> None:
    check("H302", spec(layers, "cross_entropy"), [])


def test_removing_it_is_not_safe() -> None:
    text = spec(f"{CLASSES}; log_softmax", "cross_entropy")
    assert fixed(text, "H302") == text
    assert fixed(text, "H302", unsafe=True) == spec(CLASSES, "cross_entropy")


# ------------------------------------------------------------------ H304

NO_LOG = "has no log_softmax"
NO_LOG_PROBABILITIES: dict[str, tuple[str, Found]] = {
    "logits": (CLASSES, [("linear1", NO_LOG)]),
    "logits of a map": (MAP, [("conv1", NO_LOG)]),
    "pooled logits": (f"{MAP}; global_avgpool", [("global_avgpool1", NO_LOG)]),
    "logits behind dropout": (f"{CLASSES}; dropout: 0.5; identity", [("dropout1", NO_LOG)]),
    "logits with another name": (f"{CLASSES}; identity", [("linear1", NO_LOG)]),
    "a hidden log-softmax": (f"{CLASSES}; log_softmax; linear: 4", [("linear2", NO_LOG)]),
    "a hidden one before a convolution": (f"log_softmax; {MAP}", [("conv1", NO_LOG)]),
    "a sum of logits": (f"{CLASSES}\n- add: [[linear: 2], [linear: 2]]".replace("; ", "\n- "), [("add1", NO_LOG)]),
    "two classes": ("flatten; linear: 2", [("linear1", NO_LOG)]),
    "probabilities": (f"{CLASSES}; softmax", [("softmax1", "gives probabilities; write `log_softmax`")]),
    "probabilities over an axis": (f"{MAP}; softmax: 1", [("softmax1", "gives probabilities")]),
    "a sigmoid": (f"{CLASSES}; sigmoid", [("sigmoid1", NO_LOG)]),
    "the input itself": ("flatten", [("flatten1", NO_LOG)]),
    "sums of sums": ("- relu\n" + "- add: [[relu], []]\n" * 60, [("add60", NO_LOG)]),
    "the wrong axis": (f"{MAP}; log_softmax: 2", [("log_softmax1", "along axis 2: the classes are along axis 0")]),
    "the wrong axis from the end": (f"{MAP}; log_softmax: -2; identity", [("log_softmax1", "along axis 1")]),
}
LOG_PROBABILITIES = {
    "at the end": f"{CLASSES}; log_softmax",
    "of a map": f"{MAP}; log_softmax",
    "before others": f"{CLASSES}; log_softmax; dropout: 0.5; identity; reshape: [10, 1, 1]",
    "in another order": f"{MAP}; log_softmax: 2; permute: [2, 0, 1]",
    "reshaped": f"{MAP}; log_softmax: 1; reshape: [8, 5, 8]",
    "pooled": f"{MAP}; log_softmax; global_avgpool",
    "the sum of two": "flatten\n- add: [[linear: 2, log_softmax], [linear: 2, log_softmax]]",
    "joined": "flatten\n- concat: [[linear: 2, log_softmax], [linear: 2]]",
    "of a sigmoid": f"{CLASSES}; softplus",
    "one channel": "flatten; linear: 1",
    "over one unit": "conv: {out_channels: 5, kernel_size: [8, 1]}; log_softmax: 1",
}


@pytest.mark.parametrize(("layers", "expected"), NO_LOG_PROBABILITIES.values(), ids=NO_LOG_PROBABILITIES)
def test_nll_of_what_is_no_log_probability(layers: str, expected: Found) -> None:
    layers = layers if layers.startswith("- ") or "\n" not in layers else f"- {layers}"
    check("H304", spec(layers, "nll"), expected)
    assert {d.severity for d in found(spec(layers, "nll"), "H304")} == {"error"}
    for loss in ("cross_entropy", "binary_cross_entropy", "mse", "l1"):
        check("H304", spec(layers, loss), [])


@pytest.mark.parametrize("layers", LOG_PROBABILITIES.values(), ids=LOG_PROBABILITIES)
def test_nll_of_log_probabilities(layers: str) -> None:
    check("H304", spec(f"- {layers}" if "\n" in layers else layers, "nll"), [])


def test_logits_are_trained_with_cross_entropy_instead() -> None:
    assert fixed(spec(CLASSES, "nll"), "H304") == spec(CLASSES, "cross_entropy")
    weighted = "{nll: {weight: 0.5}}"
    assert fixed(spec(CLASSES, weighted), "H304") == spec(CLASSES, weighted.replace("nll", "cross_entropy"))
    assert fixed(spec(CLASSES, '"nll"'), "H304") == spec(CLASSES, '"nll"')
    chosen = spec(CLASSES, "=loss", more="variables: {loss: nll}\n")
    check("H304", chosen, [("linear1", NO_LOG)])
    assert fixed(chosen, "H304") == chosen


def test_probabilities_become_log_probabilities() -> None:
    assert fixed(spec(f"{CLASSES}; softmax", "nll"), "H304") == spec(f"{CLASSES}; log_softmax", "nll")
    mended = fixed(spec(f"{MAP}; softmax: 1", "nll"), "H304")
    assert mended == spec(f"{MAP}; log_softmax: {{axis: 1}}", "nll")
    both = "train: {loss: {p: nll}}\noutputs: [logits, p]\n"
    assert fixed(spec(NAMED, more=both), "H304") == spec(NAMED, more=both)
    shared = spec(f"{NAMED}- linear: 3\n  name: q\n", more="train: {loss: {p: nll}}\noutputs: [p, q]\n")
    assert fixed(shared, "H304") == shared


def test_the_loss_of_several_outputs() -> None:
    heads = (
        "- flatten\n- linear: 10\n  name: a\n- linear: 5\n  name: b\n  from: a\n- log_softmax:\n  name: c\n  from: a\n"
    )
    one = spec(heads, "nll", more="outputs: [a, b]\n")
    assert [d.layer for d in found(one, "H304")] == ["a", "b"]
    assert fixed(one, "H304") == one.replace("nll", "cross_entropy")
    mixed = spec(heads, "nll", more="outputs: [a, c]\n")
    check("H304", mixed, [("a", "cross_entropy")])
    assert fixed(mixed, "H304") == mixed
    each = spec(heads, "{a: nll, b: {nll: {weight: 2}}, c: nll}", more="outputs: [a, b, c]\n")
    assert [d.layer for d in found(each, "H304")] == ["a", "b"]
    mended = each.replace("a: nll", "a: cross_entropy").replace("{nll", "{cross_entropy")
    assert fixed(each, "H304") == mended


def test_nll_of_logits_has_no_minimum() -> None:
    logits = torch.tensor([[3.0, 1.0]], requires_grad=True)
    loss = functional.nll_loss(logits, torch.tensor([0]))
    loss.backward()
    assert loss.item() == -3
    assert logits.grad is not None
    assert logits.grad.tolist() == [[-1, 0]]


# ------------------------------------------------------------------ H305

DENSE = "flatten; linear: 10"
POINT = "conv: {out_channels: 9, kernel_size: 1}"
LOSSES = ("cross_entropy", "binary_cross_entropy", "nll")
CUTS = {
    "relu": "below 0 of",
    "relu6": "below 0 of",
    "gelu": "below -0.17 of",
    "silu": "below -0.28 of",
    "mish": "below -0.31 of",
    "hardswish": "below -0.375 of",
    "selu": "below -1.76 of",
    "elu": "below -1 of",
    "celu: 0.5": "below -0.5 of",
    "elu: 0.25": "below -0.25 of",
    "leaky_relu: 0.2": "shrinks the negative ones among",
    "prelu": "shrinks the negative ones among",
    "softplus": "below 0 of",
    "abs": "below 0 of",
}
UNCUT = ("tanh", "hardtanh", "sigmoid", "hardsigmoid", "abs_tanh", "softmax", "log_softmax", "identity", "scale")


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("activation", "part"), CUTS.items())
def test_an_activation_that_cuts_logits(activation: str, part: str, loss: str) -> None:
    layer = f"{activation.partition(':')[0]}1"
    expected = [(layer, f"{part} the logits of 'linear1', which {loss} takes; remove `{layer[:-1]}`")]
    check("H305", spec(f"{DENSE}; {activation}", loss), expected)


@pytest.mark.parametrize(("activation", "part"), CUTS.items())
def test_what_activations_give_at_least(activation: str, part: str) -> None:
    if "below" not in part:
        return
    least = float(part.split()[1])
    outputs = cnnplan.build(spec(f"identity; {activation}", input="[9001]"))(torch.linspace(-30, 30, 9001)[None])
    assert outputs.min().item() == pytest.approx(least, abs=0.006)


@pytest.mark.parametrize("activation", UNCUT)
def test_an_activation_that_is_not_one_of_hidden_layers(activation: str) -> None:
    for loss in (*LOSSES, ""):
        check("H305", spec(f"{DENSE}; {activation}", loss), [])


HEADS: dict[str, tuple[str, str, Found]] = {
    "of a map": (f"{MAP}; relu", "cross_entropy", [("relu1", "warning: ")]),
    "normalized": (f"{POINT}; batchnorm; relu", "cross_entropy", [("relu1", "of 'batchnorm1'")]),
    "behind dropout": (f"{DENSE}; dropout: 0.5; relu", "nll", [("relu1", "of 'linear1'")]),
    "before dropout": (f"{DENSE}; relu; dropout: 0.5; identity", "nll", [("relu1", "of 'linear1'")]),
    "pooled": (f"{MAP}; relu; global_avgpool", "cross_entropy", [("relu1", "cross_entropy takes")]),
    "up-sampled": (f"{MAP}; relu; upsample: 2", "cross_entropy", [("relu1", "cross_entropy takes")]),
    "before a log-softmax": (f"{DENSE}; relu; log_softmax", "nll", [("relu1", "which nll takes")]),
    "before a softmax": (f"{DENSE}; relu; softmax", "", [("relu1", "'softmax1' takes")]),
    "before a softmax and a pool": (f"{MAP}; relu; softmax; global_avgpool", "", [("relu1", "'softmax1' takes")]),
    "pooled, before a softmax": (f"{MAP}; relu; global_avgpool; softmax", "", [("relu1", "warning: ")]),
    "before a log-softmax alone": (f"{DENSE}; relu; log_softmax", "", [("relu1", "'log_softmax1' takes")]),
    "before a sigmoid": (f"{DENSE}; relu; sigmoid", "", [("relu1", "'sigmoid1' takes")]),
    "before a sigmoid of a map": (f"{MAP}; relu; sigmoid", "mse", [("relu1", "'sigmoid1' takes")]),
    "of nothing": ("relu; flatten", "cross_entropy", [("relu1", "the logits of the network")]),
    "of a sum": (
        "- flatten\n- add: [[linear: 2], [linear: 2]]\n- relu",
        "cross_entropy",
        [("relu1", "the logits of 'add1'")],
    ),
    "a 1x1 convolution, pooled": (f"{POINT}; relu; global_avgpool", "", [("relu1", "warning: ")]),
    "the same with the largest": (f"{POINT}; relu; global_maxpool", "", [("relu1", "pooled to one number a channel")]),
    "the same with an adaptive pool": (f"{POINT}; relu; adaptive_avgpool: 1; flatten", "", [("relu1", "pooled to")]),
    "the same with a window": (f"{POINT}; dropout: 0.5; relu; avgpool: 8; flatten", "", [("relu1", "of 'conv1'")]),
    "the same, otherwise written": (
        "conv: {out_channels: 9, kernel_size: [1, 1]}; gelu; global_avgpool",
        "",
        [("gelu1", "-0.17")],
    ),
    "a dense layer": (f"{DENSE}; relu", "", [("relu1", "warning: ")]),
    "a dense layer of one number less": ("flatten; linear: 191; relu", "", [("relu1", "warning: ")]),
    "a dense layer as wide as its input": ("flatten; linear: 192; relu", "", [("relu1", "info: ")]),
    "a dense layer and dropout": (
        f"{DENSE}; leaky_relu; dropout: 0.5",
        "",
        [("leaky_relu1", "if that is a classifier")],
    ),
}
FEATURES: dict[str, tuple[str, str]] = {
    "hidden": (f"{DENSE}; relu; linear: 4", "cross_entropy"),
    "logits": (DENSE, "cross_entropy"),
    "a regression": (f"{DENSE}; relu", "mse"),
    "another regression": (f"{POINT}; relu; global_avgpool", "l1"),
    "positive on purpose": (f"{DENSE}; softplus", ""),
    "positive on purpose, trained": (f"{DENSE}; softplus", "mse"),
    "a distance": (f"{DENSE}; abs", ""),
    "a positive map": (f"{POINT}; softplus; global_avgpool", ""),
    "a distance before a sigmoid": (f"{DENSE}; abs; sigmoid", ""),
    "a map": (f"{POINT}; relu", ""),
    "a map of a wider window": ("conv: {out_channels: 9, kernel_size: 3}; relu; global_avgpool", ""),
    "a map of a window along one axis": ("conv: {out_channels: 9, kernel_size: [1, 3]}; relu; global_avgpool", ""),
    "normalized": (f"{POINT}; batchnorm; relu; global_avgpool", ""),
    "pooled in part": (f"{POINT}; relu; avgpool: 2", ""),
    "pooled in part, flattened": (f"{POINT}; relu; avgpool: 2; flatten", ""),
    "one unit a channel already": ("conv: {out_channels: 9, kernel_size: 1, stride: 8}; relu; flatten", ""),
    "a residual network": ("basic_block: 8; basic_block: 8; global_avgpool", ""),
    "a transposed convolution": ("conv_transpose: {out_channels: 9, kernel_size: 1}; relu; global_avgpool", ""),
    "a dense layer, normalized": (f"{DENSE}; batchnorm; relu", ""),
    "a dense layer, made a map": (f"{DENSE}; relu; reshape: [10, 1]", ""),
    "a pooled activation of the input": ("relu; global_avgpool", ""),
    "a tanh between": (f"{DENSE}; relu; tanh", "cross_entropy"),
}


@pytest.mark.parametrize(("layers", "loss", "expected"), HEADS.values(), ids=HEADS)
def test_an_activation_on_logits(layers: str, loss: str, expected: Found) -> None:
    check("H305", spec(layers, loss), expected)


@pytest.mark.parametrize(("layers", "loss"), FEATURES.values(), ids=FEATURES)
def test_an_activation_where_no_logits_are(layers: str, loss: str) -> None:
    check("H305", spec(layers, loss), [])


FEATURES_TOO = """
- flatten
- linear: 10
- relu:
  name: f
- linear: 2
  name: out
"""
TWO_HEADS = """
- flatten
- linear: 10
  name: t
- relu:
  name: a
- linear: 2
  name: b
  from: t
- gelu:
  name: c
"""


def test_features_that_are_an_output_too() -> None:
    check("H305", spec(FEATURES_TOO, "cross_entropy", more="outputs: [f, out]\n"), [])
    check("H305", spec(FEATURES_TOO, "{f: mse, out: cross_entropy}", more="outputs: [f, out]\n"), [])
    check("H305", spec(TWO_HEADS, "{c: nll, a: mse}", more="outputs: [a, c]\n"), [("c", "which nll takes")])
    check("H305", spec(TWO_HEADS, "{c: mse}", more="outputs: [a, c]\n"), [("a", "warning: ")])


def test_the_activation_on_logits_is_removed_on_demand() -> None:
    text = spec(f"{DENSE}; relu", "cross_entropy")
    assert fixed(text, "H305") == text
    assert fixed(text, "H305", unsafe=True) == spec(DENSE, "cross_entropy")


# ------------------------------------------------------------------ H306

BOUNDS = {
    "relu": ("warning: ", "nothing below 0"),
    "relu6": ("warning: ", "nothing but 0 to 6"),
    "gelu": ("warning: ", "nothing below -0.17"),
    "silu": ("warning: ", "nothing below -0.28"),
    "mish": ("warning: ", "nothing below -0.31"),
    "hardswish": ("warning: ", "nothing below -0.375"),
    "selu": ("warning: ", "nothing below -1.76"),
    "elu: 0.5": ("warning: ", "nothing below -0.5"),
    "celu": ("warning: ", "nothing below -1"),
    "softmax": ("warning: ", "nothing but 0 to 1"),
    "sigmoid": ("warning: ", "nothing but 0 to 1"),
    "hardsigmoid": ("warning: ", "nothing but 0 to 1"),
    "abs_tanh": ("info: ", "nothing but 0 to 1"),
    "tanh": ("info: ", "nothing but -1 to 1"),
    "hardtanh: {min_val: -2, max_val: 3}": ("info: ", "nothing but -2 to 3"),
}
UNBOUNDED = ("leaky_relu", "prelu", "softplus", "abs", "log_softmax", "scale", "identity", "dropout")


@pytest.mark.parametrize("loss", ["mse", "l1"])
@pytest.mark.parametrize(("activation", "parts"), BOUNDS.items())
def test_a_bounded_regression(activation: str, parts: tuple[str, str], loss: str) -> None:
    layer = f"{activation.partition(':')[0]}1"
    for more in ("", "; dropout: 0.1; identity"):
        text = spec(f"flatten; linear: 4; {activation}{more}", loss)
        for part in parts:
            check("H306", text, [(layer, part)])
    check("H306", spec(f"flatten; linear: 4; {activation}"), [])
    for other in LOSSES:
        check("H306", spec(f"flatten; linear: 4; {activation}", other), [])
    outputs = cnnplan.build(spec(f"identity; {activation}", input="[9001]"))(torch.linspace(-30, 30, 9001)[None])
    bounds = [float(word) for word in parts[1].split() if word[-1].isdigit()]
    assert outputs.min().item() == pytest.approx(bounds[0], abs=0.006)
    if len(bounds) == 2 and activation != "softmax":
        assert outputs.max().item() == pytest.approx(bounds[1], abs=1e-4)


@pytest.mark.parametrize("activation", UNBOUNDED)
def test_an_unbounded_regression(activation: str) -> None:
    check("H306", spec(f"flatten; linear: 4; {activation}", "mse"), [])


REGRESSIONS = {
    "no activation": ("flatten; linear: 4", []),
    "hidden": ("flatten; linear: 4; relu; linear: 1", []),
    "a map": ("conv: {out_channels: 1, kernel_size: 3}; relu", []),
    "a flattened map": ("conv: {out_channels: 1, kernel_size: 3}; relu; flatten", []),
    "a vector made a map": ("flatten; linear: 4; relu; reshape: [1, 4]", []),
    "a vector with axes": ("flatten; linear: 4; relu; reshape: [4, 1, 1]", [("relu1", "below 0")]),
    "as large as the input": ("flatten; linear: 192; relu", []),
    "smaller than the input": ("flatten; linear: 191; relu", [("relu1", "below 0")]),
    "pooled": (f"{MAP}; relu; global_avgpool", []),
    "of one position": ("conv: {out_channels: 4, kernel_size: 8}; relu; flatten", [("relu1", "softplus")]),
}


@pytest.mark.parametrize(("layers", "expected"), REGRESSIONS.values(), ids=REGRESSIONS)
def test_where_bounds_are_looked_for(layers: str, expected: Found) -> None:
    check("H306", spec(layers, "mse"), expected)


def test_bounds_of_one_of_several_outputs() -> None:
    heads = "- flatten\n- linear: 9\n- relu:\n  name: hint\n- linear: 2\n- tanh:\n  name: value\n"
    text = spec(heads, "{hint: mse, value: l1}", more="outputs: [hint, value]\n")
    check("H306", text, [("value", "scaled to its bounds")])
    two = "cnnplan: 1\nname: net\ninputs: {a: [3], b: [4]}\ntrain: {loss: mse}\nlayers:\n"
    for size, expected in ((3, []), (4, []), (5, [("relu1", "below")])):
        check("H306", f"{two}- concat:\n  from: [a, b]\n- linear: {size}\n- relu\n", expected)


def test_bounds_are_removed_on_demand() -> None:
    text = spec("flatten; linear: 4; relu", "mse")
    assert fixed(text, "H306") == text
    assert fixed(text, "H306", unsafe=True) == spec("flatten; linear: 4", "mse")


# ------------------------------------------------------------------ H307

ONE_UNIT: dict[str, tuple[str, Found]] = {
    "a vector": ("flatten; linear: 1; softmax", [("softmax1", "error: ")]),
    "a vector, from the end": (
        "flatten; linear: 1; softmax: -1",
        [("softmax1", "one channel of its input: it always gives 1")],
    ),
    "a log-softmax": ("flatten; linear: 1; log_softmax", [("log_softmax1", "it always gives 0")]),
    "a map": ("conv: {out_channels: 1, kernel_size: 1}; softmax", [("softmax1", "error: ")]),
    "a map, from the end": ("conv: {out_channels: 1, kernel_size: 1}; softmax: -3", [("softmax1", "error: ")]),
    "hidden": ("flatten; linear: 1; softmax; linear: 4", [("softmax1", "write `sigmoid`")]),
    "a spatial axis": ("conv: {out_channels: 4, kernel_size: [8, 1]}; softmax: 1", [("softmax1", "warning: ")]),
    "the other one": (
        "conv: {out_channels: 4, kernel_size: [1, 8]}; softmax: -1",
        [("softmax1", "axis 2 of its input 4x8x1")],
    ),
    "two channels": ("flatten; linear: 2; softmax", []),
    "two channels of one position": ("conv: {out_channels: 2, kernel_size: 8}; softmax", []),
    "other axes of one unit": ("conv: {out_channels: 4, kernel_size: [8, 1]}; softmax: 2", []),
    "a sigmoid": ("flatten; linear: 1; sigmoid", []),
}


@pytest.mark.parametrize(("layers", "expected"), ONE_UNIT.values(), ids=ONE_UNIT)
def test_a_softmax_over_one_unit(layers: str, expected: Found) -> None:
    check("H307", spec(layers), expected)
    model = cnnplan.build(spec(layers)).eval()
    softmax = [m for m in model.modules() if isinstance(m, torch.nn.Softmax | torch.nn.LogSoftmax)]
    seen: list[torch.Tensor] = []
    for module in softmax:
        module.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    model(torch.randn(2, 3, 8, 8))
    assert bool(expected) == any(bool((output == output.flatten()[0]).all()) for output in seen)


def test_cross_entropy_of_one_class() -> None:
    one = "flatten; linear: 1"
    check("H307", spec(one, "cross_entropy"), [("linear1", "error: ")])
    check("H307", spec(f"{one}; identity", "cross_entropy"), [("linear1", "the loss is always 0")])
    check("H307", spec("conv: {out_channels: 1, kernel_size: 1}", "cross_entropy"), [("conv1", "one class")])
    check("H307", spec(f"{one}; softmax; identity", "cross_entropy"), [("softmax1", "it always gives 1")])
    check("H307", spec(f"{one}; softmax; dropout: 0.5", "cross_entropy"), [("softmax1", "it always gives 1")])
    check("H307", spec("reshape: [1, 192]", "cross_entropy"), [("reshape1", "'reshape1' has one class")])
    check("H307", spec("flatten; linear: 2", "cross_entropy"), [])
    for loss in ("binary_cross_entropy", "mse", "nll", "l1", ""):
        check("H307", spec(one, loss), [])
    assert functional.cross_entropy(torch.randn(5, 1), torch.zeros(5, dtype=torch.long)).item() == 0


def test_the_softmax_becomes_a_sigmoid() -> None:
    text = spec("flatten; linear: 1; softmax")
    assert fixed(text, "H307") == spec("flatten; linear: 1; sigmoid")
    picture = spec("conv: {out_channels: 1, kernel_size: 1}; softmax: 0")
    assert fixed(picture, "H307") == picture
    assert fixed(picture, "H307", unsafe=True) == spec("conv: {out_channels: 1, kernel_size: 1}; sigmoid")
    for layers in ("flatten; linear: 1; log_softmax", "conv: {out_channels: 4, kernel_size: [8, 1]}; softmax: 1"):
        assert fixed(spec(layers), "H307", unsafe=True) == spec(layers)


# ------------------------------------------------------------------ H309

# 10 · 100 · 100 = 100,000 values: a dense layer of 100 units has 10 million weights
LARGE = "conv: {out_channels: 10, kernel_size: 1, bias: false}; flatten; linear: {out_features: 100, bias: false}"
WIDE = "[10, 100, 100]"
DOMINANT: dict[str, tuple[str, str, Found]] = {
    "10 million": (LARGE, WIDE, [("linear1", "10,000,000 of the 10,000,100 parameters (100 %)")]),
    "fewer": (LARGE, "[10, 100, 99]", []),
    "behind dropout": (LARGE.replace("flatten", "flatten; dropout: 0.5"), WIDE, [("linear1", "10x100x100 map")]),
    "behind more": (LARGE.replace("flatten", "flatten; relu; batchnorm"), WIDE, [("linear1", "leaves 1,000")]),
    "behind a reshape": (LARGE.replace("flatten", "reshape: [-1]"), WIDE, [("linear1", "in place of `reshape`")]),
    "of one position": (LARGE.replace("channels: 10", "channels: 100000"), "[10, 1, 1]", []),
    "one fewer": ("flatten; linear: {out_features: 4649, bias: false}", "[1, 2151, 1]", []),
    "of one position, longer": (
        LARGE.replace("channels: 10", "channels: 50000"),
        "[10, 2, 1]",
        [("linear1", "50000x2x1 map")],
    ),
    "of a vector": ("linear: {out_features: 100, bias: false}", "[100000]", []),
    "of a pooled map": ("conv: {out_channels: 100000, kernel_size: 1}; global_avgpool; linear: 100", "[1, 4, 4]", []),
    "behind a dense layer": ("flatten; linear: 4000; relu; linear: 4000", "[1, 4, 4]", []),
    "more than half": (f"{LARGE}; linear: 99997; linear: {{out_features: 1, bias: false}}", WIDE, []),
}


@pytest.mark.parametrize(("layers", "size", "expected"), DOMINANT.values(), ids=DOMINANT)
def test_a_dense_layer_that_dominates(layers: str, size: str, expected: Found) -> None:
    check("H309", spec(layers, input=size), expected)


@pytest.mark.parametrize(("others", "expected"), [(99_999, [("linear1", "(50 %)")]), (100_000, [])])
def test_half_of_the_parameters(others: int, expected: Found) -> None:
    beside = f"linear: {{out_features: {others}, bias: false}}"
    layers = f"flatten; linear: {{out_features: 100, bias: false}}; {beside}"
    check("H309", spec(layers, input=WIDE), expected)


def test_a_dense_layer_that_runs_twice_is_found_once() -> None:
    layers = (
        "- flatten:\n  name: f\n- linear: 100\n  name: a\n- share: a\n  from: f\n  name: b\n- add:\n  from: [a, b]\n"
    )
    check("H309", spec(layers, input=WIDE), [("a", "10,000,000 of the 10,000,100")])


def test_the_mean_of_each_channel_instead() -> None:
    text = spec("flatten; linear: 100", input=WIDE)
    fix = found(text, "H309")[0].fix
    assert fix
    assert not fix.safe
    assert fixed(text, "H309", unsafe=True) == spec("global_avgpool; linear: 100", input=WIDE)


# ------------------------------------------------------------------ H310

HEAD = "conv: {out_channels: 4, kernel_size: 3, padding: 1}; avgpool: 2; flatten; linear: 5"
LOCKED: dict[str, tuple[str, str, Found]] = {
    "a size that fits by rounding": (HEAD, "[3, 8, 8], sizes: [9]", [("flatten1", "info: ")]),
    "a size that does not fit": (
        HEAD,
        "[3, 8, 8], sizes: [10]",
        [("flatten1", "64 values of a 4x4x4 map alone; an input of 10x10 gives 100")],
    ),
    "the first that does not": (HEAD, "[3, 8, 8], sizes: [9, 12, 10]", [("flatten1", "an input of 12x12 gives 144")]),
    "none but the planned": (HEAD, "[3, 8, 8], sizes: [9, [8, 9]]", [("flatten1", "an input of 16x16 gives 256")]),
    "a size that is too small": (HEAD, "[3, 8, 8], sizes: [1, 10]", [("flatten1", "an input of 10x10")]),
    "a long map": (HEAD, "[3, 8, 12], sizes: [10]", [("flatten1", "adaptive_avgpool: [4, 6]")]),
    "no sizes": (HEAD, "[3, 8, 8]", []),
    "none after all": (HEAD, "[3, 8, 8], sizes: []", []),
    "an adaptive pool": (HEAD.replace("avgpool: 2", "adaptive_avgpool: 4"), "[3, 8, 8], sizes: [10]", []),
    "a global pool": (HEAD.replace("flatten", "global_avgpool"), "[3, 8, 8], sizes: [10]", []),
    "no dense layer": (HEAD.replace("; linear: 5", ""), "[3, 8, 8], sizes: [10]", []),
    "an expression of the size": (HEAD.replace("avgpool: 2", "avgpool: =in_size[0]"), "[3, 8, 8], sizes: [10]", []),
    "behind dropout": (
        HEAD.replace("flatten", "flatten; dropout: 0.5"),
        "[3, 8, 8], sizes: [10]",
        [("flatten1", "'linear1'")],
    ),
    "a vector before it": (
        "conv: {out_channels: 4, kernel_size: 1}; global_avgpool; flatten; linear: 5",
        "[3, 8, 8], sizes: [10]",
        [],
    ),
    "one position": (
        "conv: {out_channels: 4, kernel_size: 8}; flatten; linear: 5",
        "[3, 8, 8], sizes: [9]",
        [("flatten1", "4x1x1")],
    ),
}


@pytest.mark.parametrize(("layers", "shape", "expected"), LOCKED.values(), ids=LOCKED)
def test_a_head_that_locks_the_input_size(layers: str, shape: str, expected: Found) -> None:
    check("H310", spec(layers, input=f"{{shape: {shape}}}"), expected)


def test_one_finding_for_one_flattening() -> None:
    layers = "- flatten:\n  name: f\n- linear: 4\n  name: a\n- linear: 5\n  name: b\n  from: f\n"
    text = spec(layers, input="{shape: [3, 8, 8], sizes: [16]}", more="outputs: [a, b]\n")
    check("H310", text, [("f", "'a' takes the 192 values")])


def test_of_several_inputs() -> None:
    inputs = "cnnplan: 1\nname: net\ninputs: {a: [3, 8, 8], b: {shape: [3, 8, 8], sizes: [16]}, c: [4]}\nlayers:\n"
    layers = "- flatten:\n  from: X\n- linear: 4\n- add:\n  from: [previous, c]\n- concat:\n  from: [previous, c]\n"
    check("H310", (inputs + layers).replace("X", "b"), [("flatten1", "an input of 16x16")])
    check("H310", (inputs + layers).replace("X", "a"), [])
    none = inputs.replace("a: [3, 8, 8]", "a: {shape: [3, 8, 8], sizes: []}")
    check("H310", (none + layers).replace("X", "b"), [("flatten1", "an input of 16x16")])


def carried(old_text: str, new_text: str, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.nn.Module]:
    """What two specs give for an image, the second with the weights of the first."""
    torch.manual_seed(0)
    old, new = (cnnplan.build(one).eval() for one in (old_text, new_text))
    new.load_state_dict(cnnplan.carry_weights(old.state_dict(), plan(old_text), plan(new_text)))
    return old(image), new(image), new


def test_a_head_of_convolutions_has_the_same_function() -> None:
    layers = f"{HEAD.replace('linear: 5', 'linear: 7; batchnorm; relu; dropout: 0.5; linear: =classes')}; softmax"
    text = spec(layers, input="{shape: [3, 8, 12], sizes: [20]}", more="variables: {classes: 5}\n")
    assert fixed(text, "H310") == text
    mended = fixed(text, "H310", unsafe=True)
    assert mended == text.replace("- flatten\n", "").replace(
        "linear: 7", "conv: {out_channels: 7, kernel_size: [4, 6]}"
    ).replace("- linear: =classes", "- conv: {out_channels: =classes, kernel_size: 1}\n- global_avgpool")
    a, b, new = carried(text, mended, torch.randn(2, 3, 8, 12))
    torch.testing.assert_close(a, b)
    assert new(torch.randn(2, 3, 20, 20)).shape == (2, 5)
    assert not [d for d in plan(mended).diagnostics if d.code in ("H310", "S018")]


def test_a_head_without_bias_and_by_name() -> None:
    layers = "conv: {out_channels: 4, kernel_size: 3}; flatten; linear: {out_features: 6, bias: false}"
    text = spec(layers, input="{shape: [3, 8, 8], sizes: [9]}")
    mended = fixed(text, "H310", unsafe=True)
    assert "- conv: {out_channels: 6, kernel_size: 6, bias: false}\n- global_avgpool" in mended
    a, b, _ = carried(text, mended, torch.randn(2, 3, 8, 8))
    torch.testing.assert_close(a, b)


def test_carried_weights_that_do_not_fit() -> None:
    one = spec("conv: {out_channels: 4, kernel_size: 3}; flatten; linear: 5", input="[3, 8, 8]")
    state = cnnplan.build(one).state_dict()
    for other, message in (
        ("conv: {out_channels: 4, kernel_size: 3}", "2 layers with parameters and 1"),
        ("conv: {out_channels: 4, kernel_size: 3}; flatten; linear: 6", "'linear1.weight'"),
    ):
        with pytest.raises(cnnplan.UsageError, match=message):
            cnnplan.carry_weights(state, plan(one), plan(spec(other, input="[3, 8, 8]")))
    with pytest.raises(cnnplan.UsageError, match=r"no tensor 'conv1\.weight'"):
        cnnplan.carry_weights({}, plan(one), plan(one))


@pytest.mark.parametrize(
    ("layers", "sizes"),
    [
        (HEAD, "6"),
        (HEAD.replace("flatten", "flatten; layernorm"), "20"),
        (HEAD.replace("linear: 5", "linear: 6; reshape: [2, 3]; flatten; linear: 5"), "20"),
    ],
    ids=["a smaller size", "a norm over the map", "another shape"],
)
def test_an_adaptive_pool_changes_nothing_at_the_planned_size(layers: str, sizes: str) -> None:
    """Where the head cannot be convolutions, or would not fit a smaller map."""
    text = spec(layers, input=f"{{shape: [3, 8, 8], sizes: [{sizes}]}}")
    mended = fixed(text, "H310", unsafe=True)
    assert mended == text.replace("- flatten", "- adaptive_avgpool: 4\n- flatten", 1)
    torch.manual_seed(0)
    old, new = (cnnplan.build(one).eval() for one in (text, mended))
    new.load_state_dict(dict(zip(new.state_dict(), old.state_dict().values(), strict=True)))
    image = torch.randn(2, 3, 8, 8)
    assert torch.equal(old(image), new(image))
    assert new(torch.randn(2, 3, int(sizes), int(sizes))).shape == (2, 5)


# ------------------------------------------------------------------ good networks


def conv(out: int, kernel: int, more: str = "") -> str:
    """A convolution."""
    return f"conv: {{out_channels: {out}, kernel_size: {kernel}{', ' * bool(more)}{more}}}"


GOOD: dict[str, tuple[str, str, str]] = {
    "a student's first network": (
        "[1, 28, 28]",
        "cross_entropy",
        f"{conv(32, 3)}; relu; maxpool: 2; flatten; linear: 128; relu; dropout: 0.5; linear: 10",
    ),
    "the same with nll": (
        "[1, 28, 28]",
        "nll",
        f"{conv(32, 3)}; relu; maxpool: 2; flatten; linear: 128; relu; linear: 10; log_softmax",
    ),
    "DQN": (
        "[4, 84, 84]",
        "mse",
        f"{conv(32, 8, 'stride: 4')}; relu; {conv(64, 4, 'stride: 2')};"
        f" relu; {conv(64, 3)}; relu; flatten; linear: 512; relu; linear: 18",
    ),
    "the network of FEMNIST in LEAF": (
        "[1, 28, 28]",
        "cross_entropy",
        f"{conv(32, 5, 'padding: 2')}; relu; maxpool: 2; "
        f"{conv(64, 5, 'padding: 2')}; relu; maxpool: 2; flatten; linear: 2048; relu; linear: 62",
    ),
    "AlphaGo's policy": (
        "[48, 19, 19]",
        "cross_entropy",
        f"{conv(192, 5, 'padding: 2')}; relu; {conv(1, 1)}; flatten",
    ),
    "AlphaGo's value": (
        "[48, 19, 19]",
        "mse",
        f"{conv(192, 5, 'padding: 2')}; relu; {conv(1, 1)}; relu; flatten; linear: 256; relu; linear: 1; tanh",
    ),
    "an autoencoder": (
        "[3, 32, 32]",
        "mse",
        f"{conv(16, 3, 'stride: 2, padding: 1')}; relu; "
        "conv_transpose: {out_channels: 3, kernel_size: 4, stride: 2, padding: 1}; sigmoid",
    ),
    "an autoencoder of vectors": (
        "[784]",
        "mse",
        "linear: 128; relu; linear: 32; relu; linear: 128; relu; linear: 784; sigmoid",
    ),
    "an autoencoder that ends in a vector": (
        "[1, 28, 28]",
        "l1",
        f"{conv(4, 3, 'stride: 2')}; relu; flatten; linear: 16; relu; linear: 784; sigmoid",
    ),
    "super-resolution": (
        "[1, 33, 33]",
        "mse",
        f"{conv(64, 9, 'padding: 4')}; relu; {conv(32, 1)}; relu; {conv(4, 5, 'padding: 2')}; pixel_shuffle: 2",
    ),
    "heat maps": ("[3, 64, 64]", "mse", f"{conv(16, 3, 'padding: 1')}; relu"),
    "segmentation of yes and no": (
        "[3, 64, 64]",
        "binary_cross_entropy",
        f"{conv(16, 3, 'padding: 1')}; relu; {conv(1, 1)}",
    ),
    "segmentation": (
        "[3, 64, 64]",
        "cross_entropy",
        f"{conv(16, 3, 'stride: 2, padding: 1')}; relu; {conv(21, 1)}; upsample: {{scale_factor: 2, mode: bilinear}}",
    ),
    "several labels": ("[3, 32, 32]", "binary_cross_entropy", "basic_block: 8; global_avgpool; linear: 20"),
    "a discriminator": (
        "[3, 64, 64]",
        "binary_cross_entropy",
        f"{conv(64, 4, 'stride: 2, padding: 1')}; leaky_relu: 0.2; {conv(1, 4, 'stride: 1')}",
    ),
    "a backbone": ("[3, 64, 64]", "", "bottleneck: 8; bottleneck: 8; global_avgpool"),
    "a backbone without normalization": (
        "[3, 64, 64]",
        "",
        f"{conv(64, 3)}; relu; maxpool: 2; {conv(64, 3)}; relu; global_avgpool",
    ),
    "a gated network": (
        "[3, 32, 32]",
        "cross_entropy",
        "conv_bn_relu: 16; squeeze_excite: 4; global_avgpool; linear: 10",
    ),
    "speech": (
        "[40, 200]",
        "cross_entropy",
        f"{conv(64, 3, 'dilation: 2, padding: [[4, 0]]')}; relu; {conv(29, 1)}",
    ),
    "a classifier that is ready for use": ("[3, 32, 32]", "", "conv_bn_relu: 16; global_avgpool; linear: 10; softmax"),
    "a regressor of positive numbers": ("[3, 32, 32]", "mse", "conv_bn_relu: 16; global_avgpool; linear: 1; softplus"),
}


@pytest.mark.parametrize(("size", "loss", "layers"), GOOD.values(), ids=GOOD)
def test_a_good_network_is_left_alone(size: str, loss: str, layers: str) -> None:
    selection = Selection(asked=Choice(select=("H", "R401", "R406", "R407", "Y904")))
    these = cnnplan.plan(spec(layers, loss, input=size), selection=selection).diagnostics
    assert not [str(d) for d in these if d.severity != "info"]


def test_attention_pools_and_towers_are_left_alone() -> None:
    text = """
- conv_bn_relu: 16
  name: x
- multiply:
    value: []
    weight:
      - conv: {out_channels: 1, kernel_size: 1}
      - reshape: [1, 64]
      - softmax: 1
      - reshape: [1, 8, 8]
- global_avgpool
- linear: 32
  name: tower
- linear: 32
  from: previous
- subtract:
  from: [tower, previous]
- abs
- linear: 1
"""
    selection = Selection(asked=Choice(select=("H", "R401", "R407", "Y904")))
    assert not cnnplan.plan(spec(text, "binary_cross_entropy"), selection=selection).diagnostics
