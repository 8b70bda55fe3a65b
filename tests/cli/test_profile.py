"""cnnplan profile: what is printed and written, beside what `check` says; and what is said of bad input."""

import json
from pathlib import Path
from typing import Any

import pytest

from cnnplan.cli import profile as command
from cnnplan.render.profile import page
from cnnplan.runtime.profiling.profile import profile
from tests.cli.inside import cnnplan
from tests.cli.run import ROOT

TEXT = """\
cnnplan: 1
name: small
input: [3, 32, 32]
layers:
  - conv: {out_channels: 32, kernel_size: 3, padding: 1}
  - batchnorm
  - relu
  - add:
      body:
        - conv: {out_channels: 32, kernel_size: 3, padding: 1}
      skip: []
  - global_avgpool
  - linear: 10
"""
FAST = ("--device", "cpu", "--runs", 2, "--isolated")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(TEXT)
    return path


def test_json_beside_check(small: Path, tmp_path: Path) -> None:
    """Layers are named as `check` names them, with the same work, shapes and lines; sizes as planned."""
    run = cnnplan("profile", small, "--batch", 8, "--optimizer", "adam", *FAST, "--format", "json")
    assert (run.code, run.err) == (0, "")
    found = json.loads(run.out)["profile"]
    asked = ("--batch", 8, "--optimizer", "adam", "--target", "cpu", "--isolated")
    (checked,) = json.loads(cnnplan("check", small, *asked, "--format", "json").out)["specs"]
    for key in ("name", "op", "line", "output"):
        assert [one[key] for one in found["layers"]] == [one[key] for one in checked["layers"]]
    assert [one["forward"]["flops"] for one in found["layers"]] == [8 * one["flops"] for one in checked["layers"]]
    assert found["memory"]["planned_peak"] == checked["memory"]["training"]["peak"] == found["memory"]["measured_peak"]
    for one in found["layers"]:
        assert one["memory"]["planned"]["allocated"] == one["memory"]["measured"]["allocated"]
        for took in (one["forward"], one["backward"]):
            assert 0 < took["low"] <= took["median"] <= took["high"]
            assert took["bound"] <= took["median"]
            assert took["flops_per_second"] == pytest.approx(took["flops"] / took["median"])
    whole = found["whole"]
    assert whole["training"]["samples_per_second"] == pytest.approx(8 / whole["training"]["median"])
    assert whole["inference_bound"] <= whole["inference"]["median"]
    assert set(found["costly"]) == {one["name"] for one in found["layers"]}
    times = {one["name"]: one["forward"]["median"] + one["backward"]["median"] for one in found["layers"]}
    assert found["costly"] == sorted(times, key=lambda name: -times[name])
    assert found["conditions"] == {"batch": 8, "dtype": "float32", "mixed": False, "optimizer": "adam", "device": "cpu"}


@pytest.mark.parametrize(("name", "size"), [("lenet5", 32), ("squeezenet1_1", 96), ("mobilenet_v2", 64)])
def test_no_layer_beats_its_bound(name: str, size: int) -> None:
    spec = ROOT / "specs" / f"{name}.yaml"
    run = cnnplan("profile", spec, "--batch", 4, "--runs", 3, "--input-size", size, *FAST[:2], "--format", "json")
    found = json.loads(run.out)["profile"]
    rows = [one[phase] for one in found["layers"] for phase in ("forward", "backward") if one[phase]]
    assert len(rows) > len(found["layers"])
    assert all(row["bound"] < row["median"] for row in rows)
    assert "faster than its bound" not in run.out


def test_an_inference_has_no_backward_pass(small: Path) -> None:
    run = cnnplan("profile", small, "--inference", *FAST, "--format", "json")
    found = json.loads(run.out)["profile"]
    assert found["mode"] == "inference"
    assert all(one["backward"] is None for one in found["layers"])
    assert found["whole"]["training"] is None
    (checked,) = json.loads(cnnplan("check", small, "--target", "cpu", "--format", "json").out)["specs"]
    assert found["memory"]["measured_peak"] == checked["memory"]["inference"]["peak"]


def test_a_trace_is_the_step(small: Path, tmp_path: Path) -> None:
    """What Chrome's format asks: complete events in microseconds that do not overlap; counters of bytes."""
    trace = tmp_path / "trace.json"
    run = cnnplan("profile", small, *FAST, "--trace", trace, "-q")
    assert run.code == 0
    found = json.loads(trace.read_text())
    events: list[dict[str, Any]] = found["traceEvents"]
    spans = sorted((e for e in events if e["ph"] == "X"), key=lambda e: e["ts"])
    assert [e["name"] for e in spans if e["cat"] == "forward"] == [
        "conv1",
        "batchnorm1",
        "relu1",
        "add1.body.conv1",
        "add1",
        "global_avgpool1",
        "linear1",
    ]
    ends = [e["ts"] + e["dur"] for e in spans]
    assert all(later["ts"] >= end - 1e-6 for end, later in zip(ends, spans[1:], strict=False))
    assert {e["tid"] for e in spans} == {1, 2, 3}
    assert next(e for e in spans if e["name"] == "conv1")["args"]["line"] == 5
    counters = [e["args"] for e in events if e["ph"] == "C"]
    assert all(set(one) <= {"measured", "planned"} and min(one.values()) > 0 for one in counters)
    assert json.loads(cnnplan("profile", small, *FAST, "--format", "trace").out)["displayTimeUnit"] == "ms"


def test_a_picture(small: Path, tmp_path: Path) -> None:
    picture = tmp_path / "small.png"
    run = cnnplan("profile", small, *FAST, "--picture", picture, "--output", tmp_path / "table.txt")
    assert (run.code, run.out, run.err) == (0, "", f"wrote {picture}\n")
    data = picture.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) == (1500, 620)
    assert "the layers that cost most" in (tmp_path / "table.txt").read_text()


def test_the_page_fits_the_width(small: Path) -> None:
    """All of it but names that are longer; numbers are those of the profile."""
    import cnnplan as package

    found = profile(package.plan(small, batch=2), device="cpu", runs=2, batches=True, memory=3 << 20)
    for width in (60, 80, 100, 160):
        text = page(found, width).plain
        assert max(map(len, text.splitlines()[1:])) <= width, text  # the first line has a path
        assert "conv1" in text
    wide = page(found, 160).plain
    assert "as planned" in wide
    assert f"{found.layers[0].forward.median * 1e6:.2f} µs" in wide or " ms" in wide
    assert "largest that is planned to fit" in wide
    assert "±" not in page(found, 60).plain.splitlines()[4]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--device", "cuda:7"), "there is no device 'cuda:7' here, only cpu"),
        (("--device", "tpu"), "there is no device 'tpu' here, only cpu"),
        (("--device", "cpu", "--picture", "x.jpg"), "--picture draws a PNG: name it x.png, not x.jpg"),
        (("--device", "cpu", "--memory", "much"), "memory is an amount such as 16GiB or 24GB, not 'much'"),
        (("--device", "cpu", "--dtype", "int8"), "there is no dtype 'int8'"),
        (("--device", "cpu", "--batch", 0), "batch is an integer ≥ 1, not 0"),
    ],
)
def test_bad_options(small: Path, arguments: tuple[object, ...], said: str) -> None:
    run = cnnplan("profile", small, *arguments)
    assert (run.code, run.out) == (2, "")
    assert said in run.err


def test_a_batch_that_does_not_fit(small: Path) -> None:
    run = cnnplan("profile", small, "--batch", 1000, "--memory", "64MiB", *FAST)
    assert run.code == 2
    words = run.err.split("--batch ")
    assert "at batch 1,000 needs at least" in words[0]
    most = int(words[1])
    for batch, fits in ((most, True), (most + 1, False)):
        told = cnnplan("fit", small, "--target", "cpu", "--memory", "64MiB", "--batch", batch, "--format", "json")
        assert (told.code == 0) is fits


def test_files_that_cannot_be_written_are_refused_before_anything_runs(small: Path, tmp_path: Path) -> None:
    picture = tmp_path / "small.yaml" / "x.png"
    run = cnnplan("profile", small, *FAST, "--picture", picture)
    assert (run.code, run.err) == (2, f"error: cannot write {picture}: there is no folder {small}\n")
    run = cnnplan("profile", small, *FAST, "--trace", tmp_path)
    assert (run.code, run.err) == (2, f"error: cannot write {tmp_path}: it is a directory\n")
    run = cnnplan("profile", small, *FAST, "--trace", tmp_path / "a.png", "--picture", tmp_path / "a.png")
    assert (run.code, run.err) == (2, "error: --output, --trace and --picture are to be different files\n")
    run = cnnplan("profile", small, *FAST, "--trace", small)
    assert (run.code, run.err) == (2, f"error: {small} is the spec itself; write to another file\n")
    assert small.read_text() == TEXT


def test_progress_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say = command._progress()
    say("layers")
    say("")
    assert capsys.readouterr().err == "\r\033[Kmeasuring: layers\r\033[K"
