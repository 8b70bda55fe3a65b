"""Arrays of .npz files: names, layouts and dtypes, targets by loss, and files that are not right."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from cnnplan.errors import UsageError
from cnnplan.runtime.data import npz_archive, open_data
from cnnplan.runtime.data.splits import with_splits
from tests.runtime.data.networks import classifier, network

if TYPE_CHECKING:
    from pathlib import Path

    from cnnplan.planning import Plan
    from cnnplan.runtime.data.base import Data

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 8, 8), dtype=np.uint8)
LABELS = np.arange(20) % 3
TWO_INPUTS = network(
    "inputs: {left: [1, 4, 4], right: [3]}\nlayers:\n  - flatten:\n    from: left\n    name: a\n"
    "  - concat:\n    from: [a, right]\n  - linear: 2"
)
TWO_OUTPUTS = network(
    "input: [4]\nlayers:\n  - linear: 3\n    name: kind\n  - linear: 2\n    name: place\n    from: input\n"
    "outputs: [kind, place]\ntrain: {loss: {kind: cross_entropy, place: mse}}"
)


def opened(path: Path, plan: Plan, **arrays: Any) -> Data:
    np.savez(path / "a.npz", **arrays)
    return open_data(f"npz:{path}/a.npz", plan, 0)


def refused(path: Path, plan: Plan, **arrays: Any) -> str:
    with pytest.raises(UsageError) as error:
        opened(path, plan, **arrays)
    return str(error.value).replace(str(path), "PATH")


def inputs(data: Data, number: int = 0) -> np.ndarray:
    return data.train.__getitems__(list(range(len(data.train)))).inputs[number].numpy()


def targets(data: Data, number: int = 0) -> torch.Tensor:
    return data.train.__getitems__(list(range(len(data.train)))).targets[number]


# ------------------------------------------------------------------------- names


@pytest.mark.parametrize("names", ["{}_train", "{}", "train_{}"])
@pytest.mark.parametrize("words", [("x", "y"), ("images", "labels"), ("input", "linear1")])
def test_names(tmp_path: Path, names: str, words: tuple[str, str]) -> None:
    arrays = {names.format(words[0]): IMAGES, names.format(words[1]): LABELS}
    data = opened(tmp_path, classifier(classes=3), **arrays)
    assert np.array_equal(inputs(data)[:, 0], IMAGES)
    assert data.train.labels.tolist() == LABELS.tolist()
    assert (data.name, data.classes, data.targets) == ("arrays of a.npz", ("0", "1", "2"), ("",))
    assert (data.val, data.test, data.shapes, data.notices) == (None, None, ((1, 8, 8),), ())


@pytest.mark.parametrize("val", ["x_val", "x_valid", "x_validation", "val_x"])
def test_splits(tmp_path: Path, val: str) -> None:
    arrays = {"x_train": IMAGES, "y_train": LABELS, val: IMAGES[:4], val.replace("x", "y", 1): LABELS[:4]}
    arrays = {name.replace("yal", "val"): array for name, array in arrays.items()}
    data = opened(tmp_path, classifier(classes=3), **arrays, x_test=IMAGES[4:6], y_test=LABELS[4:6])
    assert data.val.labels.tolist() == LABELS[:4].tolist()
    assert data.test.labels.tolist() == LABELS[4:6].tolist()
    split = with_splits(data, 0)
    assert (split.train, split.val, split.test) == (data.train, data.val, data.test)


def test_names_of_classes(tmp_path: Path) -> None:
    plan = classifier(classes=3)
    names = np.array(["cat", "cow", "dog"])
    assert opened(tmp_path, plan, x=IMAGES, y=LABELS, classes=names).classes == ("cat", "cow", "dog")
    assert opened(tmp_path, plan, x=IMAGES, y=LABELS % 2, classes=names).notices == (
        "no sample to train on is of 'dog'",
    )
    assert refused(tmp_path, plan, x=IMAGES, y=LABELS, classes=names[:2]) == (
        "'classes' in PATH/a.npz has 2 names, 'y' goes up to 2"
    )
    assert refused(tmp_path, plan, x=IMAGES, y=LABELS, classes=LABELS).startswith(
        "'classes' in PATH/a.npz is a list of"
    )


def test_arrays_that_are_not_used(tmp_path: Path) -> None:
    data = opened(tmp_path, classifier(classes=3), x=IMAGES, y=LABELS, z=LABELS, other=LABELS)
    assert data.notices == ("arrays that are not used: 'z', 'other'",)


def test_missing_arrays(tmp_path: Path) -> None:
    plan = classifier(classes=3)
    assert refused(tmp_path, plan, a=IMAGES) == "PATH/a.npz has no 'x_train', only 'a'"
    assert refused(tmp_path, plan) == "PATH/a.npz has no 'x_train', only nothing"
    assert refused(tmp_path, plan, y_train=LABELS, x_test=IMAGES) == "PATH/a.npz has 'y_train' without its inputs"
    assert refused(tmp_path, plan, x=IMAGES) == (
        "<text>:9: 'linear1' gives 3, which cross_entropy compares with targets; the data have none"
    )
    assert refused(tmp_path, plan, x_train=IMAGES, y_train=LABELS, x_test=IMAGES) == (
        "PATH/a.npz: train has targets that test has not"
    )


def test_several_inputs(tmp_path: Path) -> None:
    left, right = RNG.random((20, 1, 4, 4)), RNG.random((20, 3), dtype=np.float32)
    data = opened(tmp_path, TWO_INPUTS, left_train=left, right_train=right, y_train=LABELS % 2)
    assert np.array_equal(inputs(data, 0), left.astype(np.float32))
    assert np.array_equal(inputs(data, 1), right)
    assert data.shapes == ((1, 4, 4), (3,))
    assert refused(tmp_path, TWO_INPUTS, left=left, y=LABELS) == "PATH/a.npz has no array for input 'right'"
    assert refused(tmp_path, TWO_INPUTS, left=left, right=right[:9], y=LABELS) == (
        "the arrays in PATH/a.npz have unequal lengths: 'left' 20, 'right' 9, 'y' 20"
    )


def test_several_targets(tmp_path: Path) -> None:
    x, place = RNG.random((20, 4), dtype=np.float32), RNG.random((20, 2), dtype=np.float32)
    data = opened(tmp_path, TWO_OUTPUTS, x=x, kind=LABELS, place=place)
    assert (data.targets, data.classes, data.train.labels) == (("kind", "place"), (), None)
    assert targets(data, 0).tolist() == LABELS.tolist()
    assert np.array_equal(targets(data, 1).numpy(), place)
    assert refused(tmp_path, TWO_OUTPUTS, x=x, kind=LABELS) == "PATH/a.npz has 'kind', but no array for output 'place'"
    assert refused(tmp_path, TWO_OUTPUTS, x=x, kind=LABELS + 1, place=place) == (
        "'kind' holds classes from 1 to 3, output 'kind' has 3, counted from 0"
    )


# ------------------------------------------------------------------- inputs


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_first_and_last(tmp_path: Path, channels: int) -> None:
    plan = classifier(channels, classes=3)
    first = RNG.integers(0, 256, (20, channels, 8, 8), dtype=np.uint8)
    for x in (first, np.moveaxis(first, 1, 3)):
        data = opened(tmp_path, plan, x=x, y=LABELS)
        assert np.array_equal(inputs(data), first)
        assert inputs(data).dtype == np.uint8


def test_channels_where_both_ends_would_do(tmp_path: Path) -> None:
    """Three channels, and three rows or columns: the network's size tells; first, where it does not."""
    plan = classifier(3, (5, 3), classes=3)
    first = RNG.random((20, 3, 5, 3), dtype=np.float32)
    assert np.array_equal(inputs(opened(tmp_path, plan, x=first, y=LABELS)), first)
    plan = classifier(3, (3, 5), classes=3)
    last = RNG.random((20, 3, 5, 3), dtype=np.float32)
    assert np.array_equal(inputs(opened(tmp_path, plan, x=last, y=LABELS)), np.moveaxis(last, 3, 1))
    plan = classifier(3, (3, 3), classes=3)
    same = RNG.random((20, 3, 3, 3), dtype=np.float32)
    assert np.array_equal(inputs(opened(tmp_path, plan, x=same, y=LABELS)), same)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (IMAGES, np.uint8),
        (IMAGES.astype(np.int64), np.uint8),
        (IMAGES.astype(">i4"), np.uint8),
        (IMAGES.astype(np.int16) - 5, np.float32),
        (IMAGES.astype(np.uint16) * 2, np.float32),
        (IMAGES > 9, np.float32),
        ((IMAGES > 9).astype(np.int64), np.float32),
        (IMAGES.astype(np.float16), np.float32),
        (IMAGES / 255, np.float32),
        (np.asfortranarray(IMAGES), np.uint8),
    ],
)
def test_dtypes(tmp_path: Path, array: np.ndarray, expected: type) -> None:
    data = opened(tmp_path, classifier(classes=3), x=array, y=LABELS)
    assert inputs(data).dtype == expected
    assert np.array_equal(inputs(data)[:, 0], array.astype(expected))
    said = ("'x' is int64 from 0 to 255: taken for images of 8 bits",) if array.dtype == np.int64 else data.notices
    if expected is np.uint8:
        assert data.notices == said


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.where(IMAGES[0, 0, 0] == IMAGES, np.nan, 0.5), "'x' holds {} numbers that are NaN or infinite in float32"),
        (np.full((20, 8, 8), 1e300), "'x' holds 1,280 numbers that are NaN or infinite in float32"),
        (IMAGES.astype(str), "'x' is an array of <U3: numbers are wanted"),
        (IMAGES * 1j, "'x' is an array of complex128: numbers are wanted"),
        (IMAGES[:0], "'x' in PATH/a.npz is empty: its shape is (0, 8, 8)"),
        (np.float32(3), "'x' in PATH/a.npz is empty: its shape is ()"),
        (
            IMAGES[:, 0],
            "'x' has the shape (20, 8), the input is 1x8x8: 4 axes are wanted, samples and channels among them",
        ),
        (IMAGES[:, None, None], "'x' has the shape (20, 1, 1, 8, 8), the input is 1x8x8: 4 axes are wanted"),
        (np.array([None] * 20), "'x' in PATH/a.npz holds objects: save it as numbers"),
        (np.stack([IMAGES] * 3, 3), "<text>:3: the input has 1 channel, the images have 3: write `input: [3, 8, 8]`"),
        (IMAGES[:9], "the arrays in PATH/a.npz have unequal lengths: 'x' 9, 'y' 20"),
    ],
)
def test_inputs_that_are_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    wrong = int((IMAGES[0, 0, 0] == IMAGES).sum())
    assert refused(tmp_path, classifier(classes=3), x=array, y=LABELS).startswith(message.format(wrong))


def test_signals_volumes_and_vectors(tmp_path: Path) -> None:
    layers = "layers:\n  - flatten\n  - linear: 3"
    for shape in ((2, 9), (2, 3, 4, 5), (7,)):
        plan = network(f"input: {list(shape)}\n{layers}")
        first = RNG.random((20, *shape), dtype=np.float32)
        assert np.array_equal(inputs(opened(tmp_path, plan, x=first, y=LABELS)), first)
        if len(shape) > 1:
            assert np.array_equal(inputs(opened(tmp_path, plan, x=np.moveaxis(first, 1, -1), y=LABELS)), first)
    plan = network(f"input: [1, 9]\n{layers}")
    assert opened(tmp_path, plan, x=RNG.random((20, 9)), y=LABELS).shapes == ((1, 9),)
    assert refused(tmp_path, plan, x=RNG.random((20, 12)), y=LABELS) == (
        "<text>:3: the input is 1x9, the signals are 1x12, and only images are resized: "
        "write `input: [1, 12]`, or --input-size 12"
    )
    plan = network(f"input: [7]\n{layers}")
    assert refused(tmp_path, plan, x=RNG.random((20, 6)), y=LABELS) == (
        "<text>:3: the input has 7 numbers, the vectors have 6: write `input: [6]`"
    )


def test_tokens(tmp_path: Path) -> None:
    text = (
        "variables: {{words: 5}}\ninput: {{shape: {}, dtype: int64}}\nlayers:\n"
        "  - embedding: {{num_embeddings: 11, embedding_dim: 4}}\n  - flatten\n  - linear: 3"
    )
    plan = network(text.format("[=words]"))
    tokens = RNG.integers(0, 11, (20, 5))
    for array in (tokens, tokens.astype(np.uint8)):
        data = opened(tmp_path, plan, x=array, y=LABELS)
        assert np.array_equal(inputs(data), tokens)
        assert inputs(data).dtype == np.int64
    assert refused(tmp_path, plan, x=tokens + 1, y=LABELS).startswith(
        "<text>:6: 'embedding1' has 11 tokens, counted from 0; 'x' holds 1 to 11"
    )
    assert refused(tmp_path, plan, x=tokens / 1, y=LABELS) == (
        "'x' is float64, the network takes integers: tokens, not floats"
    )
    message = "<text>:4: the input has 5 numbers, the texts have 4: write "
    assert refused(tmp_path, plan, x=tokens[:, 1:], y=LABELS) == f"{message}`--set words=4`"
    plan = network(text.format("[5]"))
    assert refused(tmp_path, plan, x=tokens[:, 1:], y=LABELS) == (f"{message}`input: {{shape: [4], dtype: int64}}`")


# ------------------------------------------------------------------ targets


@pytest.mark.parametrize(
    "y",
    [
        LABELS,
        LABELS.astype(np.uint8),
        LABELS[:, None],
        np.eye(3)[LABELS],
        np.eye(3, dtype=np.uint8)[LABELS],
    ],
)
def test_classes(tmp_path: Path, y: np.ndarray) -> None:
    data = opened(tmp_path, classifier(classes=3), x=IMAGES, y=y)
    assert targets(data).dtype == torch.int64
    assert targets(data).tolist() == data.train.labels.tolist() == LABELS.tolist()
    assert data.classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (LABELS / 1, "'y' is float64; cross_entropy takes integers from 0 to 2; save y.astype('int64')"),
        (LABELS / 2, "'y' is float64; cross_entropy takes integers from 0 to 2"),
        (LABELS - 1, "'y' holds -1: classes are counted from 0"),
        (LABELS + 1, "<text>:9: 'linear1' gives 3 classes, the labels are 1 to 3: count them from 0"),
        (LABELS + 1000000, "'y' has numbers up to 1,000,002: classes are counted from 0"),
        (np.full((20, 3), 1 / 3), "'y' is (20, 3), with rows that are no single 1; cross_entropy takes one class each"),
        (LABELS.astype(str), "'y' is an array of <U21: numbers are wanted"),
        (np.zeros((20, 8, 8), int), "<text>:9: 'linear1' gives 3, the targets are 8x8: their sizes have to agree"),
        (LABELS * 2, "<text>:9: 'linear1' gives 3 classes, the data have 5 (0, 1, 2 …): write `--set classes=5`"),
    ],
)
def test_classes_that_are_refused(tmp_path: Path, y: np.ndarray, message: str) -> None:
    assert refused(tmp_path, classifier(classes=3), x=IMAGES, y=y) == message


SEGMENTER = "input: [1, 8, 8]\nlayers:\n  - conv: {{out_channels: {}, kernel_size: 1}}\ntrain: {{loss: {}}}"


def test_maps_of_classes(tmp_path: Path) -> None:
    plan = network(SEGMENTER.format(3, "cross_entropy"))
    y = RNG.integers(0, 3, (20, 8, 8))
    for array in (y, y[..., None], y[:, None].astype(np.uint8)):
        data = opened(tmp_path, plan, x=IMAGES, y=array)
        assert np.array_equal(targets(data).numpy(), y)
        assert (data.classes, data.train.labels, data.targets) == ((), None, ("",))
    y[0, 0, 0] = -100
    assert int(targets(opened(tmp_path, plan, x=IMAGES, y=y)).min()) == -100
    assert refused(tmp_path, plan, x=IMAGES, y=np.where(y == 2, 255, y)) == (
        "'y' holds classes from 0 to 255, output 'conv1' has 3, counted from 0; -100 is what is not to be learned"
    )
    assert refused(tmp_path, plan, x=IMAGES, y=y[:, :4]) == (
        "<text>:5: 'conv1' gives 3x8x8, the targets are 4x8: their sizes have to agree"
    )
    assert refused(tmp_path, plan, x=IMAGES, y=LABELS) == (
        "<text>:5: 'conv1' gives 3x8x8, the data have one class for each sample: "
        "put `global_avgpool` behind it, or have one for each of its 8x8 places"
    )


def test_maps_of_numbers(tmp_path: Path) -> None:
    masks = RNG.integers(0, 2, (20, 8, 8))
    plan = network(SEGMENTER.format(1, "binary_cross_entropy"))
    for array in (masks, masks.astype(bool), masks[:, None], masks[..., None] / 1, (masks * 255).astype(np.uint8)):
        data = opened(tmp_path, plan, x=IMAGES, y=array)
        assert targets(data).dtype == torch.float32
        assert np.array_equal(targets(data).numpy()[:, 0], masks)
    assert refused(tmp_path, plan, x=IMAGES, y=masks * 2) == (
        "'y' goes from 0 to 2; binary_cross_entropy takes targets from 0 to 1"
    )
    plan = network(SEGMENTER.format(3, "l1"))
    colors = RNG.integers(0, 256, (20, 3, 8, 8), dtype=np.uint8)
    for array in (colors, np.moveaxis(colors, 1, 3), colors / 255):
        found = targets(opened(tmp_path, plan, x=IMAGES, y=array)).numpy()
        assert np.abs(found - colors / 255).max() < 1e-6
    assert refused(tmp_path, plan, x=IMAGES, y=np.zeros((20, 2, 8, 8))) == (
        "<text>:5: 'conv1' gives 3x8x8, the targets are 2x8x8"
    )
    assert refused(tmp_path, plan, x=IMAGES, y=np.full((20, 3, 8, 8), np.inf)) == (
        "'y' holds 3,840 numbers that are NaN or infinite"
    )


HEAD = "input: [4]\nlayers:\n  - linear: {}\ntrain: {{loss: {}}}"


def test_numbers(tmp_path: Path) -> None:
    x = RNG.random((20, 4), dtype=np.float32)
    plan = network(HEAD.format(1, "mse"))
    for y in (LABELS, LABELS / 1, LABELS[:, None], LABELS.astype(np.float16)):
        data = opened(tmp_path, plan, x=x, y=y)
        assert targets(data).dtype == torch.float32
        assert targets(data).tolist() == [[n] for n in LABELS]
        assert (data.classes, data.train.labels) == ((), None)
    plan = network(HEAD.format(2, "mse"))
    y = RNG.random((20, 2), dtype=np.float32)
    assert np.array_equal(targets(opened(tmp_path, plan, x=x, y=y)).numpy(), y)
    assert refused(tmp_path, plan, x=x, y=x) == "<text>:5: 'linear1' gives 2, the targets are 4"


def test_classes_of_other_losses(tmp_path: Path) -> None:
    """Integers stay classes, which the training writes as 0 and 1; two are known by one number."""
    x = RNG.random((20, 4), dtype=np.float32)
    for loss in ("mse", "l1", "binary_cross_entropy"):
        data = opened(tmp_path, network(HEAD.format(3, loss)), x=x, y=LABELS)
        assert targets(data).tolist() == data.train.labels.tolist() == LABELS.tolist()
    plan = network(HEAD.format(1, "binary_cross_entropy"))
    data = opened(tmp_path, plan, x=x, y=LABELS % 2)
    assert (data.classes, targets(data).dtype) == (("0", "1"), torch.int64)
    assert refused(tmp_path, plan, x=x, y=LABELS) == (
        "<text>:5: 'linear1' gives 1 class, the data have 3 (0, 1, 2): change it to 3"
    )
    plan = network(HEAD.format(3, "binary_cross_entropy"))
    several = RNG.integers(0, 2, (20, 3))
    assert targets(opened(tmp_path, plan, x=x, y=several)).tolist() == several.tolist()


def test_without_targets_the_input_is_given_back(tmp_path: Path) -> None:
    for loss in ("mse", "l1"):
        data = opened(tmp_path, network(SEGMENTER.format(1, loss)), x=IMAGES)
        assert (data.targets, data.classes, data.notices) == ((), (), ())
        assert data.train.__getitems__([0]).targets == ()
    assert refused(tmp_path, network(SEGMENTER.format(2, "mse")), x=IMAGES) == (
        "<text>:5: 'conv1' gives 2x8x8, which mse compares with targets; the data have none, "
        "and it is no 1x8x8 like the input"
    )


# -------------------------------------------------------------------- files


def test_splits_have_to_agree(tmp_path: Path) -> None:
    plan = classifier(classes=3)
    train = {"x_train": IMAGES, "y_train": LABELS}
    assert refused(tmp_path, plan, **train, x_test=IMAGES[:, :4], y_test=LABELS) == (
        "PATH/a.npz: samples of train are 1x8x8 uint8 and single int64, those of test 1x4x8 uint8 and single int64"
    )
    assert refused(tmp_path, plan, **train, x_val=IMAGES / 1, y_val=LABELS).endswith(
        "those of val 1x8x8 float32 and single int64"
    )


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = classifier(classes=3)

    def said(path: Path) -> str:
        with pytest.raises(UsageError) as error:
            open_data(f"npz:{path}", plan, 0)
        return str(error.value).replace(str(tmp_path), "PATH")

    assert said(tmp_path / "none.npz") == "cannot read PATH/none.npz: no such file or directory"
    assert said(tmp_path) == "cannot read PATH: is a directory"
    np.save(tmp_path / "one.npy", IMAGES)
    wrong = "it is no .npz file, as numpy.savez writes it"
    assert said(tmp_path / "one.npy") == f"cannot read PATH/one.npy: {wrong}"
    (tmp_path / "empty.npz").write_bytes(b"")
    assert said(tmp_path / "empty.npz") == f"cannot read PATH/empty.npz: {wrong}"
    np.savez(tmp_path / "cut.npz", x=IMAGES, y=LABELS)
    whole = (tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[:-100])
    assert said(tmp_path / "cut.npz") == f"cannot read PATH/cut.npz: {wrong}"
    (tmp_path / "cut.npz").write_bytes(whole.replace(IMAGES.tobytes(), bytes(len(IMAGES.tobytes()))))
    assert said(tmp_path / "cut.npz") == "cannot read 'x' in PATH/cut.npz: Bad CRC-32 for file 'x.npy'"
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
        archive.writestr("x", "hello")
    assert said(tmp_path / "text.npz") == "'x' in PATH/text.npz is no array"
    np.savez(tmp_path / "large.npz", x=np.zeros((2**20,)), y=LABELS)
    monkeypatch.setattr(npz_archive, "_memory", lambda: 2**22)
    assert said(tmp_path / "large.npz") == "PATH/large.npz holds 0.0 GiB, this machine has 0.0 GiB"


def test_the_fingerprint_is_that_of_the_arrays(tmp_path: Path) -> None:
    plan = classifier(classes=3)
    first = opened(tmp_path, plan, x=IMAGES, y=LABELS).fingerprint
    (tmp_path / "b").mkdir()
    assert opened(tmp_path / "b", plan, x=IMAGES, y=LABELS, z=LABELS).fingerprint == first
    other = IMAGES.copy()
    other[-1, -1, -1] ^= 1
    assert opened(tmp_path, plan, x=other, y=LABELS).fingerprint != first
    assert opened(tmp_path, plan, x=IMAGES, y=LABELS[::-1]).fingerprint != first
