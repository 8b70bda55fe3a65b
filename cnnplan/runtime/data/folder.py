"""`folder:PATH`: image files, in a folder for each class.

    photos/cat/1.jpg, photos/dog/2.png         one set, to be split
    photos/train/cat/1.jpg, photos/test/…      splits that are given: train, val (or valid, validation), test

Folders inside that of a class belong to it, links too, each once, but none that leads up. What is hidden, and
`__MACOSX`, is not looked at.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from cnnplan.diagnostics import printable, some
from cnnplan.errors import UsageError
from cnnplan.runtime.data.decoding import Images
from cnnplan.runtime.data.gathered import gathered
from cnnplan.runtime.data.images import SUFFIXES
from cnnplan.runtime.data.pictures import Files

if TYPE_CHECKING:
    from cnnplan.planning import Plan
    from cnnplan.runtime.data.base import Data

SPLITS: Final = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


class _Listed(NamedTuple):
    """The names of what is in a folder."""

    folders: list[str]
    images: list[str]
    others: list[str]


def open_folder(rest: str, plan: Plan, seed: int) -> Data:
    """Images with the names of their folders as classes.

    Raises:
        UsageError: there is no such folder or none for each class, a class has no image or is in test and not in train,
            too many images cannot be read, or the network takes no such images.
    """
    root = Path(rest).expanduser()
    shown = printable(str(root)).rstrip("/")
    others: Counter[str] = Counter()
    trees = {split: _tree(root, path, others) for split, path in _splits(root, shown).items()}
    classes = tuple(sorted(trees["train"]))
    if len(classes) == 1:
        raise UsageError(f"{shown} has one class, '{printable(classes[0])}': at least two are needed")
    numbers = {name: number for number, name in enumerate(classes)}
    splits = {}
    for split, tree in trees.items():
        if unknown := sorted(set(tree) - set(classes)):
            raise UsageError(f"{shown} has {some(map(printable, unknown))} in {split}, and not in train")
        if empty := sorted(name for name, paths in tree.items() if not paths):
            which = f"{some(map(printable, empty))} of {shown}{'' if len(trees) == 1 else f', {split}'}"
            raise UsageError(f"no image in {which}: files that end in {', '.join(SUFFIXES)} are read")
        paths = [(path, numbers[name]) for name in sorted(tree) for path in tree[name]]
        source = Files(root.absolute(), [path for path, _ in paths])
        splits[split] = Images(source, torch.tensor([label for _, label in paths], dtype=torch.int64))
    data = gathered(splits, classes, plan, seed, lambda count: f"folder of {count:,} images in {shown}/")
    return replace(data, notices=(*_ignored(others), *data.notices))


def _splits(root: Path, shown: str) -> dict[str, str]:
    """Where the folders of the classes are, below the root: of all samples as "train", or of each split."""
    listed = _listed(root)
    found: dict[str, str] = {}
    for name in listed.folders:
        split = SPLITS.get(name.lower())
        if split and split in found:
            raise UsageError(f"{shown} has both '{found[split]}' and '{name}'")
        if split:
            found[split] = name
    expected = f"a folder for each class is expected, such as {shown}/cat and {shown}/dog"
    if listed.images and not listed.folders:
        raise UsageError(f"{shown} has images, {some(listed.images, 3)}, and no folders: {expected}")
    if not listed.folders:
        raise UsageError(f"{shown} is empty: {expected}")
    if not found or ("train" in found and _listed(root / found["train"]).images):
        return {"train": ""}  # none of them is a split, or a class is called so
    if "train" not in found:
        raise UsageError(f"{shown} has {some(found.values())}, and no 'train'")
    if beside := [name for name in listed.folders if name not in found.values()]:
        raise UsageError(f"{shown} has {some(map(printable, beside))} beside '{found['train']}': classes belong inside")
    return {split: found[split] for split in ("train", "val", "test") if split in found}


def _tree(root: Path, below: str, others: Counter[str]) -> dict[str, list[str]]:
    """The images of each class, as paths below the root, in order."""
    top = _listed(root / below)
    others.update(Path(name).suffix.lower() for name in (*top.images, *top.others))
    prefix = f"{below}/" if below else ""
    found: dict[str, list[str]] = {}
    for name in top.folders:
        images: list[str] = []
        left = [f"{prefix}{name}"]
        seen = {_identity(path) for path in (root / left[0]).resolve().parents}  # where links lead in a circle
        while left:
            path = left.pop()
            if (identity := _identity(root / path)) in seen:
                continue
            seen.add(identity)
            listed = _listed(root / path)
            left += [f"{path}/{inner}" for inner in reversed(listed.folders)]
            images += [f"{path}/{image}" for image in listed.images]
            others.update(Path(other).suffix.lower() for other in listed.others)
        found[name] = images
    return found


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _listed(path: Path) -> _Listed:
    """What is in a folder, in order, without what is hidden."""
    found = _Listed([], [], [])
    try:
        for entry in sorted(path.iterdir(), key=lambda one: one.name):
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            if entry.is_dir():
                found.folders.append(entry.name)
            elif entry.suffix.lower() in SUFFIXES and (entry.is_file() or entry.is_symlink()):
                found.images.append(entry.name)
            else:
                found.others.append(entry.name)
    except OSError as error:
        raise UsageError(f"cannot read {printable(str(path))}: {(error.strerror or str(error)).lower()}") from None
    return found


def _ignored(others: Counter[str]) -> tuple[str, ...]:
    if not others:
        return ()
    kinds = ", ".join(f"{count:,} {printable(suffix) or 'without a suffix'}" for suffix, count in others.most_common(4))
    return (f"files that are not read: {kinds}{', …' if len(others) > 4 else ''}",)
