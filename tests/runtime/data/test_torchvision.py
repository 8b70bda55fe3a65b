"""Data sets of torchvision, through a module that mimics its classes on small local data."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from cnnplan.errors import UsageError
from cnnplan.runtime.data import open_data
from cnnplan.runtime.data.splits import with_splits
from tests.runtime.data.files import write
from tests.runtime.data.networks import classifier

if TYPE_CHECKING:
    from cnnplan.runtime.data.base import Data

RNG = np.random.default_rng(0)
CALLS: list[tuple[Any, ...]] = []


def verify(split: str, known: tuple[str, ...]) -> None:
    """As torchvision.datasets.utils.verify_str_arg says it."""
    if split not in known:
        raise ValueError(f"Unknown value '{split}' for argument split. Valid values are {set(known)}.")


class VisionDataset:
    def __init__(self, root: str, transforms: Any = None, transform: Any = None, target_transform: Any = None) -> None:
        self.root = root


class MNIST(VisionDataset):
    """Tensors of [N, H, W], and names of classes."""

    classes = ["0 - zero", "1 - one"]

    def __init__(
        self,
        root: str,
        train: bool = True,
        transform: Any = None,
        target_transform: Any = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        CALLS.append((root, train, download))
        if not download:
            raise RuntimeError("Dataset not found. You can use download=True to download it")
        sys.stdout.write("Downloading http://somewhere/train-images-idx3-ubyte.gz")
        self.data = torch.arange(10 if train else 4, dtype=torch.uint8)[:, None, None].expand(-1, 8, 8)
        self.targets = torch.arange(len(self.data)) % 2


class EMNIST(MNIST):
    splits = ("letters", "digits")

    def __init__(self, root: str, split: str, **kwargs: Any) -> None:
        verify(split, self.splits)
        super().__init__(root, **kwargs)
        self.classes = ["N/A", "a", "b"] if split == "letters" else ["0", "1"]
        self.targets = self.targets + (split == "letters")


class CIFAR10(VisionDataset):
    """A numpy array of [N, H, W, C], labels in a list."""

    def __init__(
        self,
        root: str,
        train: bool = True,
        transform: Any = None,
        target_transform: Any = None,
        download: bool = False,
    ) -> None:
        super().__init__(root)
        self.data = np.arange(2 * 8 * 8 * 3, dtype=np.int64).astype(np.uint8).reshape(2, 3, 8, 8).transpose(0, 2, 3, 1)
        self.targets = [1, 0]
        self.classes = ["airplane", "automobile"]


class STL10(VisionDataset):
    """[N, C, H, W], `labels`, a `split`."""

    def __init__(
        self,
        root: str,
        split: str = "train",
        folds: int | None = None,
        transform: Any = None,
        target_transform: Any = None,
        download: bool = False,
    ) -> None:
        verify(split, ("train", "train+unlabeled", "unlabeled", "test"))
        self.data = np.full((4, 3, 8, 8), 7 if split == "train" else 9, np.uint8)
        self.labels = np.array([0, 1, 0, 1], np.uint8)
        self.classes = ["airplane", "bird"]


class SVHN(VisionDataset):
    """No names of classes."""

    def __init__(
        self,
        root: str,
        split: str = "train",
        transform: Any = None,
        target_transform: Any = None,
        download: bool = False,
    ) -> None:
        verify(split, ("train", "test", "extra"))
        self.data = np.zeros((3, 3, 8, 8), np.uint8)
        self.labels = np.array([1, 2, 1] if split == "train" else [2, 2, 1])


class Flowers102(VisionDataset):
    """Files, with labels that are counted from 1, and three splits."""

    def __init__(
        self,
        root: str,
        split: str = "train",
        download: bool = True,
        transform: Any = None,
        target_transform: Any = None,
    ) -> None:
        verify(split, ("train", "val", "test"))
        paths = [Path(root) / "flowers-102" / "jpg" / f"{split}_{n}.png" for n in range(4)]
        for n, path in enumerate(paths):
            write(path, (n, n, n))
        self._image_files = paths
        self._labels = [1, 2, 1, 2]


class GTSRB(VisionDataset):
    """Pairs of paths and labels; .ppm files."""

    def __init__(
        self,
        root: str,
        split: str = "train",
        transform: Any = None,
        target_transform: Any = None,
        download: bool = False,
    ) -> None:
        verify(split, ("train", "test"))
        self._samples = [(str(write(Path(root) / "gtsrb" / split / f"{n}.ppm", (n, 9, 9))), n % 2) for n in range(4)]


class EuroSAT(VisionDataset):
    """No splits."""

    def __init__(self, root: str, transform: Any = None, target_transform: Any = None, download: bool = False) -> None:
        self.samples = [(str(write(Path(root) / f"{n}.jpg", (n, 9, 9))), n % 2) for n in range(20)]
        self.targets = [label for _, label in self.samples]
        self.classes = [("forest", "wood"), "river"]


class FakeData(VisionDataset):
    """Neither arrays nor files."""

    def __init__(self, size: int = 1000) -> None:
        self.size = size


class ImageNet(VisionDataset):
    """Cannot be downloaded."""

    def __init__(self, root: str, split: str = "train", **kwargs: Any) -> None:
        verify(split, ("train", "val"))
        raise RuntimeError(f"The archive ILSVRC2012_devkit_t12.tar.gz is not present in the root directory\nor {root}.")


@pytest.fixture(autouse=True)
def torchvision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package, datasets = ModuleType("torchvision"), ModuleType("torchvision.datasets")
    kinds = (MNIST, EMNIST, CIFAR10, STL10, SVHN, Flowers102, GTSRB, EuroSAT, FakeData, ImageNet)
    for kind in kinds:
        setattr(datasets, kind.__name__, kind)
    package.datasets = datasets  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", datasets)
    monkeypatch.setenv("CNNPLAN_DATA", str(tmp_path / "cache"))
    CALLS.clear()


def opened(name: str, channels: int = 3, classes: int = 2) -> Data:
    return open_data(f"torchvision:{name}", classifier(channels, classes=classes), 0)


def refused(name: str, channels: int = 3) -> str:
    with pytest.raises(UsageError) as error:
        opened(name, channels)
    return str(error.value)


def test_tensors_with_a_train_flag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = opened("MNIST", 1)
    cache = str(tmp_path / "cache")
    assert [(cache, True, True), (cache, False, True)] == CALLS
    assert (data.name, data.classes, data.shapes) == ("torchvision's MNIST", ("0 - zero", "1 - one"), ((1, 8, 8),))
    assert data.train.__getitems__([3]).inputs[0][0, 0, 0, 0] == 3
    assert data.train.labels.tolist() == [0, 1] * 5
    assert (len(data.test), data.val) == (4, None)
    assert len(with_splits(data, 0).val) == 1
    assert capsys.readouterr().out == ""  # results alone go there


def test_a_directory_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(f"MNIST@{tmp_path / 'own'}", 1)
    assert {root for root, _, _ in CALLS} == {str(tmp_path / "own")}
    monkeypatch.delenv("CNNPLAN_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert opened("MNIST", 1).fingerprint == first.fingerprint
    assert CALLS[-1][0] == str(tmp_path / ".cache" / "cnnplan" / "data")


def test_arrays_with_channels_last() -> None:
    data = opened("CIFAR10")
    expected = torch.arange(2 * 3 * 64).to(torch.uint8).reshape(2, 3, 8, 8)
    assert torch.equal(data.train.__getitems__([0, 1]).inputs[0], expected)
    assert data.train.labels.tolist() == [1, 0]


def test_arrays_with_channels_first_and_split() -> None:
    data = opened("STL10")
    assert int(data.train.__getitems__([0]).inputs[0][0, 0, 0, 0]) == 7
    assert int(data.test.__getitems__([0]).inputs[0][0, 0, 0, 0]) == 9
    assert data.classes == ("airplane", "bird")


def test_labels_without_names() -> None:
    data = opened("SVHN")
    assert data.classes == ("1", "2")
    assert data.train.labels.tolist() == [0, 1, 0]
    assert data.test.labels.tolist() == [1, 1, 0]


def test_files_and_three_splits() -> None:
    data = opened("Flowers102")
    assert data.classes == ("1", "2")
    assert [len(split) for split in (data.train, data.val, data.test)] == [4, 4, 4]
    assert data.val.labels.tolist() == [0, 1, 0, 1]
    assert data.train.__getitems__([2]).inputs[0][0, :, 0, 0].tolist() == [2, 2, 2]
    assert data.fingerprint == opened("Flowers102").fingerprint


def test_pairs_of_files_and_labels() -> None:
    data = opened("GTSRB")
    assert data.train.__getitems__([3]).inputs[0][0, :, 0, 0].tolist() == [3, 9, 9]
    assert (data.val, len(data.test)) == (None, 4)


def test_a_set_without_splits() -> None:
    data = opened("EuroSAT")
    assert (len(data.train), data.val, data.test) == (20, None, None)
    assert data.classes == ("forest, wood", "river")


def test_parts_of_a_set() -> None:
    data = opened("EMNIST:letters", 1, 3)
    assert data.name == "torchvision's EMNIST letters"
    assert data.train.labels.tolist() == [1, 2] * 5
    assert data.notices == ("no sample to train on is of 'N/A'",)
    assert refused("EMNIST", 1) == (
        "torchvision's EMNIST has several parts: choose torchvision:EMNIST:letters, torchvision:EMNIST:digits"
    )
    assert refused("MNIST:letters", 1) == "torchvision's MNIST has no parts to choose 'letters' from"


def test_what_cannot_be_had(tmp_path: Path) -> None:
    assert refused("MNISTT") == "torchvision has no data set 'MNISTT'; did you mean 'MNIST'?"
    assert refused("os").startswith("torchvision has no data set 'os'; known here: ")
    assert refused("ImageNet") == (
        f"torchvision cannot give ImageNet in {tmp_path}/cache: The archive ILSVRC2012_devkit_t12.tar.gz is not "
        f"present in the root directory or {tmp_path}/cache."
    )
    assert refused("FakeData") == "torchvision's FakeData does not have a class for each image"
    (tmp_path / "file").write_text("")
    assert refused(f"MNIST@{tmp_path}/file/x").startswith(f"torchvision cannot give MNIST in {tmp_path}/file/x: ")
    assert refused("EMNIST:lettres", 1) == (
        f"torchvision cannot give EMNIST in {tmp_path}/cache: Unknown value 'lettres' for argument split. "
        f"Valid values are {set(EMNIST.splits)}."
    )


def test_a_split_that_is_broken_is_not_taken_for_one_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(STL10):
        def __init__(self, root: str, split: str = "train") -> None:
            super().__init__(root, split)
            if split == "test":
                raise ValueError("cannot reshape array of size 7")

    monkeypatch.setattr(sys.modules["torchvision.datasets"], "Broken", Broken, raising=False)
    assert refused("Broken").endswith(": cannot reshape array of size 7")


def test_sets_without_a_class_for_each_image(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = sys.modules["torchvision.datasets"]

    class QMNIST(MNIST):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.targets = torch.zeros(len(self.data), 8, dtype=torch.int64)

    class Captions(EuroSAT):
        def __init__(self, root: str) -> None:
            super().__init__(root)
            self.targets = ["a cat", "a dog"] * 10

    class Hidden(EuroSAT):
        def __init__(self, root: str) -> None:
            super().__init__(root)
            self.samples = None

    for kind in (QMNIST, Captions, Hidden):
        monkeypatch.setattr(datasets, kind.__name__, kind, raising=False)
    assert refused("QMNIST", 1) == "torchvision's QMNIST does not have a class for each image"
    assert refused("Captions") == "torchvision's Captions does not have a class for each image"
    assert refused("Hidden") == (
        "torchvision's Hidden keeps neither arrays nor paths of its images; give them as folder:PATH"
    )


def test_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.delitem(sys.modules, "torchvision.datasets")
    assert refused("MNIST", 1) == "this needs torchvision: pip install torchvision"
