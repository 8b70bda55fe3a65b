"""`max_unpool`: each value back where the pool took it from."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

import cnnplan
from tests.language.helpers import blames, net, plan, shapes

SCALED = "cnnplan: 1\nname: net\ninput: [3, 9, 8]\n"
CONV = "conv: {out_channels: 4, kernel_size: 3, padding: 1}"

CASES = {
    "that tile": ("2", "cnnplan: 1\nname: net\ninput: [3, 8, 8]\n"),
    "a row is left over": ("2", SCALED),
    "that overlap": ("{kernel_size: 3, stride: 2}", SCALED),
    "padded": ("{kernel_size: 3, stride: 2, padding: 1}", SCALED),
    "with gaps": ("{kernel_size: 2, stride: 3}", SCALED),
    "that differ by axis": ("{kernel_size: [2, 3], stride: [2, 1]}", SCALED),
    "rounded up": ("{kernel_size: 2, ceil_mode: true}", SCALED),
    "along one axis": ("3", "cnnplan: 1\nname: net\ninput: [3, 10]\n"),
    "of volumes": ("2", "cnnplan: 1\nname: net\ninput: [3, 4, 5, 6]\n"),
}


@pytest.mark.parametrize("case", CASES)
def test_windows(case: str) -> None:
    arguments, head = CASES[case]
    text = net(f"- {CONV}\n- maxpool: {arguments}\n  name: pool\n- tanh\n- max_unpool: pool\n- {CONV}", head=head)
    found = cnnplan.verify(text)
    assert [(c.what, c.planned, c.measured) for c in found.checks if c.verdict == "differs"] == []
    assert [c.planned for c in found.checks if c.verdict != "exact" and "peak" in c.what] == []
    assert found.plan.layers[3].output[1:] == found.plan.graph.inputs[0].shape[1:]


def test_values_go_back_to_their_places() -> None:
    model = cnnplan.build(net("- maxpool: 2\n  name: pool\n- max_unpool: pool", head=SCALED))
    x = torch.rand(2, 3, 9, 8)
    wanted = torch.zeros_like(x)
    for n in range(2):
        for c in range(3):
            for i in range(4):
                for j in range(4):
                    window = x[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
                    at = divmod(int(window.argmax()), 2)
                    wanted[n, c, 2 * i + at[0], 2 * j + at[1]] = window.max()
    assert torch.equal(model(x), wanted)
    assert torch.equal(F.max_pool2d(model(x), 2), F.max_pool2d(x, 2))


WHOLE = {
    "two levels": f"""
        - {CONV}
        - maxpool: 2
          name: outer
        - {CONV}
        - maxpool: 2
          name: inner
        - max_unpool: inner
        - {CONV}
        - max_unpool: outer
    """,
    "used twice": (
        "- scale\n- maxpool: 2\n  name: p\n- max_unpool: p\n  name: a\n- max_unpool: p\n  from: p\n"
        "- add:\n  from: [a, previous]"
    ),
    "in a group": "- layers:\n    - maxpool: 2\n      name: p\n    - tanh\n    - max_unpool: p\n  repeat: 3\n- scale",
    "in copies of a group with a name": (
        "- layers:\n    - maxpool: 2\n      name: p\n    - tanh\n    - max_unpool: p\n  repeat: 2\n  name: g\n- scale"
    ),
    "shared": (
        "- layers:\n    - maxpool: 2\n      name: p\n    - scale\n    - max_unpool: p\n  name: g\n- share: g\n- tanh"
    ),
    "of a shared pool": ("- maxpool: 2\n  name: p\n- upsample: 2\n- share: p\n  name: q\n- max_unpool: q\n- scale"),
    "recomputed together": (
        "- scale\n- layers:\n    - maxpool: 2\n      name: p\n    - tanh\n    - max_unpool: p\n"
        "  checkpoint: true\n- tanh"
    ),
    "of a recomputed pool": "- scale\n- maxpool: 2\n  name: p\n  checkpoint: true\n- tanh\n- max_unpool: p\n- tanh",
    "on slices": "- layers:\n    - maxpool: 2\n      name: p\n    - tanh\n    - max_unpool: p\n  each: 1\n- scale",
}


@pytest.mark.parametrize("case", WHOLE)
def test_in_networks(case: str) -> None:
    head = (
        "cnnplan: 1\nname: net\ninput: [3, 4, 8, 8]\n"
        if case == "on slices"
        else "cnnplan: 1\nname: net\ninput: [3, 8, 8]\n"
    )
    found = cnnplan.verify(net(WHOLE[case], head=head))
    assert [(c.what, c.planned, c.measured) for c in found.checks if c.verdict == "differs"] == []


def test_in_blocks_that_differ() -> None:
    text = """
        cnnplan: 1
        name: net
        input: [4, 12, 12]
        blocks:
          around:
            params: {size: int}
            layers:
              - maxpool: =size
                name: p
              - conv: {out_channels: =in_channels, kernel_size: 1}
              - max_unpool: p
        layers:
          - around: 2
          - around: 3
    """
    found = cnnplan.verify("\n".join(line[8:] for line in text.strip("\n").split("\n")) + "\n")
    assert found.passed


def test_other_sizes_need_no_new_model() -> None:
    text = net("- maxpool: 2\n  name: p\n- max_unpool: p", head=SCALED)
    assert cnnplan.build(text)(torch.rand(1, 3, 13, 7)).shape == (1, 3, 13, 7)
    assert shapes(text, input_size=(13, 7))[-1] == (3, 13, 7)


def test_the_field_is_that_of_the_pool_and_more() -> None:
    """A place is given by the windows around it, and by where their largest value was."""
    text = net("- maxpool: {kernel_size: 3, stride: 2, padding: 1}\n  name: p\n- max_unpool: p", head=SCALED)
    field = plan(text).receptive_field
    assert field is not None
    assert field.size == (5, 5)
    assert field.stride == (1, 1)


def test_what_is_refused() -> None:
    blames(net("- maxpool: 2\n- max_unpool: «pool"), "S016")
    blames(net("- avgpool: 2\n  name: p\n- max_unpool: «p"), "S016")
    blames(net("- max_unpool: «input"), "S016")
    blames(net("- maxpool: {kernel_size: 2, stride: 1, padding: same}\n  name: p\n- max_unpool: «p"), "S008")
    blames(net("- maxpool: {kernel_size: 2, dilation: 2}\n  name: p\n- max_unpool: «p"), "S008")
    blames(net(f"- maxpool: 2\n  name: p\n- {CONV}\n- max_unpool: «p"), "S005")
    blames(net("- maxpool: 2\n  name: p\n- upsample: 2\n- max_unpool: «p"), "S005")
    blames(net("- maxpool: 2\n  name: p\n- max_unpool: «=in_channels"), "S016")
    blames(net("- maxpool: 2\n  name: p\n- «max_unpool"), "Y912")
