"""Arrays of an .npz file as inputs of a network: their dtype, and where their channels are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cnnplan.errors import UsageError
from cnnplan.runtime.data.places import place

if TYPE_CHECKING:
    from typing import TypeAlias

    from torch import Tensor

    from cnnplan.graph import Value
    from cnnplan.planning import Plan

    Array: TypeAlias = np.ndarray[Any, Any]


def as_input(array: Array, value: Value, name: str) -> tuple[Tensor, str]:
    """An array as a network takes it, [N, C, *spatial], and what is to be read about that.

    uint8 stays, integers that a float input takes become uint8 where they are 0 to 255 and float32 otherwise, floats
    become float32. Without an axis of channels there is one channel. Channels are first or last: where the network
    has as many, or else where there are fewest.

    Raises:
        UsageError: these are no numbers, not finite, or have another number of axes than the input.
    """
    if array.dtype.kind not in "uifb":
        raise UsageError(f"'{name}' is an array of {array.dtype}: numbers are wanted")
    if not array.shape or not array.size:
        raise UsageError(f"'{name}' is empty: its shape is {array.shape}")
    rank, axes = value.shape.rank, array.ndim - 1
    if value.dtype == "int64":
        if array.dtype.kind not in "ui":
            raise UsageError(f"'{name}' is {array.dtype}, the network takes integers: tokens, not floats")
        tensor = torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64))
        return tensor[:, None] if axes == rank else tensor, ""
    tensor, notice = _numbers(array, name)
    if axes == rank:
        return tensor[:, None], notice
    if axes != rank + 1:
        raise UsageError(
            f"'{name}' has the shape {array.shape}, the input is {value.shape}: "
            f"{rank + 2} axes are wanted, samples and channels among them"
        )
    if rank and _last(tuple(array.shape[1:]), value):
        return tensor.movedim(-1, 1).contiguous(), notice
    return tensor, notice


def _numbers(array: Array, name: str) -> tuple[Tensor, str]:
    """As uint8 or float32."""
    if array.dtype == np.uint8:
        return torch.from_numpy(np.ascontiguousarray(array)), ""
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            tensor = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
        if not bool(tensor.isfinite().all()):
            wrong = int((~tensor.isfinite()).sum())
            raise UsageError(f"'{name}' holds {wrong:,} numbers that are NaN or infinite in float32")
        return tensor, ""
    if array.dtype.kind != "b" and 1 < array.max() <= 255 and array.min() >= 0:
        tensor = torch.from_numpy(np.ascontiguousarray(array, dtype=np.uint8))
        return tensor, f"'{name}' is {array.dtype} from {array.min()} to {array.max()}: taken for images of 8 bits"
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)), ""


def _last(shape: tuple[int, ...], value: Value) -> bool:
    """Whether the channels of samples of this shape are behind the other axes."""
    wanted, spatial = value.shape.channels, value.shape.spatial
    first, last = shape[0] == wanted, shape[-1] == wanted
    if first and last:  # the other sizes tell, as far as they can
        return shape[:-1] == spatial and shape[1:] != spatial
    return last or (not first and shape[-1] < shape[0])


def check_tokens(plan: Plan, value: Value, tensor: Tensor, name: str) -> None:
    """Whether the tokens of an input are those of the embeddings that read it.

    Raises:
        UsageError: some are not.
    """
    if value.dtype != "int64":
        return
    least, most = int(tensor.min()), int(tensor.max())
    values, readers = [value], plan.graph.users()
    for one in values:
        for node in readers[one]:
            count = getattr(node.op, "num_embeddings", None)
            if count is None:
                values += [output for output in node.outputs if output.dtype == "int64"]
            elif least < 0 or most >= count:
                raise UsageError(
                    f"{place(plan, node.line)}: '{node.name}' has {count:,} tokens, counted from 0; "
                    f"'{name}' holds {least:,} to {most:,}"
                )
