"""Gradients of several processes, averaged so that a run that goes on adds them up in the same order.

DDP packs gradients into buckets, which it packs anew after the first step that it sees; the order in which three or
more processes are summed up depends on the place in the bucket. So each gradient is summed up for itself, on CPUs,
where a run that goes on is the same bit for bit. Source: torch.distributed.algorithms.ddp_comm_hooks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, distributed

if TYPE_CHECKING:
    from torch.futures import Future


class InPlaces(DDPStrategy):
    """DDP whose sums do not depend on buckets."""

    def configure_ddp(self) -> None:
        super().configure_ddp()
        if self.num_processes * self.num_nodes > 2:  # a sum of two has one order
            # DDP refuses annotations that are text
            self.model.register_comm_hook(None, lambda state, bucket: averaged(bucket))  # type: ignore[union-attr, operator]


def averaged(bucket: Any) -> Future[Tensor]:
    """The mean over all processes of each gradient in a bucket."""
    world = distributed.get_world_size()
    works = [distributed.all_reduce(one.div_(world), async_op=True) for one in bucket.gradients()]
    done = torch.futures.collect_all([work.get_future() for work in works])
    return done.then(lambda _: bucket.buffer())
