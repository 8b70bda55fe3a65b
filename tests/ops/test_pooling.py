"""Poolings against torch."""

from hypothesis import given
from hypothesis import strategies as st

from cnnplan.errors import ShapeError
from cnnplan.ops.adaptive_pools import AdaptiveAvgPool, AdaptiveMaxPool
from cnnplan.ops.avgpool import AvgPool
from cnnplan.ops.base import Op, Shape
from cnnplan.ops.global_pools import GlobalAvgPool, GlobalMaxPool
from cnnplan.ops.lppool import LpPool
from cnnplan.ops.maxpool import MaxPool
from cnnplan.testing import agrees_with_torch
from tests.ops.strategies import maps, paddings, per_axis

small = st.integers(1, 3)


def may_round_up(padding: object) -> bool:
    """Torch has no ceil_mode for padding that it does not do itself; the operations refuse it."""
    return padding != "same" and not (isinstance(padding, tuple) and isinstance(padding[0], tuple))


def all_padding(op: Op, x: Shape) -> bool:
    """Torch gives -inf or NaN for a window of nothing but padding; the operations refuse it."""
    try:
        op.output(x)
    except ShapeError as error:
        return "nothing but padding" in error.message
    return False


@st.composite
def maxpools(draw: st.DrawFn) -> tuple[Op, Shape]:
    x = draw(maps())
    op = MaxPool(
        kernel_size=draw(per_axis(x.rank, st.integers(1, 4))),
        stride=draw(st.one_of(st.none(), per_axis(x.rank, small))),
        padding=(padding := draw(paddings(x.rank, 2))),
        dilation=draw(per_axis(x.rank, st.integers(1, 2))),
        ceil_mode=draw(st.booleans()) and may_round_up(padding),
    )
    return op, x


@given(maxpools())
def test_maxpool(case: tuple[Op, Shape]) -> None:
    if not all_padding(*case):
        agrees_with_torch(*case)


@st.composite
def avgpools(draw: st.DrawFn) -> tuple[Op, Shape]:
    x = draw(maps())
    op = AvgPool(
        kernel_size=draw(per_axis(x.rank, st.integers(1, 4))),
        stride=draw(st.one_of(st.none(), per_axis(x.rank, small))),
        padding=(padding := draw(paddings(x.rank, 2))),
        ceil_mode=draw(st.booleans()) and may_round_up(padding),
        count_include_pad=draw(st.booleans()),
    )
    return op, x


@given(avgpools())
def test_avgpool(case: tuple[Op, Shape]) -> None:
    if not all_padding(*case):
        agrees_with_torch(*case)


@st.composite
def lppools(draw: st.DrawFn) -> tuple[Op, Shape]:
    x = draw(maps())
    op = LpPool(
        p=draw(st.sampled_from([1, 2, 3, 1.5])),
        kernel_size=draw(per_axis(x.rank, st.integers(1, 4))),
        stride=draw(st.one_of(st.none(), per_axis(x.rank, small))),
        ceil_mode=draw(st.booleans()),
    )
    return op, x


@given(lppools())
def test_lppool(case: tuple[Op, Shape]) -> None:
    agrees_with_torch(*case)


@given(st.sampled_from([GlobalAvgPool, GlobalMaxPool]), st.booleans(), maps())
def test_global_pools(op: type[Op], keepdim: bool, x: Shape) -> None:
    agrees_with_torch(op(keepdim=keepdim), x)


@given(st.sampled_from([AdaptiveAvgPool, AdaptiveMaxPool]), st.data())
def test_adaptive_pools(op: type[Op], data: st.DataObject) -> None:
    x = data.draw(maps())
    agrees_with_torch(op(output_size=data.draw(per_axis(x.rank, st.integers(1, 9)))), x)
