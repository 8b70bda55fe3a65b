"""`hf:NAME` or `hf:NAME:CONFIG`: a data set of the Hugging Face hub, or a folder that `save_to_disk` wrote or with
parquet files.

The input is its first column of images, the target its first column of class labels.
"""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import torch

from cnnplan.diagnostics import printable, some
from cnnplan.errors import UsageError
from cnnplan.runtime.data.decoding import Images
from cnnplan.runtime.data.gathered import gathered
from cnnplan.runtime.data.needed import needed, quietly
from cnnplan.runtime.data.pictures import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cnnplan.planning import Plan
    from cnnplan.runtime.data.base import Data

SPLITS: Final = {"train": ("train",), "val": ("validation", "val", "valid", "dev"), "test": ("test",)}


class Rows(Source):
    """Images in a column of a `datasets.Dataset`, which gives them encoded.

    Args:
        rows: the data set.
        column: of images that are not decoded: mappings with `bytes` or `path`.
        split: what its images are called by.
    """

    def __init__(self, rows: Any, column: str, split: str) -> None:
        self.rows = rows
        self.column = column
        self.split = split

    def __len__(self) -> int:
        return len(self.rows)

    def open(self, index: int) -> BinaryIO:
        found = self.rows[index][self.column]
        if found is None:
            raise ValueError("no image")
        if found["bytes"] is not None:
            return io.BytesIO(found["bytes"])
        return Path(found["path"]).open("rb")

    def name(self, index: int) -> str:
        return f"row {index} of {self.split}"


def open_hf(rest: str, plan: Plan, seed: int) -> Data:
    """Images with the class labels of a data set.

    Raises:
        UsageError: `datasets` is not installed, cannot load it, it has no split to train on or no columns of images and
            class labels; or the network takes no such images.
    """
    datasets = needed("datasets", "datasets")
    found, name = _loaded(datasets, rest)
    notices = []
    splits, unused = _named(found, name)
    if unused:
        notices.append(f"splits that are not used: {some(map(printable, unused))}")
    image, label = (_column(splits["train"], kind, name) for kind in (datasets.Image, datasets.ClassLabel))
    classes = tuple(map(str, splits["train"].features[label].names))
    images = {}
    for split, one in splits.items():
        if not {image, label} <= set(one.features):
            raise UsageError(f"{name} has no columns '{printable(image)}' and '{printable(label)}' in {split}")
        labels = torch.tensor([-1 if n is None else n for n in one[label][:]], dtype=torch.int64)
        if split == "train" and (not len(labels) or int(labels.min()) < 0):
            raise UsageError(f"{name} has {int((labels < 0).sum()):,} rows of {len(labels):,} in train without a label")
        if not len(labels) or int(labels.min()) < 0:
            notices.append(f"{split} is not used: not all of its rows have a label")
            continue
        encoded = one.select_columns([image]).cast_column(image, datasets.Image(decode=False))
        images[split] = Images(Rows(encoded, image, split), labels)
    where = "data set" if Path(rest).expanduser().is_dir() else "Hugging Face's"
    data = gathered(images, classes, plan, seed, lambda count: f"{where} {name}, {count:,} images")
    return replace(data, notices=(*notices, *data.notices))


def _loaded(datasets: Any, rest: str) -> tuple[Any, str]:
    """What the library loads, and what to call it."""
    path = Path(rest).expanduser()
    local = path.is_dir()
    name, _, config = (str(path), "", "") if local else rest.partition(":")
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        with quietly():
            if local and any((path / one).is_file() for one in ("dataset_dict.json", "state.json")):
                return datasets.load_from_disk(name), printable(name)
            return datasets.load_dataset(name, *([config] if config else [])), printable(name)
    except Exception as error:  # its own errors, those of the hub's client, of arrow, of the network
        text = printable(" ".join(str(error).split())) or type(error).__name__
        raise UsageError(f"datasets cannot load {printable(rest)}: {text}") from error


def _named(found: Any, name: str) -> tuple[dict[str, Any], list[str]]:
    """The splits by our names, and those that are none of them; a single data set is one to train on."""
    if not isinstance(found, dict):
        return {"train": found}, []
    splits = {}
    for split, names in SPLITS.items():
        if own := next((one for one in names if one in found), None):
            splits[split] = found[own]
    if "train" not in splits:
        raise UsageError(f"{name} has no split 'train', only {some(map(printable, map(str, found)))}")
    known = {one for names in SPLITS.values() for one in names}
    return splits, [str(one) for one in found if one not in known]


def _column(rows: Any, kind: Any, name: str) -> str:
    """The first column of a kind."""
    features: Mapping[str, Any] = rows.features or {}
    for column, feature in features.items():
        if isinstance(feature, kind):
            return column
    have = ", ".join(f"'{printable(column)}' ({type(one).__name__})" for column, one in features.items())
    raise UsageError(f"{name} has no column of {kind.__name__}, only {have or 'none'}")
