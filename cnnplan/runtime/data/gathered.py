"""From encoded images to data: headers are read, unreadable images left out, small sets decoded into memory.

What does not fit into `IN_MEMORY` is decoded when it is fetched; of that, only `decoding.PROBED` images, drawn with
the seed, are decoded before training starts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import torch

from cnnplan.diagnostics import printable, some
from cnnplan.errors import UsageError
from cnnplan.runtime.data.arrays import fingerprint
from cnnplan.runtime.data.base import Data
from cnnplan.runtime.data.checks import fitted
from cnnplan.runtime.data.decoding import LeftOut, headers_of, held, probe
from cnnplan.runtime.data.input_checks import image_size
from cnnplan.runtime.data.pictures import Pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from cnnplan.planning import Plan
    from cnnplan.runtime.data.arrays import Arrays
    from cnnplan.runtime.data.decoding import Images
    from cnnplan.runtime.data.images import Header

IN_MEMORY: Final = 1 << 29
"""Decoded images of so many bytes are held in memory: 3,566 of 3x224x224, 174,762 of 3x32x32."""


def gathered(
    splits: Mapping[str, Images], classes: tuple[str, ...], plan: Plan, seed: int, name: Callable[[int], str]
) -> Data:
    """Data of encoded images.

    Args:
        splits: "train", and "val" and "test" where they are given.
        name: what the data are called, from the number of images.

    Raises:
        UsageError: too many images cannot be read, nothing is left of a class or of a split, or the network takes no
            such images.
    """
    left_out = LeftOut(sum(len(images.source) for images in splits.values()))
    headers, sizes = {}, {}
    for split, images in splits.items():
        headers[split], sizes[split] = headers_of(images, left_out)
    left_out.check()
    read = [one for found in headers.values() for one in found.values()]
    gray = all(one.gray for one in read)
    shape = (1 if gray else 3, *image_size(plan, 1 if gray else 3))
    pictures = {
        split: Pictures(images.source, images.classes, shape, torch.tensor(list(headers[split]), dtype=torch.int64))
        for split, images in splits.items()
    }
    given = splits["train"].classes.bincount(minlength=len(classes))
    _complete(pictures, classes, given)
    notices = _mixed(read) + _resized(read, shape)
    data = Data(
        name=name(len(read)),
        train=pictures["train"],
        val=pictures.get("val"),
        test=pictures.get("test"),
        classes=classes,
        targets=("",),
        shapes=(shape,),
        notices=(),
        fingerprint=_fingerprint(splits, sizes, classes),
    )
    fitted(data, plan)  # what does not fit is said before hours of decoding
    if sum(map(len, pictures.values())) * shape[0] * shape[1] * shape[2] > IN_MEMORY:
        probe(pictures["train"], seed, left_out)
        return replace(data, notices=(*left_out.notices, *notices))
    memory = {split: held(samples, left_out) for split, samples in pictures.items()}
    left_out.check()
    _complete(memory, classes, given)
    return replace(
        data,
        name=name(sum(map(len, memory.values()))),
        train=memory["train"],
        val=memory.get("val"),
        test=memory.get("test"),
        notices=(*left_out.notices, *notices),
    )


def _complete(splits: Mapping[str, Pictures | Arrays], classes: tuple[str, ...], given: Tensor) -> None:
    """Whether something is left of each split, and of each class of train, which had so many images.

    Raises:
        UsageError: nothing is.
    """
    for split, samples in splits.items():
        if not len(samples):
            raise UsageError(f"none of the images of {split} can be read")
    labels = splits["train"].labels
    assert labels is not None
    lost = (given > 0) & (labels.bincount(minlength=len(classes)) == 0)
    if names := [printable(classes[i]) for i in lost.nonzero().flatten().tolist()]:
        raise UsageError(f"no image to train on can be read of {some(names)}")


def _mixed(read: Sequence[Header]) -> tuple[str, ...]:
    gray = sum(one.gray for one in read)
    if gray in (0, len(read)):
        return ()
    return (f"{gray:,} of {len(read):,} images are gray: they become RGB, like the others",)


def _resized(read: Sequence[Header], shape: tuple[int, int, int]) -> tuple[str, ...]:
    """What becomes of the sizes of images; which are height x width."""
    sizes = sorted({(one.height, one.width) for one in read})
    wanted = shape[1:]
    if sizes == [wanted]:
        return ()
    first, last = ("x".join(map(str, size)) for size in (sizes[0], sizes[-1]))
    to = "x".join(map(str, wanted))
    stretched = [size for size in sizes if size[0] * wanted[1] != size[1] * wanted[0]]
    if len(sizes) == 1:
        return (f"images of {first} are {'stretched' if stretched else 'resized'} to {to}",)
    note = ", stretched where their aspect ratio is another" if stretched else ""
    return (f"images of {len(sizes):,} sizes, {first} to {last}, are resized to {to}{note}",)


def _fingerprint(splits: Mapping[str, Images], sizes: Mapping[str, list[int]], classes: tuple[str, ...]) -> str:
    """Of names, sizes and classes of all images, not of when they were written."""
    parts: list[str | Tensor] = list(classes)
    for split, images in splits.items():
        names = (f"{size} {images.source.name(row)}" for row, size in enumerate(sizes[split]))
        parts += [split, *names, images.classes]
    return fingerprint(parts)
