"""Arrays of numpy as samples: what is read, and what is refused with which reason."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnplan
from cnnplan.runtime.prediction.arrays import samples
from cnnplan.runtime.prediction.images import Unreadable

RANDOM = np.random.default_rng(0)
SIGNAL = cnnplan.plan("cnnplan: 1\nname: s\ninput: [2, 16]\nlayers: [flatten, {linear: 3}]\n")
IMAGE = cnnplan.plan("cnnplan: 1\nname: i\ninput: [3, 8, 9]\nlayers: [flatten, {linear: 3}]\n")
GRAY = cnnplan.plan("cnnplan: 1\nname: g\ninput: [1, 8, 9]\nlayers: [flatten, {linear: 3}]\n")
VECTOR = cnnplan.plan("cnnplan: 1\nname: v\ninput: [4]\nlayers: [{linear: 3}]\n")
TOKENS = cnnplan.plan(
    "cnnplan: 1\nname: t\ninput: {shape: [5], dtype: int64}\n"
    "layers: [{embedding: {num_embeddings: 7, embedding_dim: 4}}, flatten, {linear: 3}]\n"
)
TWO = cnnplan.plan(
    "cnnplan: 1\nname: two\ninputs: {left: [4], right: [6]}\nlayers: [{concat: , from: [left, right]}, {linear: 3}]\n"
)


def taken(path: Path, plan: Any = SIGNAL) -> list[tuple[int | None, list[Any]]]:
    return [(number, [x.numpy() for x in load()]) for number, load in samples(str(path), plan)]


def reason(path: Path, plan: Any = SIGNAL) -> str:
    with pytest.raises(Unreadable) as caught:
        taken(path, plan)
    assert "\n" not in str(caught.value)
    assert str(caught.value).count(str(path)) == 1
    return caught.value.reason


def saved(path: Path, array: Any = None, **several: Any) -> Path:
    if array is None:
        np.savez(path, **several)
    else:
        np.save(path, array)
    return path


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "float16", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_of_samples_and_one_sample(tmp_path: Path, dtype: str, order: Any) -> None:
    array = np.asarray(RANDOM.uniform(0, 200, (4, 2, 16)).astype(dtype), order=order)
    files = saved(tmp_path / "a.npy", array), saved(tmp_path / "x.npz", x=array), saved(tmp_path / "y.npz", y=array)
    for path in files:
        found = taken(path)
        assert [number for number, _ in found] == [0, 1, 2, 3]
        for (_, (x,)), expected in zip(found, array, strict=True):
            assert x.dtype == ("uint8" if dtype == "uint8" else "float32")
            assert np.array_equal(x, expected.astype(x.dtype))
    ((number, (x,)),) = taken(saved(tmp_path / "b.npy", array[2]))
    assert number is None
    assert np.array_equal(x, array[2].astype(x.dtype))


def test_which_array_of_an_npz(tmp_path: Path) -> None:
    a, b = RANDOM.normal(size=(2, 3, 2, 16)).astype(np.float32)
    for path in (
        saved(tmp_path / "a.npz", x=a, y=b[0]),
        saved(tmp_path / "b.npz", images=a, labels=b),
        saved(tmp_path / "b.npz", input=a, other=b),
        saved(tmp_path / "b.npz", x=a, input=b),
    ):
        assert np.array_equal(taken(path)[1][1][0], a[1])
    assert reason(saved(tmp_path / "c.npz", a=a, b=b)) == "it has no 'x' or 'images' or 'input', only 'a', 'b'"


def test_images_in_every_layout(tmp_path: Path) -> None:
    pixels = RANDOM.integers(0, 256, (4, 3, 8, 9), dtype=np.uint8)
    for array in (pixels, pixels.transpose(0, 2, 3, 1), pixels.astype(np.int64)):
        found = taken(saved(tmp_path / "a.npy", array), IMAGE)
        assert [number for number, _ in found] == [0, 1, 2, 3]
        assert all(np.array_equal(x, pixels[number]) for number, (x,) in found)
        ((number, (x,)),) = taken(saved(tmp_path / "a.npy", array[1]), IMAGE)
        assert number is None
        assert np.array_equal(x, pixels[1])
    found = taken(saved(tmp_path / "a.npy", pixels[:, 0]), GRAY)
    assert all(np.array_equal(x, pixels[number, :1]) for number, (x,) in found)
    ((number, (x,)),) = taken(saved(tmp_path / "a.npy", pixels[2, 0]), GRAY)
    assert number is None
    assert np.array_equal(x, pixels[2, :1])
    # maps of another size are resized by the network's preparation
    assert taken(saved(tmp_path / "a.npy", np.ones((2, 3, 50, 40), np.float32)), IMAGE)[1][1][0].shape == (3, 50, 40)


def test_vectors(tmp_path: Path) -> None:
    array = RANDOM.normal(size=(3, 4)).astype(np.float32)
    assert [number for number, _ in taken(saved(tmp_path / "a.npy", array), VECTOR)] == [0, 1, 2]
    ((number, (x,)),) = taken(saved(tmp_path / "a.npy", array[1]), VECTOR)
    assert number is None
    assert np.array_equal(x, array[1])
    assert reason(saved(tmp_path / "a.npy", array[:, :3]), VECTOR) == "its samples are 3, and 'input' takes 4"


def test_several_inputs(tmp_path: Path) -> None:
    left, right = (RANDOM.normal(size=(3, n)).astype(np.float32) for n in (4, 6))
    found = taken(saved(tmp_path / "a.npz", right=right, left=left), TWO)
    assert [number for number, _ in found] == [0, 1, 2]
    assert np.array_equal(found[2][1][0], left[2])
    assert np.array_equal(found[2][1][1], right[2])
    for wrong in (left[:1], left[0]):
        said = reason(saved(tmp_path / "b.npz", right=right, left=wrong), TWO)
        assert said == "its arrays have unequal numbers of samples: 'left' 1, 'right' 3"
    assert reason(saved(tmp_path / "b.npz", left=left), TWO) == "it has no 'right', only 'left'"
    assert reason(saved(tmp_path / "b.npy", left), TWO) == "the network has 2 inputs: give an .npz with left, right"


def test_tokens(tmp_path: Path) -> None:
    array = RANDOM.integers(0, 7, (3, 5)).astype(np.int16)
    ((_, (x,)), *_) = taken(saved(tmp_path / "a.npy", array), TOKENS)
    assert x.dtype == np.int64
    assert np.array_equal(x, array[0])
    assert reason(saved(tmp_path / "a.npy", array[:, :4]), TOKENS) == "its samples are 4, and 'input' takes 5"
    assert "takes integers" in reason(saved(tmp_path / "a.npy", array.astype(float)), TOKENS)
    for token in (7, -1):
        array[2, 3] = token
        assert "'embedding1' has 7 tokens" in reason(saved(tmp_path / "a.npy", array), TOKENS)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.ones((2, 3, 16)), "its samples are 3x16, and 'input' takes 2x16"),
        (np.ones((2, 2, 15)), "its samples are 2x15, and 'input' takes 2x16"),
        (np.ones((2, 2, 16, 4)), "3 axes are wanted"),
        (np.ones((2, 2, 0)), "is empty"),
        (np.ones((0, 2, 16)), "is empty"),
        (np.ones(()), "3 axes are wanted"),
        (np.full((2, 16), np.nan), "32 numbers that are NaN or infinite"),
        (np.full((3, 2, 16), 1e300), "96 numbers that are NaN or infinite"),
        (np.array([["a"]]), "numbers are wanted"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, array: Any, said: str) -> None:
    assert said in reason(saved(tmp_path / "a.npy", array))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    whole = io.BytesIO()
    np.savez_compressed(whole, x=RANDOM.normal(size=(3, 2, 16)))
    for name in ("a.npz", "a.npy"):
        for content in (b"", b"nonsense", whole.getvalue()[:300], b"\x93NUMPY\x01\x00v\x00{'descr'"):
            (tmp_path / name).write_bytes(content)
            assert reason(tmp_path / name)
        assert reason(tmp_path / f"no{name}") == "no such file or directory"
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    assert "python objects" in reason(tmp_path / "a.npy")
    np.savez(tmp_path / "b.npz", x=np.array([{}], object), allow_pickle=True)
    with pytest.raises(Unreadable, match="holds objects"):
        taken(tmp_path / "b.npz")
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 2, 16), }"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    assert reason(tmp_path / "a.npy")
    (tmp_path / "b.npy").mkdir()
    assert reason(tmp_path / "b.npy") == "no plain file"
