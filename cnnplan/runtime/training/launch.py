"""Processes and machines: what the launcher says, how many compute and how many fetch; `ranks` says who is first."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch

from cnnplan.errors import UsageError
from cnnplan.runtime.data.pictures import Pictures
from cnnplan.runtime.training.ranks import restarted

if TYPE_CHECKING:
    from cnnplan.planning import Plan
    from cnnplan.runtime.data.base import Data
    from cnnplan.runtime.training.session import Asked

WORK_OF_A_THREAD = 200_000_000
"""Multiply-accumulates of a step that keep a thread of a CPU busy."""


def joined(device: str) -> None:
    """Meet the other processes of an elastic launch that started again.

    The agent's store keeps the addresses of processes that are gone: each attempt needs names of its own.
    """
    distributed: Any = torch.distributed

    if not restarted() or distributed.is_initialized():
        return
    world, rank = int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"])
    agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    port = int(os.environ["MASTER_PORT"])
    store = distributed.TCPStore(os.environ["MASTER_ADDR"], port, world, is_master=not agent and rank == 0)
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    own = distributed.PrefixStore(f"attempt-{os.environ['TORCHELASTIC_RESTART_COUNT']}", store)
    distributed.init_process_group("nccl" if device == "cuda" else "gloo", store=own, rank=rank, world_size=world)


def processes(asked: Asked) -> tuple[int, int]:
    """Devices on each machine, and machines: what the launcher says, where there is one."""
    if "LOCAL_WORLD_SIZE" not in os.environ:
        if (asked.nodes or 1) > 1 and "SLURM_NTASKS" not in os.environ:
            raise UsageError(
                f"--nodes {asked.nodes} needs a launcher on each machine: torchrun --nnodes {asked.nodes} "
                f"--nproc-per-node {asked.devices or 1} --rdzv-backend c10d "
                "--rdzv-endpoint HOST:PORT -m cnnplan train …"
            )
        return asked.devices or 1, asked.nodes or 1
    devices = int(os.environ["LOCAL_WORLD_SIZE"])
    nodes = int(os.environ["WORLD_SIZE"]) // devices
    for option, wanted, there in (("--devices", asked.devices, devices), ("--nodes", asked.nodes, nodes)):
        if wanted is not None and wanted != there:
            raise UsageError(f"{option} {wanted}: the launcher started {there}; leave the option out")
    return devices, nodes


def device_of(asked: Asked, devices: int) -> str:
    """What runs a training: "cpu" or "cuda".

    Raises:
        UsageError: there is no CUDA device, or not as many.
    """
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    kind = asked.device if asked.device != "auto" else "cuda" if available else "cpu"
    if kind == "cuda" and not available:
        raise UsageError("there is no CUDA device here: --device cpu trains on the CPU")
    if kind == "cuda" and devices > available:
        raise UsageError(f"--devices {devices}: this machine has {available} with CUDA")
    return kind


def threads(plan: Plan, processes: int) -> int:
    """Threads that compute in each process: one where a step is so small that threads would wait for each other."""
    work = 3 * plan.macs * plan.batch
    return max(1, min(torch.get_num_threads() // processes, 1 + work // WORK_OF_A_THREAD))


def workers(data: Data) -> int:
    """Processes that fetch: some where files are decoded, none where samples are in memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, max(1, cores - 1)) if isinstance(data.train, Pictures) else 0
