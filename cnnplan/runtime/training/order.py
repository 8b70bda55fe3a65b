"""Which samples make which batch: a function of seed, epoch and position, so that a run can go on anywhere.

The batches of several processes are those of one process with as large a batch, cut into equal parts.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader, Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cnnplan.runtime.data.base import Batch, Samples


def seeded(*parts: int) -> int:
    """A seed of 63 bits from several numbers."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest(), "big") >> 1


class Order(Sampler[list[int]]):
    """The batches of an epoch in training, for one of several processes.

    Every sample is drawn once an epoch, but for those that fill no batch, which are others in each epoch.

    Args:
        count: samples there are.
        batch: in a batch of this process.
        seed: of the permutations.
        rank, world: which process, of how many.
        position: gives the epoch, and the batch to begin with.
    """

    def __init__(
        self, count: int, batch: int, seed: int, rank: int, world: int, position: Callable[[], tuple[int, int]]
    ) -> None:
        self.count, self.seed, self.rank, self.world, self.position = count, seed, rank, world, position
        self.batch = min(batch, max(1, count // world))

    def __len__(self) -> int:
        return self.count // (self.batch * self.world)

    def __iter__(self) -> Iterator[list[int]]:
        epoch, start = self.position()
        generator = torch.Generator().manual_seed(seeded(self.seed, epoch))
        order = torch.randperm(self.count, generator=generator).tolist()
        for index in range(start, len(self)):
            first = (index * self.world + self.rank) * self.batch
            yield order[first : first + self.batch]


class InTurn(Sampler[list[int]]):
    """All samples in turn, each in one process; every process has as many batches.

    Where there are too few samples for the last ones, a process runs the first sample again, and does not count it.
    """

    def __init__(self, count: int, batch: int, rank: int, world: int) -> None:
        size = batch * world
        self.batches = [list(range(i, min(i + size, count)))[rank::world] for i in range(0, count, size)]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter([one or [0] for one in self.batches])

    def is_padding(self, index: int) -> bool:
        """Whether a batch is not to be counted."""
        return not self.batches[index]


class Loader(DataLoader[Any]):
    """A loader whose place is known to its sampler: it has no state of its own."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the trainer's counters say where it is."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing."""


def loader(samples: Samples, order: Sampler[list[int]], workers: int, *, pinned: bool) -> Loader:
    """Fetches batches, in worker processes where there are any."""
    return Loader(
        samples,
        batch_sampler=order,
        collate_fn=as_it_is,  # type: ignore[arg-type]
        num_workers=workers,
        pin_memory=pinned,
        persistent_workers=workers > 0,
    )


def as_it_is(batch: Batch) -> Batch:
    """What `Samples.__getitems__` gives is a batch already."""
    return batch
