"""conv, depthwise_conv, conv_transpose, linear against torch."""

from hypothesis import given
from hypothesis import strategies as st

from cnnplan.ops.base import Op, Shape
from cnnplan.ops.conv import Conv
from cnnplan.ops.conv_transpose import ConvTranspose
from cnnplan.ops.depthwise_conv import DepthwiseConv
from cnnplan.ops.linear import Linear
from cnnplan.testing import agrees_with_torch
from tests.ops.strategies import maps, paddings, per_axis, vectors

small = st.integers(1, 3)


@st.composite
def convs(draw: st.DrawFn) -> tuple[Conv, Shape]:
    x = draw(maps())
    op = Conv(
        out_channels=draw(st.integers(1, 6)),
        kernel_size=draw(per_axis(x.rank, st.integers(1, 4))),
        stride=draw(per_axis(x.rank, small)),
        padding=draw(paddings(x.rank)),
        dilation=draw(per_axis(x.rank, small)),
        groups=draw(st.sampled_from([1, 1, 2, 3])),
        bias=draw(st.booleans()),
        padding_mode=draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"])),
    )
    return op, x


@given(convs())
def test_conv(case: tuple[Conv, Shape]) -> None:
    agrees_with_torch(*case)


@st.composite
def depthwise(draw: st.DrawFn) -> tuple[Op, Shape]:
    x = draw(maps())
    op = DepthwiseConv(
        kernel_size=draw(per_axis(x.rank, st.integers(1, 4))),
        multiplier=draw(small),
        stride=draw(per_axis(x.rank, small)),
        padding=draw(paddings(x.rank)),
        dilation=draw(per_axis(x.rank, small)),
        bias=draw(st.booleans()),
    )
    return op, x


@given(depthwise())
def test_depthwise_conv(case: tuple[Op, Shape]) -> None:
    agrees_with_torch(*case)


@st.composite
def transposed(draw: st.DrawFn) -> tuple[Op, Shape]:
    x = draw(maps())
    op = ConvTranspose(
        out_channels=draw(st.integers(1, 6)),
        kernel_size=draw(per_axis(x.rank, st.integers(1, 4))),
        stride=draw(per_axis(x.rank, small)),
        padding=draw(per_axis(x.rank, st.integers(0, 2))),
        output_padding=draw(per_axis(x.rank, st.integers(0, 1))),
        groups=draw(st.sampled_from([1, 1, 2, 3])),
        bias=draw(st.booleans()),
        dilation=draw(per_axis(x.rank, small)),
    )
    return op, x


@given(transposed())
def test_conv_transpose(case: tuple[Op, Shape]) -> None:
    agrees_with_torch(*case)


@given(st.builds(Linear, out_features=st.integers(1, 9), bias=st.booleans()), vectors)
def test_linear(op: Op, x: Shape) -> None:
    agrees_with_torch(op, x)
