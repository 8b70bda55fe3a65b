"""Operations of torch that ONNX can express, though torch's exporter does not know how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from onnxscript import opset18

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

onnx: Any = opset18  # its types ask for tensors that say what they hold


def sort(x: Any, *, stable: bool | None = None, dim: int = -1, descending: bool = False) -> Any:
    """Sorted values along an axis, and where they were.

    Source: ONNX, TopK: of equal values the lower index comes first, which is what `stable` asks for.
    """
    count = onnx.Gather(onnx.Shape(x), onnx.Constant(value_ints=[dim]))
    return onnx.TopK(x, count, axis=dim, largest=descending, sorted=True)


def adaptive_pool(x: Any, output_size: Sequence[int], *, reduce: Callable[..., Any]) -> Any:
    """Bin o of an axis has the units floor(o * n / out) to ceil((o + 1) * n / out) - 1; one axis after the other."""
    rank = len(output_size)
    for axis, n, out in zip(range(-rank, 0), x.shape[-rank:], output_size, strict=True):
        bins = []
        for o in range(out):
            start, end = o * n // out, -((o + 1) * -n // out)
            part = x if out == 1 else onnx.Slice(x, _ints(start), _ints(end), _ints(axis))
            bins.append(reduce(part, _ints(axis), keepdims=True))
        x = onnx.Concat(*bins, axis=axis)
    return x


def _ints(number: int) -> Any:
    return onnx.Constant(value_ints=[number])


def largest(x: Any, output_size: Sequence[int]) -> tuple[Any]:
    """Without their places, which come second and which no operation of a spec asks for."""
    return (adaptive_pool(x, output_size, reduce=onnx.ReduceMax),)


def mean(x: Any, output_size: Sequence[int]) -> Any:
    """The mean of means: all rows of a bin have as many units."""
    return adaptive_pool(x, output_size, reduce=onnx.ReduceMean)


_aten = torch.ops.aten
TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    _aten.sort.stable: sort,
    _aten.adaptive_max_pool2d.default: largest,
    _aten.adaptive_max_pool3d.default: largest,
    _aten._adaptive_avg_pool3d.default: mean,  # noqa: SLF001 - what adaptive_avg_pool3d is made of
}
