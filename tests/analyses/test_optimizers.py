"""What optimizers hold and need for a while, and what losses keep: torch's own, storage by storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import cnnplan
from cnnplan.analyses.optimizers import IMPLEMENTATIONS, LOSSES, OPTIMIZERS
from cnnplan.errors import UsageError
from cnnplan.runtime.tracker import Tracker
from tests.language.helpers import net

if TYPE_CHECKING:
    from collections.abc import Callable

ALONE = ((5, 3, 3, 3),)
SEVERAL = ((7,), (3, 5), (64,), (6, 3, 3, 3), (1,))
"""In an order in which a larger one follows a smaller one."""

CLASSES: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": lambda p, **how: torch.optim.SGD(p, momentum=0.9, **how),
    "nesterov": lambda p, **how: torch.optim.SGD(p, momentum=0.9, nesterov=True, **how),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "rmsprop_momentum": lambda p, **how: torch.optim.RMSprop(p, momentum=0.9, **how),
}
HOW: dict[str, dict[str, bool]] = {
    "forloop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}
UNFUSED = ("rmsprop", "rmsprop_momentum")


class Needed(NamedTuple):
    """Bytes that a step needs: of the parameters, held between steps, and for a while."""

    sizes: list[int]
    state: int
    counts: int
    brief: int


def stepped(name: str, implementation: str, decayed: bool, shapes: tuple[tuple[int, ...], ...]) -> Needed:
    """The second step of an optimizer, which has its state by then."""
    parameters = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    for p in parameters:
        p.grad = torch.randn_like(p)
    with Tracker([*parameters, *(p.grad for p in parameters if p.grad is not None)]) as tracker:
        optimizer = CLASSES[name](parameters, lr=1e-3, weight_decay=1e-2 * decayed, **HOW[implementation])
        optimizer.step()
        between = tracker.live
        tracker.peak = between
        optimizer.step()
        assert tracker.live == between
    held = [v for state in optimizer.state.values() for v in state.values() if isinstance(v, Tensor)]
    assert sum(v.nbytes for v in held) == between
    counts = sum(v.nbytes for v in held if not v.dim())
    return Needed([p.nbytes for p in parameters], between - counts, counts, tracker.peak - between)


def rows() -> list[Any]:
    """Every optimizer in every implementation that torch has, with and without weight decay."""
    found = []
    for name in OPTIMIZERS:
        for implementation in IMPLEMENTATIONS:
            for decayed in (False, True):
                if implementation == "fused" and name in UNFUSED:
                    continue
                words = [name, implementation, "decayed" if decayed else "plain"]
                found.append(pytest.param(name, implementation, decayed, id="-".join(words)))
    return found


@pytest.mark.parametrize(("name", "implementation", "decayed"), rows())
def test_the_tensors_of_a_step(name: str, implementation: str, decayed: bool) -> None:
    """One parameter: how many tensors of its size are alive at once beside those that are held."""
    (size,), _, _, brief = stepped(name, implementation, decayed, ALONE)
    assert brief == sum(OPTIMIZERS[name].scratch(implementation, decayed, [size]))


@pytest.mark.parametrize(("name", "implementation", "decayed"), rows())
def test_several_parameters(name: str, implementation: str, decayed: bool) -> None:
    """All of them at once, or one after the other: then the largest counts."""
    sizes, _, _, brief = stepped(name, implementation, decayed, SEVERAL)
    assert brief == sum(OPTIMIZERS[name].scratch(implementation, decayed, sizes))


@pytest.mark.parametrize("decayed", [False, True], ids=["plain", "decayed"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_is_held_between_steps(name: str, decayed: bool) -> None:
    """Whatever the implementation: so many tensors of the parameters' size, and a float32 for each count."""
    row = OPTIMIZERS[name]
    for implementation in IMPLEMENTATIONS:
        if implementation == "fused" and name in UNFUSED:
            continue
        sizes, state, counts, _ = stepped(name, implementation, decayed, SEVERAL)
        assert state == row.states * sum(sizes)
        assert counts == 4 * len(sizes) * row.counts


def test_the_rows_are_those_of_torch() -> None:
    """None is left out here; and where torch has no fused kernel, it says so."""
    assert set(CLASSES) == set(OPTIMIZERS)
    assert set(HOW) == set(IMPLEMENTATIONS)
    for name in UNFUSED:
        with pytest.raises(TypeError, match="fused"):
            CLASSES[name]([nn.Parameter(torch.zeros(1))], fused=True)


@pytest.mark.parametrize("name", UNFUSED)
def test_there_is_no_fused_rmsprop(name: str) -> None:
    with pytest.raises(UsageError, match="fused"):
        cnnplan.plan(net("- relu"), optimizer=name, implementation="fused").training  # noqa: B018 - it is computed


# ------------------------------------------------------------------------- losses

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": F.cross_entropy,
    "binary_cross_entropy": F.binary_cross_entropy_with_logits,
    "nll": F.nll_loss,
    "mse": F.mse_loss,
    "l1": F.l1_loss,
}
SHAPES = ((10,), (4, 5, 3))


class Passes(NamedTuple):
    """Bytes: kept behind the forward pass; for a while in it; and for a while in the backward pass."""

    kept: int
    forward: int
    backward: int


def passes(name: str, shape: tuple[int, ...], batch: int) -> Passes:
    """A loss and its gradient, the output and the target apart."""
    y = torch.randn(batch, *shape, requires_grad=True)
    target = torch.zeros(batch, *shape[1:], dtype=torch.int64) if LOSSES[name].classes else torch.rand(batch, *shape)
    with Tracker([y, target]) as tracker:
        loss = FUNCTIONS[name](y, target)
        kept, forward = tracker.live, tracker.peak
        tracker.peak = kept
        (gradient,) = torch.autograd.grad(loss, y)
    assert gradient.nbytes == y.nbytes
    return Passes(kept, forward - kept, tracker.peak - kept - gradient.nbytes)


@pytest.mark.parametrize("shape", SHAPES, ids=["vector", "map"])
@pytest.mark.parametrize("name", LOSSES)
def test_what_a_loss_keeps_and_needs(name: str, shape: tuple[int, ...]) -> None:
    """The difference of two batches leaves out single numbers: the loss, its gradient, the sum of weights."""
    row = LOSSES[name]
    three, seven = passes(name, shape, 3), passes(name, shape, 7)
    size = 4 * 4 * torch.Size(shape).numel()
    found = tuple(b - a for a, b in zip(three, seven, strict=True))
    assert found == (size * row.kept, size * row.forward, size * row.backward)
    assert max(b - size // 4 * 7 * n for b, n in zip(seven, (row.kept, row.forward, row.backward), strict=True)) <= 8


@pytest.mark.parametrize("name", LOSSES)
def test_where_the_number_of_a_loss_lies(name: str) -> None:
    """In a storage of its own, or in the one of the output's size in which it was summed."""
    y = torch.randn(2, 10, requires_grad=True)
    target = torch.zeros(2, dtype=torch.int64) if LOSSES[name].classes else torch.rand(2, 10)
    loss = FUNCTIONS[name](y, target)
    assert loss.untyped_storage().nbytes() == (y.nbytes if LOSSES[name].whole else 4)


def test_the_losses_are_those_of_the_language() -> None:
    """Each can be chosen in `train`, and none beside them."""
    assert set(FUNCTIONS) == set(LOSSES)
    for name in LOSSES:
        plan = cnnplan.plan(net("- relu", more=f"train: {{loss: {name}}}"))
        assert plan.conditions.losses == (name,)
    with pytest.raises(cnnplan.SpecError):
        cnnplan.plan(net("- relu", more="train: {loss: hinge}"))
