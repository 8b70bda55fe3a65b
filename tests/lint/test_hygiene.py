"""What a spec holds for nothing, merges with itself, or takes in steps alone."""

import pytest
import torch

import cnnplan
from cnnplan.analyses.steps import Steps
from tests.language.helpers import blocked, net
from tests.lint.test_heads import Found, check, fixed, found, spec

# ------------------------------------------------------------------ R401

DEAD_ITEM = """
- conv: {out_channels: 4, kernel_size: 3}
  name: a
- tanh
- relu:
  from: a
"""


@pytest.mark.parametrize("dead", ["- tanh\n", "- leaky_relu: 0.1\n", "- tanh:\n  name: t\n", "- tanh\n- maxpool: 2\n"])
def test_a_dead_layer_is_removed(dead: str) -> None:
    text = net(DEAD_ITEM.replace("- tanh\n", dead))
    assert fixed(text, "R401") == net(DEAD_ITEM.replace("- tanh\n", ""))
    old, new = (cnnplan.build(one) for one in (text, fixed(text, "R401")))
    new.load_state_dict(old.state_dict())
    image = torch.randn(1, 3, 8, 8)
    assert torch.equal(old(image), new(image))


def test_half_a_row_is_not_removed() -> None:
    for dead in ("- conv_bn_relu: 4\n- global_avgpool\n", "- once\n- tanh\n"):
        text = net(DEAD_ITEM.replace("- tanh\n", dead) + "- once\n", more="blocks: {once: {layers: [abs, elu]}}\n")
        assert [d.code for d in cnnplan.plan(text).diagnostics if d.code == "R401"] == ["R401"]
        assert fixed(text, "R401") == text


def test_a_dead_layer_of_a_block_is_removed_for_all_its_uses() -> None:
    block = "twice:\n  layers:\n    - abs:\n      name: a\n    - tanh\n    - relu:\n      from: a"
    text = blocked(block, "- twice\n- twice")
    check("R401", text, [("twice1.tanh1", "'twice1.tanh1'")])
    assert fixed(text, "R401") == text.replace("        - tanh\n", "").replace("      - tanh\n", "")


KEPT = {
    "the only item of a group": "- abs:\n  name: a\n- layers:\n    - tanh\n- relu:\n  from: a",
    "an item with modifiers": "- abs:\n  name: a\n- tanh:\n  from: input\n- relu:\n  from: a",
    "a name that is shared": "- abs:\n  name: a\n- tanh:\n  name: t\n- share: t\n  from: a\n- relu:\n  from: a",
}


@pytest.mark.parametrize("layers", KEPT.values(), ids=KEPT)
def test_a_dead_layer_that_stays(layers: str) -> None:
    text = net(layers)
    assert found(text, "R401")
    assert "share" in layers or fixed(text, "R401", unsafe=True) == text


def fixes(text: str, code: str) -> list[bool | None]:
    """For each finding whether its fix is safe; None where it has none."""
    return [d.fix and d.fix.safe for d in found(text, code)]


FIXES = {
    "plain": ("- abs:\n  name: a\n- tanh\n- relu:\n  from: a", True),
    "named": ("- abs:\n  name: a\n- tanh:\n  name: t\n- relu:\n  from: a", True),
    "named by an item that is left out": (
        "- abs:\n  name: a\n- tanh:\n  name: t\n- add:\n  from: [a, t]\n  if: false\n- relu:\n  from: a",
        None,
    ),
    "before an item that is left out": ("- abs:\n  name: a\n- tanh\n- abs:\n  if: false\n- relu:\n  from: a", False),
    "beside an item that is left out": ("- abs:\n  name: a\n- tanh\n- relu:\n  from: a\n- abs:\n  repeat: 0", False),
    "beside a branch that is left out": (
        "- abs:\n  name: a\n- tanh\n- add:\n    x: [relu]\n    y: {layers: [abs], if: false}\n  from: a",
        False,
    ),
    "beside an identity that is left out": (
        "- abs:\n  name: a\n- tanh\n- add:\n    x: [{relu: , from: a}]\n    y: {layers: [], if: false}",
        False,
    ),
    "beside a branch that stays": (
        "- abs:\n  name: a\n- tanh\n- add:\n    x: [relu]\n    y: {layers: [abs], if: true}\n  from: a",
        True,
    ),
    "beside an identity": ("- abs:\n  name: a\n- tanh\n- add: [[relu], []]\n  from: a", True),
    "shared by an item that is left out": (
        "- abs:\n  name: a\n- tanh:\n  name: t\n- share: t\n  if: false\n- relu:\n  from: a",
        None,
    ),
    "one of several, named by an item that is left out": (
        "- abs:\n  name: m\n- split: 3\n  name: t\n- crop: {like: t.0}\n  from: m\n  if: false\n- relu:\n  from: m",
        None,
    ),
    "in copies": ("- layers:\n    - abs:\n      name: a\n    - tanh\n    - relu:\n      from: a\n  repeat: 2", True),
    "beside a group": ("- abs:\n  name: a\n- tanh\n- layers: [relu, abs]\n  from: a", True),
    "in a group": ("- layers:\n    - tanh\n    - abs\n  name: g\n- relu:\n  from: input", True),
    "beside branches": ("- abs:\n  name: a\n- tanh\n- add: [[relu], [abs]]\n  from: a", True),
    "beside a built-in block": ("- abs:\n  name: a\n- tanh\n- basic_block: 3\n  from: a", True),
    "named by `like` where that is left out": (
        "- abs:\n  name: m\n- tanh:\n  name: t\n- upsample: {like: t}\n  from: m\n  if: false\n- relu:\n  from: m",
        None,
    ),
}


@pytest.mark.parametrize(("layers", "safe"), FIXES.values(), ids=FIXES)
def test_whether_removing_a_dead_layer_is_safe(layers: str, safe: bool | None) -> None:
    assert fixes(net(layers), "R401") == [safe]


CONV = "conv: {out_channels: 3, kernel_size: 3, padding: 1}"
RENAMED = {
    "before another": (f"- abs:\n  name: a\n- {CONV}\n- relu:\n  from: a\n- {CONV}\n- tanh", False),
    "in copies": (f"- layers:\n    - abs:\n      name: a\n    - {CONV}\n    - relu:\n      from: a\n  repeat: 2", True),
    "before another in a block": (f"- abs:\n  name: a\n- {CONV}\n- conv_bn_relu: 3\n  from: a", True),
    "behind another": (f"- {CONV}\n- abs:\n  name: a\n- {CONV}\n- relu:\n  from: a", True),
    "with a name": (f"- abs:\n  name: a\n- {CONV}\n  name: b\n- {CONV}\n  from: a", True),
    "without parameters": ("- abs:\n  name: a\n- tanh\n- tanh:\n  from: a", True),
    "many": (f"- {CONV}\n" * 9 + f"- abs:\n  name: a\n- {CONV}\n- {CONV}\n  from: a", False),
}


@pytest.mark.parametrize(("layers", "safe"), RENAMED.values(), ids=RENAMED)
def test_removing_a_layer_keeps_the_names_of_others(layers: str, safe: bool) -> None:
    assert fixes(net(layers), "R401") == [safe]
    text = net(layers)
    old, new = (cnnplan.build(one).eval() for one in (text, fixed(text, "R401")))
    new.load_state_dict(old.state_dict(), strict=False)
    image = torch.randn(1, 3, 8, 8)
    assert torch.equal(old(image), new(image))


def test_removing_what_a_block_hands_over_for_nothing() -> None:
    block = "pick:\n  inputs: [x, y]\n  layers:\n    - relu:\n      from: x"
    text = blocked(block, "- abs:\n  name: a\n- tanh:\n  name: t\n- pick:\n  from: [a, t]")
    assert fixes(text, "R401") == [None]


def test_what_a_block_leaves_out_may_come_back() -> None:
    block = "some:\n  layers:\n    - relu\n    - tanh:\n      if: false"
    assert fixes(blocked(block, "- abs:\n  name: a\n- tanh\n- some:\n  from: a"), "R401") == [False]


def test_a_block_names_what_it_gives() -> None:
    block = "both:\n  outputs: [x, y]\n  layers:\n    - relu:\n      name: x\n    - abs:\n      name: y"
    text = blocked(block, "- both:\n  name: b\n- tanh:\n  from: b.x")
    assert fixes(text, "R401") == [None]


SPLIT = """
- split: 3
  name: s
- relu:
  from: s.0
  name: a
- tanh:
  from: s.1
{more}"""
PARTS = {
    "read by a dead layer": (
        "- abs:\n  from: a\n",
        [("s", "output 's.2' is not used"), ("tanh1", "'tanh1' reaches no")],
    ),
    "not read": ("- abs:\n  from: a\n", [("s", "outputs 's.1', 's.2' are not used")]),
    "all dead": ("- abs:\n  from: input\n", [("a", "'a' reaches no"), ("tanh1", "'tanh1' reaches no")]),
}


@pytest.mark.parametrize("case", PARTS)
def test_parts_that_nothing_uses(case: str) -> None:
    more, expected = PARTS[case]
    text = net(SPLIT.format(more=more))
    check("R401", text.replace("- tanh:\n  from: s.1\n", "") if case == "not read" else text, expected)


def test_an_input_whose_size_alone_is_taken() -> None:
    head = "cnnplan: 1\nname: net\ninputs: {a: [3, 8, 8], b: [3, 4, 4]}\n"
    check("R401", net("- tanh:\n  from: a\n- crop: {like: b}\n  from: a", head=head), [("tanh1", "reaches no output")])


def test_what_is_to_do_about_an_input() -> None:
    head = "cnnplan: 1\nname: net\ninputs: {a: [3, 4, 4], b: [3, 4, 4]}\n"
    check("R401", net("- relu:\n  from: a", head=head), [(None, "or remove it")])  # type: ignore[list-item]


# ------------------------------------------------------------------ R406

SKIP = """
- conv_bn_relu: 4
  name: fine
- {down}
- {up}
- {merge}:
  from: [fine, previous]
"""


def skip(down: str, up: str, merge: str = "concat", *, input: str = "[4, 24, 24]") -> str:
    """A map that goes down and up again, and meets itself."""
    return spec(SKIP.format(down=down, up=up, merge=merge), input=input)


HALVES = "maxpool: 2"
WIDER = """
- abs:
  name: i
- conv: {out_channels: 6, kernel_size: 1}
- relu:
  name: a
- maxpool: 2
- conv: {out_channels: 6, kernel_size: 3, padding: 1}
- batchnorm
- upsample: 2
- batchnorm
- add:
  from: [a, previous]
- conv: {out_channels: 3, kernel_size: 1}
- batchnorm
- add:
  from: [i, previous]
"""
MODULI: dict[str, tuple[str, Found]] = {
    "up-sampling": (
        skip(HALVES, "upsample: 2"),
        [("concat1", "only multiples of 2 along height and width: 'concat1'")],
    ),
    "a transposed convolution": (
        skip(HALVES, "conv_transpose: {out_channels: 4, kernel_size: 2, stride: 2}", "add"),
        [("add1", "multiples of 2 along height and width")],
    ),
    "a pixel shuffle": (
        skip("conv: {out_channels: 16, kernel_size: 3, stride: 2, padding: 1}", "pixel_shuffle: 2"),
        [("concat1", "multiples of 2 along")],
    ),
    "in thirds": (skip("avgpool: 3", "upsample: 3"), [("concat1", "multiples of 3 along")]),
    "twice": (
        skip(f"{HALVES}\n- {HALVES}", "upsample: 4", "maximum"),
        [("maximum1", "multiples of 4 along height and width")],
    ),
    "along one axis": (
        skip("maxpool: [1, 2]", "upsample: {scale_factor: [1, 2]}"),
        [("concat1", "only multiples of 2 along width:")],
    ),
    "along the other": (
        skip("maxpool: [2, 1]", "upsample: {scale_factor: [2, 1]}"),
        [("concat1", "only multiples of 2 along height:")],
    ),
    "by different steps": (
        skip("maxpool: [2, 4]", "upsample: {scale_factor: [2, 4]}"),
        [("concat1", "only multiples of 2 along height, multiples of 4 along width:")],
    ),
    "of a sound": (
        skip("maxpool: 4", "upsample: 4", input="[4, 64]"),
        [("concat1", "only multiples of 4 along length:")],
    ),
    "of a film": (
        skip("maxpool: [1, 2, 2]", "upsample: {scale_factor: [1, 2, 2]}", input="[4, 3, 8, 8]"),
        [("concat1", "2 along height and width:")],
    ),
    "behind a convolution without padding": (
        skip("conv: {out_channels: 4, kernel_size: 4}\n- avgpool: 3", "upsample: 3\n- pad: [[3, 0], [3, 0]]"),
        [("concat1", "only multiples of 3 along")],
    ),
    "of other channels": (spec(WIDER), [("add1", "multiples of 2")]),
    "with a remainder": (
        skip("maxpool: {kernel_size: 3, stride: 2}", "upsample: 2\n- pad: [[0, 1], [0, 1]]", input="[4, 25, 25]"),
        [("concat1", "only 1 more than multiples of 2 along")],
    ),
    "of the other's size": (skip(HALVES, "upsample: {like: fine}"), []),
    "of a fixed size": (skip(HALVES, "upsample: {size: 24}"), []),
    "rounded up": (skip("maxpool: {kernel_size: 2, ceil_mode: true}", "upsample: 2\n- crop: {like: fine}"), []),
    "no merge": (spec(f"{HALVES}; upsample: 2; conv: {{out_channels: 2, kernel_size: 3}}", input="[4, 24, 24]"), []),
    "a merge before it": (spec(f"- add: [[relu], [abs]]\n- {HALVES}\n- upsample: 2", input="[4, 24, 24]"), []),
    "steps of another kind": (spec("space_to_depth: 2; upsample: 2", input="[4, 24, 24]"), []),
    "steps of another kind, and a merge": (
        spec("- space_to_depth: 2\n- add: [[relu], [abs]]\n- upsample: 2", input="[4, 24, 24]"),
        [],
    ),
    "steps of another kind, and another's size": (
        spec("- abs:\n  name: a\n- space_to_depth: 2\n- upsample: {like: a}\n- concat:\n  from: [a, previous]"),
        [],
    ),
    "by different merges": (
        f"{skip('maxpool: [2, 1]', 'upsample: {scale_factor: [2, 1]}')}- conv_bn_relu: 4\n  name: again\n"
        "- maxpool: [1, 2]\n- upsample: {scale_factor: [1, 2]}\n- add:\n  from: [again, previous]\n",
        [("concat1", "multiples of 2 along height and width: 'concat1'")],
    ),
    "an expression of the size": (skip(HALVES, "upsample: {scale_factor: '=in_size[0] // 6'}"), []),
    "a dense head": (skip(HALVES, "upsample: 2") + "- flatten\n- linear: 4\n", []),
    "a pooled head": (skip(HALVES, "upsample: 2") + "- global_avgpool\n- linear: 4\n", [("concat1", "multiples of 2")]),
    "a layer norm": (skip(HALVES, "upsample: 2") + "- layernorm\n", []),
    "one that keeps sizes": (
        skip(
            "conv: {out_channels: 4, kernel_size: 3, padding: half}",
            "conv_transpose: {out_channels: 4, kernel_size: 3, padding: 1}",
        ),
        [],
    ),
    "too far": (skip("maxpool: 257", "upsample: 257", input="[4, 257]"), []),
    "far": (skip("maxpool: 256", "upsample: 256", input="[4, 256]"), [("concat1", "multiples of 256 along")]),
    "through others": (
        skip(f"{HALVES}\n- conv: {{out_channels: 6, kernel_size: 1}}", "upsample: 2\n- batchnorm\n- relu"),
        [("concat1", "multiples of 2")],
    ),
}


@pytest.mark.parametrize(("text", "expected"), MODULI.values(), ids=MODULI)
def test_the_steps_of_sizes(text: str, expected: Found) -> None:
    check("R406", text, expected)
    assert {d.severity for d in found(text, "R406")} <= {"info"}
    plan = cnnplan.plan(text)
    axes = [axis.legal for axis in plan.legal_sizes]
    if not expected:
        return
    said = found(text, "R406")[0].message
    for legal in axes:
        assert legal.modulus <= 1 or f"multiples of {legal.modulus} along" in said
        assert len(legal.remainders) <= 1


EQUAL_AT_TWO = """
- abs:
  name: fine
- maxpool: 4
- upsample: 4
  name: a
- maxpool: 2
  from: fine
- upsample: 2
- add:
  from: [a, previous]
"""


@pytest.mark.parametrize("size", [24, 25])
def test_sizes_that_are_no_multiples(size: int) -> None:
    text = spec(EQUAL_AT_TWO, input=f"[4, {size}]")
    (axis,) = cnnplan.plan(text).legal_sizes
    assert (axis.legal.modulus, axis.legal.remainders) == (4, (0, 1))
    check("R406", text, [])


def test_a_convolution_that_keeps_one_size_alone() -> None:
    down = "conv: {out_channels: 4, kernel_size: 3, stride: 2, padding: 1}"
    text = spec(f"- abs:\n  name: a\n- {down}\n- add:\n  from: [a, previous]", input="[4, 1]")
    assert Steps(cnnplan.plan(text).graph).step(0, (1,)) == (0, None)


def test_a_deep_unet() -> None:
    down = "".join(f"- conv_bn_relu: {4 * 2**i}\n  name: e{i}\n- maxpool: 2\n" for i in range(4))
    up = "".join(
        f"- upsample: 2\n- concat:\n  from: [e{i}, previous]\n- conv_bn_relu: {4 * 2**i}\n" for i in (3, 2, 1, 0)
    )
    text = spec(f"{down}- conv_bn_relu: 64\n{up}- conv: {{out_channels: 2, kernel_size: 1}}", input="[3, 48, 64]")
    (finding,) = found(text, "R406")
    assert "multiples of 16 along height and width: 'concat4'" in finding.message
    steps = Steps(cnnplan.plan(text).graph)
    assert len(steps._nodes) == 12


TWO_PICTURES = """
- global_avgpool:
  from: c
  name: g
- maxpool: 2
  from: a
- upsample: 2
- add:
  from: [b, previous]
- global_avgpool
- add:
  from: [previous, d]
- add:
  from: [previous, g]
"""


def test_inputs_of_one_size_grow_together() -> None:
    head = "cnnplan: 1\nname: net\ninputs: {a: [3, 8, 8], b: [3, 8, 8], c: [3, 12, 12], d: [3]}\n"
    check("R406", net(TWO_PICTURES, head=head), [("add1", "multiples of 2 along height and width: 'add1'")])


# ------------------------------------------------------------------ R407

TWO = "- relu:\n  name: a\n- tanh:\n  name: b\n"
MERGED: dict[str, tuple[str, Found]] = {
    "add": (f"{TWO}- add:\n  from: [b, b]", [("add1", "merges 'b' with itself: that is the value twice")]),
    "add of three": (f"{TWO}- add:\n  from: [b, b, b]", [("add1", "that is the value 3 times")]),
    "subtract": (f"{TWO}- subtract:\n  from: [b, b]", [("subtract1", "that is 0 times the value")]),
    "subtract twice": (f"{TWO}- subtract:\n  from: [b, b, b]", [("subtract1", "that is -1 times the value")]),
    "maximum": (f"{TWO}- maximum:\n  from: [b, b]", [("maximum1", "that is the value")]),
    "mean": (f"{TWO}- mean:\n  from: [b, b]", [("mean1", "that is the value")]),
    "concat": (f"{TWO}- concat:\n  from: [b, b]", [("concat1", "that is each channel twice")]),
    "among others": (f"{TWO}- add:\n  from: [a, b, a]", [("add1", "'add' takes 'a' twice; name another")]),
    "by another name": (f"{TWO}- add:\n  from: [b, previous]", [("add1", "merges 'b'")]),
    "through an identity": (f"{TWO}- identity\n- identity\n- add:\n  from: [b, previous]", [("add1", "merges 'b'")]),
    "empty branches": (f"{TWO}- add: [[], []]", [("add1", "merges 'b'")]),
    "an empty body": (f"{TWO}- add:\n    body: [identity]\n    shortcut: []", [("add1", "merges 'b'")]),
    "the input": ("- add:\n  from: [input, input]", [("add1", "merges 'input'")]),
    "joined among others": (f"{TWO}- concat:\n  from: [a, a, input, input]", [("concat1", "'concat' takes 'a' twice")]),
    "joined along the first axis from the end": (f"{TWO}- concat: {{axis: -3}}\n  from: [b, b]", [("concat1", "each")]),
    "a square": (f"{TWO}- multiply:\n  from: [b, b]", []),
    "a repeated input": ("- concat:\n  from: [input, input, input]", []),
    "tiles": (f"{TWO}- concat: {{axis: 1}}\n  from: [b, b]", []),
    "tiles from the end": (f"{TWO}- concat: {{axis: -1}}\n  from: [b, b]", []),
    "two values": (f"{TWO}- add:\n  from: [a, b]", []),
    "a residual": (f"{TWO}- add:\n    body: [relu]\n    shortcut: []", []),
    "two runs": ("- relu:\n  name: a\n- share: a\n  from: input\n  name: b\n- add:\n  from: [a, b]", []),
    "dropout": (f"{TWO}- dropout: 0.5\n- add:\n  from: [b, previous]", []),
    "a difference of two": (f"{TWO}- subtract:\n  from: [a, b]", []),
    "parts": ("- split: 3\n  name: s\n- add:\n  from: [s.0, s.1, s.2]", []),
}


@pytest.mark.parametrize(("layers", "expected"), MERGED.values(), ids=MERGED)
def test_a_value_that_is_merged_with_itself(layers: str, expected: Found) -> None:
    check("R407", net(layers), expected)


@pytest.mark.parametrize("kind", ["add", "subtract", "maximum", "mean"])
@pytest.mark.parametrize("count", [2, 3])
def test_what_a_value_is_with_itself(kind: str, count: int) -> None:
    text = net(f"- {kind}:\n  from: [{', '.join(['input'] * count)}]")
    factor = {"add": count, "subtract": 2 - count}.get(kind, 1)
    value = torch.randn(1, 3, 8, 8)
    assert torch.allclose(cnnplan.build(text)(value), factor * value, atol=1e-6)
    said = {"add": "twice" if count == 2 else "3 times", "subtract": f"{factor} times the value"}.get(kind, "the value")
    check("R407", text, [(f"{kind}1", said)])


# ------------------------------------------------------------------ Y904

HEAD = "cnnplan: 1\nname: net\ninput: [3, 8, 8]\n"


def idle(text: str) -> list[str]:
    """What is said to be unused, in the order of the text."""
    return [d.message for d in found(text, "Y904")]


USED = {
    "an argument": "variables: {v: 3}\nlayers: [{conv: {out_channels: =v, kernel_size: 1}}]",
    "part of an expression": "variables: {v: 3}\nlayers: [{linear: '=2 * (v + 1) if true else 4', from: input}]",
    "a condition": "variables: {v: true}\nlayers: [{relu: , if: =v}, tanh]",
    "the condition of a branch": "variables: {v: true}\nlayers: [{add: {a: [relu], b: {layers: [tanh], if: =v}}}]",
    "a repeat": "variables: {v: 2}\nlayers: [{relu: , repeat: =v}]",
    "a counted repeat": "variables: {v: 2}\nlayers: [{relu: , repeat: {i: =v}}]",
    "in a group": "variables: {v: 2}\nlayers: [{layers: [{leaky_relu: =v / 10}]}]",
    "in a branch": "variables: {v: 2}\nlayers: [{add: [[{leaky_relu: =v / 10}], []]}]",
    "a merge's argument": "variables: {v: 0}\nlayers: [{concat: {axis: =v, a: [relu], b: [tanh]}}]",
    "an item that is left out": "variables: {v: 2}\nlayers: [relu, {leaky_relu: =v / 10, if: false}]",
    "a branch that is left out": "variables: {v: 2}\nlayers: [{add: {a: [relu], b: {layers: [{elu: =v}], if: false}}}]",
    "the budget": "variables: {v: 2}\nbudget: {parameters: =v}\nlayers: [relu]",
    "the budget, deeper": "variables: {v: 2}\nbudget: {parameters: {at_most: =v * 10}}\nlayers: [relu]",
    "the target": "variables: {v: 2}\ntarget: {batch: =v}\nlayers: [relu]",
    "the training": "variables: {v: 0.1}\ntrain: {optimizer: {sgd: {lr: =v}}}\nlayers: [relu]",
    "the rules": "variables: {v: R401}\nlint: {ignore: [=v]}\nlayers: [relu]",
    "another variable": "variables: {v: 2, w: =2 * v}\nlayers: [{relu: , repeat: =w}]",
    "a value of a table": "variables: {v: 2, w: {a: [=v]}}\nlayers: [{relu: , repeat: \"=w['a'][0]\"}]",
    "a block": "variables: {v: 2}\nblocks: {b: {layers: [{relu: , repeat: =v}]}}\nlayers: [b]",
    "a block's argument": "variables: {v: 2}\nblocks: {b: {params: {n: int}, layers: [{elu: =n}]}}\nlayers: [b: =v]",
    "a default": "variables: {v: 2}\nblocks: {b: {params: {n: =v}, layers: [{relu: , repeat: =n}]}}\nlayers: [b]",
    "a default of the same name": "variables: {v: 2}\nblocks: {b: {params: {v: =v}, layers: [{elu: =v}]}}\nlayers: [b]",
    "a block in a group": "blocks: {b: {layers: [relu]}}\nlayers: [{layers: [b]}]",
    "a block in a branch": "blocks: {b: {layers: [relu]}}\nlayers: [{add: [[b], []]}]",
    "a block that is left out": "blocks: {b: {layers: [relu]}}\nlayers: [tanh, {b: , if: false}]",
    "a block of a block": "blocks: {b: {layers: [c]}, c: {layers: [relu]}}\nlayers: [b]",
    "a built-in block": "layers: [{conv_bn_relu: 4}]",
    "a block that replaces a built-in one": "blocks: {conv_bn_relu: {layers: [relu]}}\nlayers: [conv_bn_relu]",
    "no variables": "variables: {}\nlayers: [relu]",
}


@pytest.mark.parametrize("rest", USED.values(), ids=USED)
def test_what_is_used(rest: str) -> None:
    rest = rest.replace("linear: '=2", "conv_bn_relu: '=2")
    assert not idle(HEAD + rest + "\n")


def test_an_input_uses_variables() -> None:
    assert not idle("cnnplan: 1\nname: net\nvariables: {v: 8}\ninput: [3, =v, 8]\nlayers: [relu]\n")
    text = "cnnplan: 1\nname: net\nvariables: {v: 8}\ninput: {shape: [3, 8, 8], sizes: [=v]}\nlayers: [relu]\n"
    assert not idle(text)


UNUSED = {
    "a variable": ("variables: {v: 2}\nlayers: [relu]", ["variable 'v' is not used"]),
    "a block": ("blocks: {b: {layers: [relu]}}\nlayers: [relu]", ["block 'b' is not used"]),
    "some": (
        "variables: {u: 1, v: 2, w: 3}\nlayers: [{relu: , repeat: =v}]",
        ["variable 'u' is not used", "variable 'w' is not used"],
    ),
    "a name that is a text": ("variables: {v: 2}\nlayers: [{relu: , name: v}]", ["variable 'v' is not used"]),
    "a param of the same name": (
        "variables: {v: 2}\nblocks: {b: {params: {v: 3}, layers: [{relu: , repeat: =v}]}}\nlayers: [b]",
        ["variable 'v' is not used"],
    ),
    "a default behind a param of the same name": (
        "variables: {v: 2}\nblocks: {b: {params: {v: 3, w: =v}, layers: [{relu: , repeat: =w}]}}\nlayers: [b]",
        ["variable 'v' is not used"],
    ),
    "one that uses another": (
        "variables: {v: 2, w: =v}\nlayers: [relu]",
        ["variable 'v' is used by 'w' alone, which nothing uses", "variable 'w' is not used"],
    ),
    "a block that uses another": (
        "variables: {v: 2}\nblocks:\n  b: {layers: [{c: , repeat: =v}]}\n  c: {layers: [relu]}\nlayers: [relu]",
        [
            "variable 'v' is used by 'b' alone, which nothing uses",
            "block 'b' is not used",
            "block 'c' is used by 'b' alone, which nothing uses",
        ],
    ),
    "an operation of the same name": (
        "blocks: {b: {layers: [relu]}, silu: {layers: [relu]}}\nlayers: [b]",
        ["block 'silu' is not used"],
    ),
}


@pytest.mark.parametrize(("rest", "messages"), UNUSED.values(), ids=UNUSED)
def test_what_is_not_used(rest: str, messages: list[str]) -> None:
    assert idle(HEAD + rest + "\n") == messages
    assert {d.severity for d in found(HEAD + rest + "\n", "Y904")} == {"warning"}


def test_where_it_stands() -> None:
    text = (
        "cnnplan: 1\nname: net\ninput: [3, 8, 8]\nvariables: {v: 2}\nblocks:\n  b: {layers: [relu]}\nlayers: [relu]\n"
    )
    variable, block = found(text, "Y904")
    assert variable.start == (4, 13)
    assert block.start == (6, 3)
    assert "`=v`" in variable.help
    assert "`- b`" in block.help


def test_of_a_dict() -> None:
    data = {"cnnplan": 1, "name": "net", "input": [3, 8, 8], "variables": {"v": 1}, "layers": ["relu"]}
    (finding,) = (d for d in cnnplan.plan(data).diagnostics if d.code == "Y904")
    assert finding.message == "variable 'v' is not used"


FIXED = {
    "the first in brackets": ("variables: {v: 2, w: 3}", "variables: {w: 3}"),
    "the last in brackets": ("variables: {w: 2, v: 3}", "variables: {w: 2}"),
    "one in the middle": ("variables: {w: 2, v: [1, 2], x: 4}", "variables: {w: 2, x: 4}"),
    "the only one in brackets": ("variables: {v: 2}\n", ""),
    "the only one below": ("variables:\n  v: 2\n", ""),
    "one below others": ("variables:\n  w: 3\n  v: 2      # a comment\n  x: 4", "variables:\n  w: 3\n  x: 4"),
    "the first below": ("variables:\n  v: 2\n  w: 3", "variables:\n  w: 3"),
    "the last below": ("variables:\n  w: 3\n  v: 2", "variables:\n  w: 3"),
    "a list": ("variables:\n  w: 3\n  v:\n    - 1\n    - 2\n  x: 4", "variables:\n  w: 3\n  x: 4"),
    "a text of several lines": ("variables:\n  w: 3\n  v: |\n    a\n    b\n  x: 4", "variables:\n  w: 3\n  x: 4"),
    "a folded text at the end": ("variables:\n  w: 3\n  v: >-\n    a\n    b\n", "variables:\n  w: 3\n"),
    "an empty line behind": ("variables:\n  w: 3\n  v: |\n    a\n\n  x: 4", "variables:\n  w: 3\n  x: 4"),
    "several lines in brackets": (
        "variables: {w: 3,\n            v: 2,\n            x: 4}",
        "variables: {w: 3,\n            x: 4}",
    ),
    "a variable and its user": ("variables:\n  v: 2\n  u: =v\n  w: 3", "variables:\n  w: 3"),
    "a chain": ("variables: {v: 2, u: =v, t: =u, w: 3}", "variables: {w: 3}"),
    "a block": ("blocks:\n  b:\n    layers:\n      - relu\n      - tanh\n", ""),
    "a block and its user": ("blocks:\n  b:\n    layers:\n      - relu\n  c:\n    layers:\n      - b\n", ""),
}


@pytest.mark.parametrize(("before", "after"), FIXED.values(), ids=FIXED)
def test_what_is_not_used_is_removed(before: str, after: str) -> None:
    uses = "".join(f"  - relu:\n    repeat: ={name}\n" for name in "wx" if f"{name}:" in after)
    rest = f"layers:\n  - tanh\n{uses}"
    for one in (before, f"{before}\n") if not before.endswith("\n") else (before,):
        text = HEAD + one + ("" if one.endswith("\n") else "\n") + rest
        assert fixed(text, "Y904") == HEAD + after + ("\n" if after and not after.endswith("\n") else "") + rest
        assert not found(fixed(text, "Y904"), "Y904")


def test_at_the_end_of_the_text() -> None:
    start = "cnnplan: 1\nname: net\ninput: [3, 8, 8]\nlayers: [{relu: , repeat: =w}]\n"
    for end in ("", "\n"):
        text = f"{start}variables:\n  w: 3\n  v: 2{end}"
        assert fixed(text, "Y904") == f"{start}variables:\n  w: 3{end}"
    assert fixed(f"{start.replace('=w', '2')}variables:\n  v: 2", "Y904") == start.replace("=w", "2").rstrip("\n")


def test_at_the_start_of_the_text() -> None:
    rest = "cnnplan: 1\nname: net\ninput: [3, 8, 8]\nlayers: [relu]\n"
    assert fixed(f"variables: {{v: 1}}\n{rest}", "Y904") == rest
    assert fixed(f"variables:\n  v: 1\n{rest}", "Y904") == rest


def test_of_a_spec_in_brackets() -> None:
    text = "{cnnplan: 1, name: net, input: [3, 8, 8], variables: {v: 2}, layers: [relu]}\n"
    assert fixed(text, "Y904") == text.replace("variables: {v: 2}, ", "")
    last = "{cnnplan: 1, name: net, input: [3, 8, 8], layers: [relu], blocks: {b: {layers: [relu]}}}\n"
    assert fixed(last, "Y904") == last.replace(", blocks: {b: {layers: [relu]}}", "")


def test_a_variable_that_is_set_is_not_used_by_that() -> None:
    text = HEAD + "variables: {v: 2}\nlayers: [relu]\n"
    diagnostics = cnnplan.plan(text, variables={"v": 3}).diagnostics
    assert [d.code for d in diagnostics] == ["Y904"]
