"""A training that is killed, stopped, or cannot write, and goes on, ends as one that nothing happened to."""

import itertools
import json
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from errno import ENOSPC
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from PIL import Image
from safetensors.torch import load_file

import cnnplan
from cnnplan import UsageError
from cnnplan.runtime.data import open_data
from cnnplan.runtime.data.base import Data
from cnnplan.runtime.data.splits import with_splits
from cnnplan.runtime.training.interrupts import AtOnce, Interrupted
from cnnplan.runtime.training.recipe import planned_for, recipe_of
from cnnplan.runtime.training.run import Options, Run
from tests.cli import inside
from tests.cli.run import ROOT
from tests.runtime.training import forked
from tests.runtime.training.specs import (
    CHECKPOINT,
    FULL,
    IDLE,
    PLAIN,
    Left,
    checkpoint,
    differences,
    drawing,
    left,
    no_leftovers,
    rows,
    same,
)

SIGNALS = (signal.SIGINT, signal.SIGTERM)
BATCH, STEPS, EPOCHS = 32, 5, 3
"""Of the trainings within this process."""


@pytest.fixture(scope="module", autouse=True)
def _no_charts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module, name in [*drawing()]:
            patch.setattr(module, name, lambda *_: None)
        yield


@cache
def few() -> Data:
    """Digits: 160 to train, 50 to validate and to test each, so that the last batch is not full."""
    plan = cnnplan.plan(FULL)
    data = with_splits(open_data("digits", plan, 0), 0)
    assert data.val is not None
    assert data.test is not None
    parts = {"train": (data.train, BATCH * STEPS), "val": (data.val, 50), "test": (data.test, 50)}
    return Data(**{**vars(data), **{name: split.subset(range(count)) for name, (split, count) in parts.items()}})


def training(output: Path, *printers: Callback, text: str = FULL, resume: bool = False, **options: Any) -> Run:
    """A training of few samples in this process."""
    plan = cnnplan.plan(text)
    epochs = options.pop("epochs", EPOCHS)
    recipe = recipe_of(plan, epochs=epochs, batch=BATCH)
    return Run(planned_for(plan, recipe, "cpu"), recipe, few(), Options(output, resume=resume, **options), printers)


def is_whole(folder: Path) -> None:
    """What is there can be read, whatever happened."""
    if (folder / CHECKPOINT).exists():
        done = checkpoint(folder)["history"]["rows"]
        assert not done or load_file(folder / "model.safetensors")
    if (folder / "metrics.csv").exists():
        assert [row["epoch"] for row in rows(folder)] == [str(n + 1) for n in range(len(rows(folder)))]


# ------------------------------------------------------------------------ killed

TRAIN = ("train", "full.yaml", "--data", "digits", "--epochs", 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Specs, and in `unbroken` what a training leaves that nothing happens to."""
    found = tmp_path_factory.mktemp("trainings")
    (found / "full.yaml").write_text(FULL)
    (found / "plain.yaml").write_text(PLAIN)
    assert forked.run(*TRAIN, "-o", "unbroken", cwd=found).code == 0
    return found


def goes_on(folder: Path, output: str, befores: Iterator[Callable[[], object] | None], *more: object) -> int:
    """Train, and resume as often as it is killed; how often that was."""
    kills = 0
    for before in befores:
        resume = ("--resume",) if (folder / output / CHECKPOINT).exists() else ()
        if not resume:
            shutil.rmtree(folder / output, ignore_errors=True)
        result = forked.run(*TRAIN, "-o", output, *resume, *more, cwd=folder, before=before)
        is_whole(folder / output)
        if result.code == 0:
            break
        assert result.code == -signal.SIGKILL
        kills += 1
    return kills


def test_killed_at_each_moment_of_writing(folder: Path) -> None:
    """Nine moments in an epoch: of the best weights, the checkpoint, the table."""
    kills = goes_on(folder, "moments", (partial(forked.killed_at, n) for n in itertools.count(1)))
    assert kills == 9
    same(left(folder / "moments"), left(folder / "unbroken"))
    no_leftovers(folder / "moments")


def test_killed_while_tables_are_written(folder: Path) -> None:
    """In the first epoch; when the run goes on; in the second one; when it goes on; and while it ends."""
    kills = goes_on(folder, "tables", map(partial(partial, forked.killed_at), (8, 2, 11, 1, 5, 99)))
    assert kills == 5
    same(left(folder / "tables"), left(folder / "unbroken"))
    no_leftovers(folder / "tables")


def test_killed_within_epochs(folder: Path) -> None:
    """--save-every 0 writes a checkpoint, which has three moments, at every step; an epoch has ten."""
    kills = goes_on(folder, "steps", (partial(forked.killed_at, n) for n in itertools.count(8, 5)), "--save-every", 0)
    assert kills > 3
    same(left(folder / "steps"), left(folder / "unbroken"))
    no_leftovers(folder / "steps")


def test_killed_at_random(folder: Path) -> None:
    draw = random.Random(0)
    output = folder / "random"
    whole = sum(row["seconds"] for row in checkpoint(folder / "unbroken")["history"]["rows"])
    kills = 0
    while True:
        resume = ("--resume",) if (output / CHECKPOINT).exists() else ()
        if not resume:
            shutil.rmtree(output, ignore_errors=True)
        command = forked.start(*TRAIN, "-o", "random", "--save-every", 0, *resume, cwd=folder)
        if kills < 6:
            before = _stamp(output)
            while command.process.is_alive() and _stamp(output) == before:
                time.sleep(0.005)
            time.sleep(draw.uniform(0, whole / 4))
            command.process.kill()
        if command.result().code == 0:
            break
        kills += 1
        is_whole(output)
    assert kills > 1
    same(left(output), left(folder / "unbroken"))
    no_leftovers(output)


def _stamp(output: Path) -> int:
    """When the checkpoint was written; 0 where there is none."""
    path = output / CHECKPOINT
    return path.stat().st_mtime_ns if path.exists() else 0


# ----------------------------------------------------------------------- stopped


class Signals(Callback):
    """Sends signals to this process at the n-th call of a hook."""

    def __init__(self, hook: str, call: int, *numbers: int) -> None:
        self.left, self.numbers = call, numbers
        setattr(self, hook, self._reached)

    def _reached(self, *_: Any) -> None:
        self.left -= 1
        if self.left == 0:
            self.before()
            for number in self.numbers:
                os.kill(os.getpid(), number)

    def before(self) -> None:
        """Called right before the signals."""


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """What a training in this process leaves that nothing happens to."""
    output = tmp_path_factory.mktemp("quiet")
    training(output).train()
    return left(output)


@pytest.mark.parametrize(
    ("hook", "call", "epoch", "step"),
    [
        ("on_train_batch_start", 1, 1, 1),
        ("on_train_epoch_start", 2, 2, 1),
        ("on_before_optimizer_step", 8, 2, 3),
        ("on_train_batch_end", 8, 2, 3),
        ("on_train_batch_start", 10, 2, 0),
        ("on_train_batch_end", 10, 2, 0),
        ("on_validation_batch_start", 4, 2, 0),
        ("on_validation_end", 2, 2, 0),
        ("on_train_epoch_end", 2, 2, 0),
        ("on_train_batch_start", 14, 3, 4),
    ],
)
def test_stopped_anywhere(tmp_path: Path, quiet: Left, hook: str, call: int, epoch: int, step: int) -> None:
    number = SIGNALS[call % 2]
    handlers = [signal.getsignal(one) for one in SIGNALS]
    with pytest.raises(Interrupted) as caught:
        training(tmp_path, Signals(hook, call, number)).train()
    assert caught.value.number == number
    assert (caught.value.epoch, caught.value.step, caught.value.steps) == (epoch, step, STEPS)
    assert [signal.getsignal(one) for one in SIGNALS] == handlers
    assert checkpoint(tmp_path)["global_step"] == (epoch - 1) * STEPS + step if step else epoch * STEPS
    no_leftovers(tmp_path)
    training(tmp_path, resume=True).train()
    same(left(tmp_path), quiet)


@pytest.mark.parametrize(
    ("hook", "call"),
    [
        ("on_train_batch_start", 15),
        ("on_validation_batch_start", 6),
        ("on_validation_end", 3),
        ("on_train_epoch_end", 3),
    ],
)
def test_stopped_where_it_ends_anyway(tmp_path: Path, quiet: Left, hook: str, call: int) -> None:
    summary = training(tmp_path, Signals(hook, call, signal.SIGINT)).train()
    assert summary is not None
    same(left(tmp_path), quiet)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("hook", ["on_fit_start", "on_train_start", "on_train_epoch_start"])
def test_stopped_before_it_begins(tmp_path: Path, quiet: Left, hook: str, number: int) -> None:
    """It is heard, and acted on after the first step."""
    handlers = [signal.getsignal(one) for one in SIGNALS]
    with pytest.raises(Interrupted) as caught:
        training(tmp_path, Signals(hook, 1, number)).train()
    assert (caught.value.number, caught.value.epoch, caught.value.step) == (number, 1, 1)
    assert [signal.getsignal(one) for one in SIGNALS] == handlers
    training(tmp_path, resume=True).train()
    same(left(tmp_path), quiet)


def test_stopped_again_and_again(tmp_path: Path, quiet: Left) -> None:
    for step in range(EPOCHS * STEPS - 1):
        with pytest.raises(Interrupted):
            training(tmp_path, Signals("on_train_batch_start", 1, signal.SIGTERM), resume=step > 0).train()
        assert checkpoint(tmp_path)["global_step"] == step + 1
    training(tmp_path, resume=True).train()
    same(left(tmp_path), quiet)


def test_a_second_signal_stops_at_once(tmp_path: Path, quiet: Left) -> None:
    twice = Signals("on_train_batch_start", 8, signal.SIGINT, signal.SIGINT)
    found = []
    twice.before = lambda: found.append((tmp_path / CHECKPOINT).read_bytes())  # type: ignore[method-assign]
    handlers = [signal.getsignal(one) for one in SIGNALS]
    with pytest.raises(AtOnce) as caught:
        training(tmp_path, twice).train()
    assert caught.value.number == signal.SIGINT
    assert [signal.getsignal(one) for one in SIGNALS] == handlers
    assert found == [(tmp_path / CHECKPOINT).read_bytes()]
    training(tmp_path, resume=True).train()
    same(left(tmp_path), quiet)


@pytest.mark.parametrize("call", [1, 2])
def test_a_second_signal_while_the_checkpoint_is_written(
    tmp_path: Path, quiet: Left, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    first = Signals("on_train_batch_start", 8, signal.SIGTERM)
    calls = iter((call - 1) * [0] + [signal.SIGTERM])
    fsync = os.fsync

    def signalled(file: int) -> None:
        if first.left <= 0 and (number := next(calls, 0)):
            os.kill(os.getpid(), number)
        fsync(file)

    monkeypatch.setattr(os, "fsync", signalled)
    with pytest.raises(AtOnce):
        training(tmp_path, first).train()
    monkeypatch.undo()
    no_leftovers(tmp_path)
    assert checkpoint(tmp_path)["global_step"] == {1: STEPS, 2: STEPS + 3}[call]
    training(tmp_path, resume=True).train()
    same(left(tmp_path), quiet)


def test_stopped_on_the_command_line(folder: Path) -> None:
    """With a process of its own, as people have it."""
    options = ("plain.yaml", "--data", "digits", "--epochs", "30", "--color", "never")
    command = [sys.executable, "-m", "cnnplan", "train", *options, "-o", "stopped"]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    with subprocess.Popen(command, cwd=folder, env=variables, stdout=-1, stderr=-1, text=True) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        for line in process.stderr:
            if line.startswith("epoch  1/30"):
                break
        process.send_signal(signal.SIGINT)
        said, printed = process.stderr.read(), process.stdout.read()
        code = process.wait(60)
    assert code == 130
    assert printed == ""
    assert said.startswith("\nstopping after this step, or this validation; again to stop at once\n")
    where = re.search(
        r"\nstopped after (epoch \d+|step \d+ of 20 of epoch \d+); the same command with --resume goes on\n$", said
    )
    assert where, said
    result = forked.run("train", *options, "-o", "stopped", "--resume", cwd=folder)
    assert result.code == 0
    assert "test accuracy" in result.out
    assert f"\nnote: the run goes on behind {where[1]}\n" in result.err
    assert forked.run("train", *options, "-o", "through", cwd=folder).code == 0
    same(left(folder / "stopped"), left(folder / "through"))


# --------------------------------------------------------------------- full disk


@pytest.mark.parametrize("what", ["model.safetensors", "last.ckpt"])
def test_a_full_disk(folder: Path, what: str) -> None:
    output = folder / f"full-{what}"
    assert forked.run(*TRAIN, "-o", output, cwd=folder, before=partial(forked.killed_at, 7)).code == -signal.SIGKILL
    before = {path: path.read_bytes() for path in (output / CHECKPOINT, output / "model.safetensors")}
    sizes = [len(data) for data in before.values()]
    limit = min(sizes) - 100 if what == "model.safetensors" else (sum(sizes)) // 2
    result = forked.run(*TRAIN, "-o", output, "--resume", cwd=folder, before=partial(forked.limited, limit))
    assert result.code == 2
    assert result.out == ""
    path = output / (CHECKPOINT if what == "last.ckpt" else what)
    assert result.err.endswith(
        f"error: cannot write {path}: file too large\n"
        f"the last checkpoint is as it was: {output / CHECKPOINT}; --resume goes on from it\n"
    )
    assert result.err.count("error") == 1
    assert (output / CHECKPOINT).read_bytes() == before[output / CHECKPOINT]
    if what == "model.safetensors":
        assert (output / what).read_bytes() == before[output / what]
    no_leftovers(output)
    assert forked.run(*TRAIN, "-o", output, "--resume", cwd=folder).code == 0
    same(left(output), left(folder / "unbroken"))


def test_a_disk_that_is_full_from_the_start(folder: Path) -> None:
    result = forked.run(*TRAIN, "-o", "nothing", cwd=folder, before=partial(forked.limited, 4096))
    assert result.code == 2
    assert result.err.endswith("error: cannot write nothing/model.safetensors: file too large\n")
    no_leftovers(folder / "nothing")


@pytest.mark.parametrize("call", range(1, 15))
def test_a_write_that_fails(tmp_path: Path, quiet: Left, monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """The n-th file, or folder, that is to reach the disk: six in an epoch."""
    calls = iter(range(1, call + 1))
    fsync = os.fsync

    def full(file: int) -> None:
        if next(calls, 0) == call:
            raise OSError(ENOSPC, os.strerror(ENOSPC))
        fsync(file)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match=r"^cannot write .*: no space left on device") as caught:
        training(tmp_path).train()
    monkeypatch.undo()
    there = (tmp_path / CHECKPOINT).exists()
    assert there == (call > 3)
    assert ("\nthe last checkpoint is as it was" in str(caught.value)) == there
    no_leftovers(tmp_path)
    is_whole(tmp_path)
    training(tmp_path, resume=there).train()
    same(left(tmp_path), quiet)


# ----------------------------------------------------------- checkpoints of others


@pytest.fixture(scope="module")
def half(folder: Path) -> Path:
    """A run that was stopped within its second epoch."""
    result = forked.run(*TRAIN, "-o", "half", "--save-every", 0, cwd=folder, before=partial(forked.killed_at, 50))
    assert result.code == -signal.SIGKILL
    found = checkpoint(folder / "half")
    assert len(found["history"]["rows"]) == 1
    assert 10 < found["global_step"] < 20
    return folder / "half"


def resumed(half: Path, output: Path, *more: object, spec: str = "full.yaml", data: str = "digits") -> str:
    """What is said where a checkpoint is refused; nothing in the folder is changed by that."""
    before = {path: path.read_bytes() for path in sorted(output.rglob("*")) if path.is_file()}
    options = ("--data", data, "--epochs", 2, "-o", output, "--resume", "-q")
    result = inside.cnnplan("train", spec, *options, *more, cwd=half.parent)
    assert result.code == 2
    assert result.out == ""
    assert before == {path: path.read_bytes() for path in sorted(output.rglob("*")) if path.is_file()}
    *others, said = result.err.splitlines()
    assert all(line.startswith("note:") for line in others)
    return said.removeprefix("error: ").replace(str(output / CHECKPOINT), "CKPT")


class Runs:
    """Runs code where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.system, ("touch pickled",)


def damaged(path: Path, how: str) -> None:
    """Make of a checkpoint what cannot be resumed."""
    data, found = path.read_bytes(), torch.load(path, weights_only=True)
    if how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif how == "without its end":
        path.write_bytes(data[:-30])
    elif how == "text":
        path.write_text("epoch: 2\n" * 1000)
    elif how == "a flipped bit":
        flipped = bytearray(data)
        flipped[data.index(found["state_dict"]["net.linear1.weight"].numpy().tobytes()) + 100] ^= 1
        path.write_bytes(flipped)
    elif how == "runs code":
        torch.save({**found, "history": Runs()}, path)
    elif how == "a bare pickle":
        path.write_bytes(pickle.dumps(Runs()))
    elif how == "a state dict":
        torch.save(found["state_dict"], path)
    elif how == "a tensor":
        torch.save(torch.zeros(3), path)
    else:
        torch.save({key: value for key, value in found.items() if key != how}, path)


UNREADABLE = ("empty", "truncated", "without its end", "text", "a flipped bit", "a bare pickle", "runs code")
OTHER = ("a state dict", "a tensor", "loops", "cnnplan", "history", "state_dict", "optimizer_states", "lr_schedulers")


@pytest.mark.parametrize("how", [*UNREADABLE, *OTHER])
def test_checkpoints_that_cannot_be_resumed(half: Path, tmp_path: Path, how: str) -> None:
    output = tmp_path / "run"
    shutil.copytree(half, output)
    damaged(output / CHECKPOINT, how)
    said = resumed(half, output)
    if how in OTHER:
        assert said == "CKPT is no checkpoint that `cnnplan train` wrote: --weights starts from other ones"
    else:
        why = "it holds what may run code" if how == "runs code" else "it is damaged, or not whole"
        assert said == f"CKPT is no checkpoint that can be read: {why}"
    assert not (half.parent / "pickled").exists()


def test_a_checkpoint_that_is_not_there(half: Path, tmp_path: Path) -> None:
    assert resumed(half, tmp_path) == "there is nothing to resume: CKPT is not there"


SPECS = {
    "units": FULL.replace("out_channels: 6", "out_channels: 7"),
    "l1": FULL.replace("l1: 1e-3", "l1: 1e-2"),
    "ema": FULL.replace("ema: 0.9", "ema: 0.99"),
    "mixup": FULL.replace("    - mixup: 0.2\n", ""),
    "patience": FULL + "  early_stopping: {patience: 3}\n",
}
SEED = "seed is 1, CKPT was trained with 0"
ARCHITECTURE = (
    "CKPT is that of another architecture: the spec has changed since, or other variables were set; "
    "train anew with another --output, and --weights to start from its weights"
)


@pytest.mark.parametrize(
    ("options", "spec", "said"),
    [
        ((), "units", ARCHITECTURE),
        (("--seed", 1), "", f"{SEED}: a run goes on as it began"),
        (("--batch", 64), "", "batch is 64, was 128"),
        (("--lr", "0.01"), "", "optimizer.adamw.lr is 0.01, was 0.003"),
        (("--lr", "0.01", "--batch", 64), "", "optimizer.adamw.lr is 0.01, was 0.003; batch is 64, was 128"),
        (("--dtype", "bfloat16"), "", "precision is bfloat16, was float32"),
        ((), "l1", "regularize.l1 is 0.01, was 0.001"),
        ((), "ema", "ema is 0.99, was 0.9"),
        ((), "patience", "patience is 3, was None"),
        (("--seed", 1, "--batch", 64), "units", ARCHITECTURE),
        (("--seed", 1, "--batch", 64), "", f"{SEED}: a run goes on as it began"),
    ],
)
def test_checkpoints_of_other_runs(half: Path, options: tuple[object, ...], spec: str, said: str) -> None:
    (half.parent / "other.yaml").write_text(SPECS.get(spec, FULL))
    if not said.startswith((SEED, ARCHITECTURE)):
        said = f"CKPT was trained otherwise: {said}; a run goes on as it began"
    assert resumed(half, half, *options, spec="other.yaml") == said


@pytest.mark.parametrize(
    ("options", "spec", "words"),
    [
        (("--optimizer", "sgd"), "", ("optimizer.sgd.lr is 0.1", "was 0.003")),
        ((), "mixup", ("augment is", "was", "mixup")),
    ],
)
def test_checkpoints_of_runs_with_other_parts(
    half: Path, options: tuple[object, ...], spec: str, words: tuple[str, ...]
) -> None:
    (half.parent / "other.yaml").write_text(SPECS.get(spec, FULL))
    said = resumed(half, half, *options, spec="other.yaml")
    assert said.startswith("CKPT was trained otherwise: ")
    assert all(word in said for word in words)


def test_a_checkpoint_of_other_data(half: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", x=np.zeros((200, 1, 8, 8), np.uint8), y=np.arange(200) % 10)
    assert resumed(half, half, data=f"npz:{tmp_path / 'other.npz'}") == (
        "CKPT was trained on other data: they have changed since, or --data names others"
    )


def test_a_run_that_is_there_is_not_overwritten(half: Path) -> None:
    before = (half / CHECKPOINT).read_bytes()
    result = inside.cnnplan("train", "full.yaml", "--data", "digits", "-o", half, cwd=half.parent)
    assert result.code == 2
    assert (
        result.err == f"error: {half} has a run already: --resume goes on with it, another --output leaves it alone\n"
    )
    assert (half / CHECKPOINT).read_bytes() == before


# ---------------------------------------------------------------------- the end


def test_early_stopping(tmp_path: Path) -> None:
    summary = training(tmp_path, text=IDLE, epochs=9).train()
    assert summary is not None
    assert (summary["epochs"], summary["best_epoch"]) == (3, 1)
    found = rows(tmp_path)
    assert len({row["val_loss"] for row in found}) == 1
    assert len(found) == 3
    before = left(tmp_path), (tmp_path / CHECKPOINT).read_bytes()
    training(tmp_path, text=IDLE, epochs=9, resume=True).train()
    assert (tmp_path / CHECKPOINT).read_bytes() == before[1]
    same(left(tmp_path), before[0])


@pytest.mark.parametrize("call", [3, 8, 10, 12, 15])
def test_early_stopping_of_a_run_that_was_stopped(tmp_path: Path, call: int) -> None:
    training(tmp_path / "through", text=IDLE, epochs=9).train()
    output = tmp_path / "stopped"
    with pytest.raises(Interrupted) as caught:
        training(output, Signals("on_train_batch_start", call, signal.SIGINT), text=IDLE, epochs=9).train()
    assert caught.value.step == call % STEPS
    training(output, text=IDLE, epochs=9, resume=True).train()
    same(left(output), left(tmp_path / "through"))


@pytest.mark.parametrize(("patience", "seed"), [(1, 0), (2, 2)])
def test_the_epoch_of_early_stopping(tmp_path: Path, patience: int, seed: int) -> None:
    """At a rate that is too high, accuracy and loss go up and down; what is best is read from the table."""
    text = PLAIN.replace("lr: 0.1, momentum: 0.9", "lr: 1.0") + f"  early_stopping: {{patience: {patience}}}\n"
    summary = training(tmp_path, text=text, epochs=30, seed=seed).train()
    assert summary is not None
    scores = [(float(row["val_accuracy"]), -float(row["val_loss"])) for row in rows(tmp_path)]
    best = 0
    for index, score in enumerate(scores):
        assert index - best <= patience
        best = index if score > scores[best] else best
    assert len(scores) - 1 - best == patience
    assert (summary["best_epoch"], summary["epochs"]) == (best + 1, len(scores))


def test_a_run_that_is_over_is_resumed(folder: Path) -> None:
    shutil.copytree(folder / "unbroken", folder / "over")
    first, data = left(folder / "over"), (folder / "over" / CHECKPOINT).read_bytes()
    said = [forked.run(*TRAIN, "-o", "over", "--resume", cwd=folder) for _ in range(2)]
    assert {one.code for one in said} == {0}
    assert said[0].out == said[1].out
    assert re.match(r"full  test accuracy \d+\.\d\d % of 359 samples, test loss .*; best epoch 2 of 2; ", said[0].out)
    assert f"{json.loads((folder / 'over' / 'summary.json').read_text())['test_accuracy']:.2%}"[:-1] in said[0].out
    assert "epoch 1/2" not in said[0].err
    same(left(folder / "over"), first)
    assert (folder / "over" / CHECKPOINT).read_bytes() == data


def test_more_epochs(tmp_path: Path) -> None:
    """Of a schedule that does not depend on their number."""
    training(tmp_path / "through", text=PLAIN, epochs=4).train()
    training(tmp_path / "on", text=PLAIN, epochs=2).train()
    training(tmp_path / "on", text=PLAIN, epochs=4, resume=True).train()
    same(left(tmp_path / "on"), left(tmp_path / "through"))


def test_fewer_epochs(tmp_path: Path) -> None:
    """A run that came further than that is over."""
    training(tmp_path, text=PLAIN, epochs=3).train()
    before = (tmp_path / CHECKPOINT).read_bytes()
    summary = training(tmp_path, text=PLAIN, epochs=2, resume=True).train()
    assert summary is not None
    assert summary["epochs"] == 3
    assert (tmp_path / CHECKPOINT).read_bytes() == before


# -------------------------------------------------------------------------- seeds


def test_seeds(tmp_path: Path, quiet: Left) -> None:
    training(tmp_path / "same", text=FULL).train()
    training(tmp_path / "often", text=FULL, minutes=0.0).train()
    training(tmp_path / "other", text=FULL, seed=1).train()
    same(left(tmp_path / "same"), quiet)
    same(left(tmp_path / "often"), quiet)
    different = differences(left(tmp_path / "other").best, quiet.best)
    assert {"/conv1.weight", "/linear1.weight", "/batchnorm1.running_mean"} <= {*different}


def test_first_weights(tmp_path: Path) -> None:
    """Of a training that does not change them."""
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        training(tmp_path / name, text=IDLE, epochs=1, seed=seed).train()
    found = [left(tmp_path / name).best for name in "abc"]
    assert differences(found[0], found[1]) == []
    assert {"/conv1.weight", "/linear1.weight", "/linear2.weight"} <= {*differences(found[0], found[2])}


def test_what_the_seed_draws(tmp_path: Path) -> None:
    """With the same first weights, data and order, each of dropout and the augmentations makes a difference."""
    training(tmp_path / "all", text=FULL, epochs=1).train()
    found = left(tmp_path / "all").best
    head, _, tail = FULL.partition("  augment:\n")
    without = {line: f"{head}  augment:\n{tail}".replace(f"{line}\n", "") for line in tail.split("\n")[:6]}
    without["dropout"] = FULL.replace("  - dropout: 0.3\n", "  - dropout: 0\n")
    assert len({*without.values()}) == 7
    for index, text in enumerate(without.values()):
        training(tmp_path / str(index), text=text, epochs=1).train()
        assert differences(left(tmp_path / str(index)).best, found)


@pytest.fixture(scope="module")
def photos(folder: Path) -> Path:
    """Images that are no network's size."""
    draw = np.random.default_rng(0)
    for index in range(90):
        path = folder / "photos" / "abc"[index % 3] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (9, 7), np.uint8)).save(path)
    (folder / "three.yaml").write_text(FULL.replace("linear: 10", "linear: 3").replace("batch: 128", "batch: 16"))
    result = forked.run(*PHOTOS, "--workers", 0, "-o", "workers0", cwd=folder)
    assert result.code == 0
    return folder


PHOTOS = ("train", "three.yaml", "--data", "folder:photos", "--epochs", 2)


@pytest.mark.parametrize("workers", [1, 2])
def test_worker_processes(photos: Path, workers: int) -> None:
    result = forked.run(*PHOTOS, "--workers", workers, "-o", f"workers{workers}", cwd=photos)
    assert result.code == 0
    same(left(photos / f"workers{workers}"), left(photos / "workers0"))


def test_worker_processes_of_a_run_that_is_killed(photos: Path) -> None:
    """Workers fetch ahead: what was fetched and not trained on is fetched again; and their number may change."""
    output = ("-o", "workers", "--save-every", 0)
    for workers, moment in ((2, 8), (1, 17)):
        resume = ["--resume"] * (workers == 1)
        result = forked.run(
            *PHOTOS, *output, *resume, "--workers", workers, cwd=photos, before=partial(forked.killed_at, moment)
        )
        assert result.code == -signal.SIGKILL
        assert checkpoint(photos / "workers")["global_step"] % 4
    assert forked.run(*PHOTOS, *output, "--resume", "--workers", 0, cwd=photos).code == 0
    same(left(photos / "workers"), left(photos / "workers0"))
