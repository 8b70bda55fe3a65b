"""Other ways to run a network compute the same; larger batches until memory ends; what does not fit."""

from itertools import pairwise
from typing import Any

import pytest
import torch

import cnnplan
from cnnplan.analyses.fit import Place, need
from cnnplan.errors import UsageError
from cnnplan.planning import Plan
from cnnplan.runtime.profiling import batches as module
from cnnplan.runtime.profiling.batches import Room, batches, room_for, with_batch
from cnnplan.runtime.profiling.clock import Clock
from cnnplan.runtime.profiling.whole import EAGER, Way, Whole, ways
from tests.cli.run import ROOT

CPU = torch.device("cpu")
TEXT = """\
cnnplan: 1
name: small
input: [3, 16, 16]
layers:
  - conv: {out_channels: 8, kernel_size: 3, padding: 1}
  - batchnorm
  - relu
  - global_avgpool
  - linear: 4
"""


def plan_of(text: str = TEXT, **conditions: Any) -> Plan:
    return cnnplan.plan(text, target="cpu", **conditions)


def outputs(whole: Whole, way: Way) -> torch.Tensor:
    torch.manual_seed(1)
    found = whole.inference(way)()
    assert isinstance(found, torch.Tensor)
    return found


@pytest.mark.parametrize("way", [Way("last", channels_last=True), Way("folded", optimized=True)])
def test_other_ways_compute_the_same(way: Way) -> None:
    for plan in (
        plan_of(batch=3),
        cnnplan.plan(ROOT / "specs" / "shufflenet_v2.yaml", input_size=64, batch=2, target="cpu"),
    ):
        whole = Whole(plan, CPU, Clock(), 0.0, 1)
        eager = outputs(whole, EAGER)
        torch.testing.assert_close(outputs(whole, way), eager, rtol=0, atol=1e-5 * eager.abs().max().item())


def test_mixed_precision_is_near() -> None:
    whole = Whole(plan_of(batch=3), CPU, Clock(), 0.0, 1)
    mixed = outputs(whole, Way("mixed", dtype="bfloat16"))
    assert mixed.dtype == torch.bfloat16
    torch.testing.assert_close(mixed.float(), outputs(whole, EAGER), rtol=0.05, atol=0.05)


def test_channels_last_is_asked_of_weights_and_inputs() -> None:
    whole = Whole(plan_of(batch=3), CPU, Clock(), 0.0, 1)
    step = whole.training(Way("last", channels_last=True))
    weight = next(p for p in step.model.parameters() if p.dim() == 4)  # type: ignore[attr-defined]
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()
    assert step.inputs[0].is_contiguous(memory_format=torch.channels_last)  # type: ignore[attr-defined]


def test_what_a_sweep_tries() -> None:
    assert [way.name for way in ways(plan_of(), CPU)] == [
        "eager",
        "channels_last",
        "torch.compile",
        "mixed bfloat16",
        "folded norms",
        "all of them",
    ]
    narrow = plan_of("cnnplan: 1\nname: one\ninput: [3]\nlayers: [linear: 2]\n", dtype="bfloat16")
    assert [way.name for way in ways(narrow, CPU)] == ["eager", "torch.compile", "folded norms", "all of them"]


def test_what_torch_cannot_do_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(model: object) -> object:
        raise RuntimeError("\nno compiler here\nand more")

    monkeypatch.setattr(torch, "compile", refuses)
    speed = Whole(plan_of(batch=2), CPU, Clock(), 0.0, 1).speed(Way("torch.compile", compiled=True))
    assert (speed.inference, speed.training, speed.reason) == (None, None, "no compiler here")


def test_batches_until_memory_ends() -> None:
    """The last one is the largest that fits, and one more would not."""
    plan = plan_of()
    limit = with_batch(plan, 13).training.peak
    found = list(batches(Whole(plan, CPU, Clock(), 0.0, 1), Room(limit), training=True))
    assert [one.size for one in found] == [1, 2, 4, 8, 16, 13]
    assert [one.measured for one in found] == [one.planned if one.size != 16 else None for one in found]
    assert found[4].note.startswith("does not fit: ")
    assert found[4].speed is None
    assert found[5].note == "the largest that is planned to fit for sure"
    assert found[5].planned == limit < with_batch(plan, 14).training.peak
    assert all(a.planned < b.planned for a, b in pairwise(found[:5]))


def test_batches_of_an_inference() -> None:
    plan = plan_of()
    limit = with_batch(plan, 5).inference.peak
    found = list(batches(Whole(plan, CPU, Clock(), 0.0, 1), Room(limit), training=False))
    assert [one.size for one in found] == [1, 2, 4, 8, 5]
    assert [one.measured for one in found] == [one.planned if one.size != 8 else None for one in found]
    assert all(one.speed is None or one.speed.training is None for one in found)
    assert found[-1].planned == limit


def test_batches_end_where_they_are_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLOW", 0.0)
    (one,) = batches(Whole(plan_of(), CPU, Clock(), 0.0, 1), Room(1 << 30), training=True)
    assert one.size == 1
    assert one.note.endswith("larger ones were left out")


def test_a_batch_that_does_not_fit() -> None:
    plan = plan_of(batch=100)
    limit = with_batch(plan, 37).training.peak
    with pytest.raises(UsageError, match=r"needs at least .* are free; the largest batch that fits is 37: --batch 37"):
        room_for(plan, Room(limit), training=True)
    room_for(with_batch(plan, 37), Room(limit), training=True)
    assert need(plan.memory, Place(limit), batch=38).total.at_least > limit
    with pytest.raises(UsageError, match="and 1000 B are allowed; not even a batch of 1 fits"):
        room_for(plan, Room(1000, "allowed"), training=True)
