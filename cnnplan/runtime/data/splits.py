"""Splits that the data do not give, and folds of cross-validation: stratified, and the same for the same seed.

    with_splits(data, seed)    train, val and test
    folds(data, 5, seed)       five times train, val and test

Random numbers come from generators of their own, so that a split does not depend on what was drawn before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import torch

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from cnnplan.runtime.data.base import Data, Samples

TEST: Final = 0.2
VAL: Final = 0.1
"""The shares that are cut off: of all samples for test, then of the rest for validation."""


def with_splits(data: Data, seed: int) -> Data:
    """The data with all three splits: those that are given stay, the others are cut from train.

    Test is 20 % of the samples, then validation 10 % of the rest, each at least one sample. Where labels are known,
    each class gives its share (largest remainders), but never its last sample for training.

    Raises:
        UsageError: there are too few samples.
    """
    draw = torch.Generator().manual_seed(seed)
    train, val, test = data.train, data.val, data.test
    notices = []
    for name, share in (("test", TEST), ("val", VAL)):
        if (test if name == "test" else val) is not None:
            continue
        chosen, rest = _cut(train, share, draw, data, name)
        if name == "test":
            test = chosen
        else:
            val = chosen
        notices.append(f"{name}: {len(chosen):,} samples cut from train with seed {seed}")
        train = rest
    return replace(data, train=train, val=val, test=test, notices=(*data.notices, *notices))


def folds(data: Data, k: int, seed: int) -> list[Data]:
    """k-fold cross-validation over the samples of train.

    Fold i is `test` of the i-th data, 10 % of the rest its `val`. Sizes of folds, and what each has of a class,
    differ by at most one. Given splits for validation and test are left out.

    Raises:
        UsageError: k is less than 2 or more than there are samples, or a fold leaves too few.
    """
    samples = data.train
    if not 2 <= k <= len(samples):
        raise UsageError(f"{k} folds of the {len(samples):,} samples to train on: give 2 to {len(samples):,}")
    draw = torch.Generator().manual_seed(seed)
    order = torch.cat(_by_class(samples, draw))  # dealt out in turn, so every class is spread evenly
    notices = [*data.notices, f"{k} folds of train with seed {seed}"]
    if given := [name for name, split in (("val", data.val), ("test", data.test)) if split is not None]:
        notices.append(f"the {' and '.join(given)} samples that are given are not used by the folds")
    if single := _singles(data):
        notices.append(f"one sample of {single}: the fold that tests it does not train it")
    found = []
    for fold in range(k):
        test = samples.subset(order[fold::k].sort().values.tolist())
        rest = torch.cat([order[other::k] for other in range(k) if other != fold]).sort().values
        val, train = _cut(samples.subset(rest.tolist()), VAL, draw, data, "val")
        found.append(replace(data, train=train, val=val, test=test, notices=tuple(notices)))
    return found


def _cut(samples: Samples, share: float, draw: torch.Generator, data: Data, name: str) -> tuple[Samples, Samples]:
    """A share of the samples, and the rest, both in their old order."""
    classes = _by_class(samples, draw)
    counts = torch.tensor([len(rows) for rows in classes])
    sizes = _shares(counts, max(1, round(share * len(samples))), draw)
    if not int(sizes.sum()):
        of = f" of {len(classes):,} classes" if samples.labels is not None else ""
        raise UsageError(
            f"{printable(data.name)}: {len(samples):,} samples{of} are too few to cut off some for {name} and keep one "
            f"{'of each class ' if of else ''}for training"
        )
    chosen = torch.zeros(len(samples), dtype=torch.bool)
    for rows, size in zip(classes, sizes.tolist(), strict=True):
        chosen[rows[:size]] = True
    parts = (samples.subset(which.nonzero().flatten().tolist()) for which in (chosen, ~chosen))
    return next(parts), next(parts)


def _by_class(samples: Samples, draw: torch.Generator) -> list[Tensor]:
    """The samples of each class, shuffled; all as one class where there are no labels."""
    labels = samples.labels
    if labels is None:
        labels = torch.zeros(len(samples), dtype=torch.int64)
    rows = torch.split(labels.argsort(stable=True), labels.bincount().tolist())
    return [own[torch.randperm(len(own), generator=draw)] for own in rows if len(own)]


def _shares(counts: Tensor, total: int, draw: torch.Generator) -> Tensor:
    """How many of each class make up `total`, in proportion; one of each stays.

    By largest remainders; which of equal ones comes first is drawn, or the first classes would always give more.
    """
    most = counts - 1
    quotas = counts.double() * total / int(counts.sum())
    sizes = quotas.floor().long().minimum(most)
    order = torch.randperm(len(counts), generator=draw)
    order = order[(quotas - quotas.floor())[order].argsort(descending=True, stable=True)]
    for index in order.tolist():
        if int(sizes.sum()) >= total:
            break
        if sizes[index] < most[index]:
            sizes[index] += 1
    return sizes


def _singles(data: Data) -> str:
    """The classes with one sample of train, quoted."""
    labels = data.train.labels
    if labels is None:
        return ""
    rare = (labels.bincount() == 1).nonzero().flatten().tolist()
    names = [data.classes[i] if i < len(data.classes) else str(i) for i in rare]
    return ", ".join(f"'{printable(name)}'" for name in names)
