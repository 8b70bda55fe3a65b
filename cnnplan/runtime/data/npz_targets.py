"""Arrays of an .npz file as targets of an output, by its loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from cnnplan.errors import UsageError
from cnnplan.runtime.data.checks import CLASSES

if TYPE_CHECKING:
    from torch import Tensor

    from cnnplan.graph import Value
    from cnnplan.runtime.data.npz_inputs import Array

IGNORED: Final = -100
"""What a map of classes holds where nothing is to be learned: `ignore_index` of torch.nn.CrossEntropyLoss."""
MOST: Final = 100_000
"""So many classes are believed."""


def as_target(array: Array, value: Value, loss: str, name: str) -> Tensor:
    """An array as a loss takes it.

    Exclusive classes are int64, [N] or [N, *spatial]; rows with a single 1 are taken for the class that it marks.
    For the other losses integers [N] are classes too, where the output is a vector; where it is one number, they are
    numbers, but for binary_cross_entropy. All else is float32 of the output's shape; images of 8 bits are divided by
    255, as those of inputs are.

    Raises:
        UsageError: the loss cannot take it.
    """
    if array.dtype.kind not in "uifb":
        raise UsageError(f"'{name}' is an array of {array.dtype}: numbers are wanted")
    shape = value.shape
    if loss in CLASSES:
        return _classes(array, value, loss, name)
    whole = array.dtype.kind != "f"
    single = array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)
    if whole and single and not shape.rank and (shape.channels > 1 or loss == "binary_cross_entropy"):
        return _checked(torch.from_numpy(array.astype(np.int64).ravel()), name)
    with np.errstate(over="ignore"):
        tensor = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    if array.ndim == len(shape) and shape.channels == 1:
        tensor = tensor[:, None]
    elif array.shape[1:] != tuple(shape) and array.shape[1:] == (*shape.spatial, shape.channels):
        tensor = tensor.movedim(-1, 1).contiguous()
    if array.dtype == np.uint8 and shape.rank and int(array.max()) > 1:
        tensor /= 255
    if not bool(tensor.isfinite().all()):
        raise UsageError(f"'{name}' holds {int((~tensor.isfinite()).sum()):,} numbers that are NaN or infinite")
    least, most = float(tensor.min()), float(tensor.max())
    if loss == "binary_cross_entropy" and (least < 0 or most > 1):
        raise UsageError(f"'{name}' goes from {least:g} to {most:g}; binary_cross_entropy takes targets from 0 to 1")
    return tensor


def class_count(labels: list[Tensor], name: str) -> int:
    """How many classes there are, from their numbers in all splits.

    Raises:
        UsageError: the numbers are none of classes.
    """
    count = max(int(found.max()) for found in labels) + 1
    if count > MOST:
        raise UsageError(f"'{name}' has numbers up to {count - 1:,}: classes are counted from 0")
    return count


def check_range(found: Tensor, value: Value, loss: str, name: str) -> None:
    """Whether an output has a number for each class that there is.

    Raises:
        UsageError: it has not.
    """
    known = found[found != IGNORED] if found.ndim > 1 else found
    if found.is_floating_point() or not known.numel():
        return
    least, most = int(known.min()), int(known.max())
    count = value.shape.channels
    if least < 0 or most >= (2 if count == 1 and loss not in CLASSES else count):
        more = f"; {IGNORED} is what is not to be learned" if found.ndim > 1 else ""
        raise UsageError(
            f"'{name}' holds classes from {least} to {most}, output '{value.name}' has {count:,}, counted from 0{more}"
        )


def _classes(array: Array, value: Value, loss: str, name: str) -> Tensor:
    """int64 [N] or [N, *spatial]."""
    shape = value.shape
    if not shape.rank and array.ndim == 2 and array.shape[1] == shape.channels > 1:
        hot = array != 0
        if not (hot.sum(1) == 1).all() or not (array[hot] == 1).all():
            raise UsageError(f"'{name}' is {array.shape}, with rows that are no single 1; {loss} takes one class each")
        return torch.from_numpy(hot.argmax(1))
    if array.dtype.kind == "f":
        fix = f"; save {name}.astype('int64')" if (array == np.floor(array)).all() else ""
        raise UsageError(f"'{name}' is {array.dtype}; {loss} takes integers from 0 to {shape.channels - 1:,}{fix}")
    found = torch.from_numpy(array.astype(np.int64))
    if found.ndim == shape.rank + 2 and found.shape[1] == 1:
        found = found.squeeze(1)
    elif found.ndim == shape.rank + 2 and found.shape[-1] == 1:
        found = found.squeeze(-1)
    if found.ndim == 1:
        return _checked(found, name)
    check_range(found, value, loss, name)
    return found


def _checked(labels: Tensor, name: str) -> Tensor:
    if int(labels.min()) < 0:
        raise UsageError(f"'{name}' holds {int(labels.min())}: classes are counted from 0")
    return labels
