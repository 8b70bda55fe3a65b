"""Training by `cnnplan train`'s own loop, with all that it does in a step, beside a loop written by hand.

Both train the same network from the same weights on the same batches with the same optimizer, a few steps in turn in
one process. In the end both have the same weights, bit for bit: that is checked on a CPU. A step of ours has metrics,
seeds, checks, schedule and callbacks; validation and files, between epochs, are not timed. On a CPU one thread runs,
and its CPU time counts: what else runs on the machine does not. On a CUDA device the clock counts.
"""

import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import cnnplan
from cnnplan.runtime.data.arrays import Arrays
from cnnplan.runtime.data.base import Data
from cnnplan.runtime.training.order import seeded
from cnnplan.runtime.training.prepare import statistics as mean_and_std
from cnnplan.runtime.training.progress import progress
from cnnplan.runtime.training.recipe import planned_for, recipe_of
from cnnplan.runtime.training.run import Options, Run
from cnnplan.runtime.training.session import hushed
from cnnplan.train_settings import Train

ROOT = Path(__file__).parent.parent
CLAIM = 0.97
SEED = 1
EPOCHS = 4
"""The first one warms up."""


class Case(NamedTuple):
    """A network of the zoo, and on what it trains.

    Attributes:
        size: of the images, which are square.
        steps: in an epoch; a multiple of `turn`.
        turn: steps of each loop, before it is the other's turn.
        claimed: whether `CLAIM` is about it. Where a step takes a few milliseconds, Lightning's hooks show.
    """

    name: str
    size: int
    batch: int
    steps: int
    turn: int = 1
    claimed: bool = True


CASES = {
    "cpu": (
        Case("lenet5", 32, 512, steps=30),
        Case("shufflenet_v2", 64, 32, steps=20),
        Case("resnet18", 64, 32, steps=12),
        Case("lenet5", 32, 32, steps=100, claimed=False),
    ),
    "cuda": (
        Case("lenet5", 32, 16_384, steps=60, turn=10),
        Case("shufflenet_v2", 224, 256, steps=40, turn=10),
        Case("resnet18", 224, 256, steps=40, turn=10),
        Case("lenet5", 32, 512, steps=200, turn=10, claimed=False),
    ),
}


class Plain:
    """The loop by hand."""

    def __init__(self, run: Run, samples: Arrays) -> None:
        self.device = torch.device(run.options.device)
        self.on_cuda = self.device.type == "cuda"
        self.batch, self.images, self.labels = run.recipe.batch, samples.inputs[0], samples.targets[0]
        self.net = run.net().to(self.device).train()
        if self.on_cuda:
            self.net.to(memory_format=torch.channels_last)
        (mean,), (std,) = mean_and_std(samples, run.plan.graph)
        self.mean = torch.tensor(mean, device=self.device).view(1, -1, 1, 1)
        self.scale = 1 / torch.tensor(std, device=self.device).view(1, -1, 1, 1)
        options = run.recipe.optimizer.options
        self.optimizer = torch.optim.SGD(self.net.parameters(), options.lr, options.momentum)
        self.batches = self.fetched()

    def fetched(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of all epochs."""
        epoch = 0
        while True:
            generator = torch.Generator().manual_seed(seeded(SEED, epoch))
            for rows in torch.randperm(len(self.images), generator=generator).split(self.batch):
                images, labels = self.images[rows], self.labels[rows]
                if self.on_cuda:
                    images, labels = images.pin_memory(), labels.pin_memory()
                yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
            epoch += 1

    def step(self) -> None:
        images, labels = next(self.batches)
        x = (images.float() / 255 - self.mean) * self.scale
        if self.on_cuda:
            x = x.contiguous(memory_format=torch.channels_last)
        self.optimizer.zero_grad()
        F.cross_entropy(self.net(x), labels).backward()
        self.optimizer.step()


class Beside(Callback):
    """Times a run, a few steps at a time, and after them as many of the plain loop."""

    def __init__(self, plain: Plain, turn: int) -> None:
        self.plain, self.turn = plain, turn
        self.ours: list[float] = []
        self.theirs: list[float] = []
        self.net = nn.Module()

    def clock(self) -> float:
        """Seconds."""
        if not self.plain.on_cuda:
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.net = pl_module.net
        self.began = self.clock()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (batch_idx + 1) % self.turn:
            return
        between = self.clock()
        for _ in range(self.turn):
            self.plain.step()
        ended = self.clock()
        if trainer.current_epoch:
            self.ours.append((between - self.began) / self.turn)
            self.theirs.append((ended - between) / self.turn)
        self.began = self.clock()


def noise(count: int, shape: tuple[int, ...], classes: int, seed: int) -> Arrays:
    """Images of noise in memory, the brighter the higher their class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    pixels = torch.randint(128, (count, *shape), generator=generator, dtype=torch.uint8)
    return Arrays((pixels + (labels * 127 // classes).to(torch.uint8).view(-1, 1, 1, 1),), (labels,), labels)


def measured(case: Case, device: str) -> Beside:
    """Train by both loops."""
    plan = cnnplan.plan(ROOT / "specs" / f"{case.name}.yaml", input_size=case.size)
    recipe = recipe_of(plan, epochs=EPOCHS, batch=case.batch, optimizer="momentum", lr=1e-3)
    recipe = recipe._replace(augment=(), schedule=Train().schedule)
    (classes,), shape = plan.layers[-1].output, tuple(plan.graph.inputs[0].shape)
    train, other = noise(case.batch * case.steps, shape, classes, 0), noise(case.batch, shape, classes, 1)
    data = Data("noise", train, other, other, tuple(map(str, range(classes))), ("",), (shape,), (), "noise")
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere, hushed():
        options = Options(Path(folder) / "run", seed=SEED, device=device)
        run = Run(planned_for(plan, recipe, device), recipe, data, options)
        beside = Beside(Plain(run, train), case.turn)
        run.printers = (*progress("lines", EPOCHS, False, nowhere), beside)
        run.train()
    return beside


def holds(case: Case, device: str) -> bool:
    """Measure, print, and say whether what is claimed holds."""
    beside = measured(case, device)
    if device == "cpu":
        pairs = zip(beside.net.parameters(), beside.plain.net.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs), case
    turns = list(zip(beside.ours, beside.theirs, strict=True))
    ours, theirs = (1000 * statistics.median(each) for each in (beside.ours, beside.theirs))
    ratio = statistics.median(b / a for a, b in turns)
    more = 1000 * statistics.median(a - b for a, b in turns)
    claim = f"(claim: at least {CLAIM})" if case.claimed else "(no claim)"
    what = f"{case.name} {case.size}x{case.size}, batch {case.batch:,}"
    print(f"{what:<34}{ours:8.2f} ms {theirs:8.2f} ms {more:+6.2f} ms  {ratio:5.3f}  {claim}", flush=True)
    return ratio >= CLAIM or not case.claimed


def main() -> None:
    """Print ours, theirs, the difference of a step, and the ratio of throughputs: medians of steps in turn."""
    torch.set_num_threads(1)
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    kept = True
    for device in devices:
        name = "one thread of a CPU" if device == "cpu" else torch.cuda.get_device_name()
        print(f"training beside a loop by hand, a step on {name}", flush=True)
        for case in CASES[device]:
            kept &= holds(case, device)
    if len(devices) == 1:
        print(f"no CUDA device here, with torch {torch.__version__} on {platform.machine()}: not measured on one")
    if not kept:
        sys.exit("training is slower than is claimed")


if __name__ == "__main__":
    main()
