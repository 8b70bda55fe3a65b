"""What the rules about geometry say of windows, against torch: gradients tell what is read, ones what is reached."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import gcd

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

import cnnplan
from cnnplan.lint.geometry import blind, dead_taps, fill, listed, padding, reached, read, skips, unread_end
from cnnplan.lint.rules.adaptive_pool_nondivisible import AdaptivePoolNondivisible
from cnnplan.lint.rules.dilation_gridding import START
from cnnplan.ops.window import Sliding, Spread
from tests.lint.geometry import conv, each, found, mend, spec

sides = st.integers(0, 7)
windows = st.builds(Sliding, st.integers(1, 5), st.integers(1, 6), st.integers(1, 5), sides, sides, st.just(False))
spreads = st.builds(
    Spread, st.integers(1, 6), st.integers(1, 5), st.integers(1, 4), st.integers(0, 3), st.integers(0, 3)
)
sizes = st.integers(1, 12)


def slid(window: Sliding, n: int, mode: str = "constant") -> tuple[Tensor, Tensor, Tensor]:
    """A map of ones, a kernel of ones, and what the window makes of them."""
    assume(window.size(n) >= 1)
    x = torch.ones(1, 1, n, requires_grad=True)
    kernel = torch.ones(1, 1, window.kernel, requires_grad=True)
    padded = functional.pad(x, (window.before, window.after), mode)
    return x, kernel, functional.conv1d(padded, kernel, stride=window.stride, dilation=window.dilation)


@given(windows, sizes)
def test_units_that_are_read(window: Sliding, n: int) -> None:
    x, _, y = slid(window, n)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    seen = gradient.flatten().ne(0).tolist()
    assert read(window, n) == sum(seen)
    if window.dilation == 1 and not skips(window):
        assert unread_end(window, n) == seen[::-1].index(True) if any(seen) else n
    assert window.stride == 1 or not skips(window) or sum(seen) < n or n <= window.stride * window.kernel


@given(windows, sizes)
def test_units_that_circular_padding_reads(window: Sliding, n: int) -> None:
    assume(max(window.before, window.after) <= n)
    x, _, y = slid(window, n, "circular")
    (gradient,) = torch.autograd.grad(y.sum(), x)
    seen = gradient.flatten().ne(0).tolist()
    assert read(window, n, "circular") == sum(seen)
    if unread_end(window, n, "circular"):
        assert not all(seen)


@given(windows)
def test_steps_that_skip(window: Sliding) -> None:
    """On a map far longer than the window, in its middle."""
    x, _, y = slid(window, 120)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    middle = gradient.flatten()[30:80]
    assert skips(window) == bool(middle.eq(0).any())


@given(windows, sizes)
def test_windows_that_see_padding_alone(window: Sliding, n: int) -> None:
    _, _, y = slid(window, n)
    assert blind(window, n) == int(y.eq(0).sum())


@given(windows, sizes)
def test_taps_that_see_padding_alone(window: Sliding, n: int) -> None:
    _, kernel, y = slid(window, n)
    (gradient,) = torch.autograd.grad(y.sum(), kernel)
    dead = gradient.flatten().eq(0).tolist()
    low, high, count = dead_taps(window, n)
    assert count == sum(dead)
    assert dead[:low] == [True] * low
    assert dead[len(dead) - high :] == [True] * high
    if count < window.kernel:
        assert [low, high] == [dead.index(False), dead[::-1].index(False)]


def test_small_windows_one_by_one() -> None:
    """What the formulas say, counted tap by tap."""
    for n, k, s, d, before, after in product(
        range(1, 5), range(1, 5), range(1, 6), range(1, 6), range(5), range(0, 5, 2)
    ):
        window = Sliding(k, s, d, before, after)
        seen = [[0 <= o * s - before + j * d < n for j in range(k)] for o in range(window.size(n))]
        if not seen:
            continue
        assert blind(window, n) == sum(not any(taps) for taps in seen)
        assert dead_taps(window, n)[2] == sum(not any(taps[j] for taps in seen) for j in range(k))


def test_small_transposed_windows_one_by_one() -> None:
    for n, k, s, d, p, extra in product(range(1, 5), range(1, 6), range(1, 6), range(1, 5), range(4), range(3)):
        window = Spread(k, s, d, p, extra)
        units = {i * s + j * d - p for i in range(n) for j in range(k)} & set(range(window.size(n)))
        assert reached(window, n) == len(units)


def spread(window: Spread, n: int) -> list[float]:
    """What a transposed convolution makes of ones."""
    y = functional.conv_transpose1d(
        torch.ones(1, 1, n),
        torch.ones(1, 1, window.kernel),
        stride=window.stride,
        padding=window.padding,
        output_padding=window.output_padding,
        dilation=window.dilation,
    )
    return [float(v) for v in y.flatten()]


@given(spreads, sizes)
def test_units_that_are_reached(window: Spread, n: int) -> None:
    assume(window.size(n) >= 1 and window.output_padding < max(window.stride, window.dilation))
    assert reached(window, n) == sum(v != 0 for v in spread(window, n))


@given(spreads)
def test_uneven_covers(window: Spread) -> None:
    """In the middle of a long map: holes are one rule's, unevenness the other's."""
    window = window._replace(output_padding=0)
    counts = set(spread(window, 60)[60:-60] if window.stride > 2 else spread(window, 60)[25:-25])
    arguments = ", ".join(
        f"{k}: {v}" for k, v in zip(("kernel_size", "stride", "dilation", "padding"), window[:4], strict=True)
    )
    layer = f"- conv_transpose: {{out_channels: 4, {arguments}}}"
    assert bool(found("U501", "[3, 60]", layer)) == (len(counts) > 1 and 0 not in counts)
    assert bool([f for f in found("U502", "[3, 60]", layer) if f.startswith("error")]) == (0 in counts)


@given(spreads, sizes)
def test_arguments_that_cover_evenly(window: Spread, n: int) -> None:
    assume(window.size(n) >= 1 and window.output_padding < max(window.stride, window.dilation))
    layer = (
        f"- conv_transpose: {{out_channels: 4, kernel_size: {window.kernel}, stride: {window.stride}, dilation: "
        f"{window.dilation}, padding: {window.padding}, output_padding: {window.output_padding}}}"
    )
    (node,) = cnnplan.plan(spec(f"[3, {n}]", layer)).graph.nodes
    _, change = fill(node, (window,))
    if change is None:
        assert gcd(window.stride, window.dilation) > 1 or window.output_padding > 2 * window.padding
        return
    values = {str(words[1]): int(str(words[2])) if words[0] == "set" else 0 for _, words in change.steps}
    new = Spread(values["kernel_size"], window.stride, window.dilation, values["padding"], values["output_padding"])
    assert new.kernel % new.stride == 0
    assert new.kernel >= window.kernel
    assert new.size(n) == window.size(n)
    assert new.output_padding < max(2, new.stride)


@pytest.mark.parametrize("n", range(1, 20))
def test_adaptive_pools_whose_windows_are_alike(n: int) -> None:
    for out in range(1, 25):
        x = torch.ones(1, 1, n, requires_grad=True)
        y = functional.adaptive_avg_pool1d(x, out).flatten()
        reads = torch.stack([torch.autograd.grad(unit, x, retain_graph=True)[0].flatten().ne(0) for unit in y])
        alike = len(set(reads.sum(0).tolist())) == len(set(reads.sum(1).tolist())) == 1
        assert AdaptivePoolNondivisible.even(n, out) == alike


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 6)), min_size=1, max_size=4))
def test_what_stacks_see(stack: list[tuple[int, int]]) -> None:
    seen = START
    x = torch.ones(1, 1, 120, requires_grad=True)
    y = x
    for kernel, dilation in stack:
        seen = seen.through(range(0, dilation * (kernel - 1) + 1, dilation))
        y = functional.conv1d(y, torch.ones(1, 1, kernel), dilation=dilation)
    (gradient,) = torch.autograd.grad(y[0, 0, 0], x)
    hit = gradient.flatten().ne(0).nonzero().flatten().tolist()
    assert seen.coverage == Fraction(len(hit), hit[-1] - hit[0] + 1)
    (finding,) = found("G111", "[3, 120]", each(*(conv(f"kernel_size: {k}, dilation: {d}") for k, d in stack))) or ("",)
    dilated = [d for k, d in stack if k > 1 and d > 1]
    assert bool(finding) == (len(dilated) > 1 and seen.coverage < 1)
    if finding:
        assert f"a unit reads {len(hit)} of the {hit[-1] - hit[0] + 1} units" in finding
        assert finding.startswith("warning") == (seen.coverage < Fraction(3, 4))


pools = st.sampled_from(["maxpool", "avgpool", "lppool"])
ways = st.sampled_from(["0", "1", "same", "[[0, 1]]", "[[1, 0]]"])


@given(pools, st.integers(1, 3), st.integers(1, 2), ways, st.booleans(), st.integers(1, 3))
def test_pools_that_change_nothing(kind: str, kernel: int, stride: int, sides: str, ceil: bool, n: int) -> None:
    arguments = f"kernel_size: {kernel}, stride: {stride}, ceil_mode: {str(ceil).lower()}"
    arguments = f"p: 1, {arguments}" if kind == "lppool" else f"{arguments}, padding: {sides}"
    layer = f"- {kind}: {{{arguments}}}"
    try:
        model = cnnplan.build(spec(f"[3, {n}]", layer))
    except cnnplan.SpecError:
        return
    x = torch.randn(2, 3, n)
    y = model(x)
    same = y.shape == x.shape and torch.allclose(y, x, atol=1e-6)
    assert bool(found("G117", f"[3, {n}]", layer)) == same


@pytest.mark.parametrize("kind", ["adaptive_avgpool: 4", "adaptive_maxpool: 4", "maxpool: 1", "avgpool: 1"])
def test_a_pool_that_changes_nothing_is_removed(kind: str) -> None:
    layers = each(conv("kernel_size: 1"), f"- {kind}", "- relu")
    without = mend("G117", "[3, 4, 4]", layers)
    assert without == each(conv("kernel_size: 1"), "- relu")
    before, after = (cnnplan.build(spec("[3, 4, 4]", text)) for text in (layers, without))
    after.load_state_dict(before.state_dict())
    x = torch.randn(2, 3, 4, 4)
    assert torch.equal(before(x), after(x))


def gradients(shape: str, layers: str) -> tuple[Tensor, dict[str, Tensor]]:
    """Where the gradient of the built model's output is 0 for certain: of its input, and of its weights."""
    model = cnnplan.build(spec(shape, layers))
    total = torch.zeros(())
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, 1.0)
    x = torch.ones(1, *map(int, shape.strip("[]").split(",")), requires_grad=True)
    total = total + model(x).sum()
    total.backward()
    assert x.grad is not None
    return x.grad[0, 0], {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_rows_that_are_never_read() -> None:
    layers = each(conv("kernel_size: 5, stride: 4, padding: [[1, 0], [0, 1]]"))
    (finding,) = found("G101", "[3, 17, 18]", layers)
    unread, _ = gradients("[3, 17, 18]", layers)
    rows, columns = unread.sum(1).eq(0), unread.sum(0).eq(0)
    assert rows.tolist() == [False] * 16 + [True]
    assert columns.tolist() == [False] * 17 + [True]
    assert "1 of height 17, 1 of width 18" in finding
    mended_layers = layers.replace("[[1, 0], [0, 1]]", "[[1, 3], [0, 3]]")
    assert "`padding: [[1, 3], [0, 3]]`" in finding
    unread, _ = gradients("[3, 17, 18]", mended_layers)
    assert not unread.eq(0).any()


@pytest.mark.parametrize(
    "arguments", ["kernel_size: 1, stride: 2", "kernel_size: 2, stride: 3", "kernel_size: 2, stride: 2, dilation: 2"]
)
def test_the_share_that_is_read(arguments: str) -> None:
    (finding,) = found("G104", "[3, 13, 11]", conv(arguments))
    unread, _ = gradients("[3, 13, 11]", conv(arguments))
    assert f"reads {100 * unread.ne(0).sum() / unread.numel():.1f} %" in finding


@pytest.mark.parametrize("shape", ["[3, 1, 1]", "[3, 2, 1]", "[3, 2, 3]"])
@pytest.mark.parametrize(
    "arguments", ["kernel_size: 3, padding: 1", "kernel_size: 5, padding: 2", "kernel_size: 3, padding: 2, dilation: 2"]
)
def test_weights_without_a_gradient(shape: str, arguments: str) -> None:
    findings = found("G109", shape, conv(arguments))
    _, weights = gradients(shape, conv(arguments))
    taps = weights["conv1.weight"][0, 0]
    dead = int(taps.eq(0).sum())
    assert bool(findings) == bool(dead)
    if findings:
        assert f"{dead} of the {taps.numel()} taps" in findings[0]


def test_a_border_of_biases() -> None:
    model = cnnplan.build(spec("[3, 6, 6]", conv("kernel_size: 1, padding: 1")))
    y = model(torch.randn(1, 3, 6, 6))
    border = torch.ones(8, 8, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    assert torch.equal(y[0, :, border], model.conv1.bias[:, None].expand(4, 28))
    assert "2 of 8 along height" in found("G105", "[3, 6, 6]", conv("kernel_size: 1, padding: 1"))[0]


@pytest.mark.parametrize(("kernel", "shift"), [(2, 0.5), (3, 0.0), (4, 0.5), (5, 0.0), (6, 0.5)])
def test_half_a_unit(kernel: int, shift: float) -> None:
    layers = conv(f"kernel_size: {kernel}, padding: same")
    model = cnnplan.build(spec("[3, 31]", layers))
    torch.nn.init.constant_(model.conv1.weight, 1.0)
    x = torch.zeros(1, 3, 31, requires_grad=True)
    model(x)[0, 0, 15].backward()
    places = x.grad[0, 0].nonzero().flatten().double()
    assert float(places.mean()) - 15 == shift
    assert bool(found("G108", "[3, 31]", layers)) == bool(shift)


def test_arguments_are_written_as_people_write_them() -> None:
    assert [listed([2, 2]), listed([1, 2]), listed([3])] == ["2", "[1, 2]", "3"]
    assert padding([(1, 1), (1, 1)]) == "1"
    assert padding([(0, 0), (1, 1)]) == "[0, 1]"
    assert padding([(0, 1), (1, 1)]) == "[[0, 1], [1, 1]]"


def deconv(arguments: str) -> str:
    """A transposed convolution as an item."""
    return f"- conv_transpose: {{out_channels: 4, {arguments}}}"


FIXES = {
    "a pool takes the stride": (
        "G104",
        "[3, 8, 8]",
        conv("kernel_size: 1, stride: 2"),
        each("- avgpool: 2", conv("kernel_size: 1, stride: 1")),
    ),
    "a pool takes the stride of an odd map": (
        "G104",
        "[3, 8, 7]",
        conv("kernel_size: 1, stride: [1, 2]"),
        each(
            "- avgpool: {kernel_size: [1, 2], ceil_mode: true, count_include_pad: false}",
            conv("kernel_size: 1, stride: 1"),
        ),
    ),
    "no padding": ("G105", "[3, 8, 8]", conv("kernel_size: 1, padding: 1"), conv("kernel_size: 1")),
    "padding along the other axis": (
        "G105",
        "[3, 8, 8]",
        conv("kernel_size: [1, 3], padding: 1"),
        conv("kernel_size: [1, 3], padding: [0, 1]"),
    ),
    "half padding": ("G106", "[3, 8, 8]", conv("kernel_size: 3, padding: 3"), conv("kernel_size: 3, padding: half")),
    "an odd kernel": ("G108", "[3, 8]", conv("kernel_size: 4, padding: 2"), conv("kernel_size: 5, padding: 2")),
    "an odd kernel along one axis": (
        "G108",
        "[3, 8, 8]",
        conv("kernel_size: [3, 4], padding: same"),
        conv("kernel_size: [3, 5], padding: same"),
    ),
    "an odd kernel with dilation": (
        "G108",
        "[3, 8]",
        conv("kernel_size: 2, dilation: 3, padding: 2"),
        conv("kernel_size: 3, dilation: 3, padding: half"),
    ),
    "an odd kernel with dilation, in a word": (
        "G108",
        "[3, 8]",
        conv("kernel_size: 2, dilation: 3, padding: same"),
        conv("kernel_size: 3, dilation: 3, padding: same"),
    ),
    "an odd kernel with dilation along an axis that is right": (
        "G108",
        "[3, 8, 8]",
        conv("kernel_size: [4, 3], dilation: [1, 2], padding: 2"),
        conv("kernel_size: [5, 3], dilation: [1, 2], padding: 2"),
    ),
    "an odd kernel with dilation along one of two axes": (
        "G108",
        "[3, 8, 8]",
        conv("kernel_size: [4, 2], dilation: [1, 3], padding: 2"),
        conv("kernel_size: [5, 3], dilation: [1, 3], padding: half"),
    ),
    "a kernel of a single unit": ("G109", "[3, 1]", conv("kernel_size: 3, padding: 1"), conv("kernel_size: 1")),
    "a smaller kernel": ("G109", "[3, 2]", conv("kernel_size: 5, padding: half"), conv("kernel_size: 3, padding: 1")),
    "a round trip is spared": (
        "G116",
        "[3, 8, 8]",
        each("- maxpool: 2", "- relu", "- upsample: 2", conv("kernel_size: 1")),
        each("- relu", conv("kernel_size: 1")),
    ),
    "a stride of 1 along the height": (
        "G118",
        "[3, 2, 32]",
        each(conv("kernel_size: 3, stride: 2, padding: 1"), conv("kernel_size: 3, padding: 1")),
        each(conv("kernel_size: 3, stride: [1, 2], padding: 1"), conv("kernel_size: 3, padding: 1")),
    ),
    "a window of 1 along the height": (
        "G118",
        "[3, 3, 32]",
        each("- maxpool: {kernel_size: 3, stride: 2}", conv("kernel_size: 3, padding: 1")),
        each("- maxpool: {kernel_size: [1, 3], stride: [1, 2]}", conv("kernel_size: 3, padding: 1")),
    ),
    "a window of 1 and its stride": (
        "G118",
        "[3, 32, 2]",
        each("- avgpool: 2", conv("kernel_size: 3, padding: 1")),
        each("- avgpool: [2, 1]", conv("kernel_size: 3, padding: 1")),
    ),
    "a blur": (
        "G119",
        "[3, 8, 8]",
        "- maxpool: 2",
        each("- maxpool: {kernel_size: 2, stride: 1}", "- avgpool: {kernel_size: 3, stride: 2, padding: 1}"),
    ),
    "twice the stride": (
        "U501",
        "[3, 8, 8]",
        deconv("kernel_size: 3, stride: 2, padding: 1, output_padding: 1"),
        deconv("kernel_size: 4, stride: 2, padding: 1"),
    ),
    "thrice the stride": (
        "U501",
        "[3, 8]",
        deconv("kernel_size: 5, stride: 2"),
        deconv("kernel_size: 6, stride: 2, output_padding: 1, padding: 1"),
    ),
    "the stride": (
        "U502",
        "[3, 8]",
        deconv("kernel_size: 1, stride: 3, padding: 0"),
        deconv("kernel_size: 3, stride: 3, padding: 1"),
    ),
}


@pytest.mark.parametrize(("code", "shape", "layers", "better"), FIXES.values(), ids=FIXES)
def test_fixes(code: str, shape: str, layers: str, better: str) -> None:
    assert mend(code, shape, layers) == better
    if code[0] == "U":
        sizes = [cnnplan.plan(spec(shape, text)).layers[-1].output for text in (layers, better)]
        assert sizes[0] == sizes[1]


BIG = 10**14


@pytest.mark.parametrize(
    "layer",
    [
        conv("kernel_size: 1, stride: 2"),
        conv(f"kernel_size: {10**12}, padding: {10**12}", 1),
        conv(f"kernel_size: 2, dilation: {10**13}, padding: {10**12}", 1),
        conv(f"kernel_size: 3, stride: {10**9}, padding: {10**9}"),
        conv(f"kernel_size: 100000, stride: 3, dilation: {10**9}", 1),
        "- conv_transpose: {out_channels: 1, kernel_size: 70001, stride: 70000}",
        "- conv_transpose: {out_channels: 1, kernel_size: 1, stride: 900}",
        f"- maxpool: {10**9}",
        "- adaptive_avgpool: 70001",
    ],
)
def test_giants_are_judged_at_once(layer: str) -> None:
    """Nothing here loops over what a spec says is long: each would take hours."""
    for code in ("G101", "G104", "G106", "G108", "G109", "G111", "G113", "G117", "U501", "U502"):
        found(code, f"[1, {BIG}]", each(layer, "- relu"))


def test_kernels_that_are_too_large_are_not_counted() -> None:
    huge = Sliding(1 << 17, 1, 5, 1 << 20, 1 << 20)
    assert blind(huge, 4) == 0
    assert dead_taps(huge, 4) == (0, 0, 0)
    assert reached(Spread(1, 1 << 17), 4) == 3 * (1 << 17) + 1
