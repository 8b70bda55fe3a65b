"""The header of a safetensors file: names, dtypes and shapes of its tensors, without reading any.

A file is the length of its header (8 bytes, little-endian), the header (JSON), and the tensors' bytes without gaps. A
large checkpoint is several files, which `*.safetensors.index.json` lists. Files are untrusted: all is bounded.

Source: the format's description, https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import json
import re
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_HEADER: Final = 100_000_000
"""Bytes, as the format says."""
MAX_MARKS: Final = 4_000_000
"""Brackets and commas of a header: what JSON makes of each takes many times its byte."""
MAX_FILES: Final = 10_000
BITS: Final = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
}
"""Of an element, by the dtype's name in the file."""

SUFFIX: Final = ".safetensors"
INDEX: Final = ".safetensors.index.json"


class Tensor(NamedTuple):
    """What a header says of a tensor; `dtype` is the file's word, such as "F32"."""

    dtype: str
    shape: tuple[int, ...]


class _Repeated(ValueError):
    """A key that a JSON object has twice."""


def read_header(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, in the order of their bytes; of all files, where an index is given.

    Raises:
        UsageError: the file cannot be read, or is no safetensors file; it says what is wrong with it.
    """
    path = Path(path)
    if path.name.endswith(INDEX):
        return _sharded(path)
    _refuse_others(path)
    return _one(path)


# ------------------------------------------------------------------ one file


def _one(path: Path) -> dict[str, Tensor]:
    shown = printable(str(path))
    try:
        if path.is_dir():
            raise UsageError(f"{shown} is a directory: name the {SUFFIX} or {INDEX} file in it")
        if not path.is_file() and path.exists():
            raise UsageError(f"{shown} is no plain file")
        with path.open("rb") as file:
            size = path.stat().st_size
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length > MAX_HEADER or 8 + length > size:
                raise _no_header(path, start, length, size)
            text = file.read(length)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"cannot read {shown}: {reason.lower()}") from None
    if len(text) < length:
        raise UsageError(f"{shown} was cut while it was read")
    return _tensors(_json(text, shown), size - 8 - length, shown)


def _no_header(path: Path, start: bytes, length: int, size: int) -> UsageError:
    """Why the first bytes are no length of a header."""
    shown = printable(str(path))
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return _other(path, "a pickle or zip file, as torch.save writes")
    if start.startswith(b"version "):
        return UsageError(f"{shown} stands for a file of Git LFS that is not here: `git lfs pull` fetches it")
    if len(start) < 8:
        return UsageError(f"{shown} is no safetensors file: it has {size} bytes, and 8 are its header's length alone")
    if length > MAX_HEADER:
        return UsageError(f"{shown} is no safetensors file: its header would have {length:,} bytes, over 100 MB")
    return UsageError(f"{shown} is cut: its header would have {length:,} bytes, but {size - 8:,} follow")


def _json(text: bytes, shown: str) -> dict[str, Any]:
    """The JSON object of a text."""
    if sum(map(text.count, (b"[", b"{", b","))) > MAX_MARKS:
        raise UsageError(
            f"the header of {shown} has more than {MAX_MARKS:,} brackets and commas: no checkpoint needs so many"
        )
    try:
        found = json.loads(text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refused)
    except _Repeated as error:
        raise UsageError(f"the header of {shown} has {printable(str(error))[:100]!r} twice") from None
    except RecursionError:
        raise UsageError(f"the header of {shown} is nested too deeply") from None
    except ValueError as error:  # what is no UTF-8, no JSON, or a number of thousands of digits
        raise UsageError(f"the header of {shown} is no JSON: {printable(str(error))[:100]}") from None
    if not isinstance(found, dict):
        raise UsageError(f"the header of {shown} is no JSON object")
    return found


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        raise _Repeated(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return found


def _refused(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _tensors(header: dict[str, Any], size: int, shown: str) -> dict[str, Tensor]:
    """The tensors of a header whose offsets cover `size` bytes without gaps."""
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise UsageError(f"`__metadata__` of {shown} is no mapping of texts")
    placed = []
    for name, said in header.items():
        what = f"tensor '{printable(name)[:100]}' of {shown}"
        if not isinstance(said, dict) or set(said) != {"dtype", "shape", "data_offsets"}:
            raise UsageError(f"{what} has not the keys dtype, shape and data_offsets, or others")
        dtype, shape, offsets = said["dtype"], said["shape"], said["data_offsets"]
        if not isinstance(dtype, str) or dtype not in BITS:
            raise UsageError(f"{what} has a dtype that is not known: {str(dtype)[:40]!r}")
        if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
            raise UsageError(f"{what} has a shape or offsets that are no list of integers ≥ 0")
        start, end = offsets
        if prod(shape) * BITS[dtype] != 8 * (end - start):
            needed = -(-prod(shape) * BITS[dtype] // 8)
            raise UsageError(
                f"{what}, {dtype} {sizes(shape)}, needs {_bytes(needed)}, but its offsets span {_bytes(end - start)}"
            )
        placed.append((start, end, name, Tensor(dtype, tuple(shape))))
    placed.sort(key=lambda one: one[:2])
    at = 0
    for start, end, name, _ in placed:
        if start != at:
            how = "overlaps what is before it" if start < at else f"leaves {_bytes(start - at)} unused before it"
            raise UsageError(f"tensor '{printable(name)[:100]}' of {shown} {how}")
        at = end
    if at > size:
        raise UsageError(f"{shown} is cut: its tensors have {_bytes(at)}, but {size:,} follow the header")
    if at < size:
        raise UsageError(f"{shown} has {_bytes(size - at)} behind its last tensor")
    return {name: tensor for _, _, name, tensor in placed}


def _are_sizes(value: object) -> bool:
    return isinstance(value, list) and len(value) <= 64 and all(type(n) is int and 0 <= n < 1 << 63 for n in value)


def _bytes(n: int) -> str:
    return f"{n:,} byte{'' if n == 1 else 's'}"


def sizes(shape: Sequence[int]) -> str:
    """64x3x7x7; "scalar" of none."""
    return "x".join(map(str, shape)) or "scalar"


# -------------------------------------------------------------- several files


def _sharded(path: Path) -> dict[str, Tensor]:
    """The tensors of the files that an index lists, which are beside it."""
    shown = printable(str(path))
    try:
        with path.open("rb") as file:
            text = file.read(MAX_HEADER + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"cannot read {shown}: {reason.lower()}") from None
    if len(text) > MAX_HEADER:
        raise UsageError(f"{shown} has more than 100 MB")
    places = _json(text, shown).get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        raise UsageError(f"{shown} has no `weight_map` from tensors to files")
    files = list(dict.fromkeys(places.values()))
    if len(files) > MAX_FILES:
        raise UsageError(f"{shown} lists {len(files):,} files; at most {MAX_FILES:,} are read")
    found: dict[str, Tensor] = {}
    homes: dict[str, str] = {}
    for name in files:
        if not re.fullmatch(r"[^/\\\0]+\.safetensors", name):
            raise UsageError(f"{shown} lists '{printable(name)[:100]}', which is no {SUFFIX} file beside it")
        for key, tensor in _one(path.with_name(name)).items():
            if key in found:
                raise UsageError(f"tensor '{printable(key)[:100]}' is in {homes[key]} and in {name}")
            found[key], homes[key] = tensor, name
    for key, name in places.items():
        if homes.get(key) != name:
            where = f", but it is in {homes[key]}" if key in homes else ", which has no such tensor"
            raise UsageError(f"{shown} says that '{printable(key)[:100]}' is in {printable(name)}{where}")
    return found


# --------------------------------------------------------------- other formats


def _refuse_others(path: Path) -> None:
    """Refuse files of other formats by their names."""
    suffix = path.suffix.lower()
    if suffix in (
        ".pt",
        ".pth",
        ".bin",
        ".ckpt",
        ".pkl",
        ".npz",
        ".npy",
        ".h5",
        ".hdf5",
        ".keras",
        ".onnx",
        ".msgpack",
    ):
        raise _other(path, f"a {suffix} file")


def _other(path: Path, what: str) -> UsageError:
    target = path.with_suffix(SUFFIX).name
    line = (
        f"import torch, safetensors.torch as s; s.save_file({{k: v.contiguous() for k, v in "
        f"torch.load({path.name!r}, weights_only=True).items()}}, {target!r})"
    )
    if path.suffix.lower() == ".npz":
        line = f"import numpy, safetensors.numpy as s; s.save_file(dict(numpy.load({path.name!r})), {target!r})"
    elif path.suffix.lower() in (".npy", ".h5", ".hdf5", ".keras", ".onnx", ".msgpack"):
        line = "import safetensors.numpy as s; s.save_file({name: array for each tensor}, " + f"{target!r})"
    return UsageError(
        f"{printable(str(path))} is {what}: only safetensors can be read without running code; convert it with {line}"
    )
