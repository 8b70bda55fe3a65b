"""FLOPs against a count: each operation's definition is run on numbers that count what is done to them.

One operation = one +, -, *, /, comparison, clamp, power, root or transcendental function. Negating,
choosing between two values and what is constant are free.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from cnnplan.ops import registry
from cnnplan.ops.base import Shape


class Number:
    """A number that counts the operations on it, on all of them together."""

    done = 0

    def __init__(self, value: float = 0.3) -> None:
        self.value = value

    def result(self, value: float) -> "Number":
        Number.done += 1
        return Number(value)

    def __add__(self, other: "Number | float") -> "Number":
        return self.result(self.value + plain(other))

    def __sub__(self, other: "Number | float") -> "Number":
        return self.result(self.value - plain(other))

    def __mul__(self, other: "Number | float") -> "Number":
        return self.result(self.value * plain(other))

    def __truediv__(self, other: "Number | float") -> "Number":
        return self.result(self.value / (plain(other) or 1))

    def __pow__(self, other: float) -> "Number":
        return self.result(abs(self.value) ** other)

    def __neg__(self) -> "Number":
        return Number(-self.value)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rtruediv__(self, other: float) -> "Number":
        return self.result(other / (self.value or 1))


def plain(x: "Number | float") -> float:
    return x.value if isinstance(x, Number) else x


def function(run: Callable[..., float]) -> Callable[..., Number]:
    def counted(*xs: Number | float) -> Number:
        return Number().result(run(*map(plain, xs)))

    return counted


exp, log, tanh, erf = (
    function(math.exp),
    function(lambda x: math.log(abs(x) + 1)),
    function(math.tanh),
    function(math.erf),
)
larger, clamp, absolute = function(max), function(lambda x, low, high: min(max(x, low), high)), function(abs)


def total(values: Iterable[Number]) -> Number:
    """n - 1 additions."""
    first, *others = values
    for other in others:
        first = first + other
    return first


def largest(values: Iterable[Number]) -> Number:
    """n - 1 comparisons."""
    first, *others = values
    for other in others:
        first = larger(first, other)
    return first


def average(values: Sequence[Number]) -> Number:
    return total(values) / len(values)


def count(run: Callable[[], object]) -> int:
    Number.done = 0
    run()
    return Number.done


def numbers(n: int) -> list[Number]:
    return [Number(0.1 + i % 7) for i in range(n)]


def op(name: str, **arguments: Any) -> Any:
    found = registry.find(name)
    assert found
    return found(**arguments)


IMAGE = Shape((4, 6, 5))

ELEMENTWISE: dict[str, tuple[dict[str, Any], Callable[[Number], object]]] = {
    "abs": ({}, absolute),
    "abs_tanh": ({}, lambda x: absolute(tanh(x))),
    "relu": ({}, lambda x: larger(0, x)),
    "relu6": ({}, lambda x: clamp(x, 0, 6)),
    "hardtanh": ({}, lambda x: clamp(x, -1, 1)),
    "leaky_relu": ({}, lambda x: x * 0.01),
    "prelu": ({}, lambda x: x * 0.25),
    "elu": ({}, lambda x: (exp(x) - 1) * 1.5),
    "celu": ({"alpha": 2.0}, lambda x: (exp(x / 2) - 1) * 2),
    "selu": ({}, lambda x: (exp(x) - 1) * 1.67 * 1.05),
    "sigmoid": ({}, lambda x: 1 / (1 + exp(-x))),
    "silu": ({}, lambda x: x / (1 + exp(-x))),
    "tanh": ({}, tanh),
    "mish": ({}, lambda x: x * tanh(log(1 + exp(x)))),
    "softplus": ({"beta": 2.0}, lambda x: log(1 + exp(x * 2)) / 2),
    "hardsigmoid": ({}, lambda x: clamp(x + 3, 0, 6) / 6),
    "hardswish": ({}, lambda x: x * clamp(x + 3, 0, 6) / 6),
    "gelu": ({}, lambda x: x * 0.5 * (1 + erf(x / 1.414))),
    "layer_scale": ({}, lambda x: x * 1e-6),
    "scale": ({}, lambda x: x * 2 + 1),
    "batchnorm": ({}, lambda x: x * 2 + 1),
    "dropout": ({"p": 0.5}, lambda x: x),
    "dropout2d": ({"p": 0.5}, lambda x: x),
    "alpha_dropout": ({"p": 0.5}, lambda x: x),
    "stochastic_depth": ({"p": 0.5}, lambda x: x),
    "gaussian_noise": ({"std": 0.5}, lambda x: x),
    "identity": ({}, lambda x: x),
    "flatten": ({}, lambda x: x),
    "reshape": ({"shape": [-1]}, lambda x: x),
    "permute": ({"axes": [1, 0, 2]}, lambda x: x),
    "pad": ({"padding": 1}, lambda x: x),
    "crop": ({"size": 2}, lambda x: x),
    "split": ({"sections": 2}, lambda x: x),
    "slice": ({"stop": 2}, lambda x: x),
    "channel_shuffle": ({"groups": 2}, lambda x: x),
    "pixel_shuffle": ({"upscale_factor": 2}, lambda x: x),
    "upsample": ({"scale_factor": 2}, lambda x: x),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name: str) -> None:
    arguments, define = ELEMENTWISE[name]
    assert op(name, **arguments).flops(IMAGE) == count(lambda: [define(x) for x in numbers(IMAGE.numel)])


def test_variants() -> None:
    def gelu(x: Number) -> Number:
        return x * 0.5 * (1 + tanh((x + x * x * x * 0.0447) * 0.798))

    assert op("gelu", approximate="tanh").flops(IMAGE) == count(lambda: [gelu(x) for x in numbers(IMAGE.numel)])
    assert op("scale", bias=False).flops(IMAGE) == count(lambda: [x * 2 for x in numbers(IMAGE.numel)])
    assert op("space_to_depth", downscale_factor=2).flops(Shape((1, 4, 4))) == 0


def windows(x: Shape, kernel: int, stride: int, padding: int) -> int:
    """How many windows of a size there are, counted one by one."""
    axes = [range(0, n + 2 * padding - kernel + 1, stride) for n in x.spatial]
    return x.channels * len(list(itertools.product(*axes)))


@pytest.mark.parametrize(
    ("name", "extra", "reduce"),
    [
        ("maxpool", {}, largest),
        ("avgpool", {}, average),
        ("lppool", {"p": 2}, lambda values: total([v**2 for v in values]) ** 0.5),
    ],
)
@pytest.mark.parametrize("x", [Shape((2, 9)), IMAGE, Shape((2, 4, 5, 3))])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 1, 0), (3, 2, 1)])
def test_pools(
    name: str,
    extra: dict[str, Any],
    reduce: Callable[[Sequence[Number]], Number],
    x: Shape,
    kernel: int,
    stride: int,
    padding: int,
) -> None:
    if name == "lppool" and padding:
        return
    arguments = extra | {"kernel_size": kernel, "stride": stride} | ({"padding": padding} if padding else {})
    every = windows(x, kernel, stride, padding)
    assert op(name, **arguments).flops(x) == count(lambda: [reduce(numbers(kernel**x.rank)) for _ in range(every)])


def test_global_and_adaptive_pools() -> None:
    def run(reduce: Callable[[Sequence[Number]], Number], size: int) -> None:
        for _ in range(IMAGE.channels):
            for o in itertools.product(range(size), repeat=2):
                ends = [(i * n // size, -(-(i + 1) * n // size)) for i, n in zip(o, IMAGE.spatial, strict=True)]
                reduce(numbers(math.prod(stop - start for start, stop in ends)))

    assert op("global_avgpool").flops(IMAGE) == count(lambda: run(average, 1))
    assert op("global_maxpool").flops(IMAGE) == count(lambda: run(largest, 1))
    for size in (1, 2, 3, 4):
        assert op("adaptive_avgpool", output_size=size).flops(IMAGE) == count(lambda size=size: run(average, size))
        assert op("adaptive_maxpool", output_size=size).flops(IMAGE) == count(lambda size=size: run(largest, size))


def mixed(values: Sequence[Number]) -> Number:
    return largest(values) * 0.3 + average(values) * 0.7


def expected(values: Sequence[Number]) -> Number:
    """Of a stochastic pool in evaluation; the sum is held above 0."""
    rates = [larger(v, 0) for v in values]
    whole = larger(total(rates), 1e-38)
    return total([rate * (rate / whole) for rate in rates])


def weighted(values: Sequence[Number]) -> Number:
    """The first value needs no comparison and no addition in the softmax; those two are counted nevertheless."""
    scaled = [v * 2 for v in values]
    top = larger(largest(scaled), 0)
    raised = [exp(v - top) for v in scaled]
    sum_ = total(raised) + 0
    return total([v * (r / sum_) for v, r in zip(values, raised, strict=True)])


@pytest.mark.parametrize(
    ("name", "extra", "reduce"),
    [
        ("mixed_pool", {"alpha": 0.3}, mixed),
        ("mixed_pool", {"padding": 1}, mixed),
        ("stochastic_pool", {}, expected),
        ("softmax_pool", {"beta": 2}, weighted),
    ],
)
@pytest.mark.parametrize("x", [Shape((2, 9)), IMAGE, Shape((2, 4, 5, 3))])
def test_pools_between_mean_and_maximum(
    name: str, extra: dict[str, Any], reduce: Callable[[Sequence[Number]], Number], x: Shape
) -> None:
    for kernel, stride in ((2, 2), (3, 1), (3, 2)):
        every = windows(x, kernel, stride, extra.get("padding", 0))
        found = op(name, kernel_size=kernel, stride=stride, **extra).flops(x)
        assert found == count(lambda n=kernel**x.rank, every=every: [reduce(numbers(n)) for _ in range(every)])


@pytest.mark.parametrize(("mode", "reduce"), [("max", largest), ("avg", average)])
@pytest.mark.parametrize(
    ("bins", "x"), [("adaptive", IMAGE), ("adaptive", Shape((2, 7))), ("sliding", Shape((3, 7, 9)))]
)
def test_pyramids(mode: str, reduce: Callable[[Sequence[Number]], Number], bins: str, x: Shape) -> None:
    def ends(o: int, size: int, n: int) -> int:
        """The units of a bin: those between two cuts, or of a window."""
        return -(-(o + 1) * size // n) - o * size // n if bins == "adaptive" else -(-size // n)

    def run() -> None:
        for n in (1, 2, 3):
            for o in itertools.product(range(x.channels), *[range(n)] * x.rank):
                reduce(numbers(math.prod(ends(i, size, n) for i, size in zip(o[1:], x.spatial, strict=True))))

    assert op("spatial_pyramid_pool", levels=[1, 2, 3], mode=mode, bins=bins).flops(x) == count(run)


def test_channel_groups_and_blurs() -> None:
    for groups in (1, 2, 4):
        each = IMAGE.channels // groups
        wanted = count(lambda each=each, groups=groups: [largest(numbers(each)) for _ in range(30 * groups)])
        assert op("channel_maxpool", groups=groups).flops(IMAGE) == wanted
    for kernel in (2, 3, 5):
        wanted = count(lambda kernel=kernel: [product(kernel**2, bias=False) for _ in range(4 * 3 * 3)])
        assert op("blur_pool", kernel_size=kernel).flops(IMAGE) == wanted


@pytest.mark.parametrize(
    ("name", "merge"),
    [
        ("add", total),
        ("subtract", total),
        ("multiply", total),
        ("maximum", largest),
        ("mean", average),
        ("concat", len),
    ],
)
@pytest.mark.parametrize("n", [2, 3, 5])
def test_merges(name: str, merge: Callable[[Sequence[Number]], object], n: int) -> None:
    assert op(name).flops(*[IMAGE] * n) == count(lambda: [merge(numbers(n)) for _ in range(IMAGE.numel)])


def test_merges_that_broadcast_work_on_the_output() -> None:
    assert op("multiply").flops(IMAGE, Shape((4, 1, 1))) == IMAGE.numel
    assert op("multiply").flops(Shape((4, 1, 1)), IMAGE) == IMAGE.numel


def normalized(values: Sequence[Number], weight: bool, bias: bool) -> None:
    mean = average(values)
    variance = average([(v - mean) * Number() for v in values])
    for v in values:
        y = (v - mean) / variance
        y = y * 2 if weight else y
        if bias:
            y = y + 1


NORMS = [
    ("groupnorm", {"num_groups": 2}, 2, True, True),
    ("groupnorm", {"num_groups": 4, "affine": False}, 4, False, False),
    ("instancenorm", {"affine": True}, 4, True, True),
    ("instancenorm", {}, 4, False, False),
    ("layernorm", {}, 1, True, True),
    ("layernorm", {"elementwise_affine": False}, 1, False, False),
    ("layernorm", {"bias": False}, 1, True, False),
    ("layernorm", {"axis": "channels"}, 30, True, True),
]


@pytest.mark.parametrize(("name", "arguments", "groups", "weight", "bias"), NORMS)
def test_norms(name: str, arguments: dict[str, Any], groups: int, weight: bool, bias: bool) -> None:
    """The root of each variance is left out: one for a whole group of values."""
    each = IMAGE.numel // groups
    wanted = count(lambda: [normalized(numbers(each), weight, bias) for _ in range(groups)])
    assert op(name, **arguments).flops(IMAGE) == wanted


def test_lrn() -> None:
    def one(x: Number, size: int) -> Number:
        squares = [x * x, *[Number() for _ in range(size - 1)]]  # the squares of the neighbours are theirs
        return x / (total(squares) * 1e-4 + 1) ** 0.75

    for size in (1, 3, 5):
        wanted = count(lambda size=size: [one(x, size) for x in numbers(IMAGE.numel)])
        assert op("lrn", size=size).flops(IMAGE) == wanted


def test_grn() -> None:
    """gamma * x * N + beta + x, as x * (gamma * N + 1) + beta."""

    def run() -> None:
        channels = [numbers(30) for _ in range(4)]
        norms = [total([v * v for v in values]) ** 0.5 for values in channels]
        mean = average(norms) + 1e-6
        for values, norm in zip(channels, norms, strict=True):
            factor = norm / mean * 2 + 1
            for v in values:
                v * factor + 1

    assert op("grn").flops(IMAGE) == count(run)


@pytest.mark.parametrize(("axis", "n"), [(0, 4), (1, 6), (-1, 5)])
@pytest.mark.parametrize("scaled", [False, True])
def test_l2norm(axis: int, n: int, scaled: bool) -> None:
    def one(values: Sequence[Number]) -> None:
        norm = larger(total([v * v for v in values]) ** 0.5, 1e-12)
        for v in values:
            y = v / norm
            if scaled:
                y * 2

    norm = op("l2norm", axis=axis, scale=2 if scaled else None)
    assert norm.flops(IMAGE) == count(lambda: [one(numbers(n)) for _ in range(IMAGE.numel // n)])


def test_padding_with_the_mean() -> None:
    assert op("pad", padding=1, mode="mean").flops(IMAGE) == count(lambda: [average(numbers(30)) for _ in range(4)])


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_regions(size: int) -> None:
    """Boxes as large as the map for the largest values; samples are as many for every box."""
    boxes = Shape((3, 4))

    def pool() -> None:
        for _, *at in itertools.product(range(4 * 3), range(size), range(size)):
            ends = [(i * n // size, -(-(i + 1) * n // size)) for i, n in zip(at, IMAGE.spatial, strict=True)]
            largest(numbers(math.prod(stop - start for start, stop in ends)))

    def sample() -> Number:
        return total([v * 0.25 for v in numbers(4)])

    def align() -> None:
        for _ in range(4 * 3 * size * size):
            average([sample() for _ in range(9)])

    assert op("roi_pool", output_size=size).flops(IMAGE, boxes) == count(pool)
    assert op("roi_align", output_size=size, sampling_ratio=3).flops(IMAGE, boxes) == count(align)


def test_softmax() -> None:
    def softmax(values: Sequence[Number]) -> None:
        top = largest(values)
        raised = [exp(v - top) for v in values]
        sum_ = total(raised)
        for value in raised:
            value / sum_

    # the first value of a row needs no comparison and no addition; those two are counted nevertheless
    rows = IMAGE.numel // IMAGE.channels
    wanted = count(lambda: [softmax(numbers(IMAGE.channels)) for _ in range(rows)]) + 2 * rows
    assert op("softmax").flops(IMAGE) == wanted
    assert op("log_softmax").flops(IMAGE) == wanted


@pytest.mark.parametrize(("mode", "taps"), [("linear", 2), ("bilinear", 4), ("trilinear", 8), ("bicubic", 16)])
def test_interpolation(mode: str, taps: int) -> None:
    x = {"linear": Shape((2, 5)), "trilinear": Shape((2, 3, 4, 2))}.get(mode, IMAGE)
    upsample = op("upsample", scale_factor=2, mode=mode)
    outputs = upsample.output(x).numel
    assert upsample.flops(x) == count(lambda: [total([v * 0.5 for v in numbers(taps)]) for _ in range(outputs)])


def product(n: int, bias: bool) -> Number:
    """n multiply-accumulates, from zero on."""
    found = total([Number(0), *[v * 2 for v in numbers(n)]])
    return found + 1 if bias else found


@pytest.mark.parametrize("bias", [True, False])
def test_convolutions_and_dense_layers(bias: bool) -> None:
    def check(op: Any, x: Shape, outputs: int, products: int) -> None:
        assert op.flops(x) == count(lambda: [product(products, bias) for _ in range(outputs)])

    check(op("conv", out_channels=6, kernel_size=2, stride=2, bias=bias), IMAGE, 6 * 3 * 2, 4 * 4)
    check(op("conv", out_channels=6, kernel_size=2, stride=2, groups=2, bias=bias), IMAGE, 6 * 3 * 2, 2 * 4)
    check(op("depthwise_conv", kernel_size=3, padding=1, bias=bias), IMAGE, 4 * 6 * 5, 9)
    check(op("linear", out_features=7, bias=bias), Shape((10,)), 7, 10)
    check(op("dropconnect_linear", out_features=7, bias=bias), Shape((10,)), 7, 10)
    check(op("locally_connected", out_channels=6, kernel_size=2, stride=2, bias=bias), IMAGE, 6 * 3 * 2, 4 * 4)
    mixed = op("mixed_dilation_conv", out_channels=6, kernel_size=3, dilations=[1, 2, 4], stride=2, bias=bias)
    check(mixed, IMAGE, 6 * 3 * 3, 4 * 9)


def test_untied_biases_and_embeddings() -> None:
    """An embedding looks its vectors up."""
    untied = op("locally_connected", out_channels=2, kernel_size=3, untied="bias")
    assert untied.flops(IMAGE) == count(lambda: [product(4 * 9, bias=True) for _ in range(2 * 4 * 3)])
    assert op("embedding", num_embeddings=9, embedding_dim=4).flops(Shape((7,))) == 0


@pytest.mark.parametrize("bias", [True, False])
def test_transposed_convolution(bias: bool) -> None:
    """Each input adds a scaled kernel to the output, then the bias is added."""
    conv = op("conv_transpose", out_channels=3, kernel_size=2, stride=2, bias=bias)

    def run() -> None:
        for _ in range(IMAGE.numel * 3 * 4):
            Number() + Number() * 2
        for _ in range(3 * 12 * 10 * bias):
            Number() + 1

    assert conv.flops(IMAGE) == count(run)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("name", "gates"), [("lstm", 4), ("gru", 3)])
def test_recurrences(name: str, gates: int, bias: bool) -> None:
    """The equations of a state in a step; products are counted as of the dense layers."""

    def sigmoid(x: Number) -> Number:
        return 1 / (1 + exp(-x))

    def step(entering: int, h: int) -> None:
        for _ in range(h):
            products = [(product(entering, bias), product(h, bias)) for _ in range(gates)]
            if name == "lstm":
                i, f, g, o = (a + b for a, b in products)
                c = sigmoid(f) * 0.5 + sigmoid(i) * tanh(g)
                sigmoid(o) * tanh(c)
            else:
                (r, z), (a, b) = (sigmoid(a + b) for a, b in products[:2]), products[2]
                n = tanh(a + r * b)
                z * 0.5 + (1 + -z) * n

    for arguments, entering in (
        ({}, (4,)),
        ({"bidirectional": True}, (4, 4)),
        ({"num_layers": 3}, (4, 5, 5)),
        ({"num_layers": 2, "bidirectional": True, "last": True}, (4, 4, 10, 10)),
    ):
        wanted = count(lambda entering=entering: [step(n, 5) for n in entering for _ in range(9)])
        assert op(name, hidden_size=5, bias=bias, **arguments).flops(Shape((4, 9))) == wanted


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_self_attention(heads: int, bias: bool) -> None:
    def run(channels: int, positions: int) -> None:
        for _ in range(4 * channels * positions):  # queries, keys, values, and the output
            product(channels, bias)
        for _ in range(heads * positions):
            scores = [product(channels // heads, False) / 1.4 for _ in range(positions)]
            top = largest([Number(), *scores])
            raised = [exp(score - top) for score in scores]
            sum_ = total([Number(), *raised])
            for value in raised:
                value / sum_
            for _ in range(channels // heads):
                product(positions, False)

    assert op("self_attention", num_heads=heads, bias=bias).flops(IMAGE) == count(lambda: run(4, 30))


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_pool(heads: int) -> None:
    def run(channels: int, positions: int) -> None:
        for _ in range(heads):
            scores = [product(channels // heads, False) for _ in range(positions)]
            top = largest([Number(), *scores])
            raised = [exp(score - top) for score in scores]
            sum_ = total([Number(), *raised])
            for value in raised:
                value / sum_
            for _ in range(channels // heads):
                product(positions, False)

    assert op("attention_pool", num_heads=heads).flops(IMAGE) == count(lambda: run(4, 30))


floor, remainder = function(math.floor), function(lambda x: math.fmod(x, 2))


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_spatial_transformer(mode: str, padding_mode: str, align_corners: bool, rank: int) -> None:
    """At each position: where to read, with which weights; in each channel the weighted sum."""

    def coordinate(place: Sequence[Number]) -> Number:
        x = total([*[v * 0.5 for v in place], Number()])
        x = (x + 1) / 2 * 7 if align_corners else ((x + 1) * 8 - 1) / 2
        if padding_mode == "reflection":
            x = absolute(x - 0.5)
            floor(x / 8)  # even or odd: the rest, or what it leaves of the span, which is counted
            x = (8 + -remainder(x)) + 0.5
        return x if padding_mode == "zeros" else clamp(x, 0, 7)

    def position(channels: int) -> None:
        found = [coordinate(numbers(rank)) for _ in range(rank)]
        if mode == "nearest":
            for x in found:
                floor(x)
            return
        shares = [(x - floor(x), Number()) for x in found]
        sides = [(share, 1 + -share) for share, _ in shares]
        corners = list(itertools.product(*sides))
        for corner in corners:
            first, *others = corner
            for other in others:
                first = first * other
        for _ in range(channels):
            total([v * 0.5 for v in numbers(len(corners))])

    x, theta = (Shape((2, *(5, 4, 3)[:rank])), Shape((rank * (rank + 1),)))
    made = op("spatial_transformer", mode=mode, padding_mode=padding_mode, align_corners=align_corners, size=6)
    assert made.flops(x, theta) == count(lambda: [position(2) for _ in range(6**rank)])
