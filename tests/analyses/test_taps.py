"""Holes in receptive fields: against sets of taps, followed one by one on a map without ends."""

from __future__ import annotations

import time
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import cnnplan
from cnnplan.analyses.taps import MAX_WIDTH, UNKNOWN, Comb, Known, _reduced, combs
from tests.language.helpers import net, plan

if TYPE_CHECKING:
    from collections.abc import Sequence

LENGTH = 4_000
SHORT = 160


class Conv(NamedTuple):
    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0

    def item(self) -> str:
        sides = f"padding: [[{self.before}, {self.after}]]"
        sizes = f"kernel_size: {self.kernel}, stride: {self.stride}, dilation: {self.dilation}"
        return f"conv: {{out_channels: 1, {sizes}, {sides}}}"

    def taps(self, unit: int) -> set[int]:
        return {unit * self.stride - self.before + self.dilation * k for k in range(self.kernel)}


class Transposed(NamedTuple):
    kernel: int
    stride: int = 1
    dilation: int = 1
    padding: int = 0

    def item(self) -> str:
        sizes = f"kernel_size: {self.kernel}, stride: {self.stride}, dilation: {self.dilation}"
        return f"conv_transpose: {{out_channels: 1, {sizes}, padding: {self.padding}}}"

    def taps(self, unit: int) -> set[int]:
        """Input i adds to the outputs i · stride - padding + dilation · k."""
        places = [unit + self.padding - self.dilation * k for k in range(self.kernel)]
        return {place // self.stride for place in places if place % self.stride == 0}


class Up(NamedTuple):
    factor: int

    def item(self) -> str:
        return f"upsample: {self.factor}"

    def taps(self, unit: int) -> set[int]:
        return {unit // self.factor}


class Add(NamedTuple):
    branches: tuple[tuple[Layer, ...], ...]

    def item(self) -> str:
        branches = ", ".join(f"[{', '.join(f'{{{layer.item()}}}' for layer in branch)}]" for branch in self.branches)
        return f"add: [{branches}]"

    def taps(self, unit: int) -> set[int]:
        return set().union(*(followed(branch, unit) for branch in self.branches))


Layer = Conv | Transposed | Up | Add


def followed(layers: Sequence[Layer], unit: int) -> set[int]:
    """All that a unit behind these layers reads."""
    units = {unit}
    for layer in reversed(layers):
        units = set().union(*(layer.taps(u) for u in units))
    return units


def text_of(layers: Sequence[Layer], length: int = LENGTH) -> str:
    items = "".join(f"- {layer.item()}\n" for layer in layers)
    return net(items or "- relu\n", head=f"cnnplan: 1\nname: net\ninput: [1, {length}]\n")


def comb_of(text: str) -> Known:
    """That of the last layer, along its first axis, on the first input."""
    graph = plan(text).graph
    (value,) = graph.outputs.values()
    paths = combs(graph)[value][0]
    assert paths
    return paths.axes[0]


def read_by(comb: Comb, unit: int) -> set[int]:
    first, bits = comb.at(unit)
    return {first + i for i in range(bits.bit_length()) if bits >> i & 1}


def share(sets: Sequence[set[int]]) -> Fraction:
    """The share that is read between the first and the last, of the unit that reads least."""
    return min((Fraction(len(s), max(s) - min(s) + 1) for s in sets if s), default=Fraction(1))


def agrees(layers: Sequence[Layer]) -> Comb:
    """Hold the comb of a stack against the sets, over two periods and a little before 0."""
    text = text_of(layers)
    comb = comb_of(text)
    assert isinstance(comb, Comb)
    period = len(comb.taps)
    sets = {unit: followed(layers, unit) for unit in range(-3, 2 * period + 3)}
    for unit, read in sets.items():
        assert read_by(comb, unit) == read, unit
    assert comb.coverage == share(list(sets.values()))
    assert plan(text).layers[-1].coverage == (float(comb.coverage),)
    for shorter in range(1, period):  # no shorter period will do
        apart = Fraction(comb.advance * shorter, period)
        alike = apart.denominator == 1 and all(
            {i + int(apart) for i in sets[unit]} == sets[unit + shorter] for unit in range(period)
        )
        assert not alike
    return comb


def dilated(kernel: int, *dilations: int) -> list[Layer]:
    return [Conv(kernel, dilation=d) for d in dilations]


STACKS: dict[str, tuple[list[Layer], Fraction, int]] = {
    "gridding": (dilated(3, 2, 2, 2), Fraction(7, 13), 1),
    "hybrid": (dilated(3, 1, 2, 5), Fraction(1), 1),
    "rates that are too far apart": (dilated(3, 1, 2, 9), Fraction(21, 25), 1),
    "a common factor": (dilated(3, 2, 4, 8), Fraction(15, 29), 1),
    "doubled": (dilated(3, 1, 2, 4, 8, 16), Fraction(1), 1),
    "doubled, of two": (dilated(2, 1, 2, 4, 8, 16, 32, 64), Fraction(1), 1),
    "one with a hole": ([Conv(2, dilation=3)], Fraction(1, 2), 1),
    "a stride over the taps": ([Conv(1, stride=3), Conv(3)], Fraction(3, 7), 1),
    "a stride as long as the kernel": ([Conv(3, stride=3), Conv(3)], Fraction(1), 1),
    "transposed": ([Transposed(4, 2, padding=1)], Fraction(1), 2),
    "transposed with holes": ([Transposed(2, 3)], Fraction(1), 3),
    "transposed and dilated": ([Transposed(3, 2, dilation=2)], Fraction(1), 2),
    "behind holes": ([Conv(3, dilation=2), Transposed(2, 2), Conv(2)], Fraction(3, 5), 2),
    "up and down": ([Up(3), Conv(2, stride=2)], Fraction(1), 3),
    "up and down again": ([Up(3), Conv(3, stride=3)], Fraction(1), 1),
    "up and far": ([Up(2), Conv(3, dilation=4)], Fraction(3, 5), 2),
    "side by side": ([Add(((Conv(3, 1, 4, 4, 4),), (Conv(3, 1, 1, 1, 1),)))], Fraction(5, 9), 1),
    "beside the identity": ([Add(((Conv(2, 1, 6, 0, 6),), ()))], Fraction(2, 7), 1),
    "a pyramid": (
        [Add(tuple((Conv(3, 1, d, d, d),) for d in (6, 12, 18))), Conv(3)],
        Fraction(21, 39),
        1,
    ),
    "two periods": ([Add(((Up(6),), (Up(2), Up(3)), (Up(3), Conv(1), Up(2))))], Fraction(1), 6),
    "two periods, apart": (
        [Conv(1, stride=6), Add(((Up(2), Transposed(3, 3)), (Transposed(2, 2), Up(3))))],
        Fraction(1),
        6,
    ),
    "nothing at all": ([], Fraction(1), 1),
}


@pytest.mark.parametrize("name", STACKS)
def test_the_taps_of_a_stack(name: str) -> None:
    """Gridding and rates without it: Wang et al. 2018, arXiv:1702.08502, section 3.2 and figure 2."""
    layers, coverage, period = STACKS[name]
    comb = agrees(layers)
    assert comb.coverage == coverage
    assert len(comb.taps) == period


@pytest.mark.parametrize("name", STACKS)
def test_torch_reads_the_same(name: str) -> None:
    """Units whose field lies inside a short map: a NaN at an input reaches them where they read it."""
    text = text_of(STACKS[name][0], SHORT)
    comb = comb_of(text)
    assert isinstance(comb, Comb)
    x = torch.ones(SHORT, 1, SHORT, dtype=torch.float64)
    x[range(SHORT), 0, range(SHORT)] = torch.nan
    with torch.no_grad():
        reached = cnnplan.build(text).double()(x).isnan()[:, 0]
    inside = 0
    for unit in range(reached.shape[1]):
        read = read_by(comb, unit)
        if all(0 <= i < SHORT for i in read):
            assert set(reached[:, unit].nonzero().flatten().tolist()) == read, unit
            inside += 1
    assert inside > 5


convolutions = st.builds(
    Conv, st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(0, 2), st.integers(0, 2)
)
transposed = st.builds(Transposed, st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 1))


@st.composite
def sized(draw: st.DrawFn) -> Conv:
    """A convolution that keeps the size of the map, with its taps anywhere."""
    kernel, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    before = draw(st.integers(0, dilation * (kernel - 1)))
    return Conv(kernel, 1, dilation, before, dilation * (kernel - 1) - before)


branches = st.lists(st.lists(sized(), max_size=2).map(tuple), min_size=2, max_size=3).map(tuple)
stacks = st.lists(
    st.one_of(convolutions, transposed, st.builds(Up, st.integers(1, 3)), st.builds(Add, branches)), max_size=5
)


@given(stacks)
def test_any_stack(layers: list[Layer]) -> None:
    agrees(layers)


def test_periods_are_the_smallest() -> None:
    assert _reduced(Comb(0, 4, (0, 2), (5, 5))) == Comb(0, 2, (0,), (5,))
    assert len(_reduced(Comb(0, 4, (0, 1), (5, 5))).taps) == 2
    assert len(_reduced(Comb(0, 4, (0, 2), (5, 7))).taps) == 2
    assert len(_reduced(Comb(0, 3, (0, 1), (5, 5))).taps) == 2


# ---------------------------------------------------------------------------------------------- limits

FAR = 3 * 10**9
MEET = "- add:\n    a: [{maxpool: N}, {upsample: N}]\n    b: [{maxpool: 33}, {upsample: 33}]"
LIMITS = {
    "a far dilation": (f"- conv: {{out_channels: 1, kernel_size: 3, dilation: {10**9}}}", FAR, False),
    "a far stride": (f"- conv: {{out_channels: 1, kernel_size: 1, stride: {10**6}}}\n- maxpool: 3", FAR, False),
    "a far stride alone": (f"- conv: {{out_channels: 1, kernel_size: 1, stride: {10**9}}}", FAR, True),
    "a wide kernel": (f"- maxpool: {10**9}", FAR, False),
    "just too wide": (f"- conv: {{out_channels: 1, kernel_size: 2, dilation: {MAX_WIDTH}}}", FAR, False),
    "wide": (f"- conv: {{out_channels: 1, kernel_size: 2, dilation: {MAX_WIDTH // 2 - 1}}}", FAR, True),
    "many small ones": ("- maxpool: {kernel_size: 3, stride: 2}\n  repeat: 24", FAR, False),
    "a long period": ("- upsample: 5\n- upsample: 7\n- upsample: 11\n- upsample: 3", 8, False),
    "a period": ("- upsample: 5\n- upsample: 7\n- upsample: 11", 8, True),
    "one long period": ("- upsample: 1025", 8, False),
    "no longer period": ("- upsample: 1024", 8, True),
    "periods that meet": (MEET.replace("N", "16"), 2112, True),
    "periods without a common one": (MEET.replace("N", "32"), 2112, False),
    "two far branches": (
        f"""
        - add:
            a: [{{slice: {{axis: 1, stop: -{MAX_WIDTH}}}}}]
            b: [{{slice: {{axis: 1, start: {MAX_WIDTH}}}}}]
        """,
        10**6,
        False,
    ),
    "strides that differ": ("- add:\n    a: [{maxpool: 8}]\n    b: [{slice: {axis: 1, stop: 8}}]", 64, False),
    "joined along the axis": ("- concat: {axis: 1}\n  from: [input, previous]", 64, False),
}


@pytest.mark.parametrize("name", LIMITS)
def test_what_is_not_followed_is_not_known(name: str) -> None:
    layers, length, known = LIMITS[name]
    text = net(layers, head=f"cnnplan: 1\nname: net\ninput: [1, {length}]\n")
    start = time.perf_counter()
    assert (comb_of(text) != UNKNOWN) == known
    assert time.perf_counter() - start < 3
    (coverage,) = plan(text).layers[-1].coverage
    assert (coverage is not None) == known


def test_a_whole_axis_has_no_taps() -> None:
    assert comb_of(net("- global_avgpool: {keepdim: true}")) is None
    assert isinstance(comb_of(net("- conv: {out_channels: 4, kernel_size: 3}\n- squeeze_excite: 2")), Comb)


def test_each_axis_and_each_input_by_itself() -> None:
    layers = """
        - conv: {out_channels: 1, kernel_size: 3, dilation: [2, 1]}
          from: b
        - add:
            left: []
            right: [{conv: {out_channels: 1, kernel_size: 3, dilation: [1, 3]}}]
          from: [previous, a]
    """
    graph = plan(net(layers, head="cnnplan: 1\nname: net\ninputs: {a: [1, 18, 20], b: [1, 20, 16]}\n")).graph
    (value,) = graph.outputs.values()
    found = [[axis.coverage for axis in paths.axes if isinstance(axis, Comb)] for paths in combs(graph)[value] if paths]
    assert found == [[1, Fraction(3, 7)], [Fraction(3, 5), 1]]
