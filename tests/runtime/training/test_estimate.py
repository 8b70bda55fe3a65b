"""How long a training will take: on a clock that the steps move themselves, beside arithmetic by hand."""

from __future__ import annotations

import math
from itertools import chain, repeat
from typing import TYPE_CHECKING

import pytest

from cnnplan.runtime.training import estimate as estimating
from cnnplan.runtime.training.estimate import Estimate, estimate

if TYPE_CHECKING:
    from collections.abc import Iterable


class Clock:
    """A clock that stands still, but for steps that take as long as they are told."""

    def __init__(self, warm_up: float, steps: Iterable[float]) -> None:
        self.now = 1000.0
        self.left = chain([warm_up], steps)
        self.steps = 0

    def __call__(self) -> float:
        return self.now

    def step(self) -> None:
        self.steps += 1
        self.now += next(self.left)


def on(monkeypatch: pytest.MonkeyPatch, clock: Clock, batches: int = 10, val: int = 0, epochs: int = 1) -> Estimate:
    monkeypatch.setattr(estimating, "perf_counter", clock)
    return estimate(clock.step, batches, val, epochs)


def test_steps_that_agree_are_enough_at_five(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one, for warming up, does not count."""
    found = on(monkeypatch, clock := Clock(50.0, repeat(0.125)), batches=40, val=12, epochs=30)
    assert clock.steps == 6
    assert found.measured == 5
    assert found.step == found.low == found.high == 0.125
    assert found.epoch == pytest.approx(40 * 0.125 + 12 * 0.125 / 3)  # 5.5
    assert found.seconds == pytest.approx(165)


def test_steps_that_differ_are_measured_twenty_times(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = [0.01, 0.03] * 10
    found = on(monkeypatch, Clock(0.5, taken))
    assert found.measured == 20
    assert found.step == pytest.approx(0.02)
    assert (found.low, found.high) == (pytest.approx(0.01), pytest.approx(0.03))


@pytest.mark.parametrize(("each", "steps"), [(2.0, 2), (1.0, 3), (7.0, 1), (0.75, 4)])
def test_slow_steps_end_after_three_seconds(monkeypatch: pytest.MonkeyPatch, each: float, steps: int) -> None:
    assert on(monkeypatch, Clock(9.0, repeat(each))).measured == steps == math.ceil(3 / each)


def test_one_slow_step_among_five_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The median holds, and so do the quartiles: 1, 1, 1, 1, 9 has 1 and 1."""
    found = on(monkeypatch, Clock(0, [0.1, 0.9, 0.1, 0.1, 0.1]))
    assert found.measured == 5
    assert found.step == found.high == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("taken", "measured"),
    [
        ([0.1, 0.1, 0.1, 0.1049, 0.1049], 5),  # quartiles 0.1 and 0.1049: within 5 %
        ([0.1, 0.1, 0.1, 0.1051, 0.1051, 0.1, 0.1], 7),  # 0.1051 is not; of seven the upper one is 0.10255
    ],
)
def test_how_far_apart_they_may_lie(monkeypatch: pytest.MonkeyPatch, taken: list[float], measured: int) -> None:
    assert on(monkeypatch, Clock(0, taken)).measured == measured


def test_lines() -> None:
    one = Estimate(0.041, 0.041, 0.042, 8, 50, 3, 30)  # 50 * 41 ms + 41 ms = 2.091 s; 62.73 s in all
    assert one.lines() == [
        "about 2.1 s an epoch, 63 s for 30 epochs (41 ms a step, measured on 8 steps; "
        "a batch of validation is not measured, and taken as a third of a step)"
    ]
    two = Estimate(0.040, 0.030, 0.042, 1, 300, 0, 1)
    assert two.lines() == [
        "about 12 s for 1 epoch (40 ms a step, measured on 1 step)",
        "half of the steps took 30 ms to 42 ms: the estimate may be off by 25 %",
    ]


def test_a_real_step_is_timed() -> None:
    """With the real clock: as many calls as are said to be measured, and one before."""
    calls: list[int] = []
    found = estimate(lambda: calls.append(1), 7, 0, 2)
    assert len(calls) == found.measured + 1
    assert 5 <= found.measured <= 20
    assert found.seconds == pytest.approx(14 * found.step)
