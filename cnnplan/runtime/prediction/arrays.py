"""Samples for prediction in files of numpy, read as for training: .npy for one input, .npz for one or several.

for number, load in samples("x.npz", plan): load()
"""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from cnnplan.diagnostics import printable, some
from cnnplan.errors import UsageError
from cnnplan.runtime.data.npz import INPUTS
from cnnplan.runtime.data.npz_archive import Archive
from cnnplan.runtime.data.npz_inputs import as_input, check_tokens
from cnnplan.runtime.prediction.images import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from cnnplan.graph import Value
    from cnnplan.planning import Plan
    from cnnplan.runtime.data.npz_inputs import Array

SUFFIXES: Final = frozenset((".npy", ".npz"))


def samples(path: str, plan: Plan) -> Iterator[tuple[int | None, Callable[[], tuple[Tensor, ...]]]]:
    """The samples of a file: each with its number, None where the file is one sample, and what gives its tensors.

    An .npz has them under the inputs' names; for one input `x` or `images` do as well, or the only array. Dtypes and
    places of channels are those that `npz_inputs.as_input` takes; maps may have another size.

    Raises:
        Unreadable: the file cannot be read, or does not have what the network takes.
    """
    inputs = plan.graph.inputs
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise Unreadable(path, "no plain file")
        names, arrays = (_zipped if Path(path).suffix.lower() == ".npz" else _plain)(path, inputs)
        single = [_is_sample(array, value) for array, value in zip(arrays, inputs, strict=True)]
        tensors = []
        for name, array, value, alone in zip(names, arrays, inputs, single, strict=True):
            tensor, _ = as_input(array[None] if alone else array, value, name)
            _check(path, tuple(tensor.shape[1:]), value)
            check_tokens(plan, value, tensor, name)
            tensors.append(tensor)
    except Unreadable:
        raise
    except UsageError as error:
        raise Unreadable(path, str(error).removeprefix(f"cannot read {printable(path)}: ")) from None
    if len({len(tensor) for tensor in tensors}) > 1:
        counts = ", ".join(f"'{name}' {len(tensor):,}" for name, tensor in zip(names, tensors, strict=True))
        raise Unreadable(path, f"its arrays have unequal numbers of samples: {counts}")
    for number in range(len(tensors[0])):
        yield None if all(single) else number, partial(_sample, tensors, number)


def _plain(path: str, inputs: Sequence[Value]) -> tuple[list[str], list[Array]]:
    """The array of an .npy file, which stays on the disk as far as it can."""
    try:
        array = np.lib.format.open_memmap(path, mode="c")
    except Exception as error:  # for files that are no arrays or are cut, numpy has many
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Unreadable(path, printable(said.partition("\n")[0])[:120].lower() or type(error).__name__) from None
    if len(inputs) > 1:
        names = ", ".join(value.name for value in inputs)
        raise Unreadable(path, f"the network has {len(inputs)} inputs: give an .npz with {names}")
    return [inputs[0].name], [array]


def _zipped(path: str, inputs: Sequence[Value]) -> tuple[list[str], list[Array]]:
    """The arrays of an .npz file that are meant."""
    with contextlib.closing(Archive(Path(path))) as file:
        words = [(*INPUTS, value.name) if len(inputs) == 1 else (value.name,) for value in inputs]
        names = [file.find(one, "") for one in words]
        if len(names) == len(file.names) == 1:
            names = [file.names[0]]
        for name, wanted in zip(names, words, strict=True):
            if name is None:
                needed = " or ".join(f"'{word}'" for word in wanted)
                raise Unreadable(path, f"it has no {needed}, only {some(map(printable, file.names)) or 'nothing'}")
        found = [name for name in names if name]
        return found, [file[name] for name in found]


def _is_sample(array: Array, value: Value) -> bool:
    """Whether an array is one sample: it has no axis for more, unless that of one channel is left out."""
    axes = len(value.shape)
    return array.ndim < axes or (array.ndim == axes and value.shape[0] != 1)


def _check(path: str, shape: tuple[int, ...], value: Value) -> None:
    """Whether samples have the right shape; images are resized, as in training."""
    fixed = 1 if value.shape.rank == 2 and value.dtype != "int64" else len(value.shape)
    if len(shape) != len(value.shape) or shape[:fixed] != tuple(value.shape)[:fixed]:
        found = "x".join(map(str, shape))
        raise Unreadable(path, f"its samples are {found}, and '{value.name}' takes {value.shape}")


def _sample(tensors: Sequence[Tensor], number: int) -> tuple[Tensor, ...]:
    return tuple(tensor[number] for tensor in tensors)
