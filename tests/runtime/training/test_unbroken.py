"""A training that is killed, stopped, or cannot write, and goes on, ends as one that nothing happened to."""

import itertools
import json
import os
import pickle
import random
import re
import resource
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
from cnnplan.runtime.training import charts
from cnnplan.runtime.training.interrupts import AtOnce, Interrupted
from cnnplan.runtime.training.recipe import planned_for, recipe_of
from cnnplan.runtime.training.run import Options, Run
from tests.cli import inside
from tests.cli.run import ROOT
from tests.runtime.training import forked
from tests.runtime.training.specs import CHECKPOINT, FULL, PLAIN, Left, checkpoint, differences, left, rows

SIGNALS = (signal.SIGINT, signal.SIGTERM)
BATCH, STEPS, EPOCHS = 32, 5, 3
"""Of the trainings within this process."""


@pytest.fixture(autouse=True)
def _no_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take longer than the training."""
    monkeypatch.setattr(charts, "curves", lambda *_: None)
    monkeypatch.setattr(charts, "confusion", lambda *_: None)


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


def same(a: Left, b: Left) -> None:
    """Nothing differs but the times."""
    assert differences(a._asdict(), b._asdict()) == []
    assert len(a.rows) == a.summary["epochs"]


def no_leftovers(folder: Path) -> None:
    """No temporary files."""
    assert [path for path in folder.rglob("*") if path.name.endswith(".tmp")] == []


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


def killed_at(moment: int) -> None:
    """From now on, this process is killed at the n-th moment of writing: before a file is on the disk, before it is
    at its place, and right after that."""
    moments = iter(range(1, moment + 1))

    def watched(call: Callable[..., Any], *arguments: Any) -> Any:
        if next(moments, moment) == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments)

    os.fsync = partial(watched, os.fsync)
    os.replace = partial(watched, os.replace)


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
    kills = goes_on(folder, "moments", (partial(killed_at, n) for n in itertools.count(1)))
    assert kills == 9
    same(left(folder / "moments"), left(folder / "unbroken"))
    no_leftovers(folder / "moments")


def test_killed_while_tables_are_written(folder: Path) -> None:
    """In the first epoch; when the run goes on; in the second one; when it goes on; and while it ends."""
    kills = goes_on(folder, "tables", map(partial(partial, killed_at), (8, 2, 11, 1, 5, 99)))
    assert kills == 5
    same(left(folder / "tables"), left(folder / "unbroken"))
    no_leftovers(folder / "tables")


def test_killed_within_epochs(folder: Path) -> None:
    """--save-every 0 writes a checkpoint, which has three moments, at every step; an epoch has ten."""
    kills = goes_on(folder, "steps", (partial(killed_at, n) for n in itertools.count(8, 5)), "--save-every", 0)
    assert kills > 3
    same(left(folder / "steps"), left(folder / "unbroken"))
    no_leftovers(folder / "steps")


def test_killed_at_random(folder: Path) -> None:
    draw = random.Random(0)
    output = folder / "random"
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
            time.sleep(draw.uniform(0, 0.15))
            command.process.kill()
        if command.result().code == 0:
            break
        kills += 1
        is_whole(output)
    assert kills > 2
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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charts, "curves", lambda *_: None)
        patch.setattr(charts, "confusion", lambda *_: None)
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
    [("on_train_batch_start", 15), ("on_validation_batch_start", 6), ("on_validation_end", 3), ("on_train_epoch_end", 3)],
)
def test_stopped_where_it_ends_anyway(tmp_path: Path, quiet: Left, hook: str, call: int) -> None:
    summary = training(tmp_path, Signals(hook, call, signal.SIGINT)).train()
    assert summary is not None
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
    options = ("plain.yaml", "--data", "digits", "--epochs", "9", "--color", "never")
    command = [sys.executable, "-m", "cnnplan", "train", *options, "-o", "stopped"]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    with subprocess.Popen(command, cwd=folder, env=variables, stdout=-1, stderr=-1, text=True) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        for line in process.stderr:
            if line.startswith("epoch 1/9"):
                break
        process.send_signal(signal.SIGINT)
        said, printed = process.stderr.read(), process.stdout.read()
        code = process.wait(60)
    assert code == 130
    assert printed == ""
    assert said.startswith("\nstopping after this step, or this validation; again to stop at once\n")
    assert re.search(
        r"\nstopped after (epoch \d|step \d+ of 20 of epoch \d); the same command with --resume goes on\n$", said
    )
    result = subprocess.run(
        [*command, "--resume"], cwd=folder, env=variables, capture_output=True, text=True, timeout=60, check=True
    )
    assert "test accuracy" in result.stdout
    assert re.match(r"note: the run goes on behind epoch \d\n", result.stderr[result.stderr.index("note: the run") :])
    assert forked.run("train", *options, "-o", "through", cwd=folder).code == 0
    same(left(folder / "stopped"), left(folder / "through"))


# --------------------------------------------------------------------- full disk


def limited(size: int) -> None:
    """No file of this process is longer, as where a disk is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("what", ["model.safetensors", "last.ckpt"])
def test_a_full_disk(folder: Path, what: str) -> None:
    output = folder / f"full-{what}"
    assert forked.run(*TRAIN, "-o", output, cwd=folder, before=partial(killed_at, 7)).code == -signal.SIGKILL
    before = {path: path.read_bytes() for path in (output / CHECKPOINT, output / "model.safetensors")}
    sizes = [len(data) for data in before.values()]
    limit = min(sizes) - 100 if what == "model.safetensors" else (sum(sizes)) // 2
    result = forked.run(*TRAIN, "-o", output, "--resume", cwd=folder, before=partial(limited, limit))
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
    result = forked.run(*TRAIN, "-o", "nothing", cwd=folder, before=partial(limited, 4096))
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
    with pytest.raises(UsageError, match="^cannot write .*: no space left on device") as caught:
        training(tmp_path).train()
    monkeypatch.undo()
    there = (tmp_path / CHECKPOINT).exists()
    assert there == (call > 3)
    assert ("\nthe last checkpoint is as it was" in str(caught.value)) == there
    no_leftovers(tmp_path)
    is_whole(tmp_path)
    training(tmp_path, resume=there).train()
    same(left(tmp_path), quiet)
