"""What the benchmark against networks written by hand says, where time is what a test makes of it."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from types import ModuleType

stats = pytest.importorskip("scipy.stats")
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module: benchmarks are scripts beside each other, and no package."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("turns")


def test_quantile(turns: ModuleType) -> None:
    """Student's t, as SciPy has it."""
    assert {blocks: pytest.approx(stats.t.ppf(0.975, blocks - 1), abs=5e-4) for blocks in (8, 16)} == turns.STUDENT


def test_interval(turns: ModuleType) -> None:
    """SciPy's interval of the mean logarithm."""
    medians = [0.98, 0.99, 1.0, 1.01, 0.97, 1.02, 0.99, 0.985]
    logs = [math.log(ratio) for ratio in medians]
    mean = sum(logs) / 8
    low, high = stats.t.interval(0.95, 7, loc=mean, scale=stats.sem(logs))
    assert turns.estimate(medians) == pytest.approx((math.exp(mean), math.exp(low), math.exp(high)), abs=1e-5)


@pytest.mark.parametrize(
    ("low", "high", "shows"),
    [
        (0.98, 1.01, True),
        (1.02, 1.05, True),
        (0.98, 0.999, False),  # slower, if by little
        (0.90, 1.10, False),  # too noisy to tell
    ],
)
def test_what_is_shown(turns: ModuleType, low: float, high: float, shows: bool) -> None:
    assert turns.Estimate((low + high) / 2, low, high).shows is shows


class Slow(nn.Module):
    """Moves a clock on when it runs."""

    now = 0.0

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.weight = nn.Parameter(torch.zeros(3, 1000))

    def forward(self, x: Tensor) -> Tensor:
        Slow.now += self.seconds
        return x.mean((2, 3)) @ self.weight


@pytest.mark.parametrize("training", [False, True])
def test_turns(turns: ModuleType, monkeypatch: pytest.MonkeyPatch, training: bool) -> None:
    """Theirs takes three quarters of the time of ours; theirs beside itself is as fast."""
    monkeypatch.setattr(turns, "time", SimpleNamespace(process_time=lambda: Slow.now))
    row = turns.measured(Slow(0.004), Slow(0.003), turns.Load(4, 2, turn=5, training=training), "cpu", 8)
    assert row.ours == pytest.approx(4)
    assert row.theirs == pytest.approx(3)
    assert row.ratio == pytest.approx((0.75, 0.75, 0.75))
    assert row.null == pytest.approx((1, 1, 1))
    assert not row.ratio.shows


def test_order_of_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a block of theirs has first goes to its end, and no further."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    models = importlib.import_module("torchvision_models")
    names = [
        "stem.0.weight",
        "t.b1.u.proj.weight",
        "t.b1.u.f.weight",
        "t.b2.u.proj.weight",
        "t.b2.u.f.weight",
        "fc.bias",
    ]
    assert models.in_our_order(names, "") == names
    assert models.in_our_order(names, "proj") == [names[i] for i in (0, 2, 1, 4, 3, 5)]
