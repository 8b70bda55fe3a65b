"""`each`: an item run on every slice along an axis, with the same parameters."""

import pytest
import torch

import cnnplan
from tests.language.helpers import blames, blocked, names, net, plan, shapes

VIDEO = "cnnplan: 1\nname: net\ninput: [3, 4, 8, 8]\n"
TWO = "cnnplan: 1\nname: net\ninputs: {a: [3, 4, 8, 8], b: [2, 4, 8, 8]}\n"
CONV = "conv: {out_channels: 4, kernel_size: 3, stride: 2, padding: 1}"
FRAMES = f"""
- layers:
    - {CONV}
    - batchnorm: {{affine: false}}
    - relu
    - global_avgpool
  each: 1
  name: frames
"""

CASES = {
    "one operation": (VIDEO, f"- {CONV}\n  each: 1"),
    "a group with a name": (VIDEO, f"{FRAMES}- conv: {{out_channels: 2, kernel_size: 3}}"),
    "a group without": (VIDEO, f"- layers:\n    - {CONV}\n    - tanh\n  each: 1\n- flatten\n- linear: 2"),
    "the last axis": (VIDEO, f"- {CONV}\n  each: -1\n- relu\n- {CONV}\n  each: 2"),
    "the channels": (VIDEO, f"- {CONV}\n  each: 0\n- sigmoid"),
    "one behind the other": (VIDEO, f"- {CONV}\n  each: 1\n- relu:\n  each: 1\n- {CONV}\n  each: 1"),
    "vectors out of maps": (VIDEO, "- layers: [flatten, {linear: 6}]\n  each: 2\n- softmax"),
    "inside another": (
        VIDEO,
        "- layers:\n    - layers: [{conv: {out_channels: 5, kernel_size: 3}}, relu]\n      each: 1\n  each: 1\n- tanh",
    ),
    "in every copy": (
        VIDEO,
        "- conv: {out_channels: 3, kernel_size: 3, padding: 1}\n  each: 1\n  repeat: 3\n  name: c",
    ),
    "left out": (VIDEO, f"- scale\n- {CONV}\n  each: 1\n  if: false"),
    "frozen": (VIDEO, f"- scale\n- {CONV}\n  each: 1\n  trainable: false\n- {CONV}\n  each: 1"),
    "recomputed": (VIDEO, f"- scale\n- layers: [{{{CONV}}}, tanh, {{{CONV}}}]\n  each: 1\n  checkpoint: true\n- tanh"),
    "shared": (VIDEO, f"{FRAMES}- share: frames\n  from: input\n  name: again\n- add:\n  from: [frames, again]"),
    "shared at another length": (
        "cnnplan: 1\nname: net\ninputs: {a: [3, 4, 8, 8], b: [3, 6, 8, 8]}\n",
        f"- {CONV}\n  name: f\n  from: a\n  each: 1\n- share: f\n  from: b\n  name: g\n- concat: 1\n  from: [f, g]",
    ),
    "several values": (TWO, f"- concat:\n  from: [a, b]\n  each: 1\n- {CONV}\n  each: 1"),
    "branches": (
        VIDEO,
        "- add:\n    x: [{conv: {out_channels: 3, kernel_size: 3, padding: 1}}]\n    y: []\n  each: 1\n- relu",
    ),
    "a branch for each value": (
        TWO,
        "- concat:\n    x: [{conv: {out_channels: 3, kernel_size: 1}}]\n    y: []\n  from: [a, b]\n  each: 1",
    ),
    "several outputs": (
        "cnnplan: 1\nname: net\ninput: [4, 3, 8]\n",
        "- split: 2\n  each: 1\n  name: s\n- add:\n  from: [s.0, s.1]",
    ),
    "a cut inside": (VIDEO, "- slice: {axis: 1, stop: 4}\n  each: 1\n- tanh\n- slice: {stop: 2}\n  each: 1\n- sigmoid"),
    "slices of cut slices": (
        "cnnplan: 1\nname: net\ninput: [4, 8]\n",
        "- slice: {start: 2}\n  each: 1\n- linear: 3\n  each: 1",
    ),
    "slices of a half": (
        "cnnplan: 1\nname: net\ninput: [4, 8, 6]\n",
        "- split: 2\n  each: 1\n  name: s\n- conv: {out_channels: 3, kernel_size: 3}\n  from: s.1\n  each: 1\n"
        "- add:\n  from: [previous, previous]",
    ),
    "rows of cut slices": (VIDEO, "- slice: {axis: 1, stop: 4}\n  each: 1\n- flatten:\n  each: 2\n- tanh"),
    "an axis of one": ("cnnplan: 1\nname: net\ninput: [3, 1, 8, 8]\n", f"- {CONV}\n  each: 1\n- relu"),
    "a single channel": ("cnnplan: 1\nname: net\ninput: [1, 4, 8, 8]\n", f"- {CONV}\n  each: 1\n- relu"),
    "behind a permutation": (VIDEO, f"- permute: [1, 0, 2, 3]\n- {CONV}\n  each: 0\n- relu"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_what_torch_does(case: str) -> None:
    """Shapes, tensors, work, outputs, gradients, memory and fields, all measured."""
    head, layers = CASES[case]
    found = cnnplan.verify(net(layers, head=head))
    assert [(check.what, check.planned, check.measured) for check in found.checks if check.verdict != "exact"] == []


def test_it_is_a_loop_over_the_slices() -> None:
    model = cnnplan.build(net(FRAMES, head=VIDEO)).eval()
    x = torch.randn(2, 3, 4, 8, 8)
    slices = [model.frames(x[:, :, i]) for i in range(4)]
    torch.testing.assert_close(model(x), torch.stack(slices, 2))
    assert model(x).shape == (2, 4, 4)


def test_work_counts_for_every_slice_and_parameters_once() -> None:
    one = plan(net(FRAMES.replace("  each: 1\n", ""), head="cnnplan: 1\nname: net\ninput: [3, 8, 8]\n"))
    four = plan(net(FRAMES, head=VIDEO))
    assert (four.parameters, four.macs, four.flops) == (one.parameters, 4 * one.macs, 4 * one.flops)
    inside = {layer.name: layer for layer in four.layers}
    assert [layer.output for layer in four.layers] == [(3, 8, 8), (4, 4, 4), (4, 4, 4), (4, 4, 4), (4,), (4, 4)]
    assert inside["frames.conv1"].node.output.slices == 4
    assert inside["frames.conv1"].macs == 4 * 4 * 16 * 27


def test_names() -> None:
    assert names(net(FRAMES, head=VIDEO)) == [
        *("each1", "frames.conv1", "frames.batchnorm1", "frames.relu1", "frames.global_avgpool1", "each_end1"),
    ]
    copies = names(net(CASES["in every copy"][1], head=VIDEO))
    assert copies == ["each1", "c.0", "each_end1", "each2", "c.1", "each_end2", "each3", "c.2", "each_end3"]
    assert names(net(CASES["shared"][1], head=VIDEO))[6] == "again.each1"


def test_a_result_of_fewer_axes_takes_it_last() -> None:
    assert shapes(net("- layers: [flatten, {linear: 6}]\n  each: 3", head=VIDEO))[-1] == (6, 8)
    assert shapes(net("- global_avgpool:\n  each: 1", head=VIDEO))[-1] == (3, 4)


def test_arguments_see_a_slice() -> None:
    text = net("- conv: {out_channels: '=in_size[0]', kernel_size: '=in_size[1]'}\n  each: 1", head=VIDEO)
    assert shapes(text)[1] == (8, 1, 1)


def test_conditions_see_what_enters_the_item() -> None:
    text = net("- tanh\n- relu:\n  each: 1\n  if: =in_size == [4, 8, 8]", head=VIDEO)
    assert len(names(text)) == 4


def test_in_a_block_that_differs() -> None:
    text = blocked(
        "frames:\n  params: {width: int}\n  layers:\n"
        "    - conv: {out_channels: =width, kernel_size: 3, padding: 1}\n      each: 1",
        "- frames: 4\n- relu\n- frames: 6",
        head=VIDEO,
    )
    found = cnnplan.verify(text)
    assert found.passed
    assert [layer.output for layer in found.plan.layers][-1] == (6, 4, 8, 8)


def test_fields_go_through() -> None:
    """Along the axis, only what is outside widens the field; across it, what is inside."""
    text = net(f"- conv: {{out_channels: 4, kernel_size: 3}}\n- {CONV}\n  each: 1\n- avgpool: [2, 1, 1]", head=VIDEO)
    field = plan(text).receptive_field
    assert field is not None
    assert (field.size, field.stride) == ((4, 5, 5), (2, 2, 2))
    through = plan(net(f"- {CONV}\n  each: 0", head=VIDEO)).receptive_field
    assert through is not None
    assert through.is_global


def test_other_lengths_need_no_new_model() -> None:
    model = cnnplan.build(net(FRAMES, head=VIDEO)).eval()
    assert model(torch.randn(2, 3, 7, 8, 8)).shape == (2, 4, 7)


def test_what_is_refused() -> None:
    blames(
        net(
            f"- {CONV}\n  name: enc\n- layers:\n    - tanh\n    - «add:\n      from: [enc, previous]\n  each: 1",
            head=VIDEO,
        ),
        "S005",
    )
    blames(net("- tanh:\n  «each: 3"), "S012")
    blames(net("- tanh:\n  each: «rows"), "Y911")
    blames(net("- flatten\n- linear: 4\n  «each: 0"), "S012")
    blames(net("- concat:\n  from: [a, b]\n  «each: 2", head=TWO.replace("[2, 4, 8, 8]", "[2, 4, 6, 8]")), "S005")
