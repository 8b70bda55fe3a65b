"""check as a linter: fixes, the baseline, watching, hooks that name every file."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.run import ROOT
from tests.cli.run import cnnplan as run

SPEC = """cnnplan: 1
name: net
input: [3, 32, 32]
layers:
  - conv: {out_channels: 8, kernel_size: 3}  # the stem
  - batchnorm
"""
MENDED = SPEC.replace("3}  #", "3, bias: false}  #")
BROKEN = SPEC.replace("batchnorm", "linear: 3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.yaml").write_text(SPEC)
    return tmp_path


# ------------------------------------------------------------------------ fixes


def test_fix(folder: Path) -> None:
    result = run("check", "a.yaml", "--fix", cwd=folder)
    assert (folder / "a.yaml").read_text() == MENDED
    assert result.code == 0
    assert "N201" not in result.out
    assert result.err == "1 finding mended: N201 1\n"
    again = run("check", "a.yaml", "--fix", cwd=folder)
    assert (again.code, again.err) == (0, "")


def test_diff_writes_nothing(folder: Path) -> None:
    result = run("check", "a.yaml", "--diff", cwd=folder)
    assert (folder / "a.yaml").read_text() == SPEC
    assert result.code == 1
    assert "-  - conv: {out_channels: 8, kernel_size: 3}  # the stem\n" in result.out
    assert "+  - conv: {out_channels: 8, kernel_size: 3, bias: false}  # the stem\n" in result.out
    assert result.err == "1 finding would be mended: N201 1\n"
    (folder / "a.yaml").write_text(MENDED)
    assert run("check", "a.yaml", "--diff", cwd=folder) == (0, "", "")


def test_unsafe_fixes(folder: Path) -> None:
    unsafe = SPEC.replace("kernel_size: 3", "kernel_size: 3, groups: 2")
    (folder / "a.yaml").write_text(unsafe)
    assert run("check", "a.yaml", "--fix", cwd=folder).code == 1
    assert (folder / "a.yaml").read_text() == unsafe
    assert run("check", "a.yaml", "--unsafe-fixes", cwd=folder).code == 0
    assert (folder / "a.yaml").read_text() == unsafe.replace("groups: 2", "groups: 1, bias: false")


def test_a_spec_that_is_not_valid_may_be_mended(folder: Path) -> None:
    (folder / "a.yaml").write_text(BROKEN)
    result = run("check", "a.yaml", "--fix", cwd=folder)
    assert result.code == 0
    assert (folder / "a.yaml").read_text() == BROKEN.replace("- linear", "- flatten\n  - linear")


def test_standard_input_goes_through(folder: Path) -> None:
    result = run("check", "-", "--fix", stdin=SPEC, cwd=folder)
    assert result.out == MENDED
    assert "1 finding mended" in result.err
    named = run("check", "-", "--fix", "--stdin-filename", "a.yaml", stdin=SPEC, cwd=folder)
    assert named.out == MENDED
    assert (folder / "a.yaml").read_text() == SPEC


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
def test_line_ends_and_marks_stay(folder: Path, mark: bytes) -> None:
    text = BROKEN.replace("\n", "\r\n").encode()
    (folder / "a.yaml").write_bytes(mark + text)
    assert run("check", "a.yaml", "--fix", cwd=folder).code == 0
    assert (folder / "a.yaml").read_bytes() == mark + text.replace(b"- linear", b"- flatten\r\n  - linear")


def test_several_files(folder: Path) -> None:
    (folder / "b.yaml").write_text(SPEC.replace("name: net", "name: other"))
    (folder / "c.yaml").write_text(MENDED)
    before = (folder / "c.yaml").stat().st_mtime_ns
    result = run("check", ".", "--fix", cwd=folder)
    assert result.err == "2 findings mended: N201 2\n"
    assert (folder / "b.yaml").read_text() == MENDED.replace("name: net", "name: other")
    assert (folder / "c.yaml").stat().st_mtime_ns == before


def test_a_file_that_cannot_be_written(folder: Path) -> None:
    (folder / "b.yaml").write_text(SPEC)
    real = folder / "a.yaml"
    real.unlink()
    real.symlink_to("/proc/version")  # read it as it is, refuse to write
    result = run("check", "a.yaml", "b.yaml", "--fix", cwd=folder)
    assert result.code in (1, 2)
    assert (folder / "b.yaml").read_text() == MENDED


@pytest.mark.parametrize("option", ["--watch", "--write-baseline"])
def test_fixes_exclude(folder: Path, option: str) -> None:
    result = run("check", "a.yaml", "--fix", option, cwd=folder)
    assert (result.code, result.err) == (
        2,
        "error: --fix and --diff go with neither --watch, --write-baseline nor --unit\n",
    )


# --------------------------------------------------------------------- the baseline


def test_a_baseline_hides_what_is_known(folder: Path) -> None:
    wrote = run("check", ".", "--write-baseline", cwd=folder)
    assert (wrote.code, wrote.out, wrote.err) == (0, "", "wrote 1 finding to cnnplan-baseline.json\n")
    with_it = (
        "check",
        "a.yaml",
        "-q",
        "--format",
        "concise",
        "--baseline",
        "cnnplan-baseline.json",
        "--fail-on",
        "info",
    )
    assert run(*with_it, cwd=folder) == (0, "", "")
    moved = SPEC.replace("layers:", "# a line more\nlayers:\n  - relu")
    (folder / "a.yaml").write_text(moved)
    assert run(*with_it, cwd=folder) == (0, "", "")
    (folder / "a.yaml").write_text(moved + "  - relu\n  - conv: {out_channels: 4, kernel_size: 3}\n  - batchnorm\n")
    new = run(*with_it, cwd=folder)
    assert new.code == 1
    assert new.out.startswith("a.yaml:10:5: warning[N201]")
    assert new.out.count("\n") == 1


def test_findings_that_are_gone_are_counted(folder: Path) -> None:
    run("check", ".", "--write-baseline", cwd=folder)
    (folder / "a.yaml").write_text(MENDED)
    result = run("check", "a.yaml", "--baseline", "cnnplan-baseline.json", cwd=folder)
    assert result.code == 0
    assert result.err == "1 of the findings in cnnplan-baseline.json are gone: --write-baseline forgets them\n"


def test_a_spec_that_is_not_valid_is_not_hidden(folder: Path) -> None:
    (folder / "b.yaml").write_text(BROKEN)
    wrote = run("check", ".", "--write-baseline", cwd=folder)
    assert wrote.code == 1
    assert "error: b.yaml is not valid, which no baseline hides\n" in wrote.err
    assert run("check", ".", "--baseline", "cnnplan-baseline.json", cwd=folder).code == 1


def test_a_baseline_of_the_configuration_from_another_folder(folder: Path) -> None:
    (folder / "cnnplan.toml").write_text('baseline = "known/b.json"\nfail-on = "info"\n')
    (folder / "known").mkdir()
    (folder / "inner").mkdir()
    (folder / "inner" / "c.yaml").write_text(SPEC)
    assert run("check", ".", "--write-baseline", cwd=folder).code == 0
    assert (folder / "known" / "b.json").exists()
    for cwd, path in (
        (folder, "."),
        (folder, "inner/c.yaml"),
        (folder / "inner", "c.yaml"),
        (folder / "inner", "../a.yaml"),
    ):
        result = run("check", path, cwd=cwd)
        assert result.code == 0, (cwd, path, result)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"cnnplan_baseline": 2, "files": {}}', '{"cnnplan_baseline": 1}', "[" * 9_999]
)
def test_what_is_no_baseline(folder: Path, text: str) -> None:
    (folder / "b.json").write_text(text)
    result = run("check", "a.yaml", "--baseline", "b.json", cwd=folder)
    assert result.code == 2
    assert result.err.startswith("error: b.json is no baseline")


def test_a_baseline_that_is_not_there(folder: Path) -> None:
    result = run("check", "a.yaml", "--baseline", "b.json", cwd=folder)
    assert (result.code, result.err) == (
        2,
        "error: cannot read b.json: no such file or directory; `--write-baseline` writes it\n",
    )


# -------------------------------------------------------------------- what is looked for


@pytest.mark.parametrize("option", ["--select", "--ignore", "--extend-select"])
def test_codes_that_are_not_known(folder: Path, option: str) -> None:
    result = run("check", "a.yaml", option, "N201,N299", cwd=folder)
    assert (result.code, result.err) == (2, f"error: {option}: there is no rule 'N299'; did you mean N209?\n")


def test_files_that_are_no_specs_are_left_out_for_hooks(folder: Path) -> None:
    (folder / "compose.yaml").write_text("services: {}\n")
    named = run("check", "a.yaml", "compose.yaml", "-q", cwd=folder)
    assert named.code == 1
    hook = run("check", "a.yaml", "compose.yaml", "-q", "--skip-others", cwd=folder)
    assert (hook.code, "compose" in hook.out + hook.err) == (0, False)
    assert run("check", "compose.yaml", "--skip-others", cwd=folder) == (0, "", "")
    (folder / "inner").mkdir()
    assert run("check", "inner", "--skip-others", cwd=folder) == (0, "", "")


def test_links_to_folders_are_not_followed(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "loop").symlink_to(folder)
    (folder / "inner" / "again").symlink_to(folder)
    result = run("check", ".", "--format", "concise", "-q", cwd=folder)
    assert result.out.count("\n") == 1


def test_order_does_not_depend_on_the_file_system(folder: Path) -> None:
    for name in ("z.yaml", "b.yaml", "m.yml"):
        (folder / name).write_text(SPEC)
    result = run("check", ".", "--format", "concise", "-q", cwd=folder)
    assert [line.split(":")[0] for line in result.out.splitlines()] == ["a.yaml", "b.yaml", "m.yml", "z.yaml"]


def test_hundreds_of_findings_are_printed_in_order(folder: Path) -> None:
    unit = "  - conv:\n      out_channels: 8\n      kernel_size: 1\n" + "      # a comment\n" * 16 + "  - batchnorm\n"
    (folder / "a.yaml").write_text("cnnplan: 1\nname: net\ninput: [3, 8, 8]\nlayers:\n" + f"{unit}  - relu\n" * 500)
    result = run("check", "a.yaml", "--format", "concise", "-q", "--select", "N201", cwd=folder)
    lines = [int(line.split(":")[1]) for line in result.out.splitlines()]
    assert lines == [5 + 21 * i for i in range(500)]
    data = json.loads(run("check", "a.yaml", "--format", "json", "--select", "N201", cwd=folder).out)
    assert len(data["specs"][0]["diagnostics"]) == 500


# ------------------------------------------------------------------------- watching


def test_watch_checks_again_when_a_file_is_saved(folder: Path) -> None:
    command = [sys.executable, "-m", "cnnplan", "check", "a.yaml", "--watch", "--format", "concise"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            watched(process, folder / "a.yaml")
        finally:
            process.kill()


def watched(process: "subprocess.Popen[str]", file: Path) -> None:
    """What it prints while a file is broken, removed and mended."""
    out, err = process.stdout, process.stderr
    assert out
    assert err
    assert "N201" in out.readline()
    assert "2 layers" in out.readline()
    assert "waiting for changes" in err.readline()
    file.write_text(BROKEN)
    assert "error[S003]" in out.readline()
    assert "waiting for changes" in err.readline()
    file.unlink()
    assert "cannot read a.yaml" in err.readline()
    assert "waiting for changes" in err.readline()
    file.write_text(MENDED)
    assert "2 layers" in out.readline()
    assert "waiting for changes" in err.readline()
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert out.read() == ""
    assert "Traceback" not in err.read()
