"""The operation against torch, its layer against its definition, the rule against its own examples."""

import pytest
import torch
from gem_cnnplan.gem_pool import GemPool
from gem_cnnplan.large_exponent import LargeExponent
from gem_cnnplan.layers import GemPool as Layer

import cnnplan
from cnnplan.ops.base import Shape
from cnnplan.testing import agrees_with_torch


@pytest.mark.parametrize("shape", [(4, 7), (3, 5, 6), (2, 3, 4, 2), (6,)])
@pytest.mark.parametrize("p", [1, 3.0, 6.5])
def test_it_agrees_with_torch(shape: tuple[int, ...], p: float) -> None:
    assert agrees_with_torch(GemPool(p=p), Shape(shape)) == (len(shape) > 1)


def test_limits() -> None:
    x = torch.rand(2, 3, 4, 5, dtype=torch.float64) + 0.1
    torch.testing.assert_close(Layer(1.0).double()(x), x.mean((2, 3)))
    torch.testing.assert_close(Layer(300.0).double()(x), x.amax((2, 3)), rtol=0.02, atol=0)
    torch.autograd.gradcheck(Layer(3.0).double(), x.requires_grad_())


def test_the_rule_finds_its_bad_spec_alone() -> None:
    text = "\n".join(line[8:] for line in LargeExponent.bad.split("\n")[1:])
    assert [d.code for d in cnnplan.plan(text).diagnostics if d.severity == "warning"] == ["GEM001"]
    assert not [d for d in cnnplan.plan(text.replace("20", "3")).diagnostics if d.severity == "warning"]
