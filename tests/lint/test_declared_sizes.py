"""S018: declared sizes are those at which the very same model runs; torch is the oracle."""

import pytest
import torch

import cnnplan
from tests.language.helpers import blames, net, plan

CONV = "- conv: {out_channels: 4, kernel_size: 3, stride: 2}"
NETWORKS = {
    "convolutions alone": f"{CONV}\n{CONV}",
    "a dense head": f"{CONV}\n- flatten\n- linear: 3",
    "a pooled head": f"{CONV}\n- global_avgpool\n- linear: 3",
    "an adaptive head": f"{CONV}\n- adaptive_avgpool: 2\n- flatten\n- linear: 3",
    "same padding": "- conv: {out_channels: 4, kernel_size: 3, stride: 2, padding: same}",
    "a skip": "- maxpool: 2\n  name: m\n- upsample: 2\n- concat:\n  from: [input, previous]",
    "a skip of any size": "- maxpool: 2\n- upsample: {like: input}\n- concat:\n  from: [input, previous]",
    "a crop": "- conv: {out_channels: 4, kernel_size: 3}\n  name: m\n- crop: {like: m}\n  from: input",
    "a crop to a size": "- crop: 9",
    "layer norm": "- layernorm",
    "an expression": "- conv: {out_channels: '=in_size[0]', kernel_size: 1}",
    "a reshape": "- reshape: [3, -1]",
    "a reshape in numbers": "- reshape: [3, 256]",
}
SIZES = [16, 17, 5, 24, [16, 20], 2]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_size_is_refused_where_the_model_cannot_run(name: str) -> None:
    text = net(NETWORKS[name], head="cnnplan: 1\nname: net\ninput: {shape: [3, 16, 16], sizes: SIZES}\n")
    text = text.replace("SIZES", str(SIZES))
    found = [d for d in plan(text).diagnostics if d.code == "S018"]
    refused = {d.start.column for d in found if d.start}
    assert len(refused) == len(found)
    column = text.splitlines()[2].index("[16, 17") + 2
    for size in SIZES:
        axes = size if isinstance(size, list) else [size, size]
        assert (column in refused) == (not runs(text, axes)), (size, found)
        column += len(str(size)) + 2


def runs(text: str, axes: list[int]) -> bool:
    """Whether the model built for the planned size runs at another, and gives what a plan of it says."""
    model = cnnplan.build(text).eval()
    try:
        given = model(torch.zeros(1, 3, *axes))
        wanted = cnnplan.plan(text, input_size=axes).graph.outputs.values()
    except (RuntimeError, IndexError, cnnplan.SpecError):
        return False
    return [tuple(given.shape[1:])] == [tuple(value.shape) for value in wanted]


def test_the_reason_is_told() -> None:
    text = net("- conv: {out_channels: 4, kernel_size: 16}\n- flatten\n- linear: 3").replace(
        "[3, 8, 8]", "{shape: [3, 64, 64], sizes: [8, 65]}"
    )
    kernel, dense = [d for d in plan(text).diagnostics if d.code == "S018"]
    assert "height 8 < 16" in kernel.message
    assert "weight of 3x10000, not 3x9604" in dense.message
    assert "global_avgpool" in dense.help


def test_each_input_is_resized_by_itself() -> None:
    head = "cnnplan: 1\nname: net\ninputs: {a: {shape: [3, 8, 8], sizes: [16]}, b: [3, 8, 8]}\n"
    (found,) = plan(net("- add:\n  from: [a, b]", head=head)).diagnostics
    assert (found.code, found.start) == ("S018", (3, 40))


def test_another_network_is_not_the_same_model() -> None:
    text = net("- relu:\n  if: =in_size[0] > 17\n- tanh").replace("[3, 8, 8]", "{shape: [3, 8, 8], sizes: [17, 18]}")
    (found,) = plan(text).diagnostics
    assert "18x18" in found.message
    assert "other layers" in found.message


def test_variables_that_are_set_hold_for_all_sizes() -> None:
    text = net("- conv: {out_channels: 1, kernel_size: =k}", more="variables: {k: 3}")
    text = text.replace("[3, 8, 8]", "{shape: [3, 8, 8], sizes: [5]}")
    assert not plan(text).diagnostics
    assert [d.code for d in plan(text, variables={"k": 7}).diagnostics] == ["S018"]


def test_a_vector_has_no_sizes() -> None:
    head = "cnnplan: 1\nname: net\ninput: {shape: [3], sizes: «[4]}\n"
    blames(net("- relu", head=head), "Y911")
