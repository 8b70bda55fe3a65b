"""The formulas of every operation, with values in them, are arithmetic that gives the operation's own numbers."""

import math
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnplan.analyses.explain import NUMBERS, substituted
from cnnplan.errors import ShapeError
from cnnplan.ops import registry
from cnnplan.ops.base import Op, Shape
from cnnplan.ops.max_unpool import BoundMaxUnpool
from tests.ops.strategies import maps, per_axis, samples, vectors
from tests.ops.test_convolutions import convs, depthwise, transposed
from tests.ops.test_normalization import flags
from tests.ops.test_pooling import avgpools, lppools, maxpools
from tests.ops.test_resizing import upsamples
from tests.ops.test_shapes import merged, pads

V = Shape((6,))
L = Shape((4, 9))
M = Shape((6, 8, 5))
S = Shape((4, 6, 6))
D = Shape((3, 6, 5, 4))

Case = tuple[dict[str, Any], tuple[Shape, ...]]

WINDOWS: list[Case] = [
    ({"kernel_size": 2}, (L,)),
    ({"kernel_size": 3, "stride": 2}, (S,)),
    ({"kernel_size": [3, 2], "stride": [1, 3]}, (M,)),
    ({"kernel_size": [2, 3, 1]}, (D,)),
]
PADDED: list[Case] = [
    ({"kernel_size": 3, "padding": 1}, (M,)),
    ({"kernel_size": 3, "padding": [1, 0]}, (M,)),
    ({"kernel_size": [2, 3], "padding": [[1, 0], [0, 2]]}, (M,)),
    ({"kernel_size": [3, 2], "stride": 2, "padding": "same"}, (M,)),
    ({"kernel_size": 3, "stride": 2, "padding": "half"}, (D,)),
]
ROUNDED: list[Case] = [
    ({"kernel_size": 2, "ceil_mode": True}, (L,)),
    ({"kernel_size": 3, "stride": 2, "ceil_mode": True}, (M,)),
    ({"kernel_size": 2, "stride": 3, "ceil_mode": True}, (Shape((2, 6)),)),
    ({"kernel_size": 1, "stride": 3, "ceil_mode": True}, (Shape((2, 8, 6)),)),
    ({"kernel_size": 1, "stride": [1, 2, 3], "ceil_mode": True}, (D,)),
]
LATE: Case = ({"kernel_size": 2, "stride": 2, "padding": 1, "ceil_mode": True}, (Shape((1, 4, 5)),))
"""The last window would start in the padding behind one axis, and does not."""
DILATED: list[Case] = [({"kernel_size": 2, "dilation": 2}, (L,)), ({"kernel_size": 2, "dilation": [1, 3]}, (M,))]
ANY: list[Case] = [({}, (x,)) for x in (V, L, M, D)]
MAPS: list[Case] = ANY[1:]
SUMS: list[Case] = [
    ({}, (M, M)),
    ({}, (V, V, V)),
    ({}, (M, Shape((6, 1, 1)))),
    ({}, (Shape((1, 1, 5)), Shape((6, 8, 1)), M, M)),
    ({}, (D, D)),
]
REGIONS: list[Case] = [({}, (M, Shape((5, 4)))), ({}, (Shape((1, 1, 1)), Shape((1, 4))))]


def each(cases: list[Case], **arguments: Any) -> list[Case]:
    """The cases with further arguments."""
    return [(given | arguments, xs) for given, xs in cases]


def alike(names: tuple[str, ...], cases: list[Case]) -> dict[str, list[Case]]:
    """The same cases for several operations."""
    return dict.fromkeys(names, cases)


CASES: dict[str, list[Case]] = {
    **alike(("abs", "abs_tanh", "relu", "relu6", "selu", "silu", "mish", "sigmoid", "tanh"), ANY),
    **alike(("hardswish", "hardsigmoid", "identity"), ANY),
    **alike(("elu", "celu"), [*ANY, *each(ANY, alpha=0.3)]),
    "gelu": [*ANY, *each(ANY, approximate="tanh")],
    "hardtanh": [*ANY, *each(ANY, min_val=0, max_val=6)],
    "leaky_relu": [*ANY, *each(ANY, negative_slope=0.2)],
    "softplus": [*ANY, *each(ANY, beta=2.0, threshold=5)],
    "prelu": [*ANY, ({"num_parameters": 6}, (M,)), ({"num_parameters": 6, "init": 0.1}, (V,))],
    **alike(("softmax", "log_softmax"), [*ANY, *each(MAPS, axis=1), *each(ANY, axis=-1)]),
    "batchnorm": [
        *ANY,
        *each(ANY, affine=False),
        *each(ANY, track_running_stats=False),
        *each(MAPS, affine=False, track_running_stats=False),
    ],
    "instancenorm": [
        *MAPS,
        *each(MAPS, affine=True),
        *each(MAPS, track_running_stats=True),
        *each(MAPS, affine=True, track_running_stats=True),
    ],
    "groupnorm": [*each(ANY, num_groups=1), *each([ANY[0], ANY[2]], num_groups=3), *each(ANY, num_groups=1, affine=0)],
    "layernorm": [
        case
        for axis in ("all", "channels")
        for more in ({}, {"bias": False}, {"elementwise_affine": False}, {"elementwise_affine": False, "bias": False})
        for case in each(ANY, axis=axis, **more)
    ],
    "grn": [*MAPS, *each(MAPS, eps=0.1)],
    "l2norm": [*ANY, *each(MAPS, axis=1), *each(ANY, scale=2.5), *each(ANY, axis=-1, scale=20)],
    "lrn": [*each(MAPS, size=5), *each(MAPS, size=1, alpha=1.0)],
    **alike(("dropout", "alpha_dropout"), [*ANY, *each(ANY, p=0.1)]),
    "dropout2d": [*MAPS, *each(MAPS, p=0)],
    "stochastic_depth": each(ANY, p=0.2),
    "gaussian_noise": [*each(ANY, std=0.2), *each(ANY, std=0)],
    "layer_scale": [*ANY, *each(ANY, init=0.1)],
    "scale": [*ANY, *each(ANY, bias=False)],
    "conv": [
        *each([*WINDOWS, *PADDED, *DILATED], out_channels=4),
        *each([*WINDOWS, *PADDED, *DILATED], out_channels=2, bias=False),
        *each([PADDED[0], PADDED[2], DILATED[1]], out_channels=9, groups=3),
        *each([PADDED[0]], out_channels=12, groups=6, bias=False),
        *each([PADDED[0]], out_channels=2, padding_mode="reflect"),
    ],
    "depthwise_conv": [
        *WINDOWS,
        *PADDED,
        *DILATED,
        *each([*WINDOWS, *PADDED], multiplier=3, bias=False),
        *each(WINDOWS, multiplier=2),
    ],
    "conv_transpose": [
        *each(WINDOWS, out_channels=4),
        *each(WINDOWS, out_channels=3, bias=False),
        ({"out_channels": 4, "kernel_size": 4, "stride": 2, "padding": 1, "groups": 2}, (M,)),
        ({"out_channels": 6, "kernel_size": 3, "stride": [2, 3], "output_padding": [1, 2], "dilation": 2}, (M,)),
        ({"out_channels": 2, "kernel_size": 2, "stride": 2, "padding": [1, 0, 1], "dilation": [1, 2, 1]}, (D,)),
        ({"out_channels": 3, "kernel_size": 3, "groups": 3, "bias": False}, (Shape((3, 7)),)),
    ],
    "locally_connected": [
        *each([*WINDOWS, *PADDED, *DILATED], out_channels=4),
        *each([*WINDOWS, *PADDED], out_channels=2, bias=False),
        *each([*WINDOWS, *PADDED], out_channels=3, untied="bias"),
    ],
    "mixed_dilation_conv": [
        *each(WINDOWS, out_channels=4, dilations=[1, 1], padding=0),
        *each([PADDED[0], PADDED[1]], out_channels=6, dilations=[2], bias=False),
        *each([PADDED[3], PADDED[4], *WINDOWS[2:]], out_channels=6, dilations=[1, 3], padding="same"),
        ({"out_channels": 6, "kernel_size": [3, 5], "dilations": [1, [2, 1], 3]}, (M,)),
    ],
    "dropconnect_linear": [
        ({"out_features": 3, "bias": bias, "p": 0.2}, (Shape((m,)),)) for m in (1, 7) for bias in (0, 1)
    ],
    "embedding": [({"num_embeddings": 9, "embedding_dim": n}, (Shape((m,)),)) for n in (1, 4) for m in (1, 6)],
    "linear": [({"out_features": n, "bias": bias}, (Shape((m,)),)) for n in (1, 10) for m in (1, 7) for bias in (0, 1)],
    "maxpool": [*WINDOWS, *PADDED, *DILATED, *ROUNDED, LATE],
    "avgpool": [*WINDOWS, *PADDED, *ROUNDED, LATE, *each(PADDED, count_include_pad=False)],
    "lppool": [*each([*WINDOWS, *ROUNDED], p=2), *each(WINDOWS, p=1.5)],
    "mixed_pool": [*WINDOWS, *PADDED[:2], *ROUNDED, LATE, *each(WINDOWS, alpha=0.3)],
    "stochastic_pool": WINDOWS,
    "softmax_pool": [*WINDOWS, *each(WINDOWS, beta="learned")],
    "spatial_pyramid_pool": [
        *MAPS,
        *each(MAPS, mode="avg"),
        *each(MAPS[:2], levels=[1, 2], bins="sliding"),
        ({"levels": [3, [1, 2]], "bins": "sliding", "mode": "avg"}, (S,)),
    ],
    "channel_maxpool": [({"groups": 3}, (x,)) for x in (V, M, D)],
    "blur_pool": [*MAPS, *WINDOWS, *each([MAPS[0]], kernel_size=5), *each(MAPS, stride=3)],
    **alike(("global_avgpool", "global_maxpool"), [*MAPS, *each(MAPS, keepdim=True)]),
    **alike(
        ("adaptive_avgpool", "adaptive_maxpool"),
        [*each(MAPS, output_size=1), *each(MAPS, output_size=4), ({"output_size": [3, 7]}, (M,))],
    ),
    "roi_pool": [
        *each(REGIONS, output_size=3),
        *each(REGIONS, output_size=[2, 5], spatial_scale=0.25),
    ],
    "roi_align": [
        *each(REGIONS, output_size=7),
        *each(REGIONS, output_size=[2, 5], spatial_scale=0.25, sampling_ratio=3, aligned=True),
    ],
    "upsample": [
        *each(MAPS, scale_factor=2),
        *each(MAPS, scale_factor=0.75),
        ({"scale_factor": [1.5, 3]}, (M,)),
        ({"scale_factor": 2.5, "mode": "nearest-exact"}, (M,)),
        ({"scale_factor": 2, "mode": "linear"}, (L,)),
        ({"scale_factor": 2, "mode": "bilinear"}, (M,)),
        ({"size": [9, 3], "mode": "bicubic"}, (M,)),
        ({"size": 7, "mode": "bilinear", "align_corners": True}, (M,)),
        ({"scale_factor": 2, "mode": "trilinear", "align_corners": True}, (D,)),
        ({"like": "other"}, (M, S)),
        ({"like": "other", "mode": "bilinear"}, (M, S)),
    ],
    "max_unpool": [
        ({"of": "p", "kernel_size": (2,), "stride": (2,), "padding": (0,)}, (L, L, Shape((4, 19)))),
        ({"of": "p", "kernel_size": (3, 2), "stride": (2, 2), "padding": (1, 0)}, (M, M, Shape((6, 15, 10)))),
    ],
    "pad": [
        *each(MAPS, padding=2),
        ({"padding": [1, 2]}, (M,)),
        ({"padding": [[0, 3], [1, 0]]}, (M,)),
        ({"padding": [[1, 2]], "mode": "reflect"}, (L,)),
        ({"padding": 1, "mode": "circular"}, (D,)),
        ({"padding": [[0, 3], [1, 0]], "mode": "mean"}, (M,)),
    ],
    "crop": [*each(MAPS, size=3), ({"size": [8, 2]}, (M,)), ({"like": "other"}, (M, Shape((1, 4, 4))))],
    "flatten": ANY,
    "reshape": [({"shape": [-1]}, (M,)), ({"shape": [8, 5, 6]}, (M,)), ({"shape": [2, -1]}, (V,))],
    "permute": [({"axes": [0]}, (V,)), ({"axes": [2, 0, 1]}, (M,)), ({"axes": [0, 3, 2, 1]}, (D,))],
    "slice": [({"start": 1}, (V,)), ({"axis": 1, "start": -4, "stop": -1}, (M,)), ({"stop": 2}, (D,))],
    "split": [({"sections": 2}, (V,)), ({"sections": [1, 7], "axis": 1}, (M,)), ({"sections": 2, "axis": -1}, (D,))],
    "channel_shuffle": [({"groups": 2}, (M,)), ({"groups": 3}, (D,))],
    "pixel_shuffle": [({"upscale_factor": 2}, (Shape((8, 3, 5)),)), ({"upscale_factor": 1}, (M,))],
    "space_to_depth": [({"downscale_factor": 3}, (S,)), ({"downscale_factor": 2}, (S,))],
    **alike(("add", "multiply", "subtract", "maximum", "mean"), SUMS),
    **alike(
        ("lstm", "gru"),
        [
            *each([({}, (L,)), ({"last": True}, (L,))], hidden_size=5),
            *each([({}, (L,)), ({"last": True}, (L,))], hidden_size=3, bidirectional=True, bias=0),
            ({"hidden_size": 2, "num_layers": 3, "dropout": 0.2}, (L,)),
            ({"hidden_size": 7, "num_layers": 2, "bidirectional": True}, (Shape((3, 1)),)),
        ],
    ),
    "self_attention": [*each(MAPS, num_heads=1), ({"num_heads": 3, "bias": 0, "dropout": 0.1}, (M,))],
    "attention_pool": [*MAPS, ({"num_heads": 2}, (L,)), ({"num_heads": 6}, (M,))],
    "spatial_transformer": [
        ({}, (M, V)),
        ({"size": [3, 7], "mode": "nearest", "padding_mode": "border"}, (M, V)),
        ({"size": 4, "align_corners": True, "padding_mode": "reflection"}, (D, Shape((12,)))),
    ],
    "concat": [({}, (M, M, Shape((1, 8, 5)))), ({"axis": 1}, (L, L)), ({"axis": -1}, (V, V, V))],
}

SIZED = {
    *("conv", "depthwise_conv", "conv_transpose", "maxpool", "avgpool", "lppool", "pad", "upsample"),
    *("adaptive_avgpool", "adaptive_maxpool", "linear", "flatten"),
    *("mixed_pool", "stochastic_pool", "softmax_pool", "spatial_pyramid_pool", "blur_pool"),
    *("locally_connected", "mixed_dilation_conv", "dropconnect_linear"),
}
"""The operations whose formula of the output is arithmetic; those of the others are words."""


def make(name: str, arguments: Mapping[str, Any]) -> Op:
    found = registry.find(name) if name != "max_unpool" else BoundMaxUnpool  # as it is where its pool is known
    assert found
    flagged = {k: bool(v) if k in ("affine", "bias") else v for k, v in arguments.items()}
    return found(**flagged)


def evaluated(text: str) -> float:
    """The value of an expression of numbers, `floor` and `ceil`."""
    assert re.fullmatch(r"(floor|ceil|[\d.+\-*/() ])+", text), f"no arithmetic: {text!r}"
    value = eval(text, {"__builtins__": {}}, {"floor": math.floor, "ceil": math.ceil})
    assert isinstance(value, int | float)
    return value


def elements(tensors: Mapping[str, tuple[int, ...]]) -> int:
    return sum(map(math.prod, tensors.values()))


def check(op: Op, xs: tuple[Shape, ...]) -> bool:
    """Hold all formulas of an operation against its methods.

    Returns:
        Whether that of the output is arithmetic.
    """
    shape = op.output(*xs)
    numbers = (elements(op.parameters(*xs)), elements(op.buffers(*xs)), op.macs(*xs), op.flops(*xs))
    for what, number in zip(NUMBERS, numbers, strict=True):
        text = substituted(op.formula(what, *xs), op, xs)
        assert evaluated(text) == number, f"{what} of {op!r} for {xs}: {op.formula(what, *xs)}, {text}, {number}"
    formula = op.formula("output", *xs)
    axes = range(shape.rank) if shape.rank else [None]
    texts = [substituted(formula, op, xs, axis) for axis in axes]
    assert len({not text for text in texts}) == 1, f"{op!r}: {texts}"
    for text, size in zip(texts, shape.spatial or shape, strict=True):
        if text:
            assert evaluated(text) == size, f"output of {op!r} for {xs}: {formula}, {text}, {shape}"
    return bool(texts[0])


def test_every_operation_has_cases() -> None:
    assert set(CASES) == set(registry.names())
    assert all(len(cases) > 1 for cases in CASES.values())


@pytest.mark.parametrize("name", CASES)
def test_formulas_give_the_numbers(name: str) -> None:
    arithmetic = {check(make(name, arguments), xs) for arguments, xs in CASES[name]}
    assert (True in arithmetic) == (name in SIZED)
    if name not in ("upsample", "flatten"):  # sizes and vectors are no formula
        assert len(arithmetic) == 1


def test_the_last_window_of_ceil_mode() -> None:
    arguments, (x,) = LATE
    op = make("maxpool", arguments)
    assert op.output(x).spatial == (3, 3)
    texts = [substituted(op.formula("output", x), op, (x,), axis) for axis in (0, 1)]
    # of 4 units, 1 + 4 + 1 leave room for windows at 0, 2 and 4; of 5, for one at 6, behind the input
    assert texts == [
        "ceil((4 + 1 + 1 - 1 * (2 - 1) - 1) / 2) + 1 - 0",
        "ceil((5 + 1 + 1 - 1 * (2 - 1) - 1) / 2) + 1 - 1",
    ]


# ------------------------------------------------------------------------- with arguments of any kind

drawn = st.one_of(
    convs(),
    depthwise(),
    transposed(),
    maxpools(),
    avgpools(),
    lppools(),
    pads(),
    upsamples(),
    merged(),
)
built = {
    "linear": st.tuples(st.fixed_dictionaries({"out_features": st.integers(1, 9), "bias": flags}), vectors),
    "batchnorm": st.tuples(st.fixed_dictionaries({"affine": flags, "track_running_stats": flags}), samples),
    "instancenorm": st.tuples(st.fixed_dictionaries({"affine": flags, "track_running_stats": flags}), maps()),
    "groupnorm": st.tuples(st.fixed_dictionaries({"num_groups": st.integers(1, 3), "affine": flags}), samples),
    "layernorm": st.tuples(
        st.fixed_dictionaries(
            {"axis": st.sampled_from(["all", "channels"]), "elementwise_affine": flags, "bias": flags}
        ),
        samples,
    ),
    "lrn": st.tuples(st.fixed_dictionaries({"size": st.integers(1, 6)}), maps()),
    "scale": st.tuples(st.fixed_dictionaries({"bias": flags}), samples),
}


@given(drawn)
def test_windows_and_merges(case: tuple[Op, Any]) -> None:
    op, xs = case
    accepted(op, (xs,) if isinstance(xs, Shape) else xs)


@given(st.one_of([st.tuples(st.just(name), case) for name, case in built.items()]))
def test_layers_with_parameters(case: tuple[str, tuple[dict[str, Any], Shape]]) -> None:
    name, (arguments, x) = case
    accepted(make(name, arguments), (x,))


@given(st.sampled_from(["adaptive_avgpool", "adaptive_maxpool", "crop", "upsample"]), maps(), st.data())
def test_given_sizes(name: str, x: Shape, data: st.DataObject) -> None:
    sizes = data.draw(per_axis(x.rank, st.integers(1, 9)))
    accepted(make(name, {"output_size" if name.startswith("adaptive") else "size": sizes}), (x,))


def accepted(op: Op, xs: tuple[Shape, ...]) -> None:
    """Check what the operation accepts."""
    try:
        op.outputs(*xs)
    except ShapeError:
        return
    check(op, xs)
