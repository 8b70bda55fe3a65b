"""What does each of several devices hold? Data parallel, with everything on each, or with parts of it.

    ddp     parameters, gradients and optimizer state whole on every device; gradients a second time, in
            the buckets that are exchanged (torch.nn.parallel.DistributedDataParallel, gradient_as_bucket_view=False)
    fsdp    a shard of each; while a unit runs, its whole parameters and those of the next are gathered,
            and its whole gradients before they are scattered (torch.distributed.fsdp, full sharding);
            the units are the top-level items of the spec

The batch is that of one device. Sources: Li et al. 2020, arXiv:2006.15704; Zhao et al. 2023, arXiv:2304.11277.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from cnnplan.memory import Memory

STRATEGIES: Final = ("ddp", "fsdp")
BUCKET: Final = 25 << 20
"""DDP's bucket_cap_mb, in bytes."""
FIRST_BUCKET: Final = 1 << 20
"""The first one is small, so that exchanging starts early."""
SHARDED: Final = ("parameters", "gradients", "optimizer_state", "average")


class Share(NamedTuple):
    """What one of several devices holds, in bytes.

    Attributes:
        devices, strategy: how many, and how.
        parameters, gradients, optimizer_state: of this device.
        buckets, bucket_count: gradients as they are exchanged, and in how many buckets, of about 25 MiB.
        gathered: parameters of other devices, and their gradients, while a unit runs; the most there are.
        peak: the most that is alive at once on this device.
        global_batch: samples on all devices.
    """

    devices: int
    strategy: str
    parameters: int
    gradients: int
    optimizer_state: int
    buckets: int
    bucket_count: int
    gathered: int
    peak: int
    global_batch: int


class Fleet(NamedTuple):
    """Several devices, and how the work is shared out among them."""

    devices: int
    strategy: str


def share(memory: Memory, fleet: Fleet, batch: int | None = None) -> Share:
    """What one device of several holds, at a batch size of its own."""
    devices, strategy = fleet
    training, batch = memory.training, memory.conditions.batch if batch is None else batch
    whole = {part: getattr(training, part) for part in ("parameters", "gradients", "optimizer_state")}
    if strategy == "ddp":
        buckets = training.gradients if devices > 1 else 0
        return Share(
            devices,
            strategy,
            **whole,
            buckets=buckets,
            bucket_count=_buckets(memory) if buckets else 0,
            gathered=0,
            peak=memory.played(batch).peak + buckets,
            global_batch=devices * batch,
        )
    tape = memory.tape
    sizes = tape.bytes(batch)
    for index, part in enumerate(tape.part):
        if part in SHARDED:
            sizes[index] = -(-sizes[index] // devices)
    live = peak = 0
    for event in tape.events:
        live += sizes[event - 1] if event > 0 else -sizes[-event - 1]
        peak = max(peak, live)
    gathered = _gathered(memory) if devices > 1 else 0
    shards = {part: -(-n // devices) for part, n in whole.items()}
    return Share(
        devices,
        strategy,
        **shards,
        buckets=0,
        bucket_count=0,
        gathered=gathered,
        peak=peak + gathered,
        global_batch=devices * batch,
    )


def _gathered(memory: Memory) -> int:
    """The whole parameters of two units in a row, and the gradients of the larger one."""
    width = memory.setting.precision.parameter
    nodes = memory.graph.nodes
    units: list[tuple[int, int]] = []
    for step in memory.graph.root.steps:
        for copy in step.copies:
            own = [(sum(memory.tensors[nodes[n.index]]), n.trainable) for n in copy.nodes() if not n.shared_with]
            if whole := sum(n for n, _ in own):
                units.append((whole * width, sum(n for n, trainable in own if trainable) * width))
    following = [*units[1:], (0, 0)] if units else []
    pairs = [a + b + max(da, db) for (a, da), (b, db) in zip(units, following, strict=True)]
    return max(pairs, default=0)


def _buckets(memory: Memory) -> int:
    """How many buckets: gradients in the order in which they are there, none cut in two, the first bucket small."""
    width, nodes = memory.setting.precision.parameter, memory.graph.nodes
    found, filled, limit = 0, 0, FIRST_BUCKET
    for node in reversed(nodes):
        for n in reversed(memory.tensors[node]) if node.trainable and not node.shared_with else ():
            filled += n * width
            if filled >= limit:
                found, filled, limit = found + 1, 0, BUCKET
    return found + (filled > 0)
