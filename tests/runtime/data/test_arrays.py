"""Samples in memory, the digits, and fingerprints."""

from __future__ import annotations

import hashlib
import pickle
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader

from cnnplan.runtime.data import arrays, open_data
from cnnplan.runtime.data.arrays import Arrays, fingerprint
from tests.runtime.data.networks import classifier

if TYPE_CHECKING:
    import pytest


def samples() -> Arrays:
    labels = torch.arange(10) % 3
    return Arrays((torch.arange(10.0)[:, None], torch.arange(10, 20)[:, None]), (labels, -torch.arange(10.0)), labels)


def test_batches() -> None:
    batch = samples().__getitems__([7, 0, 7])
    assert [x.flatten().tolist() for x in batch.inputs] == [[7, 0, 7], [17, 10, 17]]
    assert [y.tolist() for y in batch.targets] == [[1, 0, 1], [-7, 0, -7]]


def test_subsets_of_subsets() -> None:
    subset = samples().subset([9, 5, 1]).subset([2, 0])
    assert subset.labels.tolist() == [1, 0]
    assert subset.__getitems__([0, 1]).inputs[0].flatten().tolist() == [1, 9]
    assert subset.inputs[0].data_ptr() == subset.subset([0]).inputs[0].data_ptr()  # one storage for all
    assert len(samples().subset([])) == 0


def test_a_batch_can_be_changed() -> None:
    one = samples()
    one.__getitems__([3]).inputs[0].zero_()
    assert float(one.inputs[0][3]) == 3


def test_without_targets() -> None:
    one = samples().subset([4]).unlabelled()
    assert (one.labels, one.__getitems__([0]).targets) == (None, ())
    assert float(one.__getitems__([0]).inputs[0]) == 4


def test_loaders_and_pickles() -> None:
    loader = DataLoader(pickle.loads(pickle.dumps(samples())), batch_size=4, collate_fn=lambda batch: batch)
    assert [len(batch.inputs[0]) for batch in loader] == [4, 4, 2]


def test_digits() -> None:
    data = open_data("digits", classifier(), 0)
    found = load_digits()
    batch = data.train.__getitems__(list(range(1797)))
    assert batch.inputs[0].dtype == torch.float32
    assert np.array_equal(batch.inputs[0].numpy()[:, 0] * 16, found.images)
    assert batch.targets[0].tolist() == data.train.labels.tolist() == found.target.tolist()
    assert data.classes == tuple(map(str, found.target_names))
    assert (data.name, data.shapes, data.notices) == ("digits", ((1, 8, 8),), ())


def test_fingerprints(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    text = b"text 1 atorch.float32 (3, 4) " + np.arange(12, dtype=np.float32).tobytes()
    assert fingerprint(("a", x)) == hashlib.sha256(text).hexdigest()
    assert fingerprint(("a", x.double())) != fingerprint(("a", x)) != fingerprint(("a", x.T))
    assert fingerprint(("ab", "c")) != fingerprint(("a", "bc"))
    assert fingerprint((x.to(torch.bfloat16), x > 2)) != fingerprint((x.to(torch.bfloat16), x > 3))
    monkeypatch.setattr(arrays, "HASHED", 16)  # 48 bytes: every third row
    assert fingerprint((x,)) == hashlib.sha256(b"torch.float32 (3, 4) " + x[0].numpy().tobytes()).hexdigest()
