"""What is alive when: small networks that each do one thing, against storages counted in torch.

Saved activations are those of `saved_tensors_hooks`; where layers are recomputed, what is alive behind the
forward pass. Peaks are those of a step and of an inference, storage by storage; and the counting itself is
held against what torch's allocator reports to its profiler.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import cnnplan
from cnnplan.analyses.optimizers import IMPLEMENTATIONS, OPTIMIZERS
from cnnplan.ops import registry
from cnnplan.ops.merges import MERGES
from cnnplan.runtime.measure import step_and_inference
from cnnplan.runtime.memory import alive, saved_bytes
from cnnplan.runtime.tracker import Tracker
from tests.analyses.test_optimizers import CLASSES, HOW, UNFUSED
from tests.analyses.test_precision import ARGUMENTS
from tests.emit.small_networks import SPECS
from tests.language.helpers import net, plan
from tests.networks import Spec, networks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cnnplan.planning import Plan

BATCHES = (1, 2, 3, 5)
SCALARS = 16
"""Bytes of single numbers: losses of several outputs, their sum, the sum of a cross entropy's weights."""

CONV = "conv: {out_channels: 4, kernel_size: 3, padding: 1}"
POINT = "conv: {out_channels: 4, kernel_size: 1}"
END = "- flatten\n- linear: 5"
BODY = """
blocks:
  body:
    params: {width: int}
    layers:
      - conv: {out_channels: =width, kernel_size: 3, padding: 1}
      - relu
      - conv: {out_channels: =width, kernel_size: 3, padding: 1}
      - tanh
"""
SERIES, VOLUME, VECTOR = ("cnnplan: 1\nname: net\ninput: [" + s + "]\n" for s in ("3, 16", "2, 4, 6, 6", "12"))
TWO = "cnnplan: 1\nname: net\ninputs: {image: [3, 8, 8], features: [6]}\n"

NETWORKS = {
    "a chain": net(f"- {CONV}\n- relu\n- {CONV}\n- maxpool: 2\n{END}"),
    "dense layers": net("- linear: 8\n- relu\n- linear: 8\n- tanh\n- linear: 3", head=VECTOR),
    # sums: their gradient goes both ways, and is added to where the ways meet
    "a residual sum": net(f"- {CONV}\n- add:\n    a: [{{{CONV}}}, batchnorm, relu]\n    b: []\n- relu\n{END}"),
    "residual sums": net(f"- {CONV}\n- add:\n    a: [{{{CONV}}}, silu]\n    b: []\n  repeat: 3\n{END}"),
    "a sum of three": net(f"- {CONV}\n- add:\n    a: [{{{CONV}}}]\n    b: [tanh]\n    c: []\n{END}"),
    "a sum that broadcasts": net(f"- {CONV}\n- add:\n    a: [{{global_avgpool: {{keepdim: true}}}}]\n    b: []\n{END}"),
    "a value read by three layers": net(
        f"""
        - {CONV}
          name: x
        - {POINT}
          name: a
        - {POINT}
          name: b
          from: x
        - {POINT}
          name: c
          from: x
        - add:
          from: [a, b, c]
        - flatten
        - linear: 5
        """
    ),
    "a value read early and late": net(
        f"- {CONV}\n  name: x\n- {POINT}\n- tanh\n- {POINT}\n- tanh\n- add:\n  from: [x, previous]\n{END}"
    ),
    "two inputs": net(
        """
        - conv: {out_channels: 6, kernel_size: 3}
          from: image
        - global_avgpool:
          name: pooled
        - linear: 4
          from: features
        - tanh:
          name: side
        - concat:
          from: [pooled, side]
        - linear: 5
        """,
        head=TWO,
    ),
    # views
    "a split": net(
        f"""
        - {CONV}
        - split: 2
          name: half
        - concat:
            a: [{{conv: {{out_channels: 3, kernel_size: 1}}}}]
            b: []
          from: [half.0, half.1]
        - flatten
        - linear: 5
        """
    ),
    "a split of which one part is used": net(f"- {CONV}\n- split: 2\n  name: half\n- tanh:\n  from: half.1\n{END}"),
    "slices": net(f"- {CONV}\n- slice: {{start: 1}}\n- tanh\n- slice: {{axis: 1, stop: 5}}\n{END}"),
    "a crop": net(f"- {CONV}\n- crop: 4\n- silu\n{END}"),
    "a permutation that a flatten copies": net(f"- {CONV}\n- permute: [1, 2, 0]\n{END}"),
    "a permutation in front of a convolution": net(f"- {CONV}\n- permute: [1, 0, 2]\n- {CONV}\n- relu\n{END}"),
    "a reshape": net(f"- {CONV}\n- reshape: [16, 4, 4]\n- {POINT}\n{END}"),
    "identities": net(f"- {CONV}\n- identity\n- dropout: 0\n- tanh\n- identity\n{END}"),
    # other merges
    "a concat": net(f"- {CONV}\n- concat:\n    a: [{{{POINT}}}, relu]\n    b: [{{{POINT}}}, silu]\n{END}"),
    "a concat beside an identity": net(f"- {CONV}\n- concat:\n    a: [{{{POINT}}}, relu]\n    b: []\n- silu\n{END}"),
    "dense connections": net(f"- {CONV}\n- concat:\n    a: [{{{POINT}}}, relu]\n    b: []\n  repeat: 3\n{END}"),
    "a gate": net(
        "- conv: {out_channels: 8, kernel_size: 3, padding: 1}\n- squeeze_excite: 2\n- global_avgpool\n- linear: 5"
    ),
    "a product of two": net(f"- {CONV}\n- multiply:\n    a: [{{{POINT}}}]\n    b: []\n{END}"),
    "a product of three": net(f"- {CONV}\n- multiply:\n    a: [{{{POINT}}}]\n    b: []\n    c: [sigmoid]\n{END}"),
    "a maximum": net(f"- {CONV}\n- maximum:\n    a: [{{{POINT}}}]\n    b: []\n{END}"),
    "a maximum of three": net(f"- {CONV}\n- maximum:\n    a: [{{{POINT}}}]\n    b: []\n    c: [tanh]\n{END}"),
    "a difference": net(f"- {CONV}\n- subtract:\n    a: [{{{POINT}}}]\n    b: []\n{END}"),
    "a mean": net(f"- {CONV}\n- mean:\n    a: [{{{POINT}}}]\n    b: []\n{END}"),
    "a mean of three": net(f"- {CONV}\n- mean:\n    a: [{{{POINT}}}]\n    b: []\n    c: [tanh]\n{END}"),
    # shared and frozen parameters
    "shared twice": net(
        f"- conv: {{out_channels: 3, kernel_size: 3, padding: 1}}\n  name: c\n- relu\n- share: c\n- relu\n- share: c\n{END}"
    ),
    "a shared group": net(
        f"- layers: [{{conv: {{out_channels: 3, kernel_size: 1}}}}, tanh]\n  name: g\n- share: g\n{END}"
    ),
    "frozen at the start": net(f"- layers: [{{{CONV}}}, batchnorm, relu]\n  trainable: false\n- {CONV}\n- relu\n{END}"),
    "frozen in the middle": net(
        f"- {CONV}\n- layers: [{{{CONV}}}, batchnorm, relu]\n  trainable: false\n- {POINT}\n{END}"
    ),
    "frozen at the end": net(
        f"- {CONV}\n- relu\n- layers: [{{{CONV}}}, silu, flatten, {{linear: 5}}]\n  trainable: false"
    ),
    "frozen everywhere": net(f"- layers: [{{{CONV}}}, batchnorm, relu, flatten, {{linear: 5}}]\n  trainable: false"),
    # several outputs
    "two outputs": net(
        f"""
        - {CONV}
        - relu:
          name: features
        - conv: {{out_channels: 2, kernel_size: 1}}
          name: boxes
        - global_avgpool:
          from: features
        - linear: 5
          name: logits
        """
    )
    + "outputs: [logits, boxes]\n",
    "an output that is read": net(f"- {CONV}\n- tanh:\n  name: features\n{END}\n  name: logits")
    + "outputs: [logits, features]\n",
    # layers with tensors of their own
    "dropouts": net(
        f"- {CONV}\n- dropout2d: 0.3\n- {CONV}\n- dropout: 0.5\n- flatten\n- linear: 8\n- alpha_dropout\n- linear: 5"
    ),
    "stochastic depth": net(f"- {CONV}\n- add:\n    a: [{{{CONV}}}, {{stochastic_depth: 0.3}}]\n    b: []\n{END}"),
    "a layer norm over channels": net(
        f"- {CONV}\n- layernorm: channels\n- gelu\n- layernorm: channels\n- {CONV}\n{END}"
    ),
    "a layer norm over all": net(f"- {CONV}\n- layernorm\n- gelu\n{END}"),
    "response normalization": net(f"- {CONV}\n- lrn: 3\n- {CONV}\n{END}"),
    "reflect padding": net(
        f"- {CONV}\n- conv: {{out_channels: 4, kernel_size: 3, padding: 1, padding_mode: reflect}}\n{END}"
    ),
    "circular padding": net(
        f"- {CONV}\n- conv: {{out_channels: 4, kernel_size: 3, padding: 1, padding_mode: circular}}\n{END}"
    ),
    "a circular pad": net(f"- {CONV}\n- pad: {{padding: 1, mode: circular}}\n- tanh\n{END}"),
    "max pooling with padding on one side": net(
        f"- {CONV}\n- maxpool: {{kernel_size: 3, stride: 2, padding: same}}\n- {CONV}\n{END}"
    ),
    "a convolution with padding on one side": net(
        f"- {CONV}\n- conv: {{out_channels: 4, kernel_size: 2, padding: same}}\n- relu\n{END}"
    ),
    "series": net(f"- {CONV}\n- batchnorm\n- relu\n- maxpool: 2\n- {CONV}\n{END}", head=SERIES),
    "volumes": net(f"- {CONV}\n- batchnorm\n- relu\n- maxpool: 2\n- {CONV}\n{END}", head=VOLUME),
    "a transposed convolution": net(
        f"- {CONV}\n- conv_transpose: {{out_channels: 3, kernel_size: 2, stride: 2}}\n- relu\n- {CONV}\n{END}"
    ),
    "a transposed convolution of series": net(
        f"- {CONV}\n- conv_transpose: {{out_channels: 3, kernel_size: 2, stride: 2}}\n- relu\n{END}", head=SERIES
    ),
    # recomputed
    "a block recomputed": net(f"- {CONV}\n- body: 4\n  checkpoint: true\n- {CONV}\n{END}", more=BODY),
    "a group recomputed": net(f"- {CONV}\n- layers: [tanh, {{{CONV}}}, silu]\n  checkpoint: true\n- tanh\n{END}"),
    "blocks recomputed one by one": net(f"- {CONV}\n- body: 4\n  checkpoint: true\n  repeat: 3\n{END}", more=BODY),
    "a block recomputed in one that is": net(
        f"- {CONV}\n- layers:\n    - body: 4\n      checkpoint: true\n    - tanh\n    - body: 4\n  checkpoint: true\n{END}",
        more=BODY,
    ),
    "a shared group recomputed": net(
        f"- {CONV}\n- layers: [{{{CONV}}}, tanh]\n  checkpoint: true\n  name: g\n- share: g\n{END}"
    ),
    "shared inside what is recomputed": net(
        f"""
        - {CONV}
        - layers:
            - {CONV}
              name: c
            - tanh
            - share: c
            - tanh
          checkpoint: true
        - flatten
        - linear: 5
        """
    ),
    "recomputed, with a value from outside": net(
        f"""
        - {CONV}
          name: stem
        - layers:
            - {CONV}
            - relu
            - concat:
              from: [stem, previous]
            - {CONV}
          checkpoint: true
        - flatten
        - linear: 5
        """
    ),
    "recomputed and random": net(
        f"- {CONV}\n- layers: [{{{CONV}}}, tanh, {{dropout: 0.3}}, {{{CONV}}}]\n  checkpoint: true\n{END}"
    ),
    "recomputed and frozen": net(
        f"- layers: [{{{CONV}}}, tanh]\n  trainable: false\n  checkpoint: true\n- {CONV}\n- tanh\n{END}"
    ),
}


class Measured(NamedTuple):
    """Bytes, counted in torch."""

    saved: int
    training: int
    inference: int


def inputs(planned: Plan, batch: int) -> list[Tensor]:
    """Random inputs, as the model has them in training."""
    return [torch.randn(batch, *v.shape) for v in planned.graph.inputs]


@cache
def models(name: str) -> tuple[Plan, nn.Module]:
    """A network for one sample, and its model."""
    planned = plan(NETWORKS[name], target="cpu")
    return planned, cnnplan.build(planned)


@cache
def measured(name: str, batch: int) -> Measured:
    """A network at one batch size."""
    planned, model = models(name)
    x = inputs(planned, batch)
    model.train()
    if planned.memory.segments:  # ends in a dense layer, whose output nobody keeps
        (output,) = planned.graph.outputs.values()
        saved = alive(model, x) - 4 * batch * output.shape.numel
    else:
        saved = saved_bytes(model, x)
    return Measured(saved, *step_and_inference(at(name, batch).memory, model, x))


@cache
def at(name: str, batch: int) -> Plan:
    """The plan at one batch size."""
    return plan(NETWORKS[name], batch=batch, target="cpu")


def known(wrong: dict[str, str], names: Sequence[str] = tuple(NETWORKS)) -> list[Any]:
    """The cases, those marked of which the plan is known to be wrong."""
    return [
        pytest.param(n, marks=[pytest.mark.xfail(strict=True, reason=wrong[n])] if n in wrong else []) for n in names
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_saved_activations(name: str) -> None:
    """To the byte; and measured at four batch sizes, they lie on a line."""
    found = [measured(name, batch).saved for batch in BATCHES]
    assert [at(name, batch).training.saved_activations for batch in BATCHES] == found
    one, two, three, five = found
    assert (three - two, five - three) == (two - one, 2 * (two - one))


@pytest.mark.parametrize("name", NETWORKS)
def test_saved_bytes_of_layers(name: str) -> None:
    """Each storage counts at one layer."""
    for batch in BATCHES:
        planned = at(name, batch)
        assert sum(layer.saved_bytes for layer in planned.layers) == planned.training.saved_activations


PARTIAL = "the first partial result is gone when the gradient of the first factor is made"
BRANCH = "the first branch's result is gone when the last sum is made"
PADDED = "the module that pads is through: what it padded is gone when the window slides"
TRAINING = {
    "a crop": "what comes in is gone when the second axis is filled up",
    "a product of three": PARTIAL,
    "a maximum of three": PARTIAL,
    "circular padding": "there are fewer copies in the backward pass",
    "a circular pad": "there are fewer copies in the backward pass",
    "a block recomputed in one that is": "the inner block is recomputed once more, and keeps nothing until then",
    "shared inside what is recomputed": "a name holds its value while the part runs again",
}
INFERENCE = {
    "a sum of three": BRANCH,
    "a product of three": BRANCH,
    "a maximum of three": BRANCH,
    "a mean": BRANCH,
    "a mean of three": BRANCH,
    "max pooling with padding on one side": PADDED,
    "a convolution with padding on one side": PADDED,
}


@pytest.mark.parametrize("name", known(TRAINING))
def test_the_peak_of_a_step(name: str) -> None:
    several = len(models(name)[0].graph.outputs) > 1
    for batch in BATCHES:
        off = at(name, batch).training.peak - measured(name, batch).training
        assert abs(off) <= SCALARS * several, (batch, off)


@pytest.mark.parametrize("name", known(INFERENCE))
def test_the_peak_of_an_inference(name: str) -> None:
    for batch in BATCHES:
        off = at(name, batch).inference.peak - measured(name, batch).inference
        assert off == 0, (batch, off)


# ------------------------------------------------------------------------- every operation

MORE = (
    *("maxpool: {kernel_size: 3, padding: same}", "avgpool: {kernel_size: 3, padding: same}"),
    "avgpool: {kernel_size: 3, stride: 2, padding: [[0, 1], [1, 0]]}",
    "avgpool: {kernel_size: 3, padding: 1, count_include_pad: false}",
    *(f"upsample: {{scale_factor: 2, mode: {mode}}}" for mode in ("bilinear", "bicubic", "nearest-exact")),
    *(f"pad: {{padding: 1, mode: {mode}}}" for mode in ("reflect", "replicate", "circular")),
    *(
        "pad: {padding: [[1, 0], [0, 2]], value: 1.0}",
        "permute: [1, 0, 2]",
        "permute: [1, 2, 0]",
        "layernorm: channels",
    ),
    *(
        "instancenorm: {affine: true}",
        "instancenorm: {track_running_stats: true}",
        "groupnorm: {num_groups: 1, affine: false}",
    ),
    *("batchnorm: {track_running_stats: false}", "batchnorm: {affine: false}", "scale: {bias: false}", "prelu: 4"),
    *("global_avgpool: {keepdim: true}", "global_maxpool: {keepdim: true}", "softmax: 1", "gelu: tanh"),
    *(
        "conv: {out_channels: 4, kernel_size: 3, groups: 2, bias: false}",
        "depthwise_conv: {kernel_size: 3, multiplier: 2}",
    ),
    *("adaptive_avgpool: 1", "adaptive_maxpool: 1", "lppool: {p: 3, kernel_size: 3, stride: 1}"),
)
OPERATION_TRAINING: dict[str, str] = {}
OPERATION_INFERENCE: dict[str, str] = {}


def operations() -> list[str]:
    """Every operation that takes one map, as the spec says it."""
    names = [n for n in registry.names() if registry.find(n) is not None]
    apart = (*MERGES, "permute", "linear", "split")
    return [*(f"{n}: {ARGUMENTS[n]}" if n in ARGUMENTS else n for n in names if n not in apart), *MORE]


@cache
def alone(layer: str) -> tuple[Plan, Measured]:
    """A layer between a factor, so that its input needs a gradient, and one that keeps its output."""
    front = "- scale\n- " + layer
    head = "cnnplan: 1\nname: net\ninput: [4, 8, 8]\n"
    flat = not plan(net(front, head=head)).layers[-1].output.spatial
    planned = plan(
        net(f"{front}\n- tanh\n{'' if flat else '- flatten'}\n- linear: 2", head=head), batch=2, target="cpu"
    )
    model, x = cnnplan.build(planned).train(), inputs(planned, 2)
    return planned, Measured(saved_bytes(model, x), *step_and_inference(planned.memory, model, x))


@pytest.mark.parametrize("layer", operations())
def test_what_an_operation_keeps(layer: str) -> None:
    planned, found = alone(layer)
    assert planned.training.saved_activations == found.saved


@pytest.mark.parametrize("layer", known(OPERATION_TRAINING, operations()))
def test_the_peak_of_a_step_with_an_operation(layer: str) -> None:
    planned, found = alone(layer)
    assert planned.training.peak == found.training


@pytest.mark.parametrize("layer", known(OPERATION_INFERENCE, operations()))
def test_the_peak_of_an_inference_with_an_operation(layer: str) -> None:
    planned, found = alone(layer)
    assert planned.inference.peak == found.inference
