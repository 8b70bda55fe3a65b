"""What building a network costs: ours from its spec, ours from its emitted source alone, torchvision's from its class.

Each is built in a process of its own, forked from one that has imported all, and builds LeNet first. Time is CPU time
of one thread; memory is how far the peak of the process rises, as Linux tells it. Both draw fresh weights as their code
says: each layer's own, and after them the network's. torchvision has only the former for AlexNet and ShuffleNet, and
here for GoogLeNet (see torchvision_models.py). On the meta device neither draws or allocates any.
"""

from __future__ import annotations

import re
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torchvision_models import PAIRS, SPECS, by_hand, torchvision

import cnnplan

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

RUNS = 5


class Cost(NamedTuple):
    """Of one building: milliseconds, MiB."""

    time: float
    memory: float


def from_spec(name: str) -> Callable[[], nn.Module]:
    return lambda: cnnplan.build(SPECS / f"{name}.yaml")


def from_source(name: str) -> Callable[[], nn.Module]:
    from cnnplan.emit import emit
    from cnnplan.runtime.build import execute

    source = emit(cnnplan.plan(SPECS / f"{name}.yaml").graph)

    def build() -> nn.Module:
        net: nn.Module = getattr(execute(source), source.model)()
        return net

    return build


def theirs(name: str) -> Callable[[], nn.Module]:
    torchvision()
    return lambda: by_hand(name)


def theirs_on_meta(name: str) -> Callable[[], nn.Module]:
    torchvision()

    def build() -> nn.Module:
        with torch.device("meta"):
            return by_hand(name)

    return build


WAYS: dict[str, Callable[[str], Callable[[], nn.Module]]] = {
    "spec": from_spec,
    "source": from_source,
    "theirs": theirs,
    "meta": lambda name: lambda: cnnplan.build(SPECS / f"{name}.yaml", meta=True),
    "theirs on meta": theirs_on_meta,
}


def peak() -> float:
    """MiB, of this process; what getrusage says includes the one that started it."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found
    return int(found[1]) / 1024


def build_once(way: str, name: str) -> Cost:
    """In this process, which is fresh."""
    build = WAYS[way](name)
    for meta in (False, True):
        cnnplan.build(SPECS / "lenet5.yaml", meta=meta)  # touches the pages that are shared with the parent until then
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the peak so far
    before, began = peak(), time.process_time()
    net = build()
    took = time.process_time() - began
    assert sum(parameter.numel() for parameter in net.parameters()) > 1_000_000
    assert all(parameter.is_meta == ("meta" in way) for parameter in net.parameters())
    return Cost(1000 * took, peak() - before)


def main() -> None:
    """A row for each network, or for those named: the least of some runs, since what else runs only adds."""
    torch.set_num_threads(1)
    torchvision()
    for meta in (False, True):
        cnnplan.build(SPECS / "lenet5.yaml", meta=meta)
    print("building, CPU ms of one thread, and how far the peak of memory rises, MiB")
    print(f"{'':19}{'ours':>16}{'from source':>16}{'theirs':>16}{'ours, meta':>16}{'theirs, meta':>16}", flush=True)
    with get_context("fork").Pool(1, maxtasksperchild=1) as fresh:
        for name in sys.argv[1:] or PAIRS:
            print(f"{name:<19}", end="")
            for way in WAYS:
                if PAIRS[name].on_meta or way != "theirs on meta":
                    costs = fresh.starmap(build_once, [(way, name)] * RUNS, chunksize=1)
                    took, memory = map(min, zip(*costs, strict=True))
                    print(f"{took:9.0f} {memory:6.1f}", end="")
            print(flush=True)


if __name__ == "__main__":
    main()
