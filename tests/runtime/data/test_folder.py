"""Folders of images: how they are laid out, what is left out, and what is said of folders that are not like that."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest

from cnnplan.errors import UsageError
from cnnplan.runtime.data import decoding, gathered, open_data
from cnnplan.runtime.data.arrays import Arrays
from cnnplan.runtime.data.pictures import Pictures
from cnnplan.runtime.data.splits import folds, with_splits
from tests.runtime.data.files import image, photos, write
from tests.runtime.data.networks import classifier

if TYPE_CHECKING:
    from pathlib import Path

    from cnnplan.runtime.data.base import Data, Samples


def opened(root: Path, classes: int = 2, channels: int = 1, seed: int = 0) -> Data:
    return open_data(f"folder:{root}", classifier(channels, classes=classes), seed)


def refused(root: Path, classes: int = 2) -> str:
    with pytest.raises(UsageError) as error:
        opened(root, classes)
    return str(error.value).replace(str(root), "PATH")


def colors(samples: Samples | None) -> list[int]:
    assert samples is not None
    return samples.__getitems__(list(range(len(samples)))).inputs[0][:, 0, 0, 0].tolist()


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    data = opened(photos(tmp_path / "photos"))
    assert data.name == f"folder of 12 images in {tmp_path}/photos/"
    assert data.classes == ("cat", "dog")
    assert colors(data.train) == list(range(12))
    assert data.train.labels.tolist() == [0] * 6 + [1] * 6
    assert (data.val, data.test, data.targets, data.shapes, data.notices) == (None, None, ("",), ((1, 8, 8),), ())
    split = with_splits(data, 0)
    assert sorted(colors(split.train) + colors(split.val) + colors(split.test)) == list(range(12))


def test_a_trailing_slash_and_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    plan = classifier(classes=2)
    data = open_data("folder:photos/", plan, 0)
    assert data.name == "folder of 12 images in photos/"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_data("folder:~/photos", plan, 0).fingerprint == data.fingerprint


@pytest.mark.parametrize(
    ("names", "given"),
    [
        (("train", "val", "test"), (True, True)),
        (("train", "valid"), (True, False)),
        (("Training", "Testing"), (False, True)),
        (("train", "validation"), (True, False)),
    ],
)
def test_splits_that_are_given(tmp_path: Path, names: tuple[str, ...], given: tuple[bool, bool]) -> None:
    for name in names:
        photos(tmp_path / name, count=2)
    data = opened(tmp_path)
    assert data.name == f"folder of {4 * len(names)} images in {tmp_path}/"
    assert (data.val is not None, data.test is not None) == given
    assert all(colors(split) == [0, 1, 2, 3] for split in (data.train, data.val, data.test) if split)


def test_a_class_may_be_missing_in_test_and_not_in_train(tmp_path: Path) -> None:
    photos(tmp_path / "train")
    photos(tmp_path / "test", ["dog"])
    assert opened(tmp_path).test.labels.tolist() == [1] * 6
    photos(tmp_path / "test", ["cow"])
    assert refused(tmp_path) == "PATH has 'cow' in test, and not in train"


def test_a_class_called_train(tmp_path: Path) -> None:
    photos(tmp_path, ["car", "plane", "train"])
    assert opened(tmp_path, 3).classes == ("car", "plane", "train")


def test_folders_inside_a_class_belong_to_it(tmp_path: Path) -> None:
    write(tmp_path / "cat" / "2.png", 4)
    write(tmp_path / "cat" / "b" / "c" / "1.jpeg", 3)
    write(tmp_path / "cat" / "a" / "9.JPG", 1)
    write(tmp_path / "cat" / "a" / "8.png", 2)
    write(tmp_path / "dog" / "1.bmp", 5)
    write(tmp_path / "dog" / "1.WebP", 6)  # a format without gray
    data = opened(tmp_path, channels=3)
    assert data.train.labels.tolist() == [0, 0, 0, 0, 1, 1]
    assert colors(data.train) == [4, 2, 1, 3, 6, 5]  # by name, capitals first, a folder's own files first


def test_links_are_followed_once(tmp_path: Path) -> None:
    photos(tmp_path / "photos")
    photos(tmp_path / "more", ["far"], 3)
    (tmp_path / "photos" / "cat" / "up").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "cat" / "far").symlink_to(tmp_path / "more" / "far")
    (tmp_path / "photos" / "cat" / "again").symlink_to(tmp_path / "more" / "far")
    (tmp_path / "photos" / "dog" / "self").symlink_to(".")
    (tmp_path / "photos" / "cow").symlink_to(tmp_path / "more")
    data = opened(tmp_path / "photos", 3)
    assert data.classes == ("cat", "cow", "dog")
    assert data.train.labels.bincount().tolist() == [6 + 3, 3, 6]


def test_hidden_files_and_others(tmp_path: Path) -> None:
    photos(tmp_path)
    write(tmp_path / ".thumbs" / "x.png")
    write(tmp_path / "__MACOSX" / "x.png")
    write(tmp_path / "cat" / ".hidden" / "x.png")
    write(tmp_path / "cat" / ".x.png")
    for name in ("notes.txt", "more.TXT", "cat/labels.csv", "README"):
        (tmp_path / name).write_text("")
    data = opened(tmp_path)
    assert len(data.train) == 12
    assert data.notices == ("files that are not read: 2 .txt, 1 without a suffix, 1 .csv",)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    photos(tmp_path)
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    assert opened(tmp_path).notices == ("files that are not read: 1 .png",)


def test_unreadable_images_are_left_out(tmp_path: Path) -> None:
    photos(tmp_path)
    whole = write(tmp_path / "cat" / "cut.jpg", 200, (64, 64)).read_bytes()
    (tmp_path / "cat" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "dog" / "text.png").write_text("no image")
    (tmp_path / "dog" / "gone.png").symlink_to(tmp_path / "nowhere")
    data = opened(tmp_path)
    assert colors(data.train) == list(range(12))
    assert data.train.labels.tolist() == [0] * 6 + [1] * 6
    assert data.name == f"folder of 12 images in {tmp_path}/"
    assert data.notices[0].startswith("3 images of 15 left out, unreadable: cat/cut.jpg (")
    assert data.notices[0].endswith("dog/gone.png (no such file or directory), dog/text.png (no image)")


def test_images_that_are_broken_inside_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    photos(tmp_path)
    (tmp_path / "cat" / "-.png").write_bytes(broken_inside())
    (tmp_path / "cat" / "0a.png").write_bytes(broken_inside())
    data = opened(tmp_path)
    assert caplog.messages == []  # none is taken in their place
    assert colors(data.train) == list(range(12))
    assert data.train.labels.tolist() == [0] * 6 + [1] * 6
    assert data.notices[0].startswith("2 images of 14 left out, unreadable: cat/-.png (")
    assert data.name == f"folder of 12 images in {tmp_path}/"
    for path in (tmp_path / "cat").iterdir():
        path.write_bytes(broken_inside())
    assert refused(tmp_path) == "no image to train on can be read of 'cat'"


def test_a_limit_to_what_is_left_out(tmp_path: Path) -> None:
    photos(tmp_path, count=20)
    for index in range(10):
        (tmp_path / "dog" / f"{index}.png").write_text("")
    assert len(opened(tmp_path).train) == 30
    (tmp_path / "dog" / "10.png").write_text("")
    assert refused(tmp_path) == (
        "11 of 40 images cannot be read, at most 10 may be left out: "
        "dog/0.png (no image), dog/1.png (no image), dog/10.png (no image), …"
    )


def test_a_class_or_a_split_of_which_nothing_is_left(tmp_path: Path) -> None:
    photos(tmp_path / "one", count=2)
    for index in range(2):
        (tmp_path / "one" / "dog" / f"{index}.png").write_text("")
    assert refused(tmp_path / "one") == "no image to train on can be read of 'dog'"
    photos(tmp_path / "two" / "train", count=2)
    photos(tmp_path / "two" / "test", ["cat"], 1)
    (tmp_path / "two" / "test" / "cat" / "0.png").write_text("")
    assert refused(tmp_path / "two") == "none of the images of test can be read"


def test_sizes_are_changed_and_that_is_said(tmp_path: Path) -> None:
    photos(tmp_path)
    write(tmp_path / "cat" / "wide.png", 50, (16, 32))
    write(tmp_path / "dog" / "large.png", 60, (16, 16))
    data = opened(tmp_path)
    assert data.train.__getitems__([0]).inputs[0].shape == (1, 1, 8, 8)
    assert data.notices == (
        "images of 3 sizes, 8x8 to 16x32, are resized to 8x8, stretched where their aspect ratio is another",
    )
    plan = classifier(size=(4, 4), classes=2)
    photos(tmp_path / "same")
    assert open_data(f"folder:{tmp_path}/same", plan, 0).notices == ("images of 8x8 are resized to 4x4",)
    plan = classifier(size=(4, 8), classes=2)
    assert open_data(f"folder:{tmp_path}/same", plan, 0).notices == ("images of 8x8 are stretched to 4x8",)


def test_gray_among_color_becomes_color(tmp_path: Path) -> None:
    photos(tmp_path, count=2)
    write(tmp_path / "cat" / "red.png", (255, 0, 0))
    data = opened(tmp_path, channels=3)
    assert data.shapes == ((3, 8, 8),)
    assert data.notices == ("4 of 5 images are gray: they become RGB, like the others",)
    assert data.train.__getitems__([1, 2]).inputs[0][:, :, 0, 0].tolist() == [[1, 1, 1], [255, 0, 0]]


def test_channels_are_checked_before_anything_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(tmp_path)
    monkeypatch.setattr(gathered, "held", None)
    with pytest.raises(UsageError, match=r"the input has 3 channels, the images have 1: write `input: \[1, 8, 8\]`"):
        opened(tmp_path, channels=3)
    with pytest.raises(UsageError, match=r"'linear1' gives 7 classes, the data have 2 \(cat, dog\)"):
        opened(tmp_path, classes=7)


# ------------------------------------------------------------------ wrong paths


def test_paths_that_are_no_folder_of_classes(tmp_path: Path) -> None:
    expected = "a folder for each class is expected, such as PATH/cat and PATH/dog"
    assert refused(tmp_path / "nowhere") == "cannot read PATH: no such file or directory"
    file = write(tmp_path / "x.png")
    assert refused(file) == "cannot read PATH: not a directory"
    assert refused(tmp_path) == f"PATH has images, 'x.png', and no folders: {expected}"
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "empty") == f"PATH is empty: {expected}"
    photos(tmp_path / "one", ["cat"])
    assert refused(tmp_path / "one") == "PATH has one class, 'cat': at least two are needed"
    (tmp_path / "one" / "dog").mkdir()
    suffixes = ".png, .jpg, .jpeg, .bmp, .webp"
    assert refused(tmp_path / "one") == f"no image in 'dog' of PATH: files that end in {suffixes} are read"


def test_splits_that_are_not_clear(tmp_path: Path) -> None:
    photos(tmp_path / "test")
    assert refused(tmp_path) == "PATH has 'test', and no 'train'"
    photos(tmp_path / "train")
    photos(tmp_path / "cow")
    assert refused(tmp_path) == "PATH has 'cow' beside 'train': classes belong inside"
    photos(tmp_path / "Test")
    assert refused(tmp_path) == "PATH has both 'Test' and 'test'"


def test_control_characters_are_not_printed(tmp_path: Path) -> None:
    photos(tmp_path, ["a\x1b[31m", "b"])
    (tmp_path / "a\x1b[31m" / "x\x07.png").write_text("")
    assert all(notice.isprintable() for notice in opened(tmp_path).notices)
    assert refused(tmp_path / "a\x1b[31m").isprintable()


# --------------------------------------------------------------- what is stable


def test_the_fingerprint_is_that_of_names_sizes_and_classes(tmp_path: Path) -> None:
    first = opened(photos(tmp_path / "a")).fingerprint
    again = photos(tmp_path / "b")
    os.utime(again / "cat" / "0.png", (0, 0))
    assert opened(again).fingerprint == first  # another place, other times
    assert len(first) == 64
    (again / "cat" / "0.png").rename(again / "cat" / "z.png")
    renamed = opened(again).fingerprint
    write(again / "cat" / "z.png", 0, (99, 99))
    resized = opened(again).fingerprint
    photos(again, ["cow"])
    assert len({first, renamed, resized, opened(again, 3).fingerprint}) == 4


# ------------------------------------------------------- what is not held in memory


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if 2 images were too many for the memory."""
    monkeypatch.setattr(gathered, "IN_MEMORY", 127)


def test_small_sets_are_decoded_once(tmp_path: Path) -> None:
    data = opened(photos(tmp_path))
    assert isinstance(data.train, Arrays)
    (tmp_path / "cat" / "0.png").unlink()
    assert colors(data.train)[0] == 0


@pytest.mark.usefixtures("large")
def test_large_sets_are_decoded_when_they_are_fetched(tmp_path: Path) -> None:
    data = opened(photos(tmp_path / "photos"))
    assert isinstance(data.train, Pictures)
    assert colors(data.train) == list(range(12))
    split = with_splits(data, 0)
    assert sorted(colors(split.train) + colors(split.val) + colors(split.test)) == list(range(12))
    assert [len(fold.test) for fold in folds(data, 5, 0)] == [3, 3, 2, 2, 2]


@pytest.mark.usefixtures("large")
def test_truncated_files_of_large_sets(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One without its end is left out; one that is broken inside is found by the probe, or replaced when fetched."""
    photos(tmp_path, count=8)
    whole = write(tmp_path / "cat" / "cut.jpg", 200, (64, 64)).read_bytes()
    (tmp_path / "cat" / "cut.jpg").write_bytes(whole[:-50])
    (tmp_path / "dog" / "9.png").write_bytes(broken_inside())
    data = opened(tmp_path)
    assert "cat/cut.jpg (" in data.notices[0]
    assert "dog/9.png (" in data.notices[0]
    assert len(data.train) == 17
    with caplog.at_level(logging.WARNING):
        assert colors(data.train) == [*range(16), 8]  # the first dog, for there is none behind it
    assert data.train.replaced == ("dog/9.png",)
    assert caplog.messages == []  # it was said


@pytest.mark.usefixtures("large")
def test_the_probe_is_a_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(tmp_path, count=30)
    for index in range(20):
        (tmp_path / "dog" / f"{index}.png").write_bytes(broken_inside())
    monkeypatch.setattr(decoding, "PROBED", 12)
    replaced = [opened(tmp_path, seed=seed).train.replaced for seed in (0, 0, 1)]
    assert replaced[0] == replaced[1] != replaced[2]
    assert 0 < len(replaced[0]) <= 12
    monkeypatch.setattr(decoding, "PROBED", 60)
    assert refused(tmp_path).startswith("20 of 60 images cannot be read, at most 10 may be left out: dog/")


def broken_inside() -> bytes:
    """A PNG of 8x8 whose beginning and end are right, with noise in the place of its pixels."""
    from io import BytesIO

    file = BytesIO()
    image(7).save(file, "PNG")
    content = file.getvalue()
    start = content.index(b"IDAT") + 4
    end = content.index(b"IEND") - 8
    return content[:start] + b"\xff" * (end - start) + content[end:]
