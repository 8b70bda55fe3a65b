"""`torchvision:NAME`: a data set of torchvision.datasets with a class for each image, such as CIFAR10.

It is downloaded into `torchvision:NAME@DIRECTORY`, or $CNNPLAN_DATA, or ~/.cache/cnnplan/data. EMNIST is many:
`torchvision:EMNIST:letters`.

Taken are what nearly all of these classes keep: `data` and `targets` or `labels`, or the paths of files and their
labels.
"""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from cnnplan.diagnostics import printable, suggest
from cnnplan.errors import UsageError
from cnnplan.runtime.data.arrays import Arrays, fingerprint
from cnnplan.runtime.data.base import Data
from cnnplan.runtime.data.decoding import Images
from cnnplan.runtime.data.gathered import gathered
from cnnplan.runtime.data.needed import needed, quietly
from cnnplan.runtime.data.pictures import Files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from cnnplan.planning import Plan

SPLITS: Final = {"train": ("train", "trainval"), "val": ("val",), "test": ("test",)}


def open_torchvision(rest: str, plan: Plan, seed: int) -> Data:
    """A data set of torchvision, downloaded where it is not there yet.

    Raises:
        UsageError: torchvision is not installed, has no such data set, cannot download it, or it is none of images with
            a class each.
    """
    name, _, directory = rest.partition("@")
    name, _, variant = name.partition(":")
    kinds = needed("torchvision.datasets", "torchvision")
    kind = getattr(kinds, name, None)
    if not inspect.isclass(kind):
        known = [one for one in dir(kinds) if inspect.isclass(getattr(kinds, one)) and not one.startswith("_")]
        raise UsageError(f"torchvision has no data set '{printable(name)}'; {suggest(name, known)}")
    root = Path(directory or os.environ.get("CNNPLAN_DATA") or "~/.cache/cnnplan/data").expanduser()
    splits = _opened(kind, name, variant, root)
    title = f"torchvision's {name}{f' {printable(variant)}' if variant else ''}"
    classes, labels = _labels(splits, title)
    if isinstance(getattr(splits["train"], "data", None), np.ndarray | torch.Tensor):
        return _held(title, {split: one.data for split, one in splits.items()}, labels, classes)
    images = {split: Images(_files(one, title, root), labels[split]) for split, one in splits.items()}
    return gathered(images, classes, plan, seed, lambda count: title)


def _opened(kind: type, name: str, variant: str, root: Path) -> dict[str, Any]:
    """The splits that a data set has: train, and val and test; all of it as train where it has none."""
    from filelock import FileLock, Timeout  # torch needs it, too

    takes = _parameters(kind)
    options: dict[str, Any] = {"download": True} if "download" in takes else {}
    if {"split", "train"} <= takes and not variant:
        parts = ", ".join(f"torchvision:{name}:{part}" for part in getattr(kind, "splits", ("…",)))
        raise UsageError(f"torchvision's {name} has several parts: choose {parts}")
    if variant:
        if not {"split", "train"} <= takes:
            raise UsageError(f"torchvision's {name} has no parts to choose '{printable(variant)}' from")
        options["split"] = variant
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{name}.lock"), quietly():  # processes of one training start together
            if "train" in takes:
                return {split: kind(str(root), train=split == "train", **options) for split in ("train", "test")}
            if "split" not in takes:
                return {"train": kind(str(root), **options)}
            return {
                split: one
                for split, names in SPLITS.items()
                if (one := _split(kind, root, names, options, wanted=split == "train")) is not None
            }
    except (Timeout, OSError, RuntimeError, ValueError, TypeError, ImportError, EOFError) as error:
        text = printable(" ".join(str(error).split())) or type(error).__name__
        raise UsageError(f"torchvision cannot give {name} in {printable(str(root))}: {text}") from error


def _parameters(kind: type) -> set[str]:
    """The names of what its constructor takes, and those that it hands on."""
    found: set[str] = set()
    for one in kind.__mro__:
        if "__init__" in vars(one):
            parameters = inspect.signature(one.__init__).parameters  # type: ignore[misc]
            found |= set(parameters)
            if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
                break
    return found


def _split(kind: type, root: Path, names: Sequence[str], options: Mapping[str, Any], *, wanted: bool) -> Any:
    """The first split of these names that there is; None where there is none, unless it is `wanted`."""
    for name in names:
        try:
            return kind(str(root), split=name, **options)
        except ValueError as error:
            if "split" not in str(error).lower() or (wanted and name == names[-1]):
                raise
    return None


def _labels(splits: Mapping[str, Any], title: str) -> tuple[tuple[str, ...], dict[str, Tensor]]:
    """The names of the classes, and int64 [N] for each split.

    Where the data set does not name its classes, they are the labels that its train split has, in order.
    """
    found = {}
    for split, one in splits.items():
        given = _first(one, ("targets", "labels", "_labels"))
        if given is None and (pairs := _first(one, ("samples", "_samples"))) is not None:
            given = [label for _, label in pairs]
        try:
            labels = torch.as_tensor(np.asarray(given), dtype=torch.int64)
        except (TypeError, ValueError, RuntimeError):
            labels = torch.empty(())
        if labels.ndim != 1:
            raise UsageError(f"{title} does not have a class for each image")
        found[split] = labels
    names = getattr(splits["train"], "classes", None)
    if names:
        classes = tuple(name if isinstance(name, str) else ", ".join(map(str, name)) for name in names)
    else:
        numbers = sorted(set(found["train"].tolist()))
        classes = tuple(map(str, numbers))
        place = {number: index for index, number in enumerate(numbers)}
        found = {s: torch.tensor([place.get(n, -1) for n in labels.tolist()]) for s, labels in found.items()}
    for split, labels in found.items():
        if not len(labels) or int(labels.min()) < 0 or int(labels.max()) >= len(classes):
            raise UsageError(f"{title} has no labels in {split} that are those of its {len(classes):,} classes")
    return classes, found


def _held(title: str, data: Mapping[str, Any], labels: Mapping[str, Tensor], classes: tuple[str, ...]) -> Data:
    """Images that the data set has in memory, channels first."""
    images = {}
    for split, one in data.items():
        tensor = torch.as_tensor(one)
        if tensor.ndim == 3:
            tensor = tensor[:, None]
        elif tensor.ndim == 4 and tensor.shape[-1] in (1, 3):
            tensor = tensor.permute(0, 3, 1, 2)
        if tensor.ndim != 4 or tensor.dtype != torch.uint8 or len(tensor) != len(labels[split]):
            raise UsageError(f"{title} is {tensor.dtype} {tuple(tensor.shape)}, and not of images with 8 bits")
        images[split] = tensor.contiguous()
    made = {split: Arrays((tensor,), (labels[split],), labels[split]) for split, tensor in images.items()}
    parts = [part for split, tensor in images.items() for part in (split, tensor, labels[split])]
    return Data(
        name=title,
        train=made["train"],
        val=made.get("val"),
        test=made.get("test"),
        classes=classes,
        targets=("",),
        shapes=(tuple(images["train"].shape[1:]),),
        notices=(),
        fingerprint=fingerprint((*classes, *parts)),
    )


def _files(one: Any, title: str, root: Path) -> Files:
    """The files of a split."""
    pairs = _first(one, ("samples", "_samples"))
    paths = [path for path, _ in pairs] if pairs else _first(one, ("_image_files", "_images", "imgs", "data"))
    if not isinstance(paths, list) or not paths or not all(isinstance(path, str | Path) for path in paths):
        raise UsageError(f"{title} keeps neither arrays nor paths of its images; give them as folder:PATH")
    return Files(root.absolute(), [os.path.relpath(path, root) for path in paths])


def _first(one: Any, names: Sequence[str]) -> Any:
    return next((found for name in names if (found := getattr(one, name, None)) is not None), None)
