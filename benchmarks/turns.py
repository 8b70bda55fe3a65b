"""Two networks of the same function take turns in one process, and the ratio of their times is estimated.

Ours, theirs, and theirs once more: the ratio of the last two is known to be 1, so what it shows is noise.

    row ─┬─ block 1: fresh copies of all three ─┬─ round 1: ours, theirs, again
         │                                      ├─ round 2: theirs, again, ours
         │                                      └─ round 3: again, ours, theirs     → the median ratio of its rounds
         ├─ block 2: fresh copies …                                                 → another one
         └─ …

Copies lie elsewhere in memory, which alone makes some faster; so blocks count as samples, not rounds. A row gives the
geometric mean of their medians, theirs / ours, and its 95 % interval by Student's t. Ours is as fast as theirs where
the upper end reaches 1, and the lower end excludes that it is slower by `MARGIN`: noise alone proves nothing.
"""

from __future__ import annotations

import copy
import math
import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn import functional as F  # noqa: N812

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

MARGIN = 0.03
STUDENT = {8: 2.365, 16: 2.131}
"""The 97.5 % quantile of Student's t with one degree of freedom less than there are blocks."""

ROUNDS = (((0, 1, 2), (1, 2, 0), (2, 0, 1)), ((2, 1, 0), (1, 0, 2), (0, 2, 1)))
"""Each of the three once in each place; every other block goes the other way round."""


class Load(NamedTuple):
    """What a network runs.

    Attributes:
        size: of the images, which are square.
        turn: steps of one, before it is the next one's turn.
    """

    size: int
    batch: int
    turn: int = 1
    training: bool = False


class Estimate(NamedTuple):
    """A ratio of times, and its 95 % interval."""

    ratio: float
    low: float
    high: float

    @property
    def shows(self) -> bool:
        """Whether ours is as fast."""
        return self.high >= 1 and self.low >= 1 - MARGIN

    def __str__(self) -> str:
        return f"{self.ratio:5.3f} ({self.low:5.3f} … {self.high:5.3f})"


def estimate(medians: list[float]) -> Estimate:
    """From the median ratios of the blocks."""
    logs = [math.log(ratio) for ratio in medians]
    mean, half = statistics.mean(logs), STUDENT[len(logs)] * statistics.stdev(logs) / math.sqrt(len(logs))
    return Estimate(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


class Row(NamedTuple):
    """Milliseconds a step of both, theirs / ours, and theirs / theirs."""

    ours: float
    theirs: float
    ratio: Estimate
    null: Estimate


def steps(net: nn.Module, load: Load, device: str) -> Callable[[], float]:
    """What runs one turn of a network, and gives the seconds a step takes."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(load.batch, 3, load.size, load.size, generator=generator).to(device)
    labels = torch.randint(1000, (load.batch,), generator=generator).to(device)
    net.train(load.training)
    optimizer = torch.optim.SGD(net.parameters(), 1e-4)

    def step() -> None:
        if not load.training:
            with torch.no_grad():
                net(x)
            return
        torch.autograd.backward(F.cross_entropy(net(x), labels))
        optimizer.step()
        optimizer.zero_grad()

    def clock() -> float:
        if device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def turn() -> float:
        began = clock()
        for _ in range(load.turn):
            step()
        return (clock() - began) / load.turn

    return turn


def measured(ours: nn.Module, theirs: nn.Module, load: Load, device: str, blocks: int) -> Row:
    """All blocks of a row."""
    times: list[list[float]] = []
    ratios, nulls = [], []
    for block in range(blocks):
        turns = [steps(copy.deepcopy(net), load, device) for net in (ours, theirs, theirs)]
        for turn in turns:
            turn()
        found = []
        for order in ROUNDS[block % 2]:
            took = {which: turns[which]() for which in order}
            found.append([took[which] for which in range(3)])
        ratios.append(statistics.median(b / a for a, b, _ in found))
        nulls.append(statistics.median(c / b for _, b, c in found))
        times += found
    a, b, _ = (1000 * statistics.median(column) for column in zip(*times, strict=True))
    return Row(a, b, estimate(ratios), estimate(nulls))
