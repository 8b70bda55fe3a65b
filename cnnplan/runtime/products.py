"""Multiply-accumulates of kernels that torch's counter and fvcore know nothing of: fused recurrences and attention.

    with counter() as counts: model(x)
    counts.get_total_flops()

Each is counted from the shapes that the kernel is called with: a recurrence multiplies its weights with every
step of every sample, attention queries with keys and weights with values.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def counter() -> FlopCounterMode:
    """Torch's counter, and the kernels that it counts as nothing."""
    aten = torch.ops.aten
    known = {
        aten.mkldnn_rnn_layer: _layer,
        aten._cudnn_rnn: _recurrence,  # noqa: SLF001 - torch's own names
        aten._scaled_dot_product_flash_attention_for_cpu: _attention,  # noqa: SLF001
    }
    return FlopCounterMode(display=False, custom_mapping=known)


def _layer(x: Sequence[int], w_ih: Sequence[int], w_hh: Sequence[int], *_: Any, **__: Any) -> int:
    return 2 * x[0] * x[1] * (prod(w_ih) + prod(w_hh))


def _recurrence(x: Sequence[int], weights: Sequence[Sequence[int]], *_: Any, **__: Any) -> int:
    return 2 * x[0] * x[1] * sum(prod(w) for w in weights if len(w) == 2)


def _attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any) -> int:
    flops: int = sdpa_flop_count(query, key, value)  # type: ignore[no-untyped-call]
    return flops


def _traced_recurrence(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    steps, batch, _ = inputs[0].type().sizes()
    weights = [v.type().sizes() for v in inputs[2].node().inputs()]  # behind the input and the first states
    return sum(steps * batch * prod(shape) for shape in weights if len(shape) == 2)


def _traced_attention(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    query, key, value = (v.type().sizes() for v in inputs[:3])
    return _attention(query, key, value) // 2


TRACED: Mapping[str, Callable[[Sequence[Any], Sequence[Any]], int]] = {
    "aten::lstm": _traced_recurrence,
    "aten::gru": _traced_recurrence,
    "aten::scaled_dot_product_attention": _traced_attention,
}
"""Of a trace, for fvcore: operations, and what counts them."""
