"""Arrays of numpy as samples: what is read, and what is refused with which reason."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnplan
from cnnplan.runtime.arrays import samples
from cnnplan.runtime.images import Unreadable

RANDOM = np.random.default_rng(0)
SIGNAL = cnnplan.plan("cnnplan: 1\nname: s\ninput: [2, 16]\nlayers: [flatten, {linear: 3}]\n")
IMAGE = cnnplan.plan("cnnplan: 1\nname: i\ninput: [3, 8, 8]\nlayers: [flatten, {linear: 3}]\n")
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
    for path in (
        saved(tmp_path / "a.npy", array),
        saved(tmp_path / "x.npz", x=array),
        saved(tmp_path / "y.npz", y=array),
    ):
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
    for path in (saved(tmp_path / "a.npz", x=a, y=b[0]), saved(tmp_path / "b.npz", x=b, input=a)):
        assert np.array_equal(taken(path)[1][1][0], a[1])
    assert reason(saved(tmp_path / "c.npz", a=a, b=b)) == "it has no array 'input' or 'x', but 'a', 'b'"


def test_maps_of_another_size_are_taken(tmp_path: Path) -> None:
    assert taken(saved(tmp_path / "a.npy", np.ones((2, 3, 5, 9), np.float32)), IMAGE)[1][1][0].shape == (3, 5, 9)


def test_several_inputs(tmp_path: Path) -> None:
    left, right = (RANDOM.normal(size=(3, n)).astype(np.float32) for n in (4, 6))
    found = taken(saved(tmp_path / "a.npz", right=right, left=left), TWO)
    assert [number for number, _ in found] == [0, 1, 2]
    assert np.array_equal(found[2][1][0], left[2])
    assert np.array_equal(found[2][1][1], right[2])
    said = reason(saved(tmp_path / "b.npz", right=right, left=left[:2]), TWO)
    assert said == "its arrays have different numbers of samples: 2x4 and 3x6"
    said = reason(saved(tmp_path / "b.npz", right=right, left=left[0]), TWO)
    assert said == "its arrays have different numbers of samples: 4 and 3x6"
    assert reason(saved(tmp_path / "b.npz", left=left), TWO) == "it has no array 'right', but 'left'"
    assert reason(saved(tmp_path / "b.npy", left), TWO) == "the network has 2 inputs: give an .npz with left, right"


def test_tokens(tmp_path: Path) -> None:
    array = RANDOM.integers(0, 7, (3, 5)).astype(np.int16)
    ((_, (x,)), *_) = taken(saved(tmp_path / "a.npy", array), TOKENS)
    assert x.dtype == np.int64
    assert np.array_equal(x, array[0])
    for token in (7, -1):
        array[2, 3] = token
        assert reason(saved(tmp_path / "a.npy", array), TOKENS) == (
            f"sample 2 has token {token}, and the network knows 0 to 6"
        )
    assert "takes integers" in reason(saved(tmp_path / "a.npy", array.astype(float)), TOKENS)
    assert "is 3x4, and 'input' takes N samples of 5" in reason(saved(tmp_path / "a.npy", array[:, :4]), TOKENS)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.ones((2, 2, 16), np.int64), "it is int64, and 'input' takes uint8 (0 to 255) or float32"),
        (np.ones((2, 2, 16), bool), "it is bool, and 'input' takes uint8 (0 to 255) or float32"),
        (np.ones((2, 3, 16)), "it is 2x3x16, and 'input' takes N samples of 2x16, channels first"),
        (np.ones((2, 16, 2)), "it is 2x16x2, and 'input' takes N samples of 2x16, channels first"),
        (np.ones((2, 2, 0)), "it is 2x2x0, and 'input' takes N samples of 2x16, channels first"),
        (np.ones(()), "it is one number, and 'input' takes N samples of 2x16, channels first"),
        (np.ones((0, 2, 16)), "it has no samples"),
        (np.full((2, 16), np.nan), "it has numbers that are not finite in float32"),
        (np.full((3, 2, 16), 1e300), "sample 0 has numbers that are not finite in float32"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, array: Any, said: str) -> None:
    assert reason(saved(tmp_path / "a.npy", array)) == said


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    whole = io.BytesIO()
    np.savez_compressed(whole, x=RANDOM.normal(size=(3, 2, 16)))
    for name in ("a.npz", "a.npy"):
        for content in (b"", b"nonsense", whole.getvalue()[:300], b"\x93NUMPY\x01\x00v\x00{'descr'"):
            (tmp_path / name).write_bytes(content)
            assert reason(tmp_path / name)
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    assert "python objects" in reason(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", x=np.array([{}], object), allow_pickle=True)
    assert "allow_pickle=false" in reason(tmp_path / "a.npz")
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 2, 16), }"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    assert reason(tmp_path / "a.npy")
    (tmp_path / "b.npy").mkdir()
    assert reason(tmp_path / "b.npy") == "it is no plain file"
