"""The figures of the device that is here: what a bound of time can be reckoned with.

A CUDA device that `cnnplan devices` knows has its data sheet's. Others, and CPUs, are measured: the best rate of
matrix products that fit into the cache, of one thread, for each thread; and the best of five ways to move memory
that the cache of a core does not hold. Nothing that all threads do together is faster than the sum of what each can
do alone, so that what is reckoned with them stays a bound.

Source: Williams, Waterman & Patterson 2009, doi:10.1145/1498765.1498785 (ceilings are measured).
"""

from __future__ import annotations

import platform
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from cnnplan.devices import Device, devices
from cnnplan.fitting import machine_memory

if TYPE_CHECKING:
    from collections.abc import Callable

DTYPES = ("float32", "float16", "bfloat16")
PRODUCTS = (256, 384, 512, 768)
"""Matrices of so many rows and columns fit into a core's cache."""
ON_CUDA = (4096, 8192)
CACHE = 2 << 20
"""Bytes of a core's own cache, where the machine does not say."""
TIMES = (1.5, 2, 4)
"""Memory is moved in buffers of so many times the cache."""


class Machine(NamedTuple):
    """A device and where its figures are from.

    Attributes:
        device: the figures.
        measured: whether they were measured here, and are not its data sheet's.
        threads: of the CPU that work at once; 0 on CUDA.
    """

    device: Device
    measured: bool
    threads: int


def machine(place: torch.device, dtype: str) -> Machine:
    """The figures of a device, for networks in float32 and in `dtype`; measuring takes less than a second."""
    if place.type == "cuda":
        properties = torch.cuda.get_device_properties(place)
        if known := named(properties.name, properties.total_memory):
            return Machine(known._replace(memory=properties.total_memory), False, 0)
        return Machine(_cuda(place, properties), True, 0)
    return Machine(_cpu(dtype), True, torch.get_num_threads())


def named(name: str, memory: int) -> Device | None:
    """The known device of a name as CUDA gives it, such as "NVIDIA A100-SXM4-80GB", and as much memory."""
    words = re.findall(r"[a-z0-9]+", name.lower().replace("rtx ", "rtx"))
    for key, device in devices().items():
        if key.partition("-")[0] in words and abs(device.memory - memory) < 0.05 * device.memory:
            return device
    return None


def _cpu(dtype: str) -> Device:
    threads = torch.get_num_threads()
    cache = _cache()
    torch.set_num_threads(1)
    try:
        rates = {name: threads * _products(name, PRODUCTS) for name in {"float32", dtype}}
        bandwidth = threads * max(_moved(int(times * cache)) for times in TIMES)
    finally:
        torch.set_num_threads(threads)
    return Device(
        key="cpu",
        name=_cpu_name(),
        memory=machine_memory(),
        bandwidth=round(bandwidth),
        float32=round(rates["float32"]),
        tf32=None,
        float16=round(rates["float16"]) if "float16" in rates else None,
        bfloat16=round(rates["bfloat16"]) if "bfloat16" in rates else None,
        l2=threads * cache,
        compute_capability=(0, 0),
        sources=("measured here",),
    )


def _cuda(place: torch.device, properties: object) -> Device:
    """Of a device without a data sheet here."""
    with torch.device(place):
        rates = {name: round(_products(name, ON_CUDA)) for name in DTYPES}
        torch.backends.cuda.matmul.allow_tf32, before = True, torch.backends.cuda.matmul.allow_tf32
        tf32 = round(_products("float32", ON_CUDA))
        torch.backends.cuda.matmul.allow_tf32 = before
        bandwidth = round(_moved(1 << 30))
    major, minor = torch.cuda.get_device_capability(place)
    return Device(
        key="cuda",
        name=torch.cuda.get_device_name(place),
        memory=int(getattr(properties, "total_memory", 0)),
        bandwidth=bandwidth,
        tf32=tf32,
        l2=int(getattr(properties, "L2_cache_size", 0)),
        compute_capability=(major, minor),
        sources=("measured here",),
        **rates,
    )


def _best(run: Callable[[], object], seconds: float) -> float:
    """The shortest time of a call, of those that fit into some seconds."""
    cuda = torch.get_default_device().type == "cuda"
    run()
    found, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        if cuda:
            torch.cuda.synchronize()
        started = time.perf_counter()
        run()
        if cuda:
            torch.cuda.synchronize()
        found = min(found, time.perf_counter() - started)
    return found


def _products(dtype: str, sizes: tuple[int, ...]) -> float:
    """Floating point operations a second, in the best of several matrix products."""
    best = 0.0
    for n in sizes:
        a, b, out = (torch.ones(n, n, dtype=getattr(torch, dtype)) for _ in range(3))
        best = max(best, 2 * n**3 / _best(lambda a=a, b=b, out=out: torch.mm(a, b, out=out), 0.05))  # type: ignore[misc]
    return best


def _moved(size: int) -> float:
    """Bytes a second that are read and written, in the best of several ways."""
    x, y = torch.ones(size // 4), torch.ones(size // 4)
    ways: tuple[tuple[int, Callable[[], object]], ...] = (
        (1, x.sum),
        (1, y.zero_),
        (2, lambda: y.copy_(x)),
        (2, x.relu_),
        (3, lambda: torch.add(x, x, out=y)),
    )
    return max(tensors * x.nbytes / _best(way, 0.02) for tensors, way in ways)


def _cache() -> int:
    """Bytes of the largest cache that a core has for itself."""
    best = 0
    for folder in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            size = (folder / "size").read_text().strip()
            level, kind = (folder / "level").read_text().strip(), (folder / "type").read_text().strip()
        except OSError:
            continue
        if level == "2" and kind != "Instruction" and size.endswith("K"):
            best = max(best, int(size[:-1]) << 10)
    return best or CACHE


def _cpu_name() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    name = found[1] if found else platform.processor() or platform.machine()
    return re.sub(r"\s+", " ", re.sub(r"\((R|TM)\)", "", name)).strip()
