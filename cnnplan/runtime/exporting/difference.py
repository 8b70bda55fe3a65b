"""How far outputs are apart."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def difference(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest difference, of the largest finite number of its output.

    NaNs and infinities have to be in the same places, and integers equal; else it is infinite.
    """
    return max((_apart(a, b) for a, b in zip(found, expected, strict=True)), default=0.0)


def _apart(found: Tensor, expected: Tensor) -> float:
    if found.shape != expected.shape or found.is_floating_point() != expected.is_floating_point():
        return inf
    finite = expected.isfinite()
    if not torch.equal(finite, found.isfinite()) or not torch.equal(
        found[~finite].nan_to_num(nan=0.0), expected[~finite].to(found.dtype).nan_to_num(nan=0.0)
    ):
        return inf
    a, b = found[finite].double(), expected[finite].double()
    apart = float((a - b).abs().max()) if len(a) else 0.0
    if apart == 0 or not expected.is_floating_point():
        return inf if apart else 0.0
    scale = float(b.abs().max())
    return apart / scale if scale else inf
