"""Data sets of Hugging Face: through a module that mimics `datasets`, and through itself where it is installed."""

from __future__ import annotations

import io
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from cnnplan.errors import UsageError
from cnnplan.runtime.data import gathered, open_data
from cnnplan.runtime.data.pictures import Pictures
from tests.runtime.data.files import image
from tests.runtime.data.networks import classifier

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cnnplan.runtime.data.base import Data


class Image:
    def __init__(self, decode: bool = True) -> None:
        self.decode = decode


class ClassLabel:
    def __init__(self, names: list[str]) -> None:
        self.names = names


class Value:
    pass


class Rows:
    """As datasets.Dataset: rows by number, columns by name."""

    def __init__(self, features: dict[str, Any], columns: dict[str, list[Any]]) -> None:
        self.features = features
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, key: int | str) -> Any:
        if isinstance(key, str):
            return self.columns[key]
        found = {name: column[key] for name, column in self.columns.items()}
        assert not any(isinstance(one, Image) and one.decode for one in self.features.values()), "decoded by datasets"
        return found

    def select_columns(self, names: list[str]) -> Rows:
        return Rows({n: self.features[n] for n in names}, {n: self.columns[n] for n in names})

    def cast_column(self, column: str, feature: Any) -> Rows:
        return Rows({**self.features, column: feature}, self.columns)


def png(color: int) -> dict[str, Any]:
    file = io.BytesIO()
    image(color, (4 + color, 4)).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def rows(count: int = 12, labels: list[int | None] | None = None, *, names: tuple[str, ...] = ("cat", "dog")) -> Rows:
    return Rows(
        {"note": Value(), "picture": Image(), "thumbnail": Image(), "kind": ClassLabel(list(names))},
        {
            "note": ["x"] * count,
            "picture": [png(n) for n in range(count)],
            "thumbnail": [png(0)] * count,
            "kind": labels or [n % 2 for n in range(count)],
        },
    )


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], list[tuple[str, ...]]]:
    """Has `datasets` give this, whatever is asked for; and tells what was."""

    def give(found: Any) -> list[tuple[str, ...]]:
        module, asked = ModuleType("datasets"), []

        def load(*args: str) -> Any:
            asked.append(args)
            if isinstance(found, Exception):
                raise found
            return found

        parts = {"load_dataset": load, "load_from_disk": lambda path: load("disk", path)}
        parts |= {"Image": Image, "ClassLabel": ClassLabel, "disable_progress_bars": lambda: None}
        vars(module).update(parts)
        monkeypatch.setitem(sys.modules, "datasets", module)
        return asked

    return give


def opened(name: str = "someone/photos", channels: int = 1, classes: int = 2) -> Data:
    return open_data(f"hf:{name}", classifier(channels, classes=classes), 0)


def refused(name: str = "someone/photos") -> str:
    with pytest.raises(UsageError) as error:
        opened(name)
    return str(error.value)


def colors(data: Data) -> list[int]:
    return data.train.__getitems__(list(range(len(data.train)))).inputs[0][:, 0, 0, 0].tolist()


def test_the_first_columns_of_images_and_classes(given: Any) -> None:
    asked = given({"train": rows(), "validation": rows(4), "test": rows(6)})
    data = opened()
    assert asked == [("someone/photos",)]
    assert data.name == "Hugging Face's someone/photos, 22 images"
    assert data.classes == ("cat", "dog")
    assert colors(data) == list(range(12))
    assert [len(split) for split in (data.train, data.val, data.test)] == [12, 4, 6]
    assert data.val.labels.tolist() == [0, 1, 0, 1]
    assert data.notices == (
        "images of 12 sizes, 4x4 to 15x4, are resized to 8x8, stretched where their aspect ratio is another",
    )


def test_a_configuration(given: Any) -> None:
    asked = given({"train": rows()})
    opened("someone/photos:small")
    assert asked == [("someone/photos", "small")]


def test_a_local_folder(given: Any, tmp_path: Path) -> None:
    asked = given(rows())
    assert opened(str(tmp_path)).name == f"data set {tmp_path}, 12 images"
    (tmp_path / "state.json").write_text("")
    opened(str(tmp_path))
    assert asked == [(str(tmp_path),), ("disk", str(tmp_path))]


def test_images_as_paths_and_broken_ones(given: Any, tmp_path: Path) -> None:
    found = rows()
    image(99).save(tmp_path / "x.png")
    found.columns["picture"][0] = {"bytes": None, "path": str(tmp_path / "x.png")}
    found.columns["picture"][1] = None
    found.columns["picture"][2] = {"bytes": b"spoilt", "path": "2.png"}
    given({"train": found})
    data = opened()
    assert colors(data) == [99, *range(3, 12)]
    assert data.notices[0] == (
        "2 images of 12 left out, unreadable: row 1 of train (no image), row 2 of train (no image)"
    )


def test_large_sets_are_decoded_when_they_are_fetched(given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathered, "IN_MEMORY", 127)
    given({"train": rows()})
    data = opened()
    assert isinstance(data.train, Pictures)
    assert colors(data) == list(range(12))


def test_splits_that_are_not_used(given: Any) -> None:
    given({"train": rows(), "test": rows(3, [-1, -1, -1]), "validation": rows(2, [0, None]), "extra": rows()})
    data = opened()
    assert (data.val, data.test) == (None, None)
    assert data.notices[:3] == (
        "splits that are not used: 'extra'",
        "val is not used: not all of its rows have a label",
        "test is not used: not all of its rows have a label",
    )


def test_a_class_without_rows(given: Any) -> None:
    given({"train": rows(names=("cat", "dog", "cow"))})
    data = opened(classes=3)
    assert data.classes == ("cat", "dog", "cow")
    assert data.notices[-1] == "no sample to train on is of 'cow'"


def test_what_is_refused(given: Any) -> None:
    given({"test": rows(), "extra": rows()})
    assert refused() == "someone/photos has no split 'train', only 'test', 'extra'"
    given({"train": Rows({"picture": Image(), "kind": Value()}, {"picture": [], "kind": []})})
    assert refused() == "someone/photos has no column of ClassLabel, only 'picture' (Image), 'kind' (Value)"
    given({"train": Rows({"kind": ClassLabel(["a"])}, {"kind": [0]})})
    assert refused() == "someone/photos has no column of Image, only 'kind' (ClassLabel)"
    given({"train": rows(3, [0, 1, -1])})
    assert refused() == "someone/photos has 1 rows of 3 in train without a label"
    given({"train": rows(), "test": Rows({"picture": Image()}, {"picture": [None]})})
    assert refused() == "someone/photos has no columns 'picture' and 'kind' in test"
    given(ValueError("Config name is missing.\nPlease pick one among the available configs: ['a', 'b']"))
    assert refused() == (
        "datasets cannot load someone/photos: Config name is missing. "
        "Please pick one among the available configs: ['a', 'b']"
    )
    given(ConnectionError())
    assert refused() == "datasets cannot load someone/photos: ConnectionError"


def test_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert refused() == "this needs datasets: pip install datasets"


def test_a_saved_data_set_of_datasets_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "note": datasets.Value("string"),
            "picture": datasets.Image(),
            "kind": datasets.ClassLabel(names=["cat", "dog"]),
        }
    )

    def made(count: int) -> Any:
        columns = {
            "note": ["x"] * count,
            "picture": [image(n) for n in range(count)],
            "kind": [n % 2 for n in range(count)],
        }
        return datasets.Dataset.from_dict(columns, features=features)

    datasets.disable_progress_bars()
    datasets.DatasetDict(train=made(12), test=made(4)).save_to_disk(str(tmp_path / "saved"))
    data = opened(str(tmp_path / "saved"))
    assert colors(data) == list(range(12))
    assert data.train.labels.tolist() == [0, 1] * 6
    assert (data.classes, len(data.test), data.notices) == (("cat", "dog"), 4, ())
    assert refused(str(tmp_path / "none")).startswith(f"datasets cannot load {tmp_path}/none: ")
