"""Slips of the keyboard, and habits from elsewhere: one message, at the slip, that says what to write."""

import pytest

from tests.language.helpers import HEAD, blames, blocked, complaint, net

CONV = "conv: {out_channels: 8, kernel_size: 3}"
YAML = {
    "no dash": (HEAD + f"layers:\n  - {CONV}\n  «relu\n  - flatten\n", "`- relu`"),
    "no dash, further in": (HEAD + f"layers:\n  - {CONV}\n    «relu\n  - flatten\n", "`- relu`"),
    "no colon": (
        HEAD + "layers:\n  - conv:\n      out_channels: 8\n      «kernel_size 3\n  - relu\n",
        "kernel_size: 3",
    ),
    "no colon at the top": ("«cnnplan 1\nname: t\ninput: [3]\nlayers: [relu]\n", "`cnnplan: 1`"),
    "a dash too far left": (HEAD + "layers:\n  - flatten\n «- relu\n", "one column"),
    "a dash too far right": (HEAD + f"layers:\n  - {CONV}\n   «- relu\n", "one column"),
    "a modifier at the dash": (HEAD + "layers:\n  - relu:\n  «repeat: 3\n", "operation's name"),
    "a modifier too far right": (HEAD + "layers:\n  - linear: 3\n      «repeat: 3\n", "operation's name"),
    "a modifier below a bare word": (HEAD + "layers:\n  - «unit\n    repeat: 2\n", "`- unit:`"),
    "a text with a colon": (HEAD + "description: A net«: small\nlayers: [relu]\n", "quotes"),
    "no closing brace": (HEAD + "layers:\n  - conv: «{out_channels: 8, kernel_size: 3\n  - relu\n", "`}`"),
    "no closing bracket": ("cnnplan: 1\nname: t\ninput: «[3, 32, 32\nlayers: [relu]\n", "`]`"),
    "no closing quote": (HEAD + 'layers:\n  - relu:\n    name: «"a\n  - tanh\n', "quotes"),
    "no comma": (HEAD + "layers:\n  - conv: {out_channels: 8 kernel_size«: 3}\n", "comma"),
    "no blank behind a dash": (HEAD + "layers:\n  - flatten\n  «-conv: 3\n  - relu\n", "dash"),
    "no blank behind the first dash": (HEAD + "layers:\n  «-conv: 3\n  - relu\n", "dash"),
    "a blank that cannot be seen": (HEAD + "layers:\n  - linear:«\u00a03\n    name: x\n", "U+00A0"),
    "a tab": (HEAD + "layers:\n  - relu:\n«\t\tname: a\n", "spaces"),
    "a percent sign": (HEAD + "layers:\n  - dropout: «%5\n", "quotes"),
    "an expression without quotes": (
        HEAD + "layers:\n  - conv: {out_channels: =in_size«[0], kernel_size: 1}\n",
        "quotes",
    ),
}


@pytest.mark.parametrize("slip", YAML)
def test_what_is_not_yaml(slip: str) -> None:
    text, hint = YAML[slip]
    assert hint in complaint(text, "Y908")


VALUES = [
    ("- linear: «classes", "`=classes`"),
    ("- linear: «2 * classes", "`=2 * classes`"),
    ("- linear: «${classes}", "`=classes`"),
    ("- relu:\n  repeat: «classes", "`=classes`"),
    ("- conv: {out_channels: 8, kernel_size: «'(3, 3)'}", "[3, 3]"),
    ("- conv: {«out_channels:8: , kernel_size: 3}", "blank"),
    ("- «linear:10", "blank"),
    ("- batchnorm: «64", "inferred"),
    ("- instancenorm: {eps: «64}", "inferred"),
    ("- relu:\n  repeat: 3\n  name: r\n- tanh:\n  from: «r.0", "last copy"),
    ("- concat: [«previous, [relu]]", "`from: […]`"),
]


@pytest.mark.parametrize(("layers", "hint"), VALUES)
def test_values_that_mean_something_else(layers: str, hint: str) -> None:
    assert hint in complaint(net(layers, more="variables: {classes: 10}"))


def test_arguments_without_names() -> None:
    _, found = blames(net("- «conv: «[8, 3, 1, 1]"))
    assert "names" in found.help


def test_an_operation_is_no_expression() -> None:
    for item in ("- «=act", "- «=act: 3"):
        assert "`if`" in complaint(net(item, more="variables: {act: relu}"))


def test_arguments_beside_the_operation() -> None:
    assert "further" in complaint(net("- conv:\n  «out_channels: 8\n  kernel_size: 3\n- relu"), "Y901")


JARGON = [
    ("swish", "silu"),
    ("deconv", "conv_transpose"),
    ("dense", "linear"),
    ("fc", "linear"),
    ("bn", "batchnorm"),
    ("gap", "global_avgpool"),
    ("se", "squeeze_excite"),
    ("view", "reshape"),
    ("transpose", "permute"),
    ("residual", "add"),
    ("activation", "- relu"),
]


@pytest.mark.parametrize(("word", "ours"), JARGON)
def test_words_from_elsewhere(word: str, ours: str) -> None:
    found = blames(net(f"- flatten\n- «{word}: 8"), "Y913")
    assert ours in found[0].help


@pytest.mark.parametrize(
    ("layers", "hint"),
    [
        ("- conv: {«in_channels: 3, out_channels: 8, kernel_size: 3}", "inferred"),
        ("- flatten\n- linear: {«in_features: 8, out_features: 2}", "inferred"),
        ("- conv: {«filters: 8, kernel_size: 3}", "out_channels"),
        ("- maxpool: {«size: 2}", "kernel_size"),
        ("- maxpool: {«pool_size: 2}", "kernel_size"),
        ("- conv: {out_channels: 8, kernel_size: 3, «activation: relu}", "- relu"),
        ("- conv: {out_channels: 8, kernel_size: 3, «use_bias: false}", "bias"),
        ("- dropout: {«rate: 0.5}", "'p'"),
    ],
)
def test_arguments_from_elsewhere(layers: str, hint: str) -> None:
    assert hint in complaint(net(layers), "Y901")


def test_what_is_not_understood_hides_no_other_mistake() -> None:
    blames(net("- conv: {out_channels: 8, kernel_size: 3, «foo: x, bias: «flase, padding_mode: «zeross}"))


def test_a_guess_is_one_error() -> None:
    block = "conv_norm: {params: {width: int}, layers: [relu]}"
    for item in ("«attention: 8", "«conv_bn: 8", "«conv_norn: {x: 3}", "«flaten: 3", "«batchnrm: {a: b}"):
        blames(blocked(block, f"- {item}"), "Y913")


def test_quotes_around_the_version() -> None:
    text = net("- relu").replace("cnnplan: 1", "cnnplan: «'1'")
    assert "without quotes" in complaint(text, "Y907")
