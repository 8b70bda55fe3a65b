"""The command `train`: what it says, what it leaves, what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.cli.inside import cnnplan
from tests.cli.run import ROOT

SPEC = """cnnplan: 1
name: small
input: [1, 8, 8]
variables: {classes: 10}
layers:
  - conv: {out_channels: 8, kernel_size: 3}
  - relu
  - flatten
  - linear: =classes
train: {optimizer: {sgd: {lr: 0.1, momentum: 0.9}}, epochs: 2}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text(SPEC)
    return tmp_path


def test_a_run_and_its_files(folder: Path) -> None:
    done = cnnplan("train", "small.yaml", "--data", "digits", cwd=folder)
    assert done.code == 0, done.err
    run = folder / "runs" / "small"
    summary = json.loads((run / "summary.json").read_text())
    assert f"test accuracy {summary['test_accuracy']:.2%}".replace("%", " %") in done.out
    assert summary["test_accuracy"] > 0.85
    assert summary["data"] | {"fingerprint": ""} == {
        "name": "digits", "fingerprint": "", "classes": 10, "train": 1294, "val": 144, "test": 359,
        "replaced": [], "class_names": list("0123456789"),
    }  # fmt: skip
    assert summary["memory"]["planned"]["training_peak"] == summary["memory"]["measured"]["training_peak"]
    assert [line.split(",")[0] for line in (run / "metrics.csv").read_text().splitlines()] == ["epoch", "1", "2"]
    assert (run / "spec.yaml").read_text() == SPEC
    assert "class Small(" in (run / "model.py").read_text()
    for name in ("curves.png", "confusion.png"):
        with Image.open(run / name) as image:
            assert min(image.size) > 300
    assert list((run / "tensorboard").glob("events*"))
    assert "epoch 2/2" in done.err
    assert "resized" not in done.err
    again = cnnplan("train", "small.yaml", "--data", "digits", "--epochs", 1, "-q", cwd=folder)
    assert (again.code, again.err) == (0, "")
    assert (folder / "runs" / "small-2" / "summary.json").exists()


def test_tensorboard_has_the_rows(folder: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert cnnplan("train", "small.yaml", "--data", "digits", "-o", "r", "-q", cwd=folder).code == 0
    events = EventAccumulator(str(folder / "r" / "tensorboard"))
    events.Reload()
    header, *rows = (folder / "r" / "metrics.csv").read_text().splitlines()
    column = header.split(",").index("val_loss")
    found = [(event.step, event.value) for event in events.Scalars("val_loss")]
    assert found == [(i, pytest.approx(float(row.split(",")[column]))) for i, row in enumerate(rows, 1)]


def test_a_run_is_not_overwritten(folder: Path) -> None:
    assert cnnplan("train", "small.yaml", "--data", "digits", "-o", "r", "--epochs", 1, cwd=folder).code == 0
    before = (folder / "r" / "model.safetensors").read_bytes()
    again = cnnplan("train", "small.yaml", "--data", "digits", "-o", "r", cwd=folder)
    assert (again.code, again.out) == (2, "")
    assert "r has a run already: --resume goes on with it" in again.err
    assert (folder / "r" / "model.safetensors").read_bytes() == before


def test_a_finished_run_is_resumed_to_more_epochs(folder: Path) -> None:
    assert cnnplan("train", "small.yaml", "--data", "digits", "-o", "r", "--epochs", 1, cwd=folder).code == 0
    assert cnnplan("train", "small.yaml", "--data", "digits", "-o", "r", "--resume", cwd=folder).code == 0
    assert cnnplan("train", "small.yaml", "--data", "digits", "-o", "whole", cwd=folder).code == 0
    one, two = (torch.load(folder / name / "checkpoints/last.ckpt", weights_only=True) for name in ("r", "whole"))
    assert all(torch.equal(one["state_dict"][key], tensor) for key, tensor in two["state_dict"].items())


def test_a_dry_run_says_what_would_be_and_writes_nothing(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    done = cnnplan("train", "small.yaml", "--data", "digits", "--dry-run", cwd=folder, COLUMNS="80")
    assert done.code == 0
    assert sorted(folder.rglob("*")) == before
    for words in ("1,294 to train, 144 to validate, 359 to test, 10 classes", "at the peak", "an epoch", "runs/small"):
        assert words in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_cross_validation(folder: Path) -> None:
    done = cnnplan("train", "small.yaml", "--data", "digits", "--folds", 3, "--epochs", 1, "-o", "f", "-q", cwd=folder)
    assert done.code == 0, done.err
    summary = json.loads((folder / "f" / "summary.json").read_text())
    values = [json.loads((folder / "f" / f"fold-{i}" / "summary.json").read_text()) for i in (1, 2, 3)]
    accuracies = [one["test_accuracy"] for one in values]
    assert summary["test_accuracy"] == pytest.approx(np.mean(accuracies))
    assert summary["test_accuracy_deviation"] == pytest.approx(np.std(accuracies, ddof=1))
    assert sum(one["data"]["test"] for one in values) == 1797  # each sample is tested once
    assert "3 folds" in done.out
    (folder / "f" / "fold-3" / "summary.json").unlink()
    again = cnnplan(
        "train", "small.yaml", "--data", "digits", "--folds", 3, "--epochs", 1, "-o", "f", "-q", "--resume", cwd=folder
    )
    assert again.code == 0
    assert json.loads((folder / "f" / "summary.json").read_text())["folds"] == summary["folds"]


def test_transfer_says_what_was_taken(folder: Path) -> None:
    assert cnnplan("train", "small.yaml", "--data", "digits", "-o", "r", "--epochs", 1, cwd=folder).code == 0
    five = SPEC.replace("classes: 10", "classes: 5").replace(
        "kernel_size: 3}\n", "kernel_size: 3}\n    trainable: false\n"
    )
    (folder / "five.yaml").write_text(five)
    from sklearn.datasets import load_digits

    digits = load_digits()
    few = digits.target < 5
    np.savez(folder / "few.npz", x=(digits.images[few] * 15).astype(np.uint8), y=digits.target[few])
    done = cnnplan(
        "train", "five.yaml", "--data", "npz:few.npz", "--weights", "r/model.safetensors", "-o", "t", cwd=folder
    )
    assert done.code == 0, done.err
    assert "loaded 2 of 4 tensors of r/model.safetensors" in done.err
    assert "linear1.weight" in done.err
    before, after = (torch.load(folder / n / "checkpoints/last.ckpt", weights_only=True) for n in ("r", "t"))
    from safetensors.torch import load_file

    taken = load_file(folder / "r" / "model.safetensors")
    assert torch.equal(taken["conv1.weight"], after["state_dict"]["net.conv1.weight"])
    assert before["state_dict"].keys() == after["state_dict"].keys()


def test_predictions_of_a_trained_network(folder: Path) -> None:
    from sklearn.datasets import load_digits

    assert cnnplan("train", "small.yaml", "--data", "digits", "-o", "r", "--epochs", 5, cwd=folder).code == 0
    digits = load_digits()
    (folder / "images").mkdir()
    for i in range(60):
        Image.fromarray(np.round(digits.images[i] * 255 / 16).astype(np.uint8)).save(folder / "images" / f"{i:02}.png")
    done = cnnplan(
        "predict", "small.yaml", "--weights", "r/model.safetensors", "images", "--format", "json", cwd=folder
    )
    assert done.code == 0, done.err
    found = [int(one["class"]) for one in json.loads(done.out)["predictions"]]
    assert sum(a == b for a, b in zip(found, digits.target[:60], strict=True)) >= 55


def test_findings_are_said_before_it_starts(folder: Path) -> None:
    (folder / "soft.yaml").write_text(
        SPEC.replace("  - linear: =classes", "  - linear: =classes\n  - softmax").replace(
            "{optim", "{loss: cross_entropy, optim"
        )
    )
    done = cnnplan("train", "soft.yaml", "--data", "digits", "--epochs", 1, "-q", cwd=folder)
    assert done.code == 0
    assert done.err.startswith("soft.yaml:10:5: error[H301] ")


def test_options_of_the_spec_are_kept(folder: Path) -> None:
    given = ("--set", "classes=10", "--input-size", 6)
    assert cnnplan("train", "small.yaml", "--data", "digits", *given, "-o", "r", "-q", cwd=folder).code == 0
    assert (folder / "r" / "spec.yaml").read_text() == "# trained with --set classes=10 --input-size 6\n" + SPEC
    assert json.loads((folder / "r" / "summary.json").read_text())["spec_options"] == "--set classes=10 --input-size 6"
    Image.new("L", (6, 6)).save(folder / "a.png")
    (folder / "conv.yaml").write_text(SPEC.replace("  - flatten\n", "  - global_avgpool\n  - flatten\n"))
    assert cnnplan("train", "conv.yaml", "--data", "digits", *given, "-o", "c", "-q", cwd=folder).code == 0
    done = cnnplan("predict", "conv.yaml", "--weights", "c/model.safetensors", "a.png", cwd=folder)
    assert done.code == 0
    assert "was trained at 1x6x6, and this network takes 1x8x8: give --set classes=10 --input-size 6" in done.err


def test_files_of_equal_runs_are_equal(folder: Path) -> None:
    for name in ("a", "b"):
        assert cnnplan("train", "small.yaml", "--data", "digits", "-o", name, "-q", cwd=folder).code == 0
    first, second = ((folder / name / "model.safetensors").read_bytes() for name in ("a", "b"))
    assert first == second


def test_early_stopping_is_said_and_a_run_that_has_ended_says_so(folder: Path) -> None:
    text = SPEC.replace("epochs: 2}", "epochs: 9, early_stopping: {patience: 1}}").replace("lr: 0.1", "lr: 1e-12")
    (folder / "still.yaml").write_text(text)
    done = cnnplan("train", "still.yaml", "--data", "digits", "-o", "r", cwd=folder)
    rows = (folder / "r" / "metrics.csv").read_text().splitlines()[1:]
    assert len(rows) < 9
    assert f"stopped early: no epoch since {len(rows) - 1} was better" in done.err
    again = cnnplan("train", "still.yaml", "--data", "digits", "-o", "r", "--resume", cwd=folder)
    assert again.code == 0
    assert f"the run has ended after epoch {len(rows)}: nothing is left to train" in again.err


def test_a_cross_validation_and_a_single_run_are_not_mixed(folder: Path) -> None:
    assert cnnplan("train", "small.yaml", "--data", "digits", "-o", "r", "--epochs", 1, cwd=folder).code == 0
    before = (folder / "r" / "summary.json").read_bytes()
    mixed = cnnplan("train", "small.yaml", "--data", "digits", "-o", "r", "--resume", "--folds", 2, cwd=folder)
    assert (mixed.code, "r is a run without --folds" in mixed.err) == (2, True)
    assert (folder / "r" / "summary.json").read_bytes() == before
    (folder / "f" / "fold-1").mkdir(parents=True)
    mixed = cnnplan("train", "small.yaml", "--data", "digits", "-o", "f", "--resume", cwd=folder)
    assert (mixed.code, "f is a cross-validation: give its --folds" in mixed.err) == (2, True)


def test_a_folder_with_other_files_is_left_alone(folder: Path) -> None:
    (folder / "photos").mkdir()
    (folder / "photos" / "a.txt").write_text("a")
    done = cnnplan("train", "small.yaml", "--data", "digits", "-o", "photos", cwd=folder)
    assert (done.code, "photos is a folder with other files" in done.err) == (2, True)


def test_another_recipe_is_named_setting_by_setting(folder: Path) -> None:
    assert cnnplan("train", "small.yaml", "--data", "digits", "-o", "r", "--epochs", 1, cwd=folder).code == 0
    other = ("--batch", 16, "--lr", 0.2)
    done = cnnplan("train", "small.yaml", "--data", "digits", "-o", "r", "--resume", *other, cwd=folder)
    assert done.code == 2
    assert "was trained otherwise: optimizer.sgd.lr is 0.2, was 0.1; batch is 16, was 32;" in done.err


BAD = [
    (["--data", "digits", "--nodes", "2"], "--nodes 2 needs a launcher on each machine: torchrun --nnodes 2"),
    (["--data", "digits", "--resume", "--weights", "w.safetensors"], "leave --weights out"),
    (["--data", "nothing"], "nothing"),
    (["--data", "folder:nowhere"], "nowhere"),
    (["--data", "npz:nowhere.npz"], "nowhere.npz"),
    (["--data", "digits", "--device", "cuda"], "there is no CUDA device here"),
    (["--data", "digits", "--dtype", "float16"], "float16 needs CUDA"),
    (["--data", "digits", "--dtype", "float17"], "there is no dtype 'float17'; did you mean 'float16'?"),
    (["--data", "digits", "--optimizer", "adm"], "there is no optimizer 'adm'; did you mean 'adam'?"),
    (["--data", "digits", "--set", "classes=7"], "small.yaml:9: 'linear1' gives 7 classes, the data have 10"),
    (["--data", "digits", "--lr", "0"], "--lr is a number > 0"),
    (["--data", "digits", "--resume"], "there is no run of 'small' in runs/ to resume"),
    (["--data", "digits", "--resume", "-o", "gone"], "there is nothing to resume"),
    (["--data", "digits", "-o", "small.yaml"], "small.yaml is a file"),
    (["--data", "digits", "--weights", "gone.safetensors"], "gone.safetensors"),
    (["--data", "digits", "--weights", "small.yaml"], "small.yaml"),
    (["--data", "digits", "--folds", "2000"], "fold"),
]


@pytest.mark.parametrize(("options", "words"), BAD, ids=[" ".join(options) for options, _ in BAD])
def test_what_cannot_begin_says_why(folder: Path, options: list[str], words: str) -> None:
    done = cnnplan("train", "small.yaml", *options, "-q", cwd=folder)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert done.err.count("error:") == 1
    assert not (folder / "runs").exists()


def test_channels_that_disagree_are_named_with_their_place(folder: Path) -> None:
    (folder / "color.yaml").write_text(SPEC.replace("input: [1,", "input: [3,"))
    done = cnnplan("train", "color.yaml", "--data", "digits", cwd=folder)
    assert done.code == 2
    assert "color.yaml:3: the input has 3 channels, the images have 1" in done.err


def test_a_spec_that_is_not_valid_exits_with_1(folder: Path) -> None:
    (folder / "bad.yaml").write_text(SPEC.replace("relu", "rel"))
    done = cnnplan("train", "bad.yaml", "--data", "digits", cwd=folder)
    assert done.code == 1
    assert "unknown operation 'rel'" in done.err


def test_a_loss_that_is_not_finite_names_the_layer(folder: Path) -> None:
    done = cnnplan("train", "small.yaml", "--data", "digits", "--lr", "1e30", "-o", "n", "-q", cwd=folder)
    assert done.code == 2
    assert "the loss is nan in epoch 1, step " in done.err
    assert "is the first layer that gives " in done.err
    assert "(line " not in done.err.split("is the first")[0] or "conv1" in done.err


@pytest.mark.parametrize("memory", ["[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried", "CUDA"])
def test_out_of_memory_says_what_would_do(folder: Path, monkeypatch: pytest.MonkeyPatch, memory: str) -> None:
    from cnnplan.runtime.training.module import Trainee

    def refuse(*_: object) -> None:
        raise torch.OutOfMemoryError(memory) if memory == "CUDA" else RuntimeError(memory)

    monkeypatch.setattr(Trainee, "training_step", refuse)
    done = cnnplan("train", "small.yaml", "--data", "digits", "-o", "n", "-q", cwd=folder)
    assert done.code == 2
    assert "out of memory: the plan needs " in done.err
    assert "cnnplan fit small.yaml" in done.err


def test_a_dry_run_that_is_out_of_memory_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnplan.runtime.training.module import Trainee

    def refuse(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA")

    monkeypatch.setattr(Trainee, "training_step", refuse)
    done = cnnplan("train", "small.yaml", "--data", "digits", "--dry-run", cwd=folder)
    assert (done.code, done.out, done.err.count("error:")) == (2, "", 1)
    assert "out of memory: the plan needs " in done.err
    assert "cnnplan fit small.yaml" in done.err


def test_memory_is_measured_where_a_quarter_of_the_machine_is_enough(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cnnplan.runtime.training import records

    def found(name: str) -> dict[str, Any]:
        assert cnnplan("train", "small.yaml", "--data", "digits", "--epochs", 1, "-o", name, "-q", cwd=folder).code == 0
        memory: dict[str, Any] = json.loads((folder / name / "summary.json").read_text())["memory"]
        return memory

    peak = found("a")["planned"]["training_peak"]
    monkeypatch.setattr(records, "machine_memory", lambda: 4 * peak)
    assert found("b")["measured"] == {"training_peak": peak}
    monkeypatch.setattr(records, "machine_memory", lambda: 4 * peak - 1)
    memory = found("c")
    assert memory["measured"] is None
    assert "more than a quarter of this machine's" in memory["unknown"]["measured"]


@pytest.mark.parametrize(("threads", "words"), [(1, "cpu, 1 thread"), (2, "cpu, 2 threads")])
def test_threads_are_counted(monkeypatch: pytest.MonkeyPatch, threads: int, words: str) -> None:
    from cnnplan.runtime.training import records

    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert records._device("cpu") == words


def test_options_of_several_lines_are_one_line_of_the_spec(folder: Path) -> None:
    given = ("--set", "classes=10\n", "--epochs", 1)
    assert cnnplan("train", "small.yaml", "--data", "digits", *given, "-o", "r", "-q", cwd=folder).code == 0
    assert (folder / "r" / "spec.yaml").read_text() == "# trained with --set 'classes=10\\n'\n" + SPEC


def test_without_the_extra_it_says_how_to_get_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in list(sys.modules):
        if name.startswith(("cnnplan.runtime.training", "lightning")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lightning", None)
    done = cnnplan("train", "small.yaml", "--data", "digits", cwd=folder)
    assert done.code == 2
    assert "pip install 'cnnplan[train]'" in done.err


def test_lenet5_of_the_zoo_reaches_98_percent_on_digits(tmp_path: Path) -> None:
    done = cnnplan("train", ROOT / "specs" / "lenet5.yaml", "--data", "digits", "-o", "r", "-q", cwd=tmp_path)
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "r" / "summary.json").read_text())["test_accuracy"] >= 0.98
