"""cnnplan predict: its formats, what it skips, and its exit codes."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F  # noqa: N812

import cnnplan as package
from cnnplan.runtime.training.artifact import Trained, save
from tests.cli import run
from tests.cli.inside import cnnplan
from tests.test_start_up import modules_after

SPEC = """\
cnnplan: 1
name: tiny
input: [3, 4, 6]
variables: {classes: 3}
layers: [flatten, {linear: =classes}]
train: {loss: LOSS}
"""
NAMES = ("ant", 'bee, "big"', "=cat")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A spec, its weights, and a folder of images of the network's size: shades that are known."""
    torch.manual_seed(0)
    for loss in ("cross_entropy", "binary_cross_entropy", "mse"):
        (tmp_path / f"{loss}.yaml").write_text(SPEC.replace("LOSS", loss))
    state = {k: v * 8 for k, v in package.build(tmp_path / "mse.yaml").state_dict().items()}
    for loss in ("cross_entropy", "binary_cross_entropy", "mse"):
        names = () if loss == "mse" else NAMES
        save(tmp_path / f"{loss}.safetensors", state, Trained(names, ((0.5, 0.5, 0.5),), ((0.5, 0.5, 0.5),), "", loss))
    torch.save(state, tmp_path / "plain.pt")
    random = np.random.default_rng(0)
    for name in ("b.png", "a.png", "inner/c, 1.png"):
        (tmp_path / "images" / name).parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(random.integers(0, 256, (4, 6, 3), dtype=np.uint8)).save(tmp_path / "images" / name)
    return tmp_path


PATHS = ["images/a.png", "images/b.png", "images/inner/c, 1.png"]


def scores(here: Path, path: str) -> Any:
    """The outputs of the network, by hand."""
    state = torch.load(here / "plain.pt", weights_only=True)
    x = torch.from_numpy(np.asarray(Image.open(here / path)).transpose(2, 0, 1).astype(np.float64) / 255)
    return F.linear(((x - 0.5) / 0.5).flatten(), state["linear1.weight"].double(), state["linear1.bias"].double())


def predict(
    here: Path, *arguments: object, loss: str = "cross_entropy", code: int = 0, paths: Any = ("images",)
) -> Any:
    result = cnnplan("predict", f"{loss}.yaml", *paths, "--weights", f"{loss}.safetensors", *arguments, cwd=here)
    assert result.code == code, result
    return result


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_json_is_as_the_contract_says(here: Path) -> None:
    result = predict(here, "--top", "2", "--format", "json")
    assert result.err == ""
    found = json.loads(result.out)
    assert list(found) == ["format_version", "predictions", "skipped"]
    assert (found["format_version"], found["skipped"]) == ("1.0", [])
    assert [one["path"] for one in found["predictions"]] == PATHS
    for one in found["predictions"]:
        p = scores(here, one["path"]).softmax(0)
        order = p.argsort(descending=True)[:2].tolist()
        assert [(top["class"], top["probability"]) for top in one["top"]] == [
            (NAMES[i], pytest.approx(p[i].item(), abs=5.1e-5)) for i in order
        ]
        assert list(one) == ["path", "class", "probability", "top"]
        assert (one["class"], one["probability"]) == (NAMES[order[0]], one["top"][0]["probability"])


def test_the_formats_say_the_same(here: Path) -> None:
    found = json.loads(predict(here, "--top", "2", "--format", "json").out)["predictions"]
    title, *lines = rows(predict(here, "--top", "2", "--format", "csv").out)
    assert title == ["path", "class", "probability", "class2", "probability2"]
    assert lines == [
        [one["path"], *(cell for top in one["top"] for cell in (top["class"], f"{top['probability']:.4f}"))]
        for one in found
    ]
    title, *lines = predict(here, "--top", "2").out.splitlines()
    assert title.split() == ["path", "class", "probability", "class", "probability"]
    for line, one in zip(lines, found, strict=True):
        cells = [one["path"], *(c for top in one["top"] for c in (top["class"], f"{top['probability']:.4f}"))]
        assert re.split(r"  +", line) == cells
    one_column = predict(here, "--format", "csv").out
    assert rows(one_column)[0] == ["path", "class", "probability"]
    assert rows(one_column)[1:] == [line[:3] for line in rows(predict(here, "--top", "9", "--format", "csv").out)[1:]]


@pytest.mark.parametrize("columns", [40, 80, 160])
def test_tables_fit_their_width(here: Path, columns: int) -> None:
    long = here / "images" / ("x" * 120 + ".png")
    (here / "images" / "a.png").rename(long)
    out = cnnplan(
        *("predict", "cross_entropy.yaml", "images", "--weights", "cross_entropy.safetensors"),
        cwd=here,
        COLUMNS=str(columns),
    ).out
    assert max(map(len, out.splitlines())) <= columns
    assert "xxx.png  " in out


def test_labels(here: Path) -> None:
    loss = "binary_cross_entropy"
    found = json.loads(predict(here, "--format", "json", loss=loss).out)["predictions"]
    expected = {}
    for path in PATHS:
        p = scores(here, path).sigmoid()
        order = p.argsort(descending=True).tolist()
        expected[path] = [(NAMES[i], pytest.approx(p[i].item(), abs=5.1e-5)) for i in order if p[i] >= 0.5]
    assert {one["path"]: [(t["class"], t["probability"]) for t in one["top"]] for one in found} == expected
    lines = rows(predict(here, "--format", "csv", loss=loss).out)
    assert lines[0] == ["path", "class", "probability"]
    assert len(lines) == 1 + sum(max(1, len(labels)) for labels in expected.values())
    np.save(here / "x.npy", np.zeros((2, 3, 4, 6), np.float32))
    everything = predict(here, "--format", "csv", "--top", "3", loss=loss, paths=("images", "x.npy")).out
    assert len(rows(everything)) == 1 + 5 * 3
    assert rows(everything)[-1][0] == "x.npy[1]"


def test_no_label_at_all(here: Path) -> None:
    state = {"linear1.weight": torch.zeros(3, 72), "linear1.bias": torch.full((3,), -2.0)}
    save(here / "none.safetensors", state, Trained(NAMES, ((),), ((),), "", "binary_cross_entropy"))
    arguments = ("predict", "cross_entropy.yaml", "images/a.png", "--weights", "none.safetensors", "-q")
    (one,) = json.loads(cnnplan(*arguments, "--format", "json", cwd=here).out)["predictions"]
    assert one == {"path": "images/a.png", "class": None, "probability": None, "top": []}
    assert rows(cnnplan(*arguments, "--format", "csv", cwd=here).out)[1] == ["images/a.png", "", ""]
    assert cnnplan(*arguments, cwd=here).out.splitlines()[1] == "images/a.png  none at or above 0.5"


def test_values(here: Path) -> None:
    found = json.loads(predict(here, "--format", "json", loss="mse").out)["predictions"]
    for one, path in zip(found, PATHS, strict=True):
        assert list(one) == ["path", "values"]
        assert one["values"] == pytest.approx(scores(here, path).tolist(), rel=6e-5)
    lines = rows(predict(here, "--format", "csv", loss="mse").out)
    assert lines == [["path", "value0", "value1", "value2"]] + [
        [one["path"], *(f"{n:g}" for n in one["values"])] for one in found
    ]
    for line, one in zip(predict(here, loss="mse").out.splitlines()[1:], found, strict=True):
        assert line.split()[-3:] == [f"{n:g}" for n in one["values"]]


def test_classes_by_value(here: Path) -> None:
    state = torch.load(here / "plain.pt", weights_only=True)
    save(here / "scores.safetensors", state, Trained(NAMES, ((0.5,) * 3,), ((0.5,) * 3,), "", "mse"))
    arguments = ("predict", "mse.yaml", "images", "--weights", "scores.safetensors", "--top", "2")
    found = json.loads(cnnplan(*arguments, "--format", "json", cwd=here).out)["predictions"]
    for one, path in zip(found, PATHS, strict=True):
        y = scores(here, path)
        order = y.argsort(descending=True)[:2].tolist()
        assert [(top["class"], top["value"]) for top in one["top"]] == [
            (NAMES[i], pytest.approx(y[i].item(), rel=6e-5)) for i in order
        ]
        assert (one["class"], one["value"]) == (one["top"][0]["class"], one["top"][0]["value"])
    lines = rows(cnnplan(*arguments, "--format", "csv", cwd=here).out)
    assert lines[0] == ["path", "class", "value", "class2", "value2"]
    assert lines[1][1:] == [cell for top in found[0]["top"] for cell in (top["class"], f"{top['value']:g}")]
    assert cnnplan(*arguments, cwd=here).out.split()[:5] == ["path", "class", "value", "class", "value"]


def test_maps(here: Path) -> None:
    spec = "cnnplan: 1\nname: m\ninput: [3, 4, 6]\nlayers: [{conv: {out_channels: 2, kernel_size: 1}}]\n"
    (here / "m.yaml").write_text(spec)
    # the first class where red is above one half
    weights = {
        "conv1.weight": torch.tensor([[1.0, 0, 0], [0, 0, 0]]).view(2, 3, 1, 1),
        "conv1.bias": torch.tensor([-0.5, 0]),
    }
    save(here / "m.safetensors", weights, Trained(("red", "other"), ((),), ((),), "m", "cross_entropy"))
    share = float((np.asarray(Image.open(here / "images/a.png"))[..., 0] >= 128).mean())
    arguments = ("predict", "m.yaml", "images/a.png", "--weights", "m.safetensors")
    (one,) = json.loads(cnnplan(*arguments, "--format", "json", cwd=here).out)["predictions"]
    expected = sorted([("red", round(share, 4)), ("other", round(1 - share, 4))], key=lambda pair: -pair[1])
    assert [(part["class"], part["share"]) for part in one["shares"]] == expected
    assert rows(cnnplan(*arguments, "--format", "csv", cwd=here).out) == [
        ["path", "class", "share"],
        *(["images/a.png", name, f"{n:.4f}"] for name, n in expected),
    ]
    said = ", ".join(f"{name} {n:.4f}" for name, n in expected)
    assert cnnplan(*arguments, cwd=here).out == f"path          shares\nimages/a.png  {said}\n"
    (here / "m.yaml").write_text(f"{spec}train: {{loss: mse}}\n")
    save(here / "m.safetensors", weights, Trained((), ((),), ((),), "m", "mse"))
    red = np.asarray(Image.open(here / "images/a.png"))[..., 0] / 255 - 0.5
    (one,) = json.loads(cnnplan(*arguments, "--format", "json", cwd=here).out)["predictions"]
    assert (one["mean"], one["minimum"], one["maximum"]) == pytest.approx(
        (red.mean() / 2, red.min(), red.max()), rel=1e-4
    )
    assert rows(cnnplan(*arguments, "--format", "csv", cwd=here).out)[0] == ["path", "mean", "minimum", "maximum"]


def test_without_metadata_classes_are_numbers(here: Path) -> None:
    arguments = ("predict", "cross_entropy.yaml", "images/a.png", "--weights", "plain.pt", "--format", "json")
    result = cnnplan(*arguments, cwd=here)
    assert json.loads(result.out)["predictions"][0]["class"] in ("0", "1", "2")
    assert result.err == (
        "note: plain.pt says nothing of classes and normalization: classes are numbers, and bytes go in as 0…1\n"
    )
    assert cnnplan(*arguments, "-q", cwd=here) == (0, result.out, "")


def test_files_that_cannot_be_read_are_named_and_the_others_predicted(here: Path) -> None:
    (here / "images" / "a2.png").write_text("nonsense")
    (here / "images" / "inner" / "cut.jpg").write_bytes((here / "images" / "b.png").read_bytes()[:60])
    (here / "images" / "labels.csv").write_text("")
    (here / "images" / "notes.md").write_text("")
    result = predict(here, "--format", "json", code=1)
    found = json.loads(result.out)
    assert [one["path"] for one in found["predictions"]] == PATHS
    assert {one["path"]: one["reason"] for one in found["skipped"]} == {
        "images/a2.png": "no image",
        "images/inner/cut.jpg": next(one["reason"] for one in found["skipped"] if "cut" in one["path"]),
        "images/labels.csv": "no sample by its name",
        "images/notes.md": "no sample by its name",
    }
    assert result.err.splitlines()[:2] == [
        "left out, by its name no sample: images/labels.csv and 1 more",
        "error: cannot read images/a2.png: no image",
    ]
    quiet = predict(here, "-q", code=1)
    assert len(quiet.err.splitlines()) == 2
    assert all(line.startswith("error: ") for line in quiet.err.splitlines())
    (here / "images" / "a2.png").unlink()
    (here / "images" / "inner" / "cut.jpg").unlink()
    assert predict(here, "-q").err == ""  # what is left out by its name is no failure
    assert predict(here, paths=("images/notes.md",), code=1).out.count("\n") == 1  # named, it is


def test_names_that_files_may_have(here: Path) -> None:
    names = ["a\n\x1b[31mb.png", 'c",d.png', "=1+1.png", "ü 日本.png", os.fsdecode(b"\xff.png")]
    source = (here / "images" / "a.png").read_bytes()
    for name in names:
        (here / "odd").mkdir(exist_ok=True)
        (here / "odd" / name).write_bytes(source)
    wanted = sorted(f"odd/{name}" for name in names)
    found = json.loads(predict(here, "--format", "json", paths=("odd",)).out)
    assert [one["path"] for one in found["predictions"]] == wanted
    lines = rows(predict(here, "--format", "csv", paths=("odd",)).out)[1:]
    assert [line[0] for line in lines] == [name.replace("\udcff", "\\udcff") for name in wanted]
    table = predict(here, paths=("odd",)).out
    assert "\x1b" not in table
    assert len(table.splitlines()) == 1 + len(names)
    predict(here, "--format", "json", "-o", "out.json", paths=("odd",))
    assert json.loads((here / "out.json").read_text())["predictions"] == found["predictions"]


@pytest.mark.parametrize("format_", ["table", "csv", "json"])
def test_an_output_file_has_what_is_printed(here: Path, format_: str) -> None:
    printed = predict(here, "--format", format_).out
    assert predict(here, "--format", format_, "-o", "out.txt") == (0, "", "")
    assert (here / "out.txt").read_text() == printed
    assert predict(here, "--format", format_, "-o", "-").out == printed


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_the_batch_changes_nothing(here: Path, batch: int) -> None:
    assert predict(here, "--batch", batch, "--format", "json").out == predict(here, "--format", "json").out


def test_variables_sizes_and_color(here: Path) -> None:
    torch.manual_seed(1)
    wide = package.build(here / "cross_entropy.yaml", variables={"classes": 7}, input_size=(5, 7)).state_dict()
    save(here / "w.safetensors", wide, Trained(tuple("abcdefg"), ((),), ((),), "", "cross_entropy"))
    arguments = ("predict", "cross_entropy.yaml", "images", "--weights", "w.safetensors", "--format", "csv")
    result = cnnplan(*arguments, "--set", "classes=7", "--input-size", "5x7", "--top", "7", cwd=here)
    assert len(rows(result.out)[1]) == 1 + 2 * 7
    refused = cnnplan(*arguments, cwd=here)
    assert (refused.code, refused.out) == (2, "")
    assert "gives 3 classes, and the weights were trained for 7 (a, b, c, …)" in refused.err
    assert "\x1b[1m" in predict(here, "--color", "always").out
    spec = (here / "cross_entropy.yaml").read_text()
    standard = cnnplan("predict", "-", "images", "--weights", "cross_entropy.safetensors", stdin=spec, cwd=here)
    assert standard.out == predict(here).out


def test_progress_is_for_terminals(here: Path) -> None:
    """With standard error on a terminal, and results elsewhere."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "cnnplan", "predict", "cross_entropy.yaml", "images", "images/none.png"]
    (here / "images" / "none.png").write_text("")
    weights = ["--weights", "cross_entropy.safetensors", "--format", "csv"]
    result = subprocess.run([*command, *weights], cwd=here, stdout=subprocess.PIPE, stderr=theirs, timeout=60)
    os.close(theirs)
    said = os.read(ours, 10_000).decode()
    os.close(ours)
    assert result.returncode == 1
    assert result.stdout.decode() == predict(here, "--format", "csv", code=1).out
    for count in range(1, 5):
        assert f"\r\x1b[K{count} of 4 files" in said
    assert "\r\x1b[Kerror: cannot read images/none.png: no image\r\n" in said
    assert said.endswith("\r\x1b[K")


def test_what_train_measured_is_what_predict_says(here: Path) -> None:
    """The accuracy on the test images, counted from the predictions of their files."""
    random = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 9)):
        for number, name in enumerate(("blue", "green", "red")):
            folder = here / "data" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = random.integers(0, 200, (*random.integers(3, 9, 2), 3))
                pixels[..., 2 - number] += random.integers(0, 56)
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    text = SPEC.replace("LOSS", "cross_entropy, epochs: 1, batch: 6").replace("flatten,", "{conv: 4}, flatten,")
    (here / "net.yaml").write_text(
        text.replace("{conv: 4}", "{conv: {out_channels: 4, kernel_size: 1}}, batchnorm, relu")
    )
    trained = cnnplan("train", "net.yaml", "--data", "folder:data", "-o", "run", "-q", cwd=here)
    assert trained.code == 0, trained.err
    summary = json.loads((here / "run" / "summary.json").read_text())
    weights = ("--weights", "run/model.safetensors", "--format", "csv")
    found = rows(cnnplan("predict", "net.yaml", "data/test", *weights, cwd=here).out)[1:]
    assert len(found) == 27
    right = sum(Path(path).parent.name == name for path, name, _ in found)
    assert right / 27 == pytest.approx(summary["test_accuracy"], abs=1e-6)


def test_a_spec_that_is_not_valid(here: Path) -> None:
    (here / "broken.yaml").write_text(SPEC.replace("flatten", "flaten").replace("LOSS", "mse"))
    result = cnnplan("predict", "broken.yaml", "images", "--weights", "plain.pt", cwd=here)
    assert (result.code, result.out) == (1, "")
    assert "unknown operation 'flaten'" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("images", "none.png", "--weights", "plain.pt"), "error: cannot read none.png: no such file or directory"),
        (("images", "--weights", "none.pt"), "error: cannot read none.pt: no such file or directory"),
        (("images", "--weights", "images"), "error: images is a directory: name the .safetensors or"),
        (("empty", "--weights", "plain.pt"), "error: no images in empty"),
        (("images",), "Missing option '--weights'"),
        (("--weights", "plain.pt"), "Missing argument 'PATH"),
        (("images", "--weights", "plain.pt", "--top", "0"), "Invalid value for '--top'"),
        (("images", "--weights", "plain.pt", "--batch", "0"), "Invalid value for '--batch'"),
        (("images", "--weights", "plain.pt", "--device", "tpu"), "'tpu' is not one of 'auto', 'cpu', 'cuda'"),
        (("images", "--weights", "plain.pt", "--device", "cuda"), "error: there is no CUDA device here"),
        (("images", "--weights", "plain.pt", "--set", "width=3"), "error: the spec has no variable 'width' to set"),
        (("images", "--weights", "mse.safetensors", "--top", "2"), "error: --top is about classes"),
        (("images", "--weights", "plain.pt", "-o", "images"), "error: cannot write images: it is a directory"),
        (("images", "--weights", "plain.pt", "-o", "no/a.csv"), "error: cannot write no/a.csv: there is no folder no"),
        (("images", "--weights", "other.pt"), "layer 'linear1' (line 5): weight is 3x72 in the spec, 3x5 in other.pt"),
    ],
)
def test_wrong_usage_exits_with_2(here: Path, arguments: tuple[str, ...], message: str) -> None:
    (here / "empty").mkdir()
    torch.save({"linear1.weight": torch.zeros(3, 5), "linear1.bias": torch.zeros(3)}, here / "other.pt")
    result = cnnplan("predict", "cross_entropy.yaml", *arguments, cwd=here)
    assert (result.code, result.out) == (2, "")
    assert message in " ".join(result.err.split())


@pytest.mark.parametrize("missing", ["torch", "PIL"])
def test_without_an_extra(here: Path, missing: str) -> None:
    (here / "absent").mkdir()
    (here / "absent" / f"{missing}.py").write_text(
        f"raise ModuleNotFoundError(\"No module named '{missing}'\", name='{missing}')\n"
    )
    arguments = ("predict", "mse.yaml", "images", "--weights", "mse.safetensors")
    result = run.cnnplan(*arguments, cwd=here, PYTHONPATH=str(here / "absent"))
    assert result == (2, "", f"error: this needs {missing}: pip install 'cnnplan[train]'\n")


def test_what_is_loaded(here: Path) -> None:
    assert not modules_after("predict", "--help") & {"torch", "numpy", "PIL", "safetensors"}
    paths = [str(here / name) for name in ("mse.yaml", "images", "mse.safetensors")]
    loaded = modules_after("predict", *paths[:2], "--weights", paths[2])
    assert "torch" in loaded
    assert not loaded & {"lightning", "torchmetrics", "kornia", "sklearn", "matplotlib"}
