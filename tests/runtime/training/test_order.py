"""Which samples make which batch."""

import pytest

from cnnplan.runtime.training.order import InTurn, Order, seeded


def epoch(
    count: int, batch: int, rank: int, world: int, epoch: int = 0, start: int = 0, seed: int = 0
) -> list[list[int]]:
    return list(Order(count, batch, seed, rank, world, lambda: (epoch, start)))


@pytest.mark.parametrize(("count", "batch"), [(10, 3), (9, 3), (100, 7), (5, 5), (3, 8)])
def test_every_sample_is_drawn_at_most_once_and_all_batches_are_full(count: int, batch: int) -> None:
    found = epoch(count, batch, 0, 1)
    drawn = [i for one in found for i in one]
    assert len(set(drawn)) == len(drawn) == count // min(batch, count) * min(batch, count)
    assert {len(one) for one in found} == {min(batch, count)}
    assert len(found) == len(Order(count, batch, 0, 0, 1, lambda: (0, 0)))


def test_what_is_left_out_changes_with_the_epoch() -> None:
    assert {i for e in range(40) for one in epoch(10, 4, 0, 1, e) for i in one} == set(range(10))
    assert any(set(range(10)) - {i for one in epoch(10, 4, 0, 1, e) for i in one} != {0, 1} for e in range(5))


@pytest.mark.parametrize("world", [2, 4])
def test_several_processes_share_the_batches_of_one(world: int) -> None:
    alone = epoch(103, 8 * world, 0, 1, 3)
    parts = [epoch(103, 8, rank, world, 3) for rank in range(world)]
    assert alone == [[sample for part in parts for sample in part[i]] for i in range(len(alone))]


def test_it_goes_on_anywhere() -> None:
    assert epoch(50, 4, 0, 1, 2, start=7) == epoch(50, 4, 0, 1, 2)[7:]


def test_seeds_and_epochs_make_other_orders() -> None:
    assert epoch(50, 4, 0, 1) == epoch(50, 4, 0, 1)
    assert epoch(50, 4, 0, 1) != epoch(50, 4, 0, 1, 1)
    assert epoch(50, 4, 0, 1) != epoch(50, 4, 0, 1, seed=1)


@pytest.mark.parametrize("world", [1, 2, 4])
@pytest.mark.parametrize("count", [1, 3, 8, 9, 17, 33])
def test_each_sample_is_judged_once_and_all_processes_have_as_many_batches(count: int, world: int) -> None:
    orders = [InTurn(count, 4, rank, world) for rank in range(world)]
    judged = [i for one in orders for n, batch in enumerate(one) if not one.is_padding(n) for i in batch]
    assert sorted(judged) == list(range(count))
    assert len({len(one) for one in orders}) == 1
    assert all(batch for one in orders for batch in one)


def test_seeds_of_neighbours_have_nothing_in_common() -> None:
    seeds = {seeded(a, b, c) for a in range(20) for b in range(20) for c in range(20)}
    assert len(seeds) == 8000
    assert all(0 <= seed < 2**63 for seed in seeds)
