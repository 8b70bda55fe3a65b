"""Pools of other kinds, and the blur before a stride: against torch, their definitions and their limits."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import cnnplan
from cnnplan.errors import ShapeError
from cnnplan.layers.blur_pool import BlurPool
from cnnplan.layers.channel_max_pool import ChannelMaxPool
from cnnplan.layers.mixed_pool import MixedPool
from cnnplan.layers.softmax_pool import SoftmaxPool
from cnnplan.layers.spatial_pyramid_pool import SpatialPyramidPool
from cnnplan.layers.stochastic_pool import StochasticPool
from cnnplan.ops import registry
from cnnplan.ops.base import Op, Shape
from cnnplan.testing import agrees_with_torch
from tests.language.helpers import dedent, net, plan, refused
from tests.ops.strategies import maps, per_axis, samples

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAPS = ((2, 3, 11), (2, 3, 7, 9), (2, 2, 5, 6, 7))
"""Batches with one, two and three spatial axes."""

every_rank = pytest.mark.parametrize("shape", MAPS, ids=("series", "image", "volume"))


def op(name: str, **arguments: Any) -> Any:
    found = registry.find(name)
    assert found
    return found(**arguments)


def values(shape: Sequence[int], seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# ------------------------------------------------------------------------- against torch

windows = st.integers(1, 4)
steps = st.integers(1, 3)


@st.composite
def window_pools(draw: st.DrawFn) -> tuple[Op, Shape]:
    x = draw(maps())
    name = draw(st.sampled_from(["mixed_pool", "stochastic_pool", "softmax_pool"]))
    arguments: dict[str, Any] = {
        "kernel_size": draw(per_axis(x.rank, windows)),
        "stride": draw(st.one_of(st.none(), per_axis(x.rank, steps))),
    }
    if name == "mixed_pool":
        arguments |= {
            "alpha": draw(st.sampled_from(["learned", 0, 0.3, 1])),
            "padding": draw(per_axis(x.rank, st.integers(0, 2))),
            "ceil_mode": draw(st.booleans()),
        }
    if name == "softmax_pool":
        arguments["beta"] = draw(st.sampled_from(["learned", 0, 0.5, 1.0, -2, 30]))
    return op(name, **arguments), x


def all_padding(case: Op, x: Shape) -> bool:
    """Torch gives -inf for a window of nothing but padding; the operation refuses it."""
    try:
        case.output(x)
    except ShapeError as error:
        return "nothing but padding" in error.message
    return False


@given(window_pools())
def test_window_pools(case: tuple[Op, Shape]) -> None:
    if not all_padding(*case):
        agrees_with_torch(*case)


@st.composite
def pyramids(draw: st.DrawFn) -> tuple[Op, Shape]:
    x = draw(maps())
    levels = draw(st.lists(per_axis(x.rank, st.integers(1, 5)), min_size=1, max_size=3))
    bins = draw(st.sampled_from(["adaptive", "sliding"]))
    return op("spatial_pyramid_pool", levels=levels, mode=draw(st.sampled_from(["max", "avg"])), bins=bins), x


@given(pyramids())
def test_pyramids(case: tuple[Op, Shape]) -> None:
    agrees_with_torch(*case)


@given(st.integers(1, 7), samples)
def test_channel_groups(groups: int, x: Shape) -> None:
    agrees_with_torch(op("channel_maxpool", groups=groups), x)
    assert agrees_with_torch(op("channel_maxpool", groups=groups), Shape((groups * x.channels, *x.spatial)))


@given(maps(), st.data())
def test_blurs(x: Shape, data: st.DataObject) -> None:
    kernel, stride = (data.draw(per_axis(x.rank, values)) for values in (st.integers(1, 6), steps))
    agrees_with_torch(op("blur_pool", kernel_size=kernel, stride=stride), x)


# ------------------------------------------------------------------------- against their definitions, unit by unit


def taps(x: Tensor, kernel: int, stride: int, padding: int = 0, filled: float = 0.0) -> Tensor:
    """The values of each window along a last axis, cut out one after the other."""
    x = F.pad(x, (padding, padding) * (x.dim() - 2), value=filled)
    counts = [(n - kernel) // stride + 1 for n in x.shape[2:]]
    found = []
    for place in itertools.product(*map(range, counts)):
        part = x
        for axis, index in enumerate(place, 2):
            part = part.narrow(axis, index * stride, kernel)
        found.append(part.flatten(2))
    return torch.stack(found, 2).unflatten(2, counts)


SLIDING = [(1, 1), (2, 2), (3, 1), (3, 2), (2, 3)]


@every_rank
@pytest.mark.parametrize(("kernel", "stride"), SLIDING)
def test_mixed_pool(shape: tuple[int, ...], kernel: int, stride: int) -> None:
    x = values(shape)
    for padding in range(kernel // 2 + 1):
        largest, zeros = taps(x, kernel, stride, padding, -math.inf), taps(x, kernel, stride, padding)
        pool = MixedPool(kernel, stride, padding, alpha=0.3)
        torch.testing.assert_close(pool(x), 0.3 * largest.amax(-1) + 0.7 * zeros.mean(-1))
        learned = MixedPool(kernel, stride, padding).double()
        torch.testing.assert_close(learned(x), (largest.amax(-1) + zeros.mean(-1)) / 2)
        nn.init.constant_(learned.alpha, 1.25)  # nothing holds it
        torch.testing.assert_close(learned(x), 1.25 * largest.amax(-1) - 0.25 * zeros.mean(-1))


@every_rank
@pytest.mark.parametrize(("kernel", "stride"), SLIDING)
@pytest.mark.parametrize("beta", [0.0, 1.0, 3.0, -0.5, None])
def test_softmax_pool(shape: tuple[int, ...], kernel: int, stride: int, beta: float | None) -> None:
    x = values(shape)
    pool = SoftmaxPool(kernel, stride, beta).double()
    every = taps(x, kernel, stride)
    raised = ((1 if beta is None else beta) * every).exp()
    torch.testing.assert_close(pool(x), (raised * every).sum(-1) / raised.sum(-1))


@every_rank
@pytest.mark.parametrize(("kernel", "stride"), SLIDING)
def test_stochastic_pool_in_evaluation(shape: tuple[int, ...], kernel: int, stride: int) -> None:
    """Each of the values above 0 by its part of their sum."""
    x = values(shape)
    found = StochasticPool(kernel, stride).eval()(x)
    every = taps(x, kernel, stride)
    for window, y in zip(every.reshape(-1, every.shape[-1]).tolist(), found.flatten().tolist(), strict=True):
        above = [v for v in window if v > 0]
        assert math.isclose(y, sum(v * v / sum(above) for v in above), abs_tol=1e-12)


def cuts(size: int, n: int, bins: str) -> list[tuple[int, int]]:
    """The first unit of each bin, and the one behind its last."""
    if bins == "adaptive":
        return [(i * size // n, math.ceil((i + 1) * size / n)) for i in range(n)]
    return [(i * (size // n), i * (size // n) + math.ceil(size / n)) for i in range(n)]


PYRAMIDS = [
    ((1, 2, 4), "adaptive"),
    ((3,), "adaptive"),
    ((2, 1), "sliding"),
    ((1, 3), "sliding"),
    ((5, 20), "adaptive"),
]


@every_rank
@pytest.mark.parametrize(("levels", "bins"), PYRAMIDS)
@pytest.mark.parametrize("mode", ["max", "avg"])
def test_spatial_pyramid_pool(shape: tuple[int, ...], levels: tuple[int, ...], bins: str, mode: str) -> None:
    """Level by level, in each channel by channel, in each bin by bin."""
    x = values(shape)
    if bins == "sliding" and any(size % n > size // n for size in shape[2:] for n in levels):
        with pytest.raises(ValueError, match="sliding bins"):
            SpatialPyramidPool(levels, mode, bins)(x)
        return
    expected: list[Tensor] = []
    for n in levels:
        for channel in range(x.size(1)):
            for ends in itertools.product(*(cuts(size, n, bins) for size in shape[2:])):
                part = x[:, channel][(slice(None), *(slice(*one) for one in ends))].flatten(1)
                expected.append(part.amax(1) if mode == "max" else part.mean(1))
    torch.testing.assert_close(SpatialPyramidPool(levels, mode, bins)(x), torch.stack(expected, 1))


def test_levels_may_differ_along_the_axes() -> None:
    x = values((2, 3, 6, 9))
    whole = SpatialPyramidPool((1, (2, 3), (6, 1)))(x)
    parts = [SpatialPyramidPool((level,))(x) for level in (1, (2, 3), (6, 1))]
    assert torch.equal(whole, torch.cat(parts, 1))
    assert torch.equal(parts[1], F.adaptive_max_pool2d(x, (2, 3)).flatten(1))
    assert torch.equal(parts[1], SpatialPyramidPool(((2, 3),), bins="sliding")(x))


@pytest.mark.parametrize("shape", [(2, 6), *((2, 6, *shape[2:]) for shape in MAPS)])
def test_channel_maxpool(shape: tuple[int, ...]) -> None:
    x = values(shape)
    for groups in (1, 2, 3, 6):
        each = 6 // groups
        y = ChannelMaxPool(groups)(x)
        for group in range(groups):
            assert torch.equal(y[:, group], x[:, group * each : (group + 1) * each].amax(1))


def reflected(index: int, size: int) -> int:
    """The unit that a mirror at the first and at the last one shows at a place beyond them."""
    return -index if index < 0 else 2 * (size - 1) - index if index >= size else index


@every_rank
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (2, 2), (4, 3), (5, 1), (1, 2)])
def test_blur_pool(shape: tuple[int, ...], kernel: int, stride: int) -> None:
    x, rank = values(shape), len(shape) - 2
    weights = [math.comb(kernel - 1, i) / 2 ** (kernel - 1) for i in range(kernel)]
    y = BlurPool(shape[1], rank, kernel, stride).double()(x)
    assert y.shape[2:] == tuple(-(-n // stride) for n in shape[2:])
    for place in itertools.product(*(range(n) for n in y.shape[2:])):
        expected = torch.zeros(shape[:2], dtype=x.dtype)
        for tap in itertools.product(range(kernel), repeat=rank):
            read = [
                reflected(o * stride + t - (kernel - 1) // 2, n) for o, t, n in zip(place, tap, shape[2:], strict=True)
            ]
            expected += math.prod(weights[t] for t in tap) * x[(slice(None), slice(None), *read)]
        torch.testing.assert_close(y[(slice(None), slice(None), *place)], expected)


def test_the_filters() -> None:
    rows = {2: [1, 1], 3: [1, 2, 1], 5: [1, 4, 6, 4, 1]}
    for size, row in rows.items():
        line = torch.tensor(row) / sum(row)
        assert torch.equal(BlurPool(2, 1, size).weight, line.expand(2, 1, -1))
        assert torch.equal(BlurPool(1, 2, size).weight[0, 0], torch.outer(line, line))
    assert not list(BlurPool(3).parameters())
    assert [name for name, _ in BlurPool(3).named_buffers()] == ["weight"]
    assert BlurPool(1, 2, (1, 3)).weight.tolist() == [[[[0.25, 0.5, 0.25]]]]


# ------------------------------------------------------------------------- limits


@every_rank
def test_from_the_mean_to_the_largest(shape: tuple[int, ...]) -> None:
    x, rank = values(shape), len(shape) - 2
    mean, largest = getattr(F, f"avg_pool{rank}d")(x, 2), getattr(F, f"max_pool{rank}d")(x, 2)
    assert torch.equal(MixedPool(2, alpha=0.0)(x), mean)
    assert torch.equal(MixedPool(2, alpha=1.0)(x), largest)
    torch.testing.assert_close(SoftmaxPool(2, beta=0.0)(x), mean)
    torch.testing.assert_close(SoftmaxPool(2, beta=1e-7)(x), mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(SoftmaxPool(2, beta=1e6)(x), largest)
    torch.testing.assert_close(SoftmaxPool(2, beta=-1e6)(x), -getattr(F, f"max_pool{rank}d")(-x, 2))
    for pool in (SoftmaxPool(2, beta=2.0), MixedPool(2, alpha=0.6)):
        assert ((mean <= pool(x)) & (pool(x) <= largest)).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_no_overflow(dtype: torch.dtype) -> None:
    """Where exp(beta * x) is far beyond the largest number, and where x * x is."""
    x = torch.tensor([[[300.0, 299.0, -300.0, 250.0]]]).to(dtype)
    for pool in (SoftmaxPool(4, beta=100.0), MixedPool(4, alpha=1.0)):
        assert pool(x).tolist() == [[[300.0]]]
    equal = torch.full((1, 1, 4), 30000.0, dtype=dtype)
    assert SoftmaxPool(4)(equal).isfinite().all()
    odds = StochasticPool(4).eval()(x)
    assert odds.isfinite().all()
    torch.testing.assert_close(odds.float().item(), (300**2 + 299**2 + 250**2) / 849, rtol=1e-2, atol=0)


def test_degenerate_windows_and_groups() -> None:
    x = values(MAPS[1])
    for pool in (MixedPool(1), SoftmaxPool(1), SoftmaxPool(1, beta=9.0)):
        torch.testing.assert_close(pool.double()(x), x)
    assert torch.equal(StochasticPool(1)(x), x.relu())
    torch.testing.assert_close(StochasticPool(1).eval()(x), x.relu())
    assert torch.equal(ChannelMaxPool(3)(x), x)
    assert torch.equal(ChannelMaxPool(1)(x), x.amax(1, keepdim=True))
    assert torch.equal(SpatialPyramidPool((1,))(x), x.amax((2, 3)))
    assert torch.equal(BlurPool(3, kernel_size=1, stride=2).double()(x), x[:, :, ::2, ::2])
    torch.testing.assert_close(BlurPool(3, kernel_size=6).double()(torch.ones_like(x)), torch.ones(2, 3, 4, 5).double())


def test_a_blur_takes_the_highest_frequency_away() -> None:
    """A pattern of single pixels, that every second unit alone shows as a plain map, black or white."""
    x = torch.ones(1, 1, 9)
    x[..., 1::2] = -1
    assert x[..., ::2].unique().tolist() == [1.0]
    assert BlurPool(1, 1)(x).tolist() == [[[0.0] * 5]]


# ------------------------------------------------------------------------- draws


def drawn(window: Sequence[float], times: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """What a window gives in training, many times over."""
    torch.manual_seed(0)
    x = torch.tensor(window, dtype=dtype).repeat(times, 1, 1)
    return StochasticPool(len(window))(x).flatten()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_values_are_drawn_in_proportion(dtype: torch.dtype) -> None:
    """Five standard deviations of a frequency; what is not above 0 is never drawn."""
    window, times = [0.0, 1.0, 4.0, -2.0, 3.0, 0.0], 40_000
    found = drawn(window, times, dtype)
    for value in (1.0, 3.0, 4.0):
        odds = value / 8
        assert abs((found == value).sum().item() - times * odds) < 5 * math.sqrt(times * odds * (1 - odds))
    assert set(found.tolist()) == {1.0, 3.0, 4.0}


def test_odds_of_narrow_numbers() -> None:
    """300 values alike, each drawn as often: a draw of bfloat16 itself would know 256 places."""
    torch.manual_seed(0)
    x = torch.ones(30_000, 1, 300, dtype=torch.bfloat16, requires_grad=True)
    StochasticPool(300)(x).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    counts = x.grad.float().sum(0)
    assert counts.sum() == 30_000
    assert (counts - 100).abs().max() < 50


def test_a_draw_is_the_average_in_expectation() -> None:
    """At every unit of maps of one, two and three axes, over many draws: five standard errors."""
    for shape in MAPS:
        x = values(shape).expand(1, *shape).flatten(0, 1)
        pool = StochasticPool(3, 2)
        expected = pool.eval()(x)
        torch.manual_seed(1)
        draws = torch.stack([pool.train()(x) for _ in range(1500)])
        error = (draws.mean(0) - expected).abs() / (draws.std(0) / math.sqrt(len(draws))).clamp(min=1e-9)
        assert error[draws.std(0) > 0].max() < 5
        torch.testing.assert_close(draws.mean(0)[draws.std(0) == 0], expected[draws.std(0) == 0])


def test_windows_without_anything_above_zero() -> None:
    for window in ([0.0, 0.0, 0.0], [-1.0, -2.0, 0.0], [-3.0, -3.0, -3.0]):
        assert drawn(window, 50).tolist() == [0.0] * 50
        assert StochasticPool(3).eval()(torch.tensor([[window]])).tolist() == [[[0.0]]]
        x = torch.tensor([[window]], requires_grad=True)
        StochasticPool(3)(x).sum().backward()  # type: ignore[no-untyped-call]
        assert x.grad is not None
        assert x.grad.tolist() == [[[0.0, 0.0, 0.0]]]


def test_windows_that_overlap_draw_for_themselves() -> None:
    """Of 1, 3, 1 the first two and the last two: both give 3 in 9 of 16 cases, 5 standard deviations off at most."""
    torch.manual_seed(0)
    times = 40_000
    both = (StochasticPool(2, 1)(torch.tensor([1.0, 3.0, 1.0]).repeat(times, 1, 1)) == 3).all(-1).sum().item()
    assert abs(both - times * 9 / 16) < 5 * math.sqrt(times * 9 / 16 * 7 / 16)


def test_what_is_drawn_gets_the_gradient() -> None:
    torch.manual_seed(0)
    x = values((2, 3, 6, 6)).requires_grad_()
    pool = StochasticPool(2)
    y = pool(x)
    gradient = torch.randn_like(y)
    y.backward(gradient)  # type: ignore[no-untyped-call]
    assert x.grad is not None
    places, values_ = taps(x.grad, 2, 2), taps(x.detach(), 2, 2)
    assert ((places != 0).sum(-1) == (y > 0)).all()
    torch.testing.assert_close(places.sum(-1), torch.where(y > 0, gradient, 0))
    torch.testing.assert_close((values_ * (places != 0)).sum(-1), y.detach())


# ------------------------------------------------------------------------- gradients and compilers

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "mixed": lambda: MixedPool(2, alpha=0.3),
    "mixed, learned": lambda: MixedPool(3, 2, 1, ceil_mode=True),
    "stochastic": lambda: StochasticPool(3, 2).eval(),
    "softmax": lambda: SoftmaxPool((3, 2), (1, 2), 2.0),
    "softmax, learned": lambda: SoftmaxPool(2, beta=None),
    "pyramid": lambda: SpatialPyramidPool((1, 2, (3, 2))),
    "pyramid of means": lambda: SpatialPyramidPool((1, 3), "avg"),
    "sliding pyramid": lambda: SpatialPyramidPool((1, 2), "avg", "sliding"),
    "channels": lambda: ChannelMaxPool(2),
    "blur": lambda: BlurPool(4, kernel_size=(3, 4), stride=(2, 1)),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


@every_layer
def test_gradients(name: str) -> None:
    module = LAYERS[name]().double()
    x = values((2, 4, 6, 7)).abs().add(0.1).requires_grad_()
    parameters = dict(module.named_parameters())

    def run(x: Tensor, *given: Tensor) -> Tensor:
        found = torch.func.functional_call(module, dict(zip(parameters, given, strict=True)), x)
        assert isinstance(found, Tensor)
        return found

    assert torch.autograd.gradcheck(run, (x, *parameters.values()))


@every_layer
def test_compilers(name: str) -> None:
    module, x = LAYERS[name](), torch.randn(3, 4, 6, 7)
    expected = module(x)
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), expected)
    program = torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=2)},))
    for batch in (2, 5):
        x = torch.randn(batch, 4, 6, 7)
        torch.testing.assert_close(program.module()(x), module(x))


def test_draws_are_compiled_and_exported() -> None:
    torch._dynamo.reset()
    x = torch.rand(2, 3, 6, 6)
    module = StochasticPool(2).train()
    for run in (
        torch.compile(module, fullgraph=True, backend="aot_eager"),
        torch.export.export(module, (x,)).module(),
    ):
        first, second = run(x), run(x)
        assert not torch.equal(first, second)
        assert (taps(x, 2, 2) == first.unsqueeze(-1)).any(-1).all()


# ------------------------------------------------------------------------- the operations


def test_what_is_learned() -> None:
    x = Shape((4, 8, 8))
    for name, word, start in (("mixed_pool", "alpha", 0.5), ("softmax_pool", "beta", 1.0)):
        learned = op(name, kernel_size=2, **{word: "learned"})
        assert learned.parameters(x) == {word: (1,)}
        assert op(name, kernel_size=2, **{word: 0.7}).parameters(x) == {}
        built = cnnplan.build(net(f"- {name}: {{kernel_size: 2, {word}: learned}}"))
        ((path, parameter),) = built.named_parameters()
        assert (path, parameter.tolist()) == (f"{name}1.{word}", [start])
    assert op("mixed_pool", kernel_size=2).alpha == "learned"
    assert op("softmax_pool", kernel_size=2).beta == 1
    assert op("mixed_pool", kernel_size=2, padding=1, alpha=0.5).torch(x).arguments[-1].value == 0.5


def test_units_behind_the_last_sliding_bin_are_not_read() -> None:
    """8 units in 3 windows of 3, 2 apart: the last is unread, and what is said of it is only a bound."""
    pyramid, x = op("spatial_pyramid_pool", levels=[3], bins="sliding"), Shape((2, 8))
    assert agrees_with_torch(pyramid, x)
    assert (pyramid.bounds(x), pyramid.bounds(Shape((2, 9)))) == ("all", "parts")
    series = torch.ones(1, 2, 8)
    series[..., 7] = torch.nan
    assert SpatialPyramidPool((3,), bins="sliding")(series).isfinite().all()


@given(st.integers(1, 60), st.integers(1, 12))
@settings(max_examples=300)
def test_when_sliding_bins_are_as_many_as_wanted(size: int, n: int) -> None:
    """The window and the step of the paper, counted by torch."""
    wanted = False
    if size >= n:
        y = F.max_pool1d(torch.zeros(1, 1, size), math.ceil(size / n), size // n)
        wanted = y.shape[-1] == n
    pyramid, found = op("spatial_pyramid_pool", levels=[n], bins="sliding"), True
    try:
        assert pyramid.output(Shape((1, size))) == (n,)
    except ShapeError:
        found = False
    assert found == wanted


REFUSED = {
    "mixed_pool: {kernel_size: 2, alpha: 1.5}": ("Y911", "a number from 0 to 1, or `learned`, is wanted, not 1.5"),
    "mixed_pool: {kernel_size: 2, alpha: learn}": (
        "Y911",
        "a number from 0 to 1, or `learned`, is wanted, not 'learn'",
    ),
    "softmax_pool: {kernel_size: 2, beta: true}": ("Y911", "a number, or `learned`, is wanted, not `true`"),
    "mixed_pool: {kernel_size: 2, padding: same}": ("Y911", "an integer ≥ 0, or one for each axis, is wanted"),
    "mixed_pool: {kernel_size: 2, padding: 2}": ("S008", "pads by 2, as much as its window of 2"),
    "mixed_pool: {kernel_size: 5, padding: 3}": ("S008", "pads by 3, more than half of its kernel 5"),
    "stochastic_pool: 9": ("S001", "kernel 9x9 does not fit into the input 3x8x8"),
    "softmax_pool: {kernel_size: [2, 2, 2]}": ("S012", "has kernel_size for 3 axes"),
    "spatial_pyramid_pool: []": ("Y911", "a list of numbers of bins is wanted"),
    "spatial_pyramid_pool: 4": ("Y911", "a list of numbers of bins is wanted"),
    "spatial_pyramid_pool: [1, 0]": ("Y911", "a number of bins ≥ 1, or one for each axis, is wanted, not 0"),
    "spatial_pyramid_pool: [[1, 2, 3]]": ("S012", "has levels for 3 axes"),
    "spatial_pyramid_pool: {levels: [1, 5], bins: sliding}": (
        "S020",
        "sliding bins of height 8 are 7 of 2, not 5: the window is ceil(8 / 5), its step floor(8 / 5)",
    ),
    "spatial_pyramid_pool: {levels: [9], bins: sliding}": ("S020", "sliding bins of height 8 are none, not 9"),
    "channel_maxpool: 2": ("S006", "groups 2 does not divide the 3 channels of its input 3x8x8"),
    "blur_pool: 16": (
        "S020",
        "'blur_pool' with kernel_size 16 reflects 8 units beside the last one, but height 8 has 7",
    ),
    "blur_pool: 0": ("Y911", "an integer ≥ 1, or one for each axis, is wanted"),
}


@pytest.mark.parametrize("layer", REFUSED)
def test_refusals(layer: str) -> None:
    (error,) = refused(net(f"- {layer}"))
    assert error.code == REFUSED[layer][0], error
    assert REFUSED[layer][1] in error.message


@pytest.mark.parametrize("layer", ["mixed_pool: 2", "stochastic_pool: 2", "softmax_pool: 2", "blur_pool"])
def test_a_vector_has_no_windows(layer: str) -> None:
    (error,) = refused(net(f"- flatten\n- {layer}"))
    assert error.code == "S012"
    assert "slides over a map" in error.message


SPEC = """
    cnnplan: 1
    name: pools
    input: {shape: [4, 26, 26], sizes: [30, [24, 41]]}
    blocks:
      stage:
        params: {width: int, kernel: int, alpha: 0.5, beta: 1.0}
        layers:
          - conv: {out_channels: =2 * width, kernel_size: 3, padding: 1}
          - channel_maxpool: =width
          - mixed_pool: {kernel_size: =kernel, stride: 1, padding: =kernel // 2, alpha: =alpha}
            repeat: 2
          - softmax_pool: {kernel_size: =kernel, stride: 1, beta: =beta}
          - blur_pool: {kernel_size: =kernel, stride: 2}
    layers:
      - stage: {width: 6, kernel: 3, alpha: learned}
      - stage: {width: 8, kernel: 5, alpha: 0.25, beta: learned}
      - mixed_pool: {kernel_size: 2, stride: 1}
        name: shared
      - share: shared
      - stochastic_pool: 2
      - spatial_pyramid_pool: {levels: [1, [2, 1]], mode: avg}
      - linear: 5
    """


def test_a_network_of_them() -> None:
    """Blocks with other numbers, copies, a shared layer, other sizes: torch agrees with all that is said."""
    text = dedent(SPEC)
    planned, found = plan(text), cnnplan.verify(text, probes=8)
    assert not [d for d in planned.diagnostics if d.severity == "error"]
    assert {check.verdict for check in found.checks} <= {"exact", "equal"}, found.checks
    model = cnnplan.build(text).eval()
    assert sum(p.numel() for p in model.parameters()) == planned.parameters
    with torch.no_grad():
        for size in ((26, 26), (30, 30), (24, 41)):
            assert model(torch.randn(2, 4, *size)).shape == (2, 5)


@pytest.mark.parametrize(
    ("layer", "codes"),
    [
        ("mixed_pool: {kernel_size: 3, stride: 1, padding: 1}", set()),
        ("mixed_pool: {kernel_size: 1, alpha: 0.5}", {"G117"}),
        ("softmax_pool: 1", {"G117"}),
        ("stochastic_pool: 1", set()),
        ("stochastic_pool: {kernel_size: 1, stride: 2}", {"G104"}),
        ("channel_maxpool: 8", set()),
        ("blur_pool: {kernel_size: 3, stride: 1}", set()),
    ],
)
def test_findings(layer: str, codes: set[str]) -> None:
    """A pool whose output is its input changes nothing; a stride larger than a window skips units."""
    text = net(f"- conv_bn_relu: 16\n- maxpool: 2\n- {layer}", head="cnnplan: 1\nname: net\ninput: [3, 32, 32]\n")
    assert {d.code for d in plan(text).diagnostics if d.layer and "pool1" in d.layer} == codes
