"""Training by `cnnplan train`'s own loop, with all that it does in a step, beside a loop written by hand.

Both train the same network from the same weights on the same batches with the same optimizer, a few steps in turn in
one process, on one thread of a CPU: what else runs on the machine slows both. In the end both have the same weights.
A step of ours has its metrics, seeds, checks and callbacks; validation and files, between epochs, are not timed.
"""

import os
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
from cnnplan.settings import Train

ROOT = Path(__file__).parent.parent
CLAIM = 0.97
SEED = 1
EPOCHS = 4
"""The first one warms up."""


class Case(NamedTuple):
    """A network of the zoo, and on what it trains.

    Attributes:
        size: of the images, which are square.
        steps: in an epoch.
        turn: steps of each loop, before it is the other's turn.
    """

    name: str
    size: int
    batch: int
    steps: int
    turn: int


CASES = {
    "cpu": (
        Case("lenet5", 32, 128, steps=120, turn=2),
        Case("shufflenet_v2", 64, 32, steps=30, turn=1),
        Case("resnet18", 64, 32, steps=30, turn=1),
    ),
    "cuda": (
        Case("lenet5", 32, 4096, steps=200, turn=20),
        Case("shufflenet_v2", 224, 256, steps=60, turn=10),
        Case("resnet18", 224, 256, steps=60, turn=10),
    ),
}


class Plain:
    """The loop by hand."""

    def __init__(self, run: Run, samples: Arrays) -> None:
        self.device = torch.device(run.options.device)
        self.last = self.device.type == "cuda"
        self.batch, self.images, self.labels = run.recipe.batch, samples.inputs[0], samples.targets[0]
        self.net = run.net().to(self.device).train()
        if self.last:
            self.images, self.labels = self.images.pin_memory(), self.labels.pin_memory()
            self.net.to(memory_format=torch.channels_last)
        (mean,), (std,) = mean_and_std(samples, run.plan.graph)
        self.mean = torch.tensor(mean, device=self.device).view(1, -1, 1, 1)
        self.std = torch.tensor(std, device=self.device).view(1, -1, 1, 1)
        options = run.recipe.optimizer.options
        self.optimizer = torch.optim.SGD(self.net.parameters(), options.lr, options.momentum)
        self.batches = self.epochs()

    def epochs(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch = 0
        while True:
            generator = torch.Generator().manual_seed(seeded(SEED, epoch))
            for rows in torch.randperm(len(self.images), generator=generator).split(self.batch):
                yield self.images[rows], self.labels[rows]
            epoch += 1

    def step(self) -> None:
        images, labels = next(self.batches)
        images, labels = images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
        x = (images.float() / 255 - self.mean) / self.std
        if self.last:
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
        self.net: nn.Module | None = None

    def clock(self) -> float:
        if self.plain.device.type == "cuda":
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
    """Images of noise in memory, as brighter as their class is higher."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    pixels = torch.randint(128, (count, *shape), generator=generator, dtype=torch.uint8)
    return Arrays((pixels + (labels * 127 // classes).to(torch.uint8).view(-1, 1, 1, 1),), (labels,), labels)


def measured(case: Case, device: str) -> Beside:
    """Trains by both loops."""
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
