"""upsample, pixel_shuffle, space_to_depth against torch."""

from hypothesis import given
from hypothesis import strategies as st

from cnnplan.ops.base import Op, Shape
from cnnplan.ops.pixel_shuffle import PixelShuffle
from cnnplan.ops.space_to_depth import SpaceToDepth
from cnnplan.ops.upsample import Upsample
from cnnplan.testing import agrees_with_torch
from tests.ops.strategies import channels, maps, per_axis, sizes


@st.composite
def upsamples(draw: st.DrawFn) -> tuple[Op, tuple[Shape, ...]]:
    x = draw(maps())
    modes = {1: ["linear"], 2: ["bilinear", "bicubic"], 3: ["trilinear"]}[x.rank]
    mode = draw(st.sampled_from(["nearest", "nearest-exact", *modes]))
    how = draw(st.sampled_from(["scale_factor", "size", "like"]))
    shapes: tuple[Shape, ...] = (x,)
    value: object = "other"
    if how == "scale_factor":
        value = draw(st.one_of(st.integers(1, 3), st.sampled_from([0.5, 1.5, 2.5, 0.75])))
    elif how == "size":
        value = draw(per_axis(x.rank, st.integers(1, 9)))
    else:
        shapes = (x, Shape((draw(channels), *draw(sizes(x.rank)))))
    align = draw(st.booleans()) and not mode.startswith("nearest")
    return Upsample(**{how: value}, mode=mode, align_corners=align), shapes


@given(upsamples())
def test_upsample(case: tuple[Op, tuple[Shape, ...]]) -> None:
    op, shapes = case
    agrees_with_torch(op, *shapes)


@given(st.integers(1, 3), maps(2))
def test_pixel_shuffle(r: int, x: Shape) -> None:
    agrees_with_torch(PixelShuffle(upscale_factor=r), x)
    agrees_with_torch(PixelShuffle(upscale_factor=r), Shape((x.channels * r * r, *x.spatial)))


@given(st.integers(1, 3), maps(2))
def test_space_to_depth(r: int, x: Shape) -> None:
    agrees_with_torch(SpaceToDepth(downscale_factor=r), x)
    agrees_with_torch(SpaceToDepth(downscale_factor=r), Shape((x.channels, *(r * n for n in x.spatial))))
