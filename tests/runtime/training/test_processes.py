"""Several processes train as one does with as large a batch; what one of them suffers, the training survives."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from torch.nn import functional as F  # noqa: N812

import cnnplan
from tests.cli.run import ROOT, Result
from tests.runtime.training import forked
from tests.runtime.training.forked import SECONDS, Rank, free_port, group
from tests.runtime.training.specs import (
    CHECKPOINT,
    FULL,
    IDLE,
    PLAIN,
    checkpoint,
    differences,
    left,
    no_leftovers,
    rows,
    same,
)

EXACT = PLAIN + "  ema: 0.9\n  clip_gradient: 0.5\n  regularize: {l1: 1.0e-3, max_norm: 1.0}\n"
"""What acts on weights and gradients of all processes, and depends on nothing but their mean."""
HEADS = """\
cnnplan: 1
name: heads
input: [1, 8, 8]
outputs: [digit, other, silent]
layers:
  - conv: {out_channels: 8, kernel_size: 3}
  - relu
  - flatten: {}
    name: features
  - linear: 10
    name: digit
  - {linear: 10, name: other, from: features}
  - {linear: 4, name: silent, from: features}
train:
  loss: {digit: cross_entropy, other: {cross_entropy: {weight: 0.5}}}
  optimizer: {sgd: {lr: 0.1}}
  epochs: 2
  batch: 64
"""
DIGITS = ("--data", "digits")


def launched(*command: object, cwd: Path) -> "subprocess.Popen[str]":
    """A command in processes of its own, as people start it, in a group for signals."""
    variables = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "100",
        "PYTHONUNBUFFERED": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, command)],
        cwd=cwd,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@contextmanager
def alive(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    """A process that does not outlive the test, nor do those it started."""
    try:
        with process:
            yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def trained(world: int, cwd: Path, *arguments: object) -> list[Result]:
    """So many processes that train together, to their end."""
    with group(world, "train", *arguments, cwd=cwd) as processes:
        return [one.result() for one in processes]


def curves(folder: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The losses of all epochs."""
    return np.array([[float(row["train_loss"]), float(row["val_loss"])] for row in rows(folder)])


def agree(a: Path, b: Path) -> None:
    """The same up to rounding: the losses of every epoch, and the weights."""
    assert curves(a).shape == curves(b).shape
    np.testing.assert_allclose(curves(a), curves(b), rtol=1e-4)
    first, second = left(a), left(b)
    for name, tensor in first.best.items():
        torch.testing.assert_close(tensor, second.best[name], rtol=0, atol=1e-4)
    for name, tensor in first.last["state_dict"].items():
        torch.testing.assert_close(tensor, second.last["state_dict"][name], rtol=0, atol=1e-4)
    assert first.summary["best_epoch"] == second.summary["best_epoch"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Specs, and what one process makes of them."""
    found = tmp_path_factory.mktemp("processes")
    for name, text in (("plain", PLAIN), ("exact", EXACT), ("heads", HEADS), ("full", FULL)):
        (found / f"{name}.yaml").write_text(text)
    for name in ("plain", "exact", "heads"):
        assert forked.run("train", f"{name}.yaml", *DIGITS, "-o", f"{name}-1", cwd=found).code == 0
    return found


# -------------------------------------------------------------------- as one does


@pytest.mark.parametrize("world", [2, 4])
@pytest.mark.parametrize(("spec", "strategy"), [("plain", "ddp"), ("exact", "ddp"), ("exact", "fsdp")])
def test_processes_train_as_one_does(folder: Path, world: int, spec: str, strategy: str) -> None:
    output = f"{spec}-{strategy}-{world}"
    options = (*DIGITS, "--batch", 64 // world, "--strategy", strategy, "-o", output)
    found = trained(world, folder, f"{spec}.yaml", *options)
    assert [one.code for one in found] == [0] * world
    assert [one.out[:5] for one in found] == ["plain"] + [""] * (world - 1)
    assert [one.err for one in found[1:]] == [""] * (world - 1)
    agree(folder / output, folder / f"{spec}-1")
    summary = left(folder / output).summary
    assert summary["processes"] == world
    assert {path.name for path in (folder / output).iterdir()} == {path.name for path in (folder / "plain-1").iterdir()}


def test_devices(folder: Path) -> None:
    """Processes that the first one starts."""
    options = ("plain.yaml", *DIGITS, "--devices", 4, "--batch", 16, "-o", "devices")
    result = forked.run("train", *options, cwd=folder, before=forked.launching)
    assert result.code == 0, result.err
    assert "batch 64 (16 x 4 processes)" in result.err
    assert result.err.count("epoch 1/3") == result.out.count("test accuracy") == 1
    agree(folder / "devices", folder / "plain-1")


# ------------------------------------------------------------------------ going on


@pytest.mark.parametrize(("world", "strategy"), [(2, "ddp"), (4, "ddp"), (2, "fsdp"), (3, "fsdp")])
def test_stopped_processes_go_on(folder: Path, world: int, strategy: str) -> None:
    """A signal to any of them, within an epoch; they agree on it every ten steps. The same bit for bit."""
    batch = 96 // world
    options = ("full.yaml", *DIGITS, "--batch", batch, "--epochs", 2, "--strategy", strategy)
    steps = 1294 // (batch * world)
    assert {one.code for one in trained(world, folder, *options, "-o", f"whole-{strategy}-{world}")} == {0}
    output = f"stopped-{strategy}-{world}"
    before = partial(forked.signalled_in, steps + 3, signal.SIGINT, world - 1)
    with group(world, "train", *options, "-o", output, cwd=folder, before=before) as processes:
        found = [one.result() for one in processes]
    assert {one.code for one in found} == {130}
    said = f"stopped after step 10 of {steps} of epoch 2; the same command with --resume goes on\n"
    assert found[0].err.endswith(said)
    assert found[-1].err == ""  # the first process speaks for all
    assert checkpoint(folder / output)["global_step"] == steps + 10
    assert {one.code for one in trained(world, folder, *options, "-o", output, "--resume")} == {0}
    same(left(folder / output), left(folder / f"whole-{strategy}-{world}"))
    no_leftovers(folder / output)


def test_processes_write_whole_tensors(folder: Path) -> None:
    """Of the network, and of the optimizer, from shards; one process can go on with them by --weights."""
    options = ("full.yaml", *DIGITS, "--batch", 32, "--epochs", 1)
    assert {one.code for one in trained(2, folder, *options, "--strategy", "fsdp", "-o", "sharded")} == {0}
    state = {name: tuple(x.shape) for name, x in cnnplan.build(FULL).state_dict().items()}
    with safe_open(folder / "sharded" / "model.safetensors", "pt") as file:
        assert {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()} == state  # noqa: SIM118
    found = checkpoint(folder / "sharded")
    assert {name.removeprefix("net."): tuple(x.shape) for name, x in found["state_dict"].items()} == state
    learned = {name: shape for name, shape in state.items() if "running" not in name and "num" not in name}
    average = found["callbacks"]["Average"]["average"]
    assert {name.removeprefix("net."): tuple(x.shape) for name, x in average.items()} == learned
    moments = [tuple(one["exp_avg"].shape) for one in found["optimizer_states"][0]["state"].values()]
    assert sorted(moments) == sorted(learned.values())


def test_resumed_by_other_processes(folder: Path) -> None:
    options = ("plain.yaml", *DIGITS, "--batch", 64, "--epochs", 4, "-o", "plain-1", "--resume")
    before = (folder / "plain-1" / CHECKPOINT).read_bytes()
    for one in trained(2, folder, *options):
        assert one.code == 2
        assert one.err.endswith(
            "processes is 2, plain-1/checkpoints/last.ckpt was trained with 1: a run goes on as it began\n"
        )
    assert (folder / "plain-1" / CHECKPOINT).read_bytes() == before


# --------------------------------------------------------------------- validation


@pytest.mark.parametrize("count", [1, 3, 8, 9, 11])
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_every_sample_is_validated_once(tmp_path: Path, count: int, strategy: str) -> None:
    """With batch norm, by two processes of four samples each; held against what the weights give."""
    digits = load_digits()
    x, y = digits.images.astype(np.float32)[:, None] / 16, digits.target
    splits = {"train": slice(0, 64), "val": slice(64, 64 + count), "test": slice(100, 110)}
    np.savez(
        tmp_path / "data.npz",
        **{f"{what}_{name}": all_[where] for what, all_ in (("x", x), ("y", y)) for name, where in splits.items()},
    )
    (tmp_path / "full.yaml").write_text(FULL)
    options = ("full.yaml", "--data", "npz:data.npz", "--batch", 4, "--epochs", 1, "--strategy", strategy)
    assert {one.code for one in trained(2, tmp_path, *options, "-o", "run")} == {0}
    path = tmp_path / "run" / "model.safetensors"
    with safe_open(path, "pt") as file:
        said = json.loads(file.metadata()["cnnplan"])
    np.testing.assert_allclose(said["mean"], [[x[splits["train"]].mean()]], rtol=1e-5)
    np.testing.assert_allclose(said["std"], [[x[splits["train"]].std()]], rtol=1e-5)
    model = cnnplan.build(FULL).eval()
    model.load_state_dict(load_file(path))
    inputs = (torch.from_numpy(x[splits["val"]]) - said["mean"][0][0]) / said["std"][0][0]
    with torch.no_grad():
        logits, labels = model(inputs), torch.from_numpy(y[splits["val"]])
    (row,) = rows(tmp_path / "run")
    assert float(row["val_accuracy"]) == pytest.approx((logits.argmax(1) == labels).float().mean().item(), abs=1e-7)
    assert float(row["val_loss"]) == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)


# -------------------------------------------------------------------------- others


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_outputs_without_a_loss(folder: Path, strategy: str) -> None:
    """Their parameters get no gradient, in no process, and stay as they are."""
    options = ("heads.yaml", *DIGITS, "--batch", 32, "--strategy", strategy, "-o", f"heads-{strategy}")
    assert {one.code for one in trained(2, folder, *options)} == {0}
    agree(folder / f"heads-{strategy}", folder / "heads-1")
    assert forked.run("train", "heads.yaml", *DIGITS, "--epochs", 1, "-o", f"{strategy}-once", cwd=folder).code == 0
    first = load_file(folder / f"{strategy}-once" / "model.safetensors")
    last = load_file(folder / f"heads-{strategy}" / "model.safetensors")
    assert {name for name in last if differences(last[name], first[name])} == {
        f"{layer}.{kind}" for layer in ("conv1", "digit", "other") for kind in ("weight", "bias")
    }


# --------------------------------------------------------------------------- lost


@pytest.mark.parametrize("lost", [0, 1])
def test_a_process_that_is_lost(folder: Path, lost: int) -> None:
    options = ("plain.yaml", *DIGITS, "--batch", 32, "--epochs", 400, "-o", f"lost-{lost}")
    path = folder / f"lost-{lost}" / CHECKPOINT
    with group(2, "train", *options, cwd=folder) as processes:
        deadline = time.monotonic() + SECONDS
        while "epoch   2/400" not in processes[0].err:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        processes[lost].process.kill()
        result = processes[1 - lost].result()
    assert result.code == 2
    assert result.err.endswith(
        "error: another process of this training was lost, or never came\n"
        f"the last checkpoint is as it was: {path.relative_to(folder)}; --resume goes on from it\n"
    )
    done = len(checkpoint(folder / f"lost-{lost}")["history"]["rows"])
    assert done >= 2
    go_on = (*options[:-3], done + 1, *options[-2:])
    assert {one.code for one in trained(2, folder, *go_on, "--resume")} == {0}
    assert {one.code for one in trained(2, folder, *go_on[:-1], f"whole-{lost}")} == {0}
    same(left(folder / f"lost-{lost}"), left(folder / f"whole-{lost}"))


def test_checkpoints_within_epochs(folder: Path) -> None:
    """--save-every is looked at every 100 steps."""
    options = ("full.yaml", *DIGITS, "--batch", 4, "--epochs", 1, "--save-every", 0)
    assert {one.code for one in trained(2, folder, *options, "-o", "rarely")} == {0}
    with group(2, "train", *options, "-o", "within", cwd=folder, before=partial(forked.killed_at, 4)) as processes:
        assert [one.result().code for one in processes] == [-signal.SIGKILL, 2]
    assert checkpoint(folder / "within")["global_step"] == 100
    assert {one.code for one in trained(2, folder, *options, "-o", "within", "--resume")} == {0}
    same(left(folder / "within"), left(folder / "rarely"))


def test_a_full_disk(folder: Path) -> None:
    """Only the first process writes; the others end, too."""
    options = ("full.yaml", *DIGITS, "--epochs", 1, "-o", "disk")
    with group(2, "train", *options, cwd=folder, before=partial(forked.limited, 4096)) as processes:
        found = [one.result() for one in processes]
    assert [one.code for one in found] == [2, 2]
    assert found[0].err.endswith("error: cannot write disk/model.safetensors: file too large\n")
    assert found[1].err == "error: another process of this training was lost, or never came\n"
    no_leftovers(folder / "disk")


def test_early_stopping(folder: Path) -> None:
    (folder / "idle.yaml").write_text(IDLE)
    assert {one.code for one in trained(2, folder, "idle.yaml", *DIGITS, "--epochs", 9, "-o", "idle")} == {0}
    assert len(rows(folder / "idle")) == 3


def test_a_killed_process_is_started_again(folder: Path) -> None:
    """By torchrun, which starts all of them again; the run goes on from the last checkpoint."""
    options = ("plain.yaml", *DIGITS, "--batch", 32, "--epochs", 30)
    through = trained(2, folder, *options, "-o", "through")
    assert [one.code for one in through] == [0, 0]
    launcher = ("torch.distributed.run", "--master-port", free_port(), "--nproc-per-node", 2, "--max-restarts", 2)
    command = (*launcher, "-m", "cnnplan", "train", *options, "-o", "again")
    with alive(launched(*command, cwd=folder)) as process:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if line.startswith("epoch  3/30"):
                os.kill(worker(process.pid, rank=1), signal.SIGKILL)
        assert process.wait(SECONDS) == 0, said
    assert re.search(r"note: the run goes on behind epoch \d+\n", said)
    assert said.count("epoch  3/30") == 1
    assert said.count("epoch 30/30") == 1
    same(left(folder / "again"), left(folder / "through"))
    no_leftovers(folder / "again")


def worker(launcher: int, rank: int) -> int:
    """The process of a rank that a launcher started."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == launcher and f"\0RANK={rank}\0" in (path / "environ").read_text():
                return int(path.name)
        except (OSError, UnicodeDecodeError):
            continue
    raise AssertionError(f"there is no process of rank {rank}")


def test_ctrl_c_to_all_processes(folder: Path) -> None:
    """Within the second of two folds: the first one is kept, the second one goes on."""
    options = ("train", "plain.yaml", *DIGITS, "--epochs", 24, "--folds", 2)
    with group(2, *options, "--batch", 32, "-o", "folds", cwd=folder) as processes:
        results = [one.result() for one in processes]
        assert [one.code for one in results] == [0, 0]
        assert results[1].out == ""
    command = (*options, "--batch", 32, "--devices", 2, "-o", "ctrl-c")
    with alive(launched("cnnplan", *command, cwd=folder)) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        for line in process.stderr:
            if line.startswith("fold 2 of 2"):
                break
        for line in process.stderr:
            if line.startswith("epoch  2/24"):
                break
        os.killpg(process.pid, signal.SIGINT)
        said = process.stderr.read()
        assert (process.wait(SECONDS), process.stdout.read()) == (130, "")
    assert re.search(
        r"\nstopped after (epoch \d+|step 10 of 12 of epoch \d+); the same command with --resume goes on\n", said
    )
    first = (folder / "ctrl-c" / "fold-1" / CHECKPOINT).stat().st_mtime_ns
    assert not (folder / "ctrl-c" / "fold-2" / "summary.json").exists()
    result = forked.run(*command, "--resume", cwd=folder, before=forked.launching)
    assert result.code == 0, result.err
    assert "fold 1 of 2" not in result.err
    assert (folder / "ctrl-c" / "fold-1" / CHECKPOINT).stat().st_mtime_ns == first
    for fold in ("fold-1", "fold-2"):
        same(left(folder / "ctrl-c" / fold), left(folder / "folds" / fold))
    over = [json.loads((folder / name / "summary.json").read_text()) for name in ("ctrl-c", "folds")]
    assert over[0] == over[1]


def test_folds_of_processes(folder: Path) -> None:
    """As those of one process."""
    for world in (1, 2):
        options = ("plain.yaml", *DIGITS, "--folds", 3, "--epochs", 1, "--batch", 64 // world, "-o", f"folds-{world}")
        assert {one.code for one in trained(world, folder, *options)} == {0}
    for fold in ("fold-1", "fold-2", "fold-3"):
        agree(folder / "folds-2" / fold, folder / "folds-1" / fold)


# ------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--devices", 3), "--devices 3: the launcher started 2; leave the option out"),
        (("--devices", 1), "--devices 1: the launcher started 2; leave the option out"),
        (("--nodes", 2), "--nodes 2: the launcher started 1; leave the option out"),
        (("--devices", 2, "--nodes", 4), "--nodes 4: the launcher started 1; leave the option out"),
    ],
)
def test_options_that_disagree_with_the_launcher(folder: Path, options: tuple[object, ...], said: str) -> None:
    for rank in (0, 1):
        there = Rank(rank, 2, 1).environment()
        result = forked.run("train", "plain.yaml", *DIGITS, *options, "-o", "disagree", cwd=folder, environment=there)
        assert (result.code, result.out) == (2, "")
        assert result.err == f"error: {said}\n"
    assert not (folder / "disagree").exists()


def test_options_that_agree_with_the_launcher(folder: Path) -> None:
    options = ("plain.yaml", *DIGITS, "--epochs", 1, "--devices", 2, "--nodes", 1, "-o", "agree")
    assert [one.code for one in trained(2, folder, *options)] == [0, 0]


def test_fewer_samples_than_processes(tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text(PLAIN)
    x, y = np.zeros((10, 1, 8, 8), np.uint8), np.arange(10)
    np.savez(tmp_path / "few.npz", x_train=x, y_train=y, x_val=x, y_val=y, x_test=x, y_test=y)
    result = forked.run("train", "plain.yaml", "--data", "npz:few.npz", "--devices", 11, cwd=tmp_path)
    assert (result.code, result.err) == (2, "error: 10 samples are too few for 11 processes\n")
