"""Blocks that are used at several sizes, and statements that are too long: what is built is what is planned."""

import pytest
import torch

import cnnplan
from tests.language.helpers import blocked, net, plan

CUT = "cut:\n  params: {n: int}\n  layers:\n    - crop: =n\n    - conv: {out_channels: 3, kernel_size: 1}"
HALF = "half:\n  params: {n: int}\n  layers:\n    - slice: {stop: =n}\n    - conv: {out_channels: 3, kernel_size: 1}"
PARTS = (
    "parts:\n  params: {a: int}\n  layers:\n    - split: [=a, =in_channels - a]\n      name: s\n"
    "    - conv: {out_channels: 3, kernel_size: 1}\n      from: s.0"
)
FLAT = "flat:\n  layers:\n    - permute: [1, 2, 0]\n    - reshape: [-1, 3]"
HEAD = (
    "head:\n  layers:\n    - conv: {out_channels: 4, kernel_size: 3, padding: 1}\n"
    "    - permute: [1, 2, 0]\n    - reshape: [-1, 2]"
)
BRANCH = "permute: [0, 2, 1]}, {maxpool: {kernel_size: 2, stride: 1, padding: same}"

SPECS = {
    "crops": blocked(CUT, "- cut: 6\n- cut: 4\n- cut: 3"),
    "slices": blocked(HALF, "- half: 2\n- half: 1"),
    "splits": blocked(PARTS, "- parts: 2\n- parts: 1"),
    "a rest of several sizes": blocked(
        FLAT, "- flat:\n  name: a\n- maxpool: 2\n  from: input\n- flat\n- concat:\n  from: [a, previous]"
    ),
    "a head that is shared": blocked(
        HEAD, "- head:\n  name: a\n- maxpool: 2\n  from: input\n- share: a\n  name: b\n- concat:\n  from: [a, b]"
    ),
    "a long statement of two modules": net(f"- concat: [[], [{{{BRANCH}}}]]\n- relu"),
    "a vector's rest": net("- reshape: [-1, 2]\n- relu", head="cnnplan: 1\nname: net\ninput: [8]\n"),
}


@pytest.mark.parametrize("text", SPECS.values(), ids=SPECS)
def test_the_model_gives_what_is_planned(text: str) -> None:
    found = plan(text)
    model = cnnplan.build(text).eval()
    with torch.no_grad():
        given = model(torch.randn(2, *found.graph.inputs[0].shape))
    assert tuple(given.shape[1:]) == tuple(found.layers[-1].output)
    assert cnnplan.verify(text).passed


def test_a_size_that_leaves_another_rest_runs() -> None:
    text = net("- conv: {out_channels: 4, kernel_size: 3, padding: 1}\n- reshape: [4, -1]").replace(
        "[3, 8, 8]", "{shape: [3, 8, 8], sizes: [12]}"
    )
    assert not [d for d in plan(text).diagnostics if d.code == "S018"]
    assert cnnplan.build(text)(torch.randn(1, 3, 12, 12)).shape == (1, 4, 144)
