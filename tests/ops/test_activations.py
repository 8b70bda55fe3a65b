"""Activations against torch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnplan.ops import activations
from cnnplan.ops.base import Op, Shape
from cnnplan.ops.celu import Celu
from cnnplan.ops.elu import Elu
from cnnplan.ops.gelu import Gelu
from cnnplan.ops.hardtanh import Hardtanh
from cnnplan.ops.leaky_relu import LeakyRelu
from cnnplan.ops.prelu import Prelu
from cnnplan.ops.softmaxes import LogSoftmax, Softmax
from cnnplan.ops.softplus import Softplus
from cnnplan.testing import agrees_with_torch
from tests.ops.strategies import samples

numbers = st.floats(-2, 2).map(lambda x: round(x, 3))
positive = st.floats(0.1, 3)


@pytest.mark.parametrize("kind", activations.OPS)
@given(samples)
def test_activation(kind: str, x: Shape) -> None:
    agrees_with_torch(activations.define(kind)(), x)


with_arguments = st.one_of(
    st.builds(LeakyRelu, negative_slope=numbers),
    st.builds(Prelu, num_parameters=st.integers(1, 4), init=numbers),
    st.builds(Elu, alpha=numbers),
    st.builds(Celu, alpha=positive),
    st.builds(Gelu, approximate=st.sampled_from(["none", "tanh"])),
    st.builds(Softplus, beta=positive, threshold=numbers),
    st.builds(Hardtanh, min_val=numbers, max_val=numbers),
    st.builds(Softmax, axis=st.integers(-2, 3)),
    st.builds(LogSoftmax, axis=st.integers(-2, 3)),
)


@given(with_arguments, samples)
def test_activation_with_arguments(op: Op, x: Shape) -> None:
    agrees_with_torch(op, x)
