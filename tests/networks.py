"""Random networks: specs as people could write them, grown item by item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

import cnnplan
from cnnplan.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

Item = dict[str, Any] | str
Spec = dict[str, Any]

ACTIVATIONS = ("relu", "relu6", "silu", "tanh", "sigmoid", "gelu", "hardswish", "abs", "mish")
BLOCKS: dict[str, Any] = {
    "conv_norm": {
        "params": {"width": "int", "kernel": 3, "stride": 1, "norm": True},
        "layers": [
            {
                "conv": {
                    "out_channels": "=width",
                    "kernel_size": "=kernel",
                    "stride": "=stride",
                    "padding": "half",
                    "bias": "=not norm",
                }
            },
            {"batchnorm": None, "if": "=norm"},
            "relu",
        ],
    },
    "residual": {
        "params": {"width": "int", "stride": 1, "act": "relu", "gate": False},
        "layers": [
            {
                "add": {
                    "body": [
                        {"conv_norm": {"width": "=width", "stride": "=stride"}},
                        {"conv": {"out_channels": "=width", "kernel_size": 3, "padding": 1, "bias": False}},
                        {"squeeze_excite": {"reduction": 2}, "if": "=gate"},
                    ],
                    "shortcut": [
                        {
                            "conv": {"out_channels": "=width", "kernel_size": 1, "stride": "=stride"},
                            "if": "=stride != 1 or in_channels != width",
                        }
                    ],
                }
            },
            {"relu": None, "if": "=act == 'relu'"},
            {"hardswish": None, "if": "=act == 'hs'"},
        ],
    },
    "stack": {
        "params": {"width": "int", "depth": 2},
        "layers": [
            {
                "layers": [
                    {"conv": {"out_channels": "=width", "kernel_size": 3, "padding": 1}},
                    "relu",
                ],
                "repeat": "=depth",
            },
        ],
    },
    "crossed": {
        "inputs": ["x", "y"],
        "outputs": ["sum", "x2"],
        "layers": [
            {"conv": {"out_channels": 4, "kernel_size": 1}, "from": "x", "name": "x2"},
            {"conv": {"out_channels": 4, "kernel_size": 1}, "from": "y", "name": "y2"},
            {"add": None, "from": ["x2", "y2"], "name": "sum"},
        ],
    },
}

OTHERS: tuple[Item, ...] = (
    "prelu",
    "grn",
    "l2norm",
    {"gaussian_noise": 0.1},
    {"pad": {"padding": 1, "mode": "mean"}},
    {"softmax_pool": {"kernel_size": 2, "stride": 1}},
    {"mixed_pool": {"kernel_size": 2, "stride": 1}},
    "scale",
    "instancenorm",
    {"instancenorm": {"track_running_stats": True}},
    {"lppool": {"p": 2, "kernel_size": 2}},
    {"maxpool": {"kernel_size": 3, "stride": 2, "ceil_mode": True}},
    {"maxpool": {"kernel_size": 2, "stride": 1, "dilation": 2}},
    {"avgpool": {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}},
    {"pixel_shuffle": 2},
    {"space_to_depth": 2},
    {"channel_shuffle": 2},
    "softmax",
    {"softmax": {"axis": 1}},
    {"upsample": {"scale_factor": 2, "mode": "bilinear"}},
    {"upsample": {"size": 7, "mode": "bilinear", "align_corners": True}},
    {"upsample": {"scale_factor": 2, "mode": "bicubic"}},
    {"upsample": {"size": 5, "mode": "nearest-exact"}},
    {"conv": {"out_channels": 4, "kernel_size": 3, "padding": 1, "padding_mode": "reflect"}},
    {"conv": {"out_channels": 4, "kernel_size": 3, "padding": 1, "padding_mode": "circular"}},
    {"depthwise_conv": {"kernel_size": 3, "padding": 1, "padding_mode": "replicate"}},
    {"pad": {"padding": 1, "mode": "reflect"}},
    {"conv_transpose": {"out_channels": 4, "kernel_size": 3, "stride": 2, "dilation": 2, "padding": 1}},
    {"conv_transpose": {"out_channels": 4, "kernel_size": 2, "stride": 3}},
    {"global_avgpool": {"keepdim": True}},
    {"slice": {"axis": 1, "stop": -1}},
    "grn",
    {"l2norm": {"axis": 1}},
    {"l2norm": {"scale": 2}},
    {"gaussian_noise": 0.1},
    {"pad": {"padding": 1, "mode": "mean"}},
)

small = st.integers(1, 3)
widths = st.sampled_from([2, 4, 6, 8])


@st.composite
def simple_items(draw: st.DrawFn) -> Item:
    """One operation."""
    kind = draw(
        st.sampled_from(
            ["conv", "conv", "conv", "depthwise_conv", "conv_transpose", "maxpool", "avgpool", "norm", "activation"]
            + ["dropout", "upsample", "pad", "layer_scale", "adaptive", "crop", "permute", "reshape", "slice"]
            + ["other", "other"]
        )
    )
    kernel, stride = draw(small), draw(st.integers(1, 2))
    if kind == "conv":
        padding = draw(st.sampled_from([0, 1, "half", "same"]))
        dilation = draw(st.sampled_from([1, 1, 2]))
        return {
            "conv": {
                "out_channels": draw(widths),
                "kernel_size": kernel,
                "stride": stride,
                "padding": padding,
                "dilation": dilation,
                "bias": draw(st.booleans()),
                "groups": draw(st.sampled_from([1, 1, 2])),
            }
        }
    if kind == "depthwise_conv":
        return {
            kind: {"kernel_size": kernel, "padding": "same", "stride": stride, "multiplier": draw(st.integers(1, 2))}
        }
    if kind == "conv_transpose":
        return {kind: {"out_channels": draw(widths), "kernel_size": kernel, "stride": min(stride, kernel)}}
    if kind in ("maxpool", "avgpool"):
        return {kind: {"kernel_size": kernel, "stride": stride, "padding": draw(st.sampled_from([0, "same"]))}}
    if kind == "norm":
        return draw(
            st.sampled_from(["batchnorm", "layernorm", {"layernorm": "channels"}, {"groupnorm": 2}, {"lrn": 3}])
        )
    if kind == "activation":
        return draw(st.sampled_from(ACTIVATIONS))
    if kind == "dropout":
        return {draw(st.sampled_from(["dropout", "dropout2d", "stochastic_depth"])): 0.3}
    if kind == "upsample":
        return {"upsample": 2}
    if kind == "pad":
        return {"pad": draw(st.sampled_from([1, 2]))}
    if kind == "adaptive":
        return {draw(st.sampled_from(["adaptive_avgpool", "adaptive_maxpool"])): draw(st.integers(2, 5))}
    if kind == "crop":
        return {"crop": draw(st.integers(2, 4))}
    if kind == "permute":
        return {"permute": draw(st.sampled_from([[1, 0], [0, 2, 1], [0, 3, 1, 2]]))}
    if kind == "reshape":
        return {"reshape": draw(st.sampled_from([[-1, 2, 2], [4, -1], [2, -1, 2]]))}
    if kind == "slice":
        return {"slice": {"axis": draw(st.integers(0, 1)), "start": 1}}
    if kind == "other":
        return draw(st.sampled_from(OTHERS))
    return "layer_scale"


@st.composite
def items(draw: st.DrawFn, names: Sequence[str], depth: int) -> list[Item]:
    """One or a few items: an operation, a block, a group, branches, something that refers to names."""
    kind = draw(
        st.sampled_from(["simple"] * 5 + ["block", "block", "group", "branches", "branches", "from", "split", "share"])
    )
    if depth > 1 and kind in ("group", "branches"):
        kind = "simple"
    if kind == "block":
        item: dict[str, Any] = draw(
            st.sampled_from(
                [
                    {"conv_norm": {"width": 4}},
                    {"conv_norm": {"width": 6, "kernel": 1, "norm": False}},
                    {"residual": {"width": 4}},
                    {"residual": {"width": 8, "stride": 2, "act": "hs"}},
                    {"residual": {"width": 4, "gate": True}},
                    {"stack": {"width": 4, "depth": 1}},
                    {"stack": {"width": 4, "depth": 4}},
                    {"stack": {"width": 6, "depth": 2}},
                    {"bottleneck": {"width": 2}},
                    {"separable_conv": 4},
                ]
            )
        )
        item = dict(item)
        if draw(st.booleans()):
            item["repeat"] = draw(st.integers(1, 4))
        return [_named(draw, item, names)]
    if kind == "group":
        inner = [i for _ in range(draw(st.integers(1, 2))) for i in draw(items(names, depth + 1))]
        group: dict[str, Any] = {"layers": inner}
        modifier = draw(st.sampled_from(["repeat", "trainable", "checkpoint", "none"]))
        if modifier == "repeat":
            group["repeat"] = draw(st.integers(1, 4))
        elif modifier != "none":
            group[modifier] = modifier == "checkpoint"
        return [_named(draw, group, names)]
    if kind == "branches":
        merge = draw(st.sampled_from(["add", "concat", "multiply", "mean", "maximum", "subtract"]))
        left = draw(items(names, depth + 1)) if draw(st.booleans()) else []
        right: Item = draw(simple_items())
        branches: Any = {"left": left, "right": [right] if draw(st.booleans()) else [right, "relu"]}
        if draw(st.integers(0, 3)) == 0:
            branches = list(branches.values())
        return [_named(draw, {merge: branches}, names)]
    if kind == "from" and names:
        merge = draw(st.sampled_from(["concat", "add", "maximum"]))
        return [{merge: None, "from": [draw(st.sampled_from(list(names))), "previous"]}]
    if kind == "split":
        name = f"half{len(names)}"
        if draw(st.integers(0, 2)) == 0:  # halves of the height, one behind the other again
            parts = [f"{name}.1", f"{name}.0"]
            return [{"split": {"sections": 2, "axis": 1}, "name": name}, {"concat": {"axis": 1}, "from": parts}]
        return [
            {"split": 2, "name": name},
            {
                "concat": {"a": [draw(simple_items())], "b": []},
                "from": [f"{name}.0", f"{name}.1"],
            },
        ]
    if kind == "share" and names:
        return [{"share": draw(st.sampled_from(list(names)))}]
    return [_named(draw, draw(simple_items()), names)]


def _named(draw: st.DrawFn, item: Item, names: Sequence[str]) -> Item:
    if draw(st.integers(0, 2)):
        return item
    whole = {item: None} if isinstance(item, str) else dict(item)
    return {**whole, "name": f"n{len(names)}"}


@st.composite
def networks(draw: st.DrawFn, most: int = 7) -> Spec:
    """A whole valid spec, with at least one layer."""
    rank = draw(st.sampled_from([1, 2, 2, 2, 3]))
    size = {1: [16], 2: [10, 12], 3: [6, 6, 5]}[rank]
    spec: Spec = {
        "cnnplan": 1,
        "name": "random_net",
        "input": [draw(st.sampled_from([1, 3, 4])), *size],
        "blocks": BLOCKS,
        "layers": ["identity"],
    }
    names: list[str] = []
    for _ in range(draw(st.integers(2, most))):
        grown = {**spec, "layers": [*spec["layers"], *draw(items(names, 0))]}
        if _acceptable(grown):
            spec = grown
            names = [i["name"] for i in spec["layers"] if isinstance(i, dict) and "name" in i]
    if draw(st.booleans()):
        head = {**spec, "layers": [*spec["layers"], "flatten", {"linear": 5}, "relu", {"linear": 3}]}
        if _acceptable(head):
            spec = head
    return spec


def _acceptable(spec: Spec) -> bool:
    try:
        plan = cnnplan.plan(spec)
    except SpecError:
        return False
    largest = max(v.shape.numel for node in plan.graph.nodes for v in node.outputs)
    return largest < 20_000 and plan.parameters < 200_000 and len(plan.graph.outputs) == 1
