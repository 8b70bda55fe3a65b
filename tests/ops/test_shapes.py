"""Operations that rearrange, and the merges, against torch."""

from hypothesis import given
from hypothesis import strategies as st

from cnnplan.ops import merges
from cnnplan.ops.base import Op, Shape
from cnnplan.ops.channel_shuffle import ChannelShuffle
from cnnplan.ops.crop import Crop
from cnnplan.ops.flatten import Flatten
from cnnplan.ops.identity import Identity
from cnnplan.ops.pad import Pad
from cnnplan.ops.permute import Permute
from cnnplan.ops.reshape import Reshape
from cnnplan.ops.slice import Slice
from cnnplan.ops.split import Split
from cnnplan.testing import agrees_with_torch
from tests.ops.strategies import channels, maps, paddings, per_axis, samples, sizes


@given(st.sampled_from([Flatten, Identity]), samples)
def test_without_arguments(op: type[Op], x: Shape) -> None:
    agrees_with_torch(op(), x)


@given(samples, st.data())
def test_reshape(x: Shape, data: st.DataObject) -> None:
    divisors = [d for d in range(1, x.numel + 1) if x.numel % d == 0]
    first = data.draw(st.sampled_from(divisors))
    shape = data.draw(
        st.sampled_from([(first, x.numel // first), (first, -1), (-1, first, 1), (x.numel,), (-1,), tuple(x)])
    )
    assert agrees_with_torch(Reshape(shape=shape), x)
    if x.numel % 7:
        assert not agrees_with_torch(Reshape(shape=(7, -1)), x)
        assert not agrees_with_torch(Reshape(shape=(x.numel + 1, 1)), x)


@given(samples, st.data())
def test_permute(x: Shape, data: st.DataObject) -> None:
    assert agrees_with_torch(Permute(axes=tuple(data.draw(st.permutations(range(len(x)))))), x)


@st.composite
def pads(draw: st.DrawFn) -> tuple[Op, Shape]:
    x = draw(maps())
    mode = draw(st.sampled_from(["constant", "reflect", "replicate", "circular"]))
    padding = draw(paddings(x.rank).filter(lambda p: not isinstance(p, str)))
    return Pad(padding=padding, mode=mode, value=draw(st.sampled_from([0, 1.5])) if mode == "constant" else 0), x


@given(pads())
def test_pad(case: tuple[Pad, Shape]) -> None:
    agrees_with_torch(*case)


@given(maps(), st.data())
def test_crop(x: Shape, data: st.DataObject) -> None:
    agrees_with_torch(Crop(size=data.draw(per_axis(x.rank, st.integers(1, 8)))), x)
    agrees_with_torch(Crop(like="other"), x, Shape((data.draw(channels), *data.draw(sizes(x.rank)))))


@given(samples, st.data())
def test_split(x: Shape, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(x), len(x) - 1))
    if x[axis] > 1:
        parts = data.draw(st.integers(1, x[axis] - 1))
        assert agrees_with_torch(Split(sections=[parts, x[axis] - parts], axis=axis), x)
    doubled = Shape((*x[: axis % len(x)], 2 * x[axis], *x[axis % len(x) + 1 :]))
    assert agrees_with_torch(Split(sections=2, axis=axis), doubled)


@given(samples, st.integers(-3, 3), st.integers(-3, 5), st.one_of(st.none(), st.integers(-3, 5)))
def test_slice(x: Shape, axis: int, start: int, stop: int | None) -> None:
    op = Slice(axis=axis, start=start, stop=stop)
    inside = -len(x) <= axis < len(x) and all(v is None or -x[axis] <= v <= x[axis] for v in (start, stop))
    if inside and len(range(x[axis])[start:stop]):
        assert agrees_with_torch(op, x)


@given(st.integers(1, 3), samples)
def test_channel_shuffle(groups: int, x: Shape) -> None:
    agrees_with_torch(ChannelShuffle(groups=groups), x)


@st.composite
def merged(draw: st.DrawFn) -> tuple[Op, tuple[Shape, ...]]:
    kind = draw(st.sampled_from(merges.MERGES))
    x = draw(samples)
    shapes = [x]
    axis = draw(st.integers(0, len(x) - 1))
    for _ in range(draw(st.integers(1, 3))):
        if kind == "concat":
            shapes.append(Shape((*x[:axis], draw(channels), *x[axis + 1 :])))
        else:
            shapes.append(Shape(n if draw(st.booleans()) else 1 for n in x))
    return merges.define(kind)(**({"axis": axis} if kind == "concat" else {})), tuple(shapes)


@given(merged())
def test_merges(case: tuple[Op, tuple[Shape, ...]]) -> None:
    op, shapes = case
    assert agrees_with_torch(op, *shapes)


@given(samples, samples)
def test_merges_refuse_what_torch_refuses(a: Shape, b: Shape) -> None:
    if len(a) == len(b):  # torch also broadcasts missing axes, which no network means
        agrees_with_torch(merges.define("add")(), a, b)
        agrees_with_torch(merges.define("concat")(), a, b)
