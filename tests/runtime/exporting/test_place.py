"""Where files are written: what is wrong is said before the work, and what fails leaves an old file as it was."""

from __future__ import annotations

import contextlib
import os
import re
import resource
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import cnnplan
from cnnplan.runtime.exporting import export, exporter
from tests.emit import small_networks
from tests.language.helpers import net
from tests.runtime.exporting.running import HEAD

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIXES = {"onnx": ".onnx", "export": ".pt2"}

every_format = pytest.mark.parametrize("format", SUFFIXES)


def small() -> cnnplan.Plan:
    """A network of 10 parameters."""
    return cnnplan.plan(net("- linear: 2\n", head=f"{HEAD}input: [4]\n"))


def refused(path: Path, format: str = "onnx", plan: cnnplan.Plan | None = None) -> str:
    """What is said of a path."""
    with pytest.raises(cnnplan.UsageError) as found:
        export(plan or small(), format, path)
    return str(found.value)


@contextlib.contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file may be larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("name", "format", "instead"),
    [
        ("model.pt2", "onnx", "model.onnx"),
        ("model.onnx", "export", "model.pt2"),
        ("model.pt", "export", "model.pt2"),
        ("model", "onnx", "model.onnx"),
        (".onnx", "onnx", ".onnx.onnx"),
    ],
)
def test_another_suffix(name: str, format: str, instead: str, tmp_path: Path) -> None:
    said = refused(tmp_path / name, format)
    wanted = f"'{tmp_path / name}' is no name for --format {format}, which writes {SUFFIXES[format]}: "
    assert said == f"{wanted}write it to {tmp_path / instead}"


def test_places_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "null.onnx").symlink_to("/dev/null")
    (tmp_path / "file").write_text("")
    (tmp_path / "round.onnx").symlink_to(tmp_path / "round.onnx")
    for name, why in [
        ("folder.onnx", "it is a directory"),
        ("none/model.onnx", f"there is no folder {tmp_path}/none"),
        ("file/model.onnx", f"there is no folder {tmp_path}/file"),
        ("null.onnx", "it is no plain file"),
        ("round.onnx", "it is a link that leads to itself"),
        (f"{'a' * 300}.onnx", "file name too long"),
    ]:
        assert refused(tmp_path / name) == f"cannot write {tmp_path / name}: {why}"
    assert refused(tmp_path / "a\x1b.pt2").startswith(f"'{tmp_path}/a\\x1b.pt2' is no name")
    assert refused(Path("/proc/model.onnx")).startswith("cannot write /proc/model.onnx: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_ours(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert refused(tmp_path / "model.onnx") == f"cannot write {tmp_path / 'model.onnx'}: permission denied"
    finally:
        tmp_path.chmod(0o700)


@every_format
def test_a_full_disk(format: str, tmp_path: Path) -> None:
    """Torch's own writing of a .pt2 file would end the process."""
    path = tmp_path / f"model{SUFFIXES[format]}"
    path.write_text("old")
    with full_disk(4_000):
        assert refused(path, format, small_networks.plan("chain")) == f"cannot write {path}: file too large"
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


@every_format
def test_it_is_stopped(format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / f"model{SUFFIXES[format]}"
    path.write_text("old")
    monkeypatch.setattr(exporter, "agree", stopped)
    with pytest.raises(KeyboardInterrupt):
        export(small(), format, path)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


@every_format
def test_what_was_there_is_replaced(format: str, tmp_path: Path) -> None:
    """A link stays one, and the mode is as it was."""
    path, link = tmp_path / f"model{SUFFIXES[format]}", tmp_path / f"link{SUFFIXES[format]}"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    export(small(), format, link)
    assert link.is_symlink()
    assert path.read_bytes() != b"old"
    assert path.stat().st_mode & 0o777 == 0o640
    assert {p.name for p in tmp_path.iterdir()} == {path.name, link.name}


def test_a_new_file_is_as_the_umask_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a name without a folder is beside where one is."""
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o027)
    try:
        export(small(), "export", Path("model.pt2"))
    finally:
        os.umask(before)
    assert Path("model.pt2").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_too_little_memory(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> None:
        raise error

    for name in ("network", "agree"):
        with monkeypatch.context() as patched:
            patched.setattr(exporter, name, none_left)
            said = refused(tmp_path / "model.pt2", "export")
        assert re.match("this machine's memory is not enough to export it; .*--input-size", said)
    assert list(tmp_path.iterdir()) == []
