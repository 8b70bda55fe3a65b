"""What is printed while a real Trainer trains: on a clock that its steps move, into a string or on a terminal."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import sys
import termios
import threading
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from cnnplan.runtime.training import printer as printing
from cnnplan.runtime.training.bar import Bar
from cnnplan.runtime.training.progress import Lines, progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from cnnplan.runtime.training.printer import Printer

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's own advice

LOSS = 0.4125


class Clock:
    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(printing, "monotonic", found)
    return found


class Batch(NamedTuple):
    inputs: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]


class Constant(LightningModule):
    """Its loss is always the same, and each step takes the same time."""

    def __init__(self, clock: Clock, seconds: float, val_seconds: float, then: Callable[[int], None] | None) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.clock, self.seconds, self.val_seconds, self.then = clock, seconds, val_seconds, then

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.clock.now += self.seconds
        if self.then:
            self.then(batch_idx)
        return (0 * self.layer.weight).sum() + LOSS

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.clock.now += self.val_seconds

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class Told(Callback):
    """Tells the printers of each epoch, as the history does."""

    def __init__(self, printers: Sequence[Printer], clock: Clock, rows: Sequence[dict[str, float]] = ()) -> None:
        self.printers, self.clock, self.rows, self.begun = printers, clock, rows, 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.begun = self.clock.now

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        number = trainer.current_epoch
        row = self.rows[number] if self.rows else {"train_loss": LOSS, "learning_rate": 0.05}
        for one in self.printers:
            one.epoch({"epoch": number + 1, **row, "seconds": self.clock.now - self.begun}, number == 0)


def train(
    printers: Sequence[Printer],
    clock: Clock,
    *,
    steps: int = 10,
    val_steps: int = 0,
    seconds: float = 1.0,
    val_seconds: float = 0.5,
    epochs: int = 2,
    then: Callable[[int], None] | None = None,
    shape: tuple[int, ...] = (3, 2, 2),
    **options: Any,
) -> None:
    """Epochs of steps with 4 samples each; the last batch of an epoch has 2."""

    def loader(count: int) -> DataLoader[Any]:
        data = TensorDataset(torch.zeros(4 * count - 2, *shape))
        return DataLoader(data, 4, collate_fn=lambda xs: Batch((torch.stack([x[0] for x in xs]),), ()))

    trainer = Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=2,
        callbacks=[*printers, Told(printers, clock)],
        **options,
    )
    module = Constant(clock, seconds, val_seconds, then)
    trainer.fit(module, loader(steps), loader(val_steps) if val_steps else None)


# ------------------------------------------------------------------ lines


def test_long_epochs_have_a_line_every_half_minute(clock: Clock) -> None:
    """100 steps of 1 s with 4 images, in each of 2 epochs.

    The first step is over at 1 s and sets the pace; 30 s later 31 steps are. 69 and 100 are to come: 2.8 minutes.
    """
    out = io.StringIO()
    train(progress("lines", 2, False, out), clock, steps=100)
    assert out.getvalue().splitlines() == [
        "epoch 1/2  step  31/100  loss 0.4125  4.0 images/s  about 3 min left",
        "epoch 1/2  step  61/100  loss 0.4125  4.0 images/s  about 2 min left",
        "epoch 1/2  step  91/100  loss 0.4125  4.0 images/s  about 109 s left",
        "epoch 1/2  train_loss 0.4125  lr 0.05       100 s *",
        "epoch 2/2  step  31/100  loss 0.4125  4.0 images/s  about 69 s left",
        "epoch 2/2  step  61/100  loss 0.4125  4.0 images/s  about 39 s left",
        "epoch 2/2  step  91/100  loss 0.4125  4.0 images/s  about 9 s left",
        "epoch 2/2  train_loss 0.4125  lr 0.05       100 s",
    ]


def test_validation_is_told_of_and_counted(clock: Clock) -> None:
    """50 steps of 1 s, then 80 of validation of 0.5 s: an epoch takes 90 s.

    In the first epoch a batch of validation is taken as a third of a step: 19 + 80/3 + (50 + 80/3) = 122 s after step
    31. Validation begins at 50.5 s; 60 batches later it is 80.5 s, and the rest of the epoch and the second are left:
    the second one is known only in the second epoch, where 19 * 0.5 = 9.5 s are left.
    """
    out = io.StringIO()
    train(progress("lines", 2, False, out), clock, steps=50, val_steps=80)
    assert [line for line in out.getvalue().splitlines() if "train_loss" not in line] == [
        "epoch 1/2  step 31/50  loss 0.4125  4.0 images/s  about 2 min left",
        "epoch 1/2  validation 61/80  8.0 images/s",
        "epoch 2/2  step 31/50  loss 0.4125  4.0 images/s  about 59 s left",
        "epoch 2/2  validation 61/80  8.0 images/s  about 10 s left",
    ]


def test_short_epochs_have_one_line_each(clock: Clock) -> None:
    out = io.StringIO()
    train(progress("lines", 12, False, out), clock, steps=28, epochs=12)
    lines = out.getvalue().splitlines()
    assert [line[:11] for line in lines] == [f"epoch {n:2}/12" for n in range(1, 13)]
    assert [line.endswith("28 s *") for line in lines] == [True] + [False] * 11


def test_images_of_all_processes_are_counted(clock: Clock) -> None:
    """Three processes with 4 images each in 40 s."""
    out = io.StringIO()
    (one,) = progress("lines", 1, False, out)
    trainer = SimpleNamespace(
        current_epoch=0, num_training_batches=9, num_val_batches=[], world_size=3, accumulate_grad_batches=1,
        lightning_module=SimpleNamespace(automatic_optimization=True),
    )  # fmt: skip
    for index in range(2):
        clock.now += 40
        one.on_train_batch_end(trainer, None, {"loss": torch.tensor(0.5)}, [torch.zeros(4, 3, 8, 8)], index)  # type: ignore[arg-type]
    assert out.getvalue() == "epoch 1/1  step 2/9  loss 0.5000  0.3 images/s  about 5 min left\n"  # 7 * 40 s


@pytest.mark.parametrize("accumulated", [1, 2, 5])
def test_the_loss_is_that_of_the_step(clock: Clock, accumulated: int) -> None:
    """Lightning divides it by the number of batches whose gradients are added."""
    out = io.StringIO()
    train(progress("lines", 1, False, out), clock, steps=40, epochs=1, accumulate_grad_batches=accumulated)
    assert "step 31/40  loss 0.4125 " in out.getvalue()


def test_tokens_are_no_images(clock: Clock) -> None:
    out = io.StringIO()
    train(progress("lines", 1, False, out), clock, steps=40, epochs=1, shape=(7,), seconds=40.0)
    assert "step  2/40  loss 0.4125  0.1 samples/s  about 25 min left" in out.getvalue()  # 38 * 40 s


def test_only_the_first_process_prints(clock: Clock) -> None:
    out = io.StringIO()
    for kind in ("lines", "bar"):
        (one,) = progress(kind, 3, False, out)  # type: ignore[arg-type]
        one.setup(SimpleNamespace(is_global_zero=False), None, "fit")  # type: ignore[arg-type]
        one.epoch({"epoch": 1, "train_loss": 1.0, "seconds": 1.0}, True)
    assert out.getvalue() == ""
    assert progress("none", 3, True, out) == []


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("kind", [Lines, Bar])
def test_a_training_goes_on_without_its_reader(clock: Clock, kind: type[Printer]) -> None:
    train([kind(2, False, Closed())], clock, steps=50)
    assert clock.now == 600.0


# ------------------------------------------------------------------- rows


def rows_of(*rows: dict[str, float], best: Sequence[bool] | None = None, color: bool = False) -> list[str]:
    out = io.StringIO()
    (one,) = progress("lines", 30, color, out)
    for n, row in enumerate(rows):
        one.epoch({"epoch": n + 1, **row}, bool(best and best[n]))
    return out.getvalue().splitlines()


def row(train_loss: float, val_loss: float, accuracy: float, lr: float, seconds: float) -> dict[str, float]:
    return {
        "train_loss": train_loss,
        "train_accuracy": accuracy,
        "val_loss": val_loss,
        "val_accuracy": accuracy,
        "learning_rate": lr,
        "seconds": seconds,
    }


def test_an_epoch() -> None:
    (line,) = rows_of(row(0.12341, 0.10012, 0.97222, 0.05, 1.23), best=[True])
    assert line == "epoch  1/30  train_loss 0.1234  val_loss 0.1001  val_accuracy  97.22 %  lr 0.05       1.2 s *"


def test_columns_are_aligned() -> None:
    lines = rows_of(
        row(2.3026, 2.3, 0.1, 0.1, 0.012),
        row(1.7, 1.9e-5, 1.0, 0.0123456, 9.96),
        row(float("nan"), 12345.6, 0.0, 1e-05, 71.2),
        row(0.5, float("inf"), 0.5, 0, 250.0),
        row(11.25, 0.1, 0.5, 5e-05, 41.0),
    )
    assert len({line.index("val_accuracy") - line.index("val_loss") for line in lines[1:]}) == 1
    assert len({line.index("lr") for line in lines[1:4]}) == 1
    assert len({len(line) for line in lines[1:3]}) == 1
    assert len(lines[4]) == len(lines[3]) + 1  # "11.2500" is wider than "0.5000"
    assert lines[1][lines[1].index("val_loss") :].split()[1] == "1.90e-05"
    assert "train_loss    nan" in lines[2]
    assert "val_loss      inf" in lines[3]
    assert lines[3].endswith("lr 0         4 min 10 s")


def test_metrics_without_validation_are_shown() -> None:
    (line,) = rows_of({"train_loss": 1.0, "train_accuracy": 0.5, "learning_rate": 0.1, "seconds": 1.0})
    assert line == "epoch  1/30  train_loss 1.0000  train_accuracy  50.00 %  lr 0.1        1.0 s"
    (line,) = rows_of({"train_loss": 1.0, "val_loss": 2.0, "val_mse": 0.25, "val_iou": 0.5, "seconds": 1.0})
    assert "val_loss 2.0000  val_mse 0.2500  val_iou 0.5000" in line


def test_color() -> None:
    """The same text, and styles where they are wanted only."""
    values = row(float("nan"), 1.0, 0.5, 0.1, 1.0), row(1.0, 1.0, 0.5, 0.1, 1.0)
    plain, styled = rows_of(*values, best=[False, True]), rows_of(*values, best=[False, True], color=True)
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in styled] == plain
    assert all("\x1b" not in line for line in plain)
    assert all("\x1b[" in line for line in styled)


# -------------------------------------------------------------------- bar


class Terminal:
    """A pseudo-terminal whose screen can be looked at, as wide as is wanted."""

    def __init__(self, columns: int) -> None:
        self.master, slave = pty.openpty()
        self.stream = os.fdopen(slave, "w", encoding="utf-8")
        self.resize(columns)
        self.bytes = b""
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        while True:
            try:
                found = os.read(self.master, 65536)
            except OSError:  # how Linux says that the other side is closed
                return
            if not found:
                return
            self.bytes += found

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self.stream.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.columns = columns

    def close(self) -> str:
        """All that was written."""
        if not self.stream.closed:
            self.stream.close()
            self.reader.join()
            os.close(self.master)
        return self.bytes.decode()

    def screen(self) -> list[str]:
        """What stands there in the end: an emulator that knows what the bar needs."""
        rows, y, x = [""], 0, 0
        for token in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|.", self.close(), re.DOTALL):
            if token == "\r":
                x = 0
            elif token == "\n":
                y += 1
                rows += [""] * (y + 1 - len(rows))
            elif token == "\x1b[J":
                rows = [*rows[:y], rows[y][:x]]
            elif token.startswith("\x1b"):
                assert token.endswith("m"), f"the emulator does not know {token!r}"
            else:
                rows[y] = rows[y][:x].ljust(x) + token + rows[y][x + 1 :]
                x += 1
        return rows

    def drawn(self) -> list[str]:
        """Each bar that was drawn, without styles."""
        found = re.findall(r"\r\x1b\[J([^\r\n]*)\r(?!\n)", self.close())
        return [re.sub(r"\x1b\[[0-9;]*m", "", one) for one in found if one]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Terminal]]:
    opened: list[Terminal] = []

    def make(columns: int) -> Terminal:
        opened.append(Terminal(columns))
        monkeypatch.setattr(sys, "stderr", opened[-1].stream)
        return opened[-1]

    monkeypatch.setenv("TERM", "xterm")
    yield make
    for one in opened:
        one.close()


def test_the_bar(clock: Clock, terminal: Callable[[int], Terminal]) -> None:
    """A step a second: each one is drawn, 16 columns for 10 steps."""
    at = terminal(80)
    train(progress("bar", 2, False, at.stream), clock)
    assert at.drawn()[:3] == [
        "epoch 1/2 ━───────────────   1/10  loss 0.4125",
        "epoch 1/2 ━━━─────────────   2/10  loss 0.4125  4.0 images/s  18 s left",
        "epoch 1/2 ━━━━────────────   3/10  loss 0.4125  4.0 images/s  17 s left",
    ]
    assert at.drawn()[-1] == "epoch 2/2 ━━━━━━━━━━━━━━━━  10/10  loss 0.4125  4.0 images/s  0 s left"
    assert len(at.drawn()) == 20
    assert at.screen() == [
        "epoch 1/2  train_loss 0.4125  lr 0.05        10 s *",
        "epoch 2/2  train_loss 0.4125  lr 0.05        10 s",
        "",
    ]
    assert set(re.findall(r"\x1b\[[0-9;]*[A-Za-z]", at.close())) == {"\x1b[J"}


def test_the_bar_in_color(clock: Clock, terminal: Callable[[int], Terminal]) -> None:
    """The same screen, with styles."""
    at = terminal(80)
    train(progress("bar", 2, True, at.stream), clock, val_steps=3)
    assert "\x1b[36m" in at.close()
    assert len(at.drawn()) == 2 * (10 + 3)  # and not what is checked before
    assert [line[:9] for line in at.screen()] == ["epoch 1/2", "epoch 2/2", ""]
    assert "epoch 1/2  validation ━━━━━━━━━━━━━━━━  3/3  8.0 images/s" in at.drawn()


@pytest.mark.parametrize("columns", [12, 25, 44, 60, 80, 132, 300])
def test_the_bar_is_narrower_than_the_terminal(clock: Clock, terminal: Callable[[int], Terminal], columns: int) -> None:
    at = terminal(columns)
    train(progress("bar", 200, False, at.stream), clock, steps=2000, epochs=1, seconds=0.25, limit_train_batches=30)
    lengths = [len(line) for line in at.drawn()]
    assert len(lengths) == 30
    assert max(lengths) < columns
    assert min(lengths) > min(columns, 40) / 2
    assert all(("━" in line or "─" in line) == (columns > 25) for line in at.drawn())


def test_what_can_be_spared_goes_first(clock: Clock, terminal: Callable[[int], Terminal]) -> None:
    """The rate, then the loss, then the time left; and stays away: a bar that jumps cannot be read."""
    last = {}
    for columns in (80, 60, 50, 40, 30):
        at = terminal(columns)
        train(progress("bar", 1, False, at.stream), clock, epochs=1)
        last[columns] = at.drawn()[-1]
    words = ("images/s", "loss", "left", "10/10")
    assert {columns: [word in line for word in words] for columns, line in last.items()} == {
        80: [True, True, True, True],
        60: [False, True, True, True],
        50: [False, False, True, True],
        40: [False, False, True, True],
        30: [False, False, False, True],
    }


def test_a_row_on_a_narrow_terminal(terminal: Callable[[int], Terminal]) -> None:
    """The learning rate goes first, then the time; a row is never cut."""
    shown = {}
    for columns in (100, 85, 75):
        at = terminal(columns)
        (one,) = progress("bar", 30, False, at.stream)
        one.epoch({"epoch": 3, **row(0.1, 0.1, 0.9, 0.05, 1.0)}, False)
        shown[columns] = at.screen()[0]
    assert ("lr" in shown[100], shown[100].endswith("1.0 s")) == (True, True)
    assert ("lr" in shown[85], shown[85].endswith("1.0 s")) == (False, True)
    assert shown[75].endswith("val_accuracy  90.00 %")


def test_a_terminal_that_is_resized(clock: Clock, terminal: Callable[[int], Terminal]) -> None:
    at = terminal(132)
    train(progress("bar", 1, False, at.stream), clock, epochs=1, then=lambda index: at.resize(132 if index < 5 else 40))
    lengths = [len(line) for line in at.drawn()]
    assert min(lengths[1:5]) > 60
    assert max(lengths[5:]) < 40


def test_others_write_above_the_bar(clock: Clock, terminal: Callable[[int], Terminal]) -> None:
    at = terminal(80)

    def then(index: int) -> None:
        if index == 3:
            sys.stderr.write("short\n")
        if index == 6:
            sys.stderr.write("begun, ")
        if index == 8:
            sys.stderr.write("ended\n")

    train(progress("bar", 1, False, at.stream), clock, epochs=1, then=then)
    assert at.screen() == ["short", "begun, ended", "epoch 1/1  train_loss 0.4125  lr 0.05        10 s *", ""]
    assert len(at.drawn()) == 8  # not while a line is begun
    assert sys.stderr is at.stream


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_behind(clock: Clock, terminal: Callable[[int], Terminal], error: type[BaseException]) -> None:
    at = terminal(80)

    def then(index: int) -> None:
        if index == 4:
            raise error

    with pytest.raises((RuntimeError, SystemExit)):
        train(progress("bar", 1, False, at.stream), clock, epochs=1, then=then)
    assert sys.stderr is at.stream
    assert len(at.drawn()) == 4
    assert at.screen() == [""]


def test_the_loss_is_read_twice_a_second_at_most(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 steps of 0.01 s: 10 s. A bar is drawn every 0.2 s, and for the loss the host waits every 0.5 s at most."""
    read, out = [], io.StringIO()
    real = printing._loss
    monkeypatch.setattr(printing, "_loss", lambda *xs: read.append(clock.now) or real(*xs))  # type: ignore[func-returns-value]
    train([Bar(1, False, out)], clock, steps=1000, epochs=1, seconds=0.01)
    assert 45 <= out.getvalue().count("/1,000") <= 51
    assert 15 <= len(read) <= 21
    assert all(b - a >= 0.5 for a, b in pairwise(read))


def test_a_terminal_without_the_characters(clock: Clock) -> None:
    raw = io.BytesIO()
    train([Bar(1, False, io.TextIOWrapper(raw, encoding="ascii"))], clock, epochs=1)
    assert b"epoch 1/1 ########........" in raw.getvalue()


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(progress("bar", 1, False, io.StringIO())[0], Lines)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(progress("bar", 1, False, io.StringIO())[0], Bar)
