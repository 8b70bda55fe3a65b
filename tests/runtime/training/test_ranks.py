"""Which of several processes this is; and how far a run that was stopped came."""

import signal
import subprocess
import sys

import pytest

from cnnplan.runtime.training.interrupts import Interrupted
from cnnplan.runtime.training.ranks import first, restarted


@pytest.mark.parametrize(
    ("told", "is_first"),
    [
        ({}, True),
        ({"RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"RANK": "2", "LOCAL_RANK": "0"}, False),  # of the second machine
        ({"LOCAL_RANK": "1"}, False),
    ],
)
def test_who_is_first(monkeypatch: pytest.MonkeyPatch, told: dict[str, str], is_first: bool) -> None:
    for name in ("RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert first() is is_first


@pytest.mark.parametrize(("count", "again"), [(None, False), ("0", False), ("1", True)])
def test_who_was_started_again(monkeypatch: pytest.MonkeyPatch, count: str | None, again: bool) -> None:
    monkeypatch.delenv("TORCHELASTIC_RESTART_COUNT", raising=False)
    if count is not None:
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", count)
    assert restarted() is again


def test_asking_loads_no_torch() -> None:
    code = "import sys, cnnplan.runtime.training.ranks; assert not {'torch', 'lightning'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_how_far_a_run_came() -> None:
    assert Interrupted(signal.SIGINT, 3, 7, 40).where == "step 7 of 40 of epoch 3"
    assert Interrupted(signal.SIGINT, 3, 0, 40).where == "epoch 3"
