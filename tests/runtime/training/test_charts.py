"""Charts of a training, judged by their pixels: where which colour is, and that other data look different."""

from __future__ import annotations

import errno
import io
import logging
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from cnnplan.errors import UsageError
from cnnplan.runtime import files
from cnnplan.runtime.training.charts import _count, confusion, curves

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VAL, TRAIN, RATE, FAINT = (31, 90, 150), (157, 180, 204), (176, 138, 60), (138, 138, 138)
LEAST, MOST = (247, 251, 255), (8, 48, 107)  # the ends of matplotlib's "Blues"


def pixels(path: Path) -> np.ndarray[Any, Any]:
    """[H, W, 3]; the file is a whole PNG."""
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    with Image.open(io.BytesIO(data)) as image:
        image.verify()
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).astype(np.int16)


def of(image: np.ndarray[Any, Any], color: tuple[int, int, int], near: int = 3) -> np.ndarray[Any, Any]:
    """Where a colour is: bool [H, W]."""
    return np.abs(image - np.array(color)).max(2) <= near


def dark(image: np.ndarray[Any, Any]) -> int:
    return int((image.sum(2) < 300).sum())


def epochs(losses: Sequence[float], accuracies: Sequence[float] = (), **others: float) -> list[dict[str, float]]:
    rows = []
    for n, loss in enumerate(losses):
        row = {"epoch": n + 1, "train_loss": loss, "val_loss": loss, "learning_rate": 0.1, "seconds": 1.0, **others}
        if accuracies:
            row |= {"train_accuracy": accuracies[n], "val_accuracy": accuracies[n]}
        rows.append(row)
    return rows


def drawn(tmp_path: Path, history: list[dict[str, float]], best: int | None = None) -> np.ndarray[Any, Any]:
    curves(history, tmp_path / "curves.png", "network", best)
    return pixels(tmp_path / "curves.png")


def matrix(tmp_path: Path, counts: Any, classes: Sequence[str] = (), title: str = "network") -> np.ndarray[Any, Any]:
    confusion(np.asarray(counts).tolist(), classes, tmp_path / "confusion.png", title)
    return pixels(tmp_path / "confusion.png")


# ----------------------------------------------------------------- curves


@pytest.mark.parametrize("count", [1, 30, 500])
def test_curves_have_their_size_and_all_lines(tmp_path: Path, count: int) -> None:
    image = drawn(tmp_path, epochs(np.linspace(2, 1, count).tolist(), np.linspace(0.1, 0.9, count).tolist()), 1)
    assert image.shape == (500, 1200, 3)
    for half in (image[:, :600], image[:, 600:]):
        assert of(half, VAL).sum() > 20
    assert of(image[350:], RATE).sum() > 10
    assert of(image[:300], RATE).sum() == 0


def test_the_line_is_where_the_values_are(tmp_path: Path) -> None:
    """Falling values go down from left to right, rising ones up; the key, in a corner, is no more than noise."""
    up, down = [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]
    for losses, accuracies, signs in ((down, [0.2, 0.5, 0.8], (1, -1)), (up, [0.8, 0.5, 0.2], (-1, 1))):
        image = drawn(tmp_path, epochs(losses, accuracies))
        for half, sign in zip((image[:, :600], image[:330, 600:]), signs, strict=True):
            rows, columns = np.nonzero(of(half, VAL))
            assert sign * np.corrcoef(rows, columns)[0, 1] > 0.6


def curvature(image: np.ndarray[Any, Any]) -> float:
    """How far the loss's line is from a straight one, in pixels."""
    rows, columns = np.nonzero(of(image[90:, :600], VAL))
    middle = np.array([rows[columns == x].mean() for x in np.unique(columns)])
    at = np.unique(columns)
    return float(np.abs(np.polyval(np.polyfit(at, middle, 1), at) - middle).max())


def test_losses_of_several_decades_are_drawn_on_a_logarithmic_axis(tmp_path: Path) -> None:
    """Exponential decay is a straight line there, and only there."""
    steps = np.linspace(0, 1, 60)
    assert curvature(drawn(tmp_path, epochs((10 ** (-2.5 * steps)).tolist()))) < 3
    assert curvature(drawn(tmp_path, epochs((10 ** (-1.9 * steps)).tolist()))) > 30
    assert curvature(drawn(tmp_path, epochs((10 ** (-2.5 * steps) - 0.003163).tolist()))) > 30  # one is below 0


def test_what_is_not_finite_is_left_out(tmp_path: Path) -> None:
    """The picture is the one of a history that does not have those values; with none, a word stands there."""
    history = epochs([float("nan"), 2.0, float("inf"), 1.0, -float("inf")], [0.5] * 5)
    missing = [{k: v for k, v in row.items() if row["epoch"] in (2, 4) or not k.endswith("_loss")} for row in history]
    image = drawn(tmp_path, history)
    assert (image == drawn(tmp_path, missing)).all()
    assert of(image[60:, :600], VAL).sum() > 300  # a line between the two
    empty = drawn(tmp_path, epochs([float("nan")] * 5, [0.5] * 5))
    assert of(empty[60:, :600], VAL).sum() == 0
    assert of(empty[200:300, :600], FAINT).sum() > 20


def test_the_best_epoch_is_marked(tmp_path: Path) -> None:
    """A dashed line at its place, and none for an epoch that there is not."""
    history = epochs([3.0, 2.0, 2.5], [0.2, 0.5, 0.4])
    columns = [of(drawn(tmp_path, history, best)[100:440, 60:560], FAINT, 20).sum(0) for best in (1, 3, 9)]
    assert columns[0].max() > 100
    assert columns[1].max() > 100
    assert columns[2].max() < 50
    width = 544 / 3  # of an epoch, in pixels
    assert columns[1].argmax() - columns[0].argmax() == pytest.approx(2 * width, rel=0.05)


def test_other_metrics_and_none(tmp_path: Path) -> None:
    """Without a metric the learning rate has the right side; another metric is drawn as accuracy is."""
    alone = drawn(tmp_path, epochs([3.0, 2.0, 1.0]))
    assert of(alone[:, 820:], VAL).sum() == 0
    assert of(alone[100:300, 820:], RATE).sum() > 20
    other = drawn(tmp_path, epochs([3.0, 2.0, 1.0], train_mse=0.5, val_mse=0.7))
    assert of(other[:330, 620:], VAL).sum() > 100
    assert of(other[:330, 620:], TRAIN).sum() > 100


def test_no_epochs_at_all(tmp_path: Path) -> None:
    assert of(drawn(tmp_path, []), VAL).sum() == 0


def test_numbers_of_any_size(tmp_path: Path) -> None:
    for losses in ([3e38, 1e-45], [0.0, 0.0], [-1e30, 1e30]):
        assert of(drawn(tmp_path, epochs(losses)), VAL).sum() > 20


# -------------------------------------------------------------- confusion


def test_colors_are_shares_of_the_true_class(tmp_path: Path) -> None:
    """Without numbers in the cells: all are of the least colour, but one in each row, whatever the row's total."""
    count = 50
    image = matrix(tmp_path, np.diag(np.arange(count) * 7 + 1))
    most, least = of(image, MOST).sum(), of(image[:, :-170], LEAST).sum()
    assert least / most == pytest.approx(count - 1, rel=0.08)
    rows, columns = np.nonzero(of(image[:, :-170], MOST, 0))
    assert np.corrcoef(rows, columns)[0, 1] > 0.99  # the first class is at the top, on the left


def test_rows_are_true_and_columns_predicted(tmp_path: Path) -> None:
    """All taken for the first class: a column on the left."""
    counts = np.zeros((25, 25), int)
    counts[:, 0] = 5
    rows, columns = np.nonzero(of(matrix(tmp_path, counts)[:, :-170], MOST, 0))
    assert np.ptp(rows) > 20 * np.ptp(columns)


def test_a_class_without_samples_is_empty(tmp_path: Path) -> None:
    counts = np.eye(25, dtype=int)
    counts[3] = 0
    rows, _ = np.nonzero(of(matrix(tmp_path, counts)[:, :-170], MOST))
    gap = np.diff(np.unique(rows)).max() - 1
    assert gap == pytest.approx((np.ptp(rows) + 1) / 25, abs=2)
    assert of(matrix(tmp_path, np.zeros((1, 1), int)), MOST).sum() < 200  # that of the scale


def test_rare_mistakes_are_seen(tmp_path: Path) -> None:
    """One in a hundred differs from none by a colour that the eye tells apart."""
    counts = np.eye(25, dtype=int) * 99
    counts[:, 0] += 1
    image = matrix(tmp_path, counts)
    _, columns = np.nonzero(of(image, MOST, 8)[:, :-170])
    cell = image[image.shape[0] - 250, columns.min() + 12]
    assert np.abs(cell - np.array(LEAST)).max() > 15


@pytest.mark.parametrize(("count", "numbers"), [(20, True), (21, False)])
def test_counts_are_in_the_cells_of_few_classes(tmp_path: Path, count: int, numbers: bool) -> None:
    """A diagonal cell holds its count in white."""
    image = matrix(tmp_path, np.eye(count, dtype=int) * 8888)
    rows, columns = np.nonzero(of(image[:, :-170], MOST, 0))
    inside = image[rows.min() : rows.max(), columns.min() : columns.max()]
    white = int(of(inside, (255, 255, 255)).sum())
    assert (white > 10 * count) == numbers


def test_counts_are_short() -> None:
    assert [_count(n) for n in (0, 99_999, 100_000, 999_499, 999_500, 1_234_567, 12_345_678_901)] == [
        "0",
        "99999",
        "100K",
        "999K",
        "1M",
        "1.23M",
        "12.3G",
    ]


def labels(image: np.ndarray[Any, Any]) -> int:
    """How many names stand beside the rows: runs of lines with ink left of the matrix."""
    _, columns = np.nonzero(of(image[:, :-170], LEAST, 0))
    strip = image[60:-60, columns.min() - 15 : columns.min() - 6].sum(2).min(1) < 550
    return int((np.diff(strip.astype(int)) == 1).sum() + strip[0])


@pytest.mark.parametrize(("count", "shown"), [(40, 40), (81, 17), (500, 25)])
def test_of_many_classes_some_are_named(tmp_path: Path, count: int, shown: int) -> None:
    """At most 40: each, or every second, fifth, tenth … from the first on."""
    image = matrix(tmp_path, 1 - np.eye(count, dtype=int), ["M" for _ in range(count)])
    if count > 100:
        image = image[::2, ::2]
    assert labels(image) == pytest.approx(shown, abs=1)  # the outermost may stand beyond the strip


def ink(image: np.ndarray[Any, Any]) -> int:
    """Dark pixels left of the matrix: of names."""
    _, columns = np.nonzero(of(image[:, :-170], LEAST, 0))
    return dark(image[60:, : columns.min() - 2])


def test_long_names_are_cut(tmp_path: Path) -> None:
    """What comes behind the 23rd character does not show."""
    one = matrix(tmp_path, np.eye(3, dtype=int), ["a" * 23 + "b" * 9, "b", "c"])
    two = matrix(tmp_path, np.eye(3, dtype=int), ["a" * 23 + "WWW" * 200, "b", "c"])
    assert (one == two).all()


def test_names_are_taken_as_they_are(tmp_path: Path) -> None:
    """No mathematics: as such the first would be an error, and the dollars of the second would not be shown."""
    eye = np.eye(2, dtype=int)
    matrix(tmp_path, eye, [r"$\frac{$", "%s {} $_^$"], r"$\nonsense{$")
    word = ink(matrix(tmp_path, eye, ["", ""]))
    dollars, none = (ink(matrix(tmp_path, eye, [name, ""])) - word for name in ("$xxx$", "xxx"))
    assert dollars > 1.3 * none


def test_characters_that_no_font_has(tmp_path: Path) -> None:
    """Warnings are errors here. A box stands for a character, and its number for a class of which nothing is left."""
    eye, bird = np.eye(3, dtype=int), "\U00013171"
    boxes = matrix(tmp_path, eye, [f"a{bird}\nb", "\udcff", f"\x1b[31m{bird}"], f"{bird} \x00 {bird}")
    assert ink(boxes) > ink(matrix(tmp_path, eye, ["a", "", ""]))
    assert (matrix(tmp_path, eye, ["a", bird, "2"]) == matrix(tmp_path, eye, ["a", "1", "2"])).all()


def test_classes_without_names_have_numbers(tmp_path: Path) -> None:
    eye = np.eye(3, dtype=int)
    assert (matrix(tmp_path, eye) == matrix(tmp_path, eye, ["0", "1", "2"])).all()


# ------------------------------------------------------------------ files


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old picture stays, and nothing else is left."""
    path = tmp_path / "curves.png"
    curves(epochs([1.0]), path, "a", 1)
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(UsageError, match=r"cannot write .*curves\.png: no space left on device"):
        curves(epochs([2.0]), path, "b", 1)
    with pytest.raises(UsageError, match=r"cannot write .*c\.png: no space left on device"):
        confusion([[1]], ["a"], tmp_path / "c.png", "b")
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["curves.png"]


def test_the_same_picture_whatever_the_user_has_set(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And what is set stays as it is."""
    caplog.set_level(logging.INFO, logger="matplotlib.font_manager")
    before = drawn(tmp_path, epochs([2.0, 1.0], [0.5, 0.6]), 2)
    with mpl.rc_context({"text.usetex": True, "figure.dpi": 30, "axes.facecolor": "red", "lines.linewidth": 9}):
        again = drawn(tmp_path, epochs([2.0, 1.0], [0.5, 0.6]), 2)
        assert mpl.rcParams["text.usetex"] is True
        assert mpl.rcParams["axes.facecolor"] == "red"
    assert (before == again).all()
    assert logging.getLogger("matplotlib.font_manager").level == logging.INFO


def test_pyplot_knows_nothing_of_it(tmp_path: Path) -> None:
    """It would hold every figure, and warn of the twentieth."""
    from matplotlib import pyplot as plt

    drawn(tmp_path, epochs([1.0]))
    matrix(tmp_path, [[1]])
    assert plt.get_fignums() == []
