"""Schedules against torch's own."""

import pytest
import torch

from cnnplan.runtime.training.schedules import factor
from cnnplan.train_settings import Schedule

LR = 0.2


def rates(schedule: object, epochs: int, steps: int) -> list[float]:
    """What an optimizer gets at each step."""
    at = factor(Schedule.model_validate(schedule), LR, epochs, steps)
    return [LR * at(step) for step in range(epochs * steps)]


def oracle(make: object, count: int) -> list[float]:
    """The rates of one of torch's schedulers."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], LR)
    scheduler = make(optimizer)  # type: ignore[operator]
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_constant() -> None:
    assert rates("constant", 3, 4) == [LR] * 12


def test_step_falls_at_the_ends_of_epochs() -> None:
    expected = oracle(lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=10, gamma=0.3), 60)
    assert rates({"step": {"every": 2, "gamma": 0.3}}, 12, 5) == pytest.approx(expected)


def test_cosine() -> None:
    expected = oracle(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 60, eta_min=0.01), 60)
    assert rates({"cosine": {"minimum": 0.01}}, 12, 5) == pytest.approx(expected)


@pytest.mark.parametrize("share", [0.3, 0.1, 0.5])
def test_one_cycle(share: float) -> None:
    expected = oracle(
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.5, total_steps=60, pct_start=share, cycle_momentum=False), 60
    )
    assert rates({"one_cycle": {"max_lr": 0.5, "warmup": share}}, 12, 5) == pytest.approx(expected)


def test_one_cycle_goes_up_to_the_optimizers_own_rate_by_default() -> None:
    assert max(rates("one_cycle", 10, 10)) == pytest.approx(LR)


@pytest.mark.parametrize("kind", ["constant", "cosine"])
def test_warm_up_is_linear_and_ends_at_the_full_rate(kind: str) -> None:
    found = rates({kind: {"warmup": 2}}, 6, 5)
    expected = oracle(
        lambda o: torch.optim.lr_scheduler.LinearLR(o, start_factor=1 / 11, end_factor=1.0, total_iters=10), 11
    )
    assert found[:11] == pytest.approx(expected)
    if kind == "cosine":
        rest = oracle(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20), 20)
        assert found[10:] == pytest.approx(rest)


def test_steps_count_from_the_beginning_behind_a_warm_up() -> None:
    found = rates({"step": {"every": 3, "gamma": 0.1, "warmup": 1}}, 6, 4)
    assert found[4:12] == [LR] * 8
    assert found[12:] == pytest.approx([LR * 0.1] * 12)
