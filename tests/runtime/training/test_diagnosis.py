"""Where a loss that is not finite comes from, and what is said of memory."""

import pytest
import torch

import cnnplan
from cnnplan.runtime.build import build
from cnnplan.runtime.training.diagnosis import is_out_of_memory, out_of_memory, where_not_finite

TEXT = """
cnnplan: 1
name: deep
input: [1, 8, 8]
layers:
  - conv: {out_channels: 4, kernel_size: 3}
    name: first
  - relu
  - conv: {out_channels: 4, kernel_size: 3}
    name: second
  - batchnorm
  - flatten
  - linear: 10
"""


def test_the_first_layer_that_overflows_is_named() -> None:
    plan = cnnplan.plan(TEXT)
    net = build(plan.graph)
    with torch.no_grad():
        net.second.weight.fill_(1e38)
    said = where_not_finite(plan, net, [torch.rand(2, 1, 8, 8) + 10])
    assert said.startswith("'second' (conv, line 9) is the first layer that gives ")


def test_nan_and_inf_are_told_apart() -> None:
    plan = cnnplan.plan(TEXT)
    net = build(plan.graph)
    with torch.no_grad():
        net.first.bias.fill_(3e38)
        net.first.weight.fill_(1e38)
    assert "gives inf; what enters it is at most 10" in where_not_finite(plan, net, [torch.full((2, 1, 8, 8), 10.0)])


def test_weights_and_data_that_are_not_finite() -> None:
    plan = cnnplan.plan(TEXT)
    net = build(plan.graph)
    x = torch.rand(2, 1, 8, 8)
    assert where_not_finite(plan, net, [x]).startswith("all layers give finite values")
    assert where_not_finite(plan, net, [x * float("nan")]) == "the data that enter 'input' are not finite"
    with torch.no_grad():
        net.second.bias[1] = float("nan")
    assert where_not_finite(plan, net, [x]).startswith("the bias of 'second' (line 9) is not finite")


def test_out_of_memory_says_what_would_fit() -> None:
    plan = cnnplan.plan(TEXT, batch=4096, target="cpu")
    limit = plan.training.peak // 2
    said = out_of_memory(plan, limit, "this machine")
    largest = cnnplan.fit(plan, memory=limit).largest_batch
    assert 0 < largest < 4096
    assert f"the largest batch that fits is {largest:,}" in said
    assert "at batch 4,096, this machine has " in said
    assert "`cnnplan fit <text> --memory " in said


def test_errors_about_memory_are_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
