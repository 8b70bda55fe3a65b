"""Samples that are decoded when they are fetched, and what happens where one cannot be."""

from __future__ import annotations

import logging
import pickle
from typing import TYPE_CHECKING

import pytest
import torch
from torch.utils.data import DataLoader

from cnnplan.errors import UsageError
from cnnplan.runtime.data.pictures import Files, Pictures, Unreadable, allowed
from tests.runtime.data.files import write

if TYPE_CHECKING:
    from pathlib import Path

    from cnnplan.runtime.data.base import Batch

COUNT = 30


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for index in range(COUNT):
        write(tmp_path / f"{index}.png", index)
    return tmp_path


def pictures(root: Path, count: int = COUNT) -> Pictures:
    """Images 0, 1, 2 … of the classes 0, 1, 2, 0, 1, 2 …"""
    source = Files(root, [f"{index}.png" for index in range(count)])
    return Pictures(source, torch.arange(count) % 3, (1, 8, 8))


def colors(batch: Batch) -> list[int]:
    return batch.inputs[0][:, 0, 0, 0].tolist()


def spoil(root: Path, *indices: int) -> None:
    for index in indices:
        (root / f"{index}.png").write_bytes(b"spoilt")


def same(batch: Batch) -> Batch:
    return batch


def test_a_batch_is_what_the_files_show(root: Path) -> None:
    samples = pictures(root)
    batch = samples.__getitems__([4, 0, 29, 4])
    assert colors(batch) == [4, 0, 29, 4]
    assert batch.targets[0].tolist() == [1, 0, 2, 1]
    assert batch.inputs[0].shape == (4, 1, 8, 8)
    assert batch.inputs[0].dtype == torch.uint8


def test_a_subset_keeps_its_order(root: Path) -> None:
    samples = pictures(root).subset([9, 7, 5, 3]).subset([3, 1])
    assert (len(samples), samples.labels.tolist()) == (2, [0, 1])
    assert colors(samples.__getitems__([0, 1])) == [3, 7]


def test_without_labels_there_are_no_targets(root: Path) -> None:
    samples = pictures(root).unlabelled()
    assert samples.labels is None
    assert samples.__getitems__([2]).targets == ()
    assert samples.subset([5]).__getitems__([0]).targets == ()
    assert colors(samples.subset([5]).__getitems__([0])) == [5]


def test_the_next_of_the_class_stands_for_one_that_is_broken(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    spoil(root, 4, 7, 28)
    samples = pictures(root)
    with caplog.at_level(logging.WARNING):
        batch = samples.__getitems__([3, 4, 28])
    assert colors(batch) == [3, 10, 1]  # 4, 7, 10 are of one class; behind 28 comes the first one, 1
    assert batch.targets[0].tolist() == [0, 1, 1]
    assert samples.replaced == ("4.png", "7.png", "28.png")
    assert caplog.messages[0] == "cannot decode 4.png: no image; another one is taken in its place"
    assert len(caplog.messages) == 3
    with caplog.at_level(logging.WARNING):
        assert colors(samples.__getitems__([28, 4])) == [1, 10]
    assert len(caplog.messages) == 3  # once for each


def test_what_stands_for_it_depends_on_nothing_but_the_files(root: Path) -> None:
    """Not on what was read before, nor on the process: a resumed run sees the same."""
    spoil(root, 4, 7)
    one, other = pictures(root), pictures(root)
    one.__getitems__([7])
    assert colors(one.__getitems__([4, 7])) == colors(other.__getitems__([4, 7])) == [10, 10]
    subset = pictures(root).subset([4, 5, 6])
    assert colors(subset.__getitems__([0])) == [5]  # no other of its class here
    assert subset.__getitems__([0]).targets[0].tolist() == [2]


def test_a_file_that_is_gone(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "3.png").unlink()
    assert colors(pictures(root).__getitems__([3])) == [6]
    assert "cannot decode 3.png: no such file or directory" in caplog.text


def test_too_many_broken_files(root: Path) -> None:
    assert [allowed(n) for n in (1, 1099, 1100, 5000)] == [10, 10, 11, 50]
    spoil(root, *range(11))
    samples = pictures(root)
    with pytest.raises(Unreadable) as error:
        samples.__getitems__(list(range(COUNT)))
    assert isinstance(error.value, UsageError)
    assert str(error.value) == ("11 of 30 images cannot be decoded, more than 10: 0.png, 1.png, 2.png …")


def test_nothing_to_take_instead(root: Path) -> None:
    spoil(root, 0, 1)
    with pytest.raises(Unreadable) as error:
        pictures(root, 2).__getitems__([0])
    assert str(error.value) == "cannot decode 0.png: no image; nor any other of the 2 images beside it"


def test_samples_can_be_pickled(root: Path) -> None:
    samples = pickle.loads(pickle.dumps(pictures(root).subset([5, 6])))
    assert colors(samples.__getitems__([1, 0])) == [6, 5]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_workers_tell_what_they_replaced(root: Path) -> None:
    spoil(root, 4)
    samples = pictures(root)
    loader = DataLoader(samples, batch_size=10, num_workers=2, collate_fn=same)
    assert [colors(batch) for batch in loader] == [
        [0, 1, 2, 3, 7, 5, 6, 7, 8, 9],
        list(range(10, 20)),
        list(range(20, 30)),
    ]
    assert samples.replaced == ("4.png",)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_an_error_of_a_worker_has_no_traceback(root: Path) -> None:
    spoil(root, *range(COUNT))
    loader = DataLoader(pictures(root), batch_size=COUNT, num_workers=1, collate_fn=same)
    with pytest.raises(Unreadable) as error:
        next(iter(loader))
    # the ten of its class, then the first of another one
    assert str(error.value) == "11 of 30 images cannot be decoded, more than 10: 0.png, 1.png, 3.png …"


def test_odd_names(tmp_path: Path) -> None:
    name = "a b/\xe4\n\udcff.png"
    write(tmp_path / "a b" / "x.png", 9)
    (tmp_path / "a b" / "x.png").rename(tmp_path / name)
    samples = Pictures(Files(tmp_path, [name]), torch.tensor([0]), (1, 8, 8))
    assert colors(samples.__getitems__([0])) == [9]
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(Unreadable) as error:
        samples.__getitems__([0])
    assert str(error.value).isprintable()
