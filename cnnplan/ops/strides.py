"""Where the units of a sample lie in memory: strides, and which other shapes they can be seen in.

Source: PyTorch's documentation, "Tensor Views".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Strides: TypeAlias = tuple[int, ...]


def contiguous(shape: Sequence[int]) -> Strides:
    """The strides of a sample in row-major order."""
    return dense(shape, range(len(shape)))


def dense(shape: Sequence[int], order: Sequence[int]) -> Strides:
    """Strides without gaps, the axes from the outermost to the innermost in this order."""
    strides, step = [0] * len(shape), 1
    for axis in reversed(order):
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides)


def viewed(shape: Sequence[int], strides: Strides, target: Sequence[int]) -> Strides | None:
    """The strides of the same storage in another shape; None where it has to be copied.

    Axes whose strides are nested are one; each of these has to be split into axes of the target.
    """
    runs: list[tuple[int, int]] = []  # units, and the stride of the innermost
    for n, stride in zip(shape, strides, strict=True):
        if n == 1:
            continue
        if runs and runs[-1][1] == n * stride:
            runs[-1] = (runs[-1][0] * n, stride)
        else:
            runs.append((n, stride))
    found: list[int] = []
    units, step = runs.pop() if runs else (1, 1)
    for n in reversed(target):
        if n == 1:
            found.append(step)
            continue
        if units == 1 and runs:
            units, step = runs.pop()
        if units % n:
            return None
        found.append(step)
        units, step = units // n, step * n
    return tuple(reversed(found))
