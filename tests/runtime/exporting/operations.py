"""Every operation of `cnnplan ops`, side by side in a few networks, each on the input itself."""

from __future__ import annotations

import cnnplan
from cnnplan.ops import registry
from tests.analyses.test_precision import layers
from tests.language.helpers import net
from tests.runtime.exporting.running import HEAD

SIZES = ([8], [4, 8], [4, 6, 8], [4, 8, 6, 8])
MORE = [
    "adaptive_maxpool: [1, 3]",
    "adaptive_avgpool: [1, 3]",
    "spatial_pyramid_pool: {levels: [1, 3], mode: avg}",
    "instancenorm: {affine: true, track_running_stats: true}",
    "lstm: {hidden_size: 4, num_layers: 2, bidirectional: true}",
    "gru: {hidden_size: 4, num_layers: 2, bias: false}",
    "maxpool: {kernel_size: 3, stride: 2, padding: 1, ceil_mode: true}",
    "avgpool: {kernel_size: 3, padding: same}",
    "self_attention: {num_heads: 4, bias: false, dropout: 0.2}",
]
SEVERAL = """
- add:
  name: n_add
  from: [x, y]
- maximum:
  name: n_maximum
  from: [x, y]
- mean:
  name: n_mean
  from: [x, y, x]
- multiply:
  name: n_multiply
  from: [x, y]
- subtract:
  name: n_subtract
  from: [y, x]
- concat:
  name: n_concat
  from: [x, y]
- embedding: {num_embeddings: 9, embedding_dim: 4}
  name: n_embedding
  from: ids
- roi_align: 2
  name: n_roi_align
  from: [x, boxes]
- roi_pool: 2
  name: n_roi_pool
  from: [x, boxes]
- spatial_transformer:
  name: n_spatial_transformer
  from: [x, theta]
- maxpool: 2
  name: pooled
  from: x
- max_unpool: pooled
  name: n_max_unpool
"""
OF_SEVERAL = ["add", "maximum", "mean", "multiply", "subtract", "concat", "embedding", "roi_align", "roi_pool"]
OF_SEVERAL += ["spatial_transformer", "max_unpool"]


def fitting(size: list[int]) -> list[str]:
    """Every layer that takes an input of this size; what does not look at sizes is asked of a vector alone."""
    found = []
    for layer in (*layers(), *MORE):
        op = registry.find(layer.partition(":")[0])
        anywhere = op is not None and op.group in ("activation", "regularization") and taken(layer, [8])
        if taken(layer, size) and (len(size) == 1 or not anywhere):
            found.append(layer)
    return found


def taken(layer: str, size: list[int]) -> bool:
    """Whether a layer takes an input of this size."""
    try:
        cnnplan.plan(net(f"- {layer}", head=f"{HEAD}input: {size}\n"))
    except cnnplan.SpecError:
        return False
    return True


def side_by_side(size: list[int]) -> cnnplan.Plan:
    """Each of them on the input."""
    found = fitting(size)
    lines = "".join(
        f"- {layer}{'' if ':' in layer else ':'}\n  name: n{i}\n  from: input\n" for i, layer in enumerate(found)
    )
    names = [f"n{i}{part}" for i, one in enumerate(found) for part in ((".0", ".1") if one == "split: 2" else ("",))]
    return cnnplan.plan(net(lines, head=f"{HEAD}input: {size}\noutputs: [{', '.join(names)}]\n"))


def of_several() -> cnnplan.Plan:
    """Operations on several inputs, on tokens, and on places that another layer gives."""
    inputs = "{x: [4, 6, 8], y: [4, 6, 8], boxes: [5, 4], theta: [6], ids: {shape: [8], dtype: int64}}"
    names = ", ".join(f"n_{kind}" for kind in OF_SEVERAL)
    return cnnplan.plan(net(SEVERAL, head=f"{HEAD}inputs: {inputs}\noutputs: [{names}]\n"))
