"""Normalizations against torch."""

from hypothesis import given
from hypothesis import strategies as st

from cnnplan.ops.base import Op, Shape
from cnnplan.ops.batchnorm import BatchNorm
from cnnplan.ops.groupnorm import GroupNorm
from cnnplan.ops.instancenorm import InstanceNorm
from cnnplan.ops.layernorm import LayerNorm
from cnnplan.ops.lrn import Lrn
from cnnplan.testing import agrees_with_torch
from tests.ops.strategies import maps, samples

flags = st.booleans()


@given(
    st.builds(BatchNorm, affine=flags, track_running_stats=flags, momentum=st.floats(0, 1), eps=st.floats(1e-6, 1)),
    samples,
)
def test_batchnorm(op: Op, x: Shape) -> None:
    agrees_with_torch(op, x)


@given(st.builds(LayerNorm, axis=st.sampled_from(["all", "channels"]), elementwise_affine=flags, bias=flags), samples)
def test_layernorm(op: Op, x: Shape) -> None:
    agrees_with_torch(op, x)


@given(st.builds(GroupNorm, num_groups=st.integers(1, 3), affine=flags), samples)
def test_groupnorm(op: Op, x: Shape) -> None:
    agrees_with_torch(op, x)


@given(st.builds(InstanceNorm, affine=flags, track_running_stats=flags), maps())
def test_instancenorm(op: Op, x: Shape) -> None:
    agrees_with_torch(op, x)


@given(
    st.builds(Lrn, size=st.integers(1, 6), alpha=st.floats(1e-5, 1), beta=st.floats(0.1, 1), k=st.floats(0.5, 2)),
    maps(),
)
def test_lrn(op: Op, x: Shape) -> None:
    agrees_with_torch(op, x)
