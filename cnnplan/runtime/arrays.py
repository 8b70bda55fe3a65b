"""Samples for prediction in files of numpy: .npy for one input, .npz for one or several.

for index, load in samples("x.npz", plan): load()
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from cnnplan.diagnostics import printable, some
from cnnplan.runtime.images import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cnnplan.graph import Value
    from cnnplan.planning import Plan

SUFFIXES: Final = frozenset((".npy", ".npz"))


class _Input(NamedTuple):
    """An input of the network, and how many tokens it knows; None for floats."""

    value: Value
    tokens: int | None


def samples(path: str, plan: Plan) -> Iterator[tuple[int | None, Callable[[], tuple[Tensor, ...]]]]:
    """The samples of a file: each with its number, None where the file is one sample, and what loads it.

    An .npz has them under `x` or under the names of the inputs. A sample is uint8 (0 to 255), float32, or int64 for
    tokens, channels first; maps may have another size. Loading raises Unreadable for what is not finite and for tokens
    that the network does not know.

    Raises:
        Unreadable: the file cannot be read, or does not have what the network takes.
    """
    inputs = [_Input(value, _tokens(plan, value)) for value in plan.graph.inputs]
    arrays = _opened(path, [value.name for value in plan.graph.inputs])
    alone = {_is_sample(path, array, value) for array, (value, _) in zip(arrays, inputs, strict=True)}
    if len(alone) > 1 or (alone == {False} and len({len(array) for array in arrays}) > 1):
        shapes = " and ".join("x".join(map(str, array.shape)) for array in arrays)
        raise Unreadable(path, f"its arrays have different numbers of samples: {shapes}")
    if alone == {True}:
        yield None, partial(_sample, path, arrays, inputs, None)
        return
    if not len(arrays[0]):
        raise Unreadable(path, "it has no samples")
    for index in range(len(arrays[0])):
        yield index, partial(_sample, path, arrays, inputs, index)


def _tokens(plan: Plan, value: Value) -> int | None:
    if value.dtype != "int64":
        return None
    readers = (node.op for node in plan.graph.nodes if value in node.inputs)
    return min((op.num_embeddings for op in readers if hasattr(op, "num_embeddings")), default=1 << 63)


def _opened(path: str, names: list[str]) -> list[Any]:
    """An array for each input; that of an .npy file stays on the disk until it is read."""
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise Unreadable(path, "it is no plain file")
        with Path(path).open("rb") as file:
            zipped = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            if zipped:
                with np.load(file, allow_pickle=False) as found:
                    return [found[name] for name in _chosen(path, found.files, names)]
        array = np.lib.format.open_memmap(path, mode="r")
    except Unreadable:
        raise
    except Exception as error:  # numpy's own for files that are cut or no arrays, zipfile's, zlib's
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Unreadable(path, printable(said.partition("\n")[0])[:120].lower() or type(error).__name__) from None
    if len(names) > 1:
        raise Unreadable(path, f"the network has {len(names)} inputs: give an .npz with {', '.join(names)}")
    return [array]


def _chosen(path: str, has: list[str], names: list[str]) -> list[str]:
    """Which arrays of an .npz are meant: of the inputs' names; for one input also `x`, or the only one."""
    if len(names) == 1 and names[0] not in has:
        names = ["x"] if "x" in has else has if len(has) == 1 else names
    if missing := [name for name in names if name not in has]:
        other = " or 'x'" if len(names) == 1 else ""
        raise Unreadable(path, f"it has no array '{missing[0]}'{other}, but {some(map(printable, has))}")
    return names


def _is_sample(path: str, array: Any, value: Value) -> bool:
    """Whether an array is one sample, and not several. It has the right axes and dtype, or is refused."""
    shape = tuple(value.shape)
    own = array.shape if array.ndim == len(shape) else array.shape[1:]
    fixed = len(shape) if value.dtype == "int64" else 1  # maps are resized, as in training
    if array.ndim not in (len(shape), len(shape) + 1) or own[:fixed] != shape[:fixed] or 0 in own:
        found = "x".join(map(str, array.shape)) or "one number"
        raise Unreadable(path, f"it is {found}, and '{value.name}' takes N samples of {value.shape}, channels first")
    if value.dtype == "int64" and array.dtype.kind not in "iu":
        raise Unreadable(path, f"it is {array.dtype}, and '{value.name}' takes integers")
    if value.dtype != "int64" and array.dtype.kind != "f" and array.dtype != np.uint8:
        raise Unreadable(path, f"it is {array.dtype}, and '{value.name}' takes uint8 (0 to 255) or float32")
    return bool(array.ndim == len(shape))


def _sample(path: str, arrays: Sequence[Any], inputs: Sequence[_Input], index: int | None) -> tuple[Tensor, ...]:
    found = []
    which = "it" if index is None else f"sample {index}"
    for array, (_, tokens) in zip(arrays, inputs, strict=True):
        part = np.asarray(array if index is None else array[index])
        if tokens is not None and (wrong := _unknown(part, tokens)) is not None:
            raise Unreadable(path, f"{which} has token {wrong}, and the network knows 0 to {tokens - 1:,}")
        with np.errstate(over="ignore"):
            dtype = np.int64 if tokens is not None else np.uint8 if part.dtype == np.uint8 else np.float32
            x = torch.from_numpy(np.array(part, dtype))
        if x.is_floating_point() and not x.isfinite().all():
            raise Unreadable(path, f"{which} has numbers that are not finite in float32")
        found.append(x)
    return tuple(found)


def _unknown(part: Any, tokens: int) -> int | None:
    low, high = int(part.min()), int(part.max())
    return low if low < 0 else high if high >= tokens else None
