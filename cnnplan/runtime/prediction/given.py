"""What `predict` is given: image files, folders of them, arrays of numpy.

for item in items(listed(paths, plan).read, plan): item.path, item.number, item.load()
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cnnplan.diagnostics import printable, some
from cnnplan.errors import UsageError
from cnnplan.runtime.data.images import SUFFIXES
from cnnplan.runtime.prediction import arrays
from cnnplan.runtime.prediction.images import CHANNELS, Unreadable, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from cnnplan.planning import Plan


class Item(NamedTuple):
    """One sample.

    Attributes:
        path: of its file.
        number: which one it is of an array, from 0 of samples; None for a file of its own.
        load: gives a tensor for each input of the network: uint8, float32 or int64, of any spatial size; it raises
            Unreadable.
    """

    path: str
    number: int | None
    load: Callable[[], tuple[Tensor, ...]]


class Files(NamedTuple):
    """The files to read, and those of folders that are left out by their names."""

    read: tuple[str, ...]
    others: tuple[str, ...]


def takes_images(plan: Plan) -> bool:
    """Whether the network's one input may be a gray or a color image."""
    first = plan.graph.inputs[0]
    single = len(plan.graph.inputs) == 1 and first.dtype != "int64"
    return single and len(first.shape.spatial) == 2 and first.shape[0] in CHANNELS


def listed(paths: Sequence[str], plan: Plan) -> Files:
    """The files that paths name: those of folders at any depth, in the order of their names.

    Of a folder, images for a network that takes images, .npy and .npz for others. What is hidden, and links to folders,
    are left out.

    Raises:
        UsageError: a path is not there, a folder has no such file, or images are named for a network that takes none.
    """
    pictures = takes_images(plan)
    wanted = frozenset(SUFFIXES) if pictures else arrays.SUFFIXES
    read: dict[str, None] = {}
    others: dict[str, None] = {}
    for path in paths:
        try:
            below = _below(Path(path)) if Path(path).is_dir() else None
            there = bool(path) and Path(path).exists()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise UsageError(f"cannot read {printable(path)}: {reason.lower()}") from None
        if not there:
            raise UsageError(f"cannot read {printable(path) or 'an empty path'}: no such file or directory")
        if below is None:
            if not pictures and Path(path).suffix.lower() not in arrays.SUFFIXES:
                takes = " and ".join(f"'{value.name}' {value.shape}" for value in plan.graph.inputs)
                raise UsageError(f"'{plan.name}' takes {takes}, no images: give .npy or .npz, not {printable(path)}")
            read[path] = None
            continue
        found = [str(file) for file in below if file.suffix.lower() in wanted]
        if not found:
            has = f": it has {some([printable(file.name) for file in below], 3)}" if below else ""
            raise UsageError(f"no {'images' if pictures else '.npy or .npz files'} in {printable(path)}{has}")
        read.update(dict.fromkeys(found))
        others.update(dict.fromkeys(str(file) for file in below if file.suffix.lower() not in wanted))
    return Files(tuple(read), tuple(others))


def _below(folder: Path) -> list[Path]:
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if not path.is_dir():
            found.append(path)
        elif not path.is_symlink():
            found += _below(path)
    return found


def items(paths: Sequence[str], plan: Plan) -> Iterator[Item | Unreadable]:
    """The samples of files, in order; a file of arrays is opened when its turn comes."""
    channels, *size = plan.graph.inputs[0].shape
    for path in paths:
        if Path(path).suffix.lower() not in arrays.SUFFIXES:
            yield Item(path, None, partial(_image, path, (channels, size[0], size[1])))
            continue
        try:
            for number, load in arrays.samples(path, plan):
                yield Item(path, number, load)
        except Unreadable as error:
            yield error


def _image(path: str, shape: tuple[int, int, int]) -> tuple[Tensor, ...]:
    return (decode(path, shape),)
