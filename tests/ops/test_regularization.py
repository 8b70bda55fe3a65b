"""Dropouts, stochastic depth, per-channel scales against torch."""

from hypothesis import given
from hypothesis import strategies as st

from cnnplan.ops.base import Op, Shape
from cnnplan.ops.dropouts import AlphaDropout, Dropout, Dropout2d
from cnnplan.ops.layer_scale import LayerScale
from cnnplan.ops.scale import Scale
from cnnplan.ops.stochastic_depth import StochasticDepth
from cnnplan.testing import agrees_with_torch
from tests.ops.strategies import samples

probabilities = st.sampled_from([0, 0.2, 0.5, 0.9])


@given(st.sampled_from([Dropout, Dropout2d, AlphaDropout, StochasticDepth]), probabilities, samples)
def test_random_zeros(op: type[Op], p: float, x: Shape) -> None:
    if op is Dropout2d and not x.rank:
        return
    agrees_with_torch(op(p=p), x)


@given(st.one_of(st.builds(LayerScale, init=st.floats(0, 1)), st.builds(Scale, bias=st.booleans())), samples)
def test_scales(op: Op, x: Shape) -> None:
    agrees_with_torch(op, x)
