"""Epochs of `cnnplan train`, with all that it does in a step, beside those of a loop by hand, in turn in one process.

Both train the same network from the same weights on the same batches with the same optimizer, in the end to the same
weights. An epoch is timed from its start to its last step; validation, checkpoints and tables follow untimed.
"""

import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
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

ROOT = Path(__file__).parent.parent
CLAIM = 0.97
WARMUP, ROUNDS = 2, 9
SEED = 1


class Case(NamedTuple):
    """A network of the zoo, the images it trains on, and how often it steps in an epoch."""

    name: str
    size: int
    batch: int
    steps: int


CASES = {
    "cpu": (Case("lenet5", 32, 128, 150), Case("shufflenet_v2", 64, 32, 12), Case("resnet18", 64, 32, 8)),
    "cuda": (Case("lenet5", 32, 4096, 100), Case("shufflenet_v2", 224, 128, 20), Case("resnet18", 224, 128, 20)),
}


class Plain:
    """The loop that everyone writes."""

    def __init__(self, run: Run, samples: Arrays) -> None:
        self.run, self.device = run, torch.device(run.options.device)
        self.images, self.labels = samples.inputs[0], samples.targets[0]
        self.net = run.net().to(self.device).train()
        if self.device.type == "cuda":
            self.images, self.labels = self.images.pin_memory(), self.labels.pin_memory()
            self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        (mean,), (std,) = mean_and_std(samples, run.plan.graph)
        self.mean = torch.tensor(mean, device=self.device).view(1, -1, 1, 1)
        self.std = torch.tensor(std, device=self.device).view(1, -1, 1, 1)
        options = run.recipe.optimizer.options
        self.optimizer = torch.optim.SGD(self.net.parameters(), options.lr, options.momentum)

    def epoch(self, number: int) -> None:
        generator = torch.Generator().manual_seed(seeded(SEED, number))
        for rows in torch.randperm(len(self.images), generator=generator).split(self.run.recipe.batch):
            images = self.images[rows].to(self.device, non_blocking=True)
            labels = self.labels[rows].to(self.device, non_blocking=True)
            x = (images.float() / 255 - self.mean) / self.std
            if self.device.type == "cuda":
                x = x.contiguous(memory_format=torch.channels_last)
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.net(x), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()


class Beside(Callback):
    """Times the epochs of a run, and after each one that of the plain loop."""

    def __init__(self, plain: Callable[[int], None], clock: Callable[[], float]) -> None:
        self.plain, self.clock = plain, clock
        self.ours: list[float] = []
        self.theirs: list[float] = []
        self.net: nn.Module | None = None

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.began = self.clock()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx + 1 == trainer.num_training_batches:
            self.ours.append(self.clock() - self.began)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        start = self.clock()
        self.plain(trainer.current_epoch)
        self.theirs.append(self.clock() - start)
        self.net = pl_module.net


def images(count: int, shape: tuple[int, ...], classes: int, seed: int) -> Arrays:
    """Noise in which a class is a little brighter than the one before."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    pixels = torch.randint(128, (count, *shape), generator=generator, dtype=torch.uint8)
    return Arrays((pixels + (labels % 100).to(torch.uint8).view(-1, 1, 1, 1),), (labels,), labels)


def measured(case: Case, device: str) -> tuple[float, float]:
    """Seconds of a step of ours and of the plain loop."""
    plan = cnnplan.plan(ROOT / "specs" / f"{case.name}.yaml", input_size=case.size)
    epochs = WARMUP + ROUNDS
    recipe = recipe_of(plan, epochs=epochs, batch=case.batch, optimizer="momentum", lr=1e-3)
    plain_train = cnnplan.settings.Train()
    recipe = recipe._replace(augment=(), schedule=plain_train.schedule)
    (classes,), shape = plan.layers[-1].output, tuple(plan.graph.inputs[0].shape)
    train, other = images(case.batch * case.steps, shape, classes, 0), images(case.batch, shape, classes, 1)
    names = tuple(map(str, range(classes)))
    data = Data("noise", train, other, other, names, ("",), (shape,), (), "noise")
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere, hushed():
        options = Options(Path(folder) / "run", seed=SEED, device=device)
        plain = Plain(Run(plan, recipe, data, options), train)
        beside = Beside(plain.epoch, clock_of(device))
        printers = progress("lines", epochs, False, nowhere)
        Run(planned_for(plan, recipe, device), recipe, data, options, (*printers, beside)).train()
    return beside.ours, beside.theirs, beside.net, plain.net
