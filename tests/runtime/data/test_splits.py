"""Splits and folds, held against what they have to be: a partition, in proportion, and the same for the same seed."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from math import ceil, floor
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnnplan.errors import UsageError
from cnnplan.runtime.data.arrays import Arrays
from cnnplan.runtime.data.base import Data
from cnnplan.runtime.data.splits import folds, with_splits

if TYPE_CHECKING:
    from cnnplan.runtime.data.base import Samples


def numbered(labels: list[int] | None, count: int = 0, first: int = 0) -> Arrays:
    """Samples that are their own numbers."""
    count = len(labels) if labels is not None else count
    numbers = torch.arange(first, first + count, dtype=torch.float32)[:, None]
    targets = None if labels is None else torch.tensor(labels)
    return Arrays((numbers,), () if targets is None else (targets,), targets)


def data(train: Arrays, val: Arrays | None = None, test: Arrays | None = None) -> Data:
    classes = tuple(f"class {i}" for i in range(1 + max(train.labels.tolist()))) if train.labels is not None else ()
    return Data("samples", train, val, test, classes, ("",) if classes else (), ((1,),), (), "")


def numbers(samples: Samples | None) -> list[int]:
    assert samples is not None
    return [int(n) for n in samples.__getitems__(list(range(len(samples)))).inputs[0].flatten()]


def counts(samples: Samples | None) -> Counter[int]:
    assert samples is not None
    assert samples.labels is not None
    return Counter(samples.labels.tolist())


LABELS = st.lists(st.integers(1, 15), min_size=1, max_size=5).flatmap(
    lambda sizes: st.permutations([label for label, size in enumerate(sizes) for _ in range(size)])
)


@given(LABELS.filter(lambda labels: len(labels) >= 2 + len(set(labels))), st.integers(0, 2**31))
def test_a_split_is_a_partition_in_proportion(labels: list[int], seed: int) -> None:
    """No sample is in two splits or in none; each class gives its share, and keeps one for training."""
    try:
        found = with_splits(data(numbered(labels)), seed)
    except UsageError:  # nearly all classes have one sample
        assert sum(n - 1 for n in Counter(labels).values()) < 2
        return
    parts = [numbers(split) for split in (found.train, found.val, found.test)]
    assert sorted(chain(*parts)) == list(range(len(labels)))
    assert all(part == sorted(part) for part in parts)
    for part, split in zip(parts, (found.train, found.val, found.test), strict=True):
        assert [labels[n] for n in part] == split.labels.tolist()  # labels stay with their samples
    assert set(counts(found.train)) == set(labels)
    whole = Counter(labels)
    share = max(1, round(0.2 * len(labels))) / len(labels)
    for label, n in whole.items():
        least, most = floor(n * share), ceil(n * share)
        assert min(least, n - 1) <= counts(found.test)[label] <= most
    rest = Counter(labels[n] for n in parts[0] + parts[1])
    share = max(1, round(0.1 * rest.total())) / rest.total()
    for label, n in rest.items():
        assert min(floor(n * share), n - 1) <= counts(found.val)[label] <= ceil(n * share)


def test_shares_of_the_digits() -> None:
    """1,797 samples: 20 % are 359, 10 % of the other 1,438 are 144."""
    labels = [n % 10 for n in range(1797)]
    found = with_splits(data(numbered(labels)), 0)
    assert [len(split) for split in (found.train, found.val, found.test)] == [1294, 144, 359]
    assert found.notices == (
        "test: 359 samples cut from train with seed 0",
        "val: 144 samples cut from train with seed 0",
    )


def test_the_seed_alone_decides() -> None:
    labels = [n % 3 for n in range(60)]
    torch.manual_seed(1)
    first = with_splits(data(numbered(labels)), 5)
    torch.manual_seed(2)
    again, other = with_splits(data(numbered(labels)), 5), with_splits(data(numbered(labels)), 6)
    state = torch.initial_seed()
    assert numbers(first.test) == numbers(again.test)
    assert numbers(first.val) == numbers(again.val)
    assert numbers(first.test) != numbers(other.test)
    assert state == 2  # the global generator is left alone


def test_what_is_given_stays() -> None:
    train, test = numbered([0, 1] * 20), numbered([0, 1] * 5, first=100)
    found = with_splits(data(train, test=test), 0)
    assert found.test is test
    assert len(found.val) == 4
    assert sorted(numbers(found.train) + numbers(found.val)) == list(range(40))
    val = numbered([1, 0], first=200)
    found = with_splits(data(train, val, test), 0)
    assert (found.train, found.val, found.test, found.notices) == (train, val, test, ())
    found = with_splits(data(train, val), 0)
    assert found.val is val
    assert len(found.test) == 8


def test_without_labels_all_are_alike() -> None:
    found = with_splits(data(numbered(None, 50)), 3)
    assert [len(split) for split in (found.train, found.val, found.test)] == [36, 4, 10]
    assert sorted(numbers(found.train) + numbers(found.val) + numbers(found.test)) == list(range(50))


def test_equal_remainders_are_drawn() -> None:
    """Of ten classes with 3 samples each, six give one to test: not always the first six."""
    labels = [n % 10 for n in range(30)]
    seen = {tuple(sorted(counts(with_splits(data(numbered(labels)), seed).test))) for seed in range(8)}
    assert all(len(classes) == 6 for classes in seen)
    assert len(seen) > 4


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 2], "samples: 3 samples of 3 classes are too few to cut off some for test and keep one of each class"),
        ([0, 1, 1], "samples: 2 samples of 2 classes are too few to cut off some for val and keep one of each class"),
        (None, "samples: 1 samples are too few to cut off some for test and keep one for training"),
    ],
)
def test_too_few_samples(labels: list[int] | None, message: str) -> None:
    with pytest.raises(UsageError) as error:
        with_splits(data(numbered(labels, 1)), 0)
    assert str(error.value).startswith(message)


@given(LABELS.filter(lambda labels: len(labels) > 1), st.integers(2, 7), st.integers(0, 99))
def test_folds_cover_every_sample_once(labels: list[int], k: int, seed: int) -> None:
    """Each sample is tested once; folds, and what they have of a class, differ by one sample at most."""
    if k > len(labels) or 2 * len(set(labels)) + k > len(labels):
        return
    found = folds(data(numbered(labels)), k, seed)
    assert sorted(chain(*(numbers(fold.test) for fold in found))) == list(range(len(labels)))
    sizes = [len(fold.test) for fold in found]
    assert max(sizes) - min(sizes) <= 1
    for label in set(labels):
        own = [counts(fold.test)[label] for fold in found]
        assert max(own) - min(own) <= 1
    for fold in found:
        parts = [numbers(split) for split in (fold.train, fold.val, fold.test)]
        assert sorted(chain(*parts)) == list(range(len(labels)))
        assert len(parts[1]) <= max(1, round(0.1 * (len(labels) - len(parts[2]))))
        rest = {labels[n] for n in parts[0] + parts[1]}
        assert set(counts(fold.train)) == rest  # validation takes no class away


def test_folds_of_five() -> None:
    found = folds(data(numbered([n % 4 for n in range(100)])), 5, 0)
    assert [[len(split) for split in (f.train, f.val, f.test)] for f in found] == [[72, 8, 20]] * 5
    assert all(set(counts(f.test).values()) == {5} for f in found)
    assert numbers(found[0].test) == numbers(folds(data(numbered([n % 4 for n in range(100)])), 5, 0)[0].test)
    assert found[0].notices == ("5 folds of train with seed 0",)


def test_folds_say_what_they_leave_out() -> None:
    labels = [0] * 20 + [1]
    found = folds(data(numbered(labels), test=numbered([0, 1])), 3, 0)
    assert found[0].notices[1:] == (
        "the test samples that are given are not used by the folds",
        "one sample of 'class 1': the fold that tests it does not train it",
    )


@pytest.mark.parametrize("k", [-1, 0, 1, 11])
def test_folds_that_cannot_be(k: int) -> None:
    with pytest.raises(UsageError) as error:
        folds(data(numbered([0, 1] * 5)), k, 0)
    assert str(error.value) == f"{k} folds of the 10 samples to train on: give 2 to 10"
