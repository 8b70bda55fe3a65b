"""Why a layer takes its time: what its numbers say.

launch-bound    launching it takes longer than running it
too narrow      its groups have fewer channels than the units that multiply take at once
memory-bound    the bytes it moves take longer than its work
compute-bound   the other way round
under-used      far from both: its work is too small, too scattered, or the machine had other work
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from cnnplan.render.numbers import counted, gigabytes, percent, plural, seconds, size

if TYPE_CHECKING:
    from cnnplan.analyses.roofline import Pass
    from cnnplan.devices import Device
    from cnnplan.graph import Node

LAUNCHES = 16
"""A layer that takes less than so many of the smallest operations does little else than start."""
WAITS = 0.9
"""Where launching takes such a share of a layer's time, the device waits for the CPU."""
WIDTH = {"cpu": 16, "cuda": 16}
"""Channels that fill a unit: the floats of a vector register (AVX-512), a tile of a tensor core (CUDA's WMMA)."""
USED = 0.05
"""Below such a share of what the device can do, neither work nor bytes are what takes the time."""
GOOD = 0.5
"""A layer that reaches such a share of what the device can do is as quick as can be expected."""


def why(node: Node, work: Pass, format: str, took: float, device: Device, launch: float, waited: float) -> str:
    """The reason, with its numbers.

    Args:
        work: of the forward and the backward pass, with the bound.
        format: what its products are computed in; "" without products.
        took: seconds.
        launch: seconds of the smallest operation.
        waited: the share of the time in which the device waited.
    """
    kind = "cpu" if device.key == "cpu" else "cuda"
    if waited >= WAITS:
        return f"launch-bound: the device waits while the CPU launches it, in {seconds(waited * took)}"
    if took < LAUNCHES * launch:
        return f"launch-bound: the smallest operation takes {seconds(launch)} here"
    peak = getattr(device, format or "float32") or device.float32
    busy, moving = work.flops / took / peak, work.bytes / took / device.bandwidth
    narrow = _narrow(node, WIDTH[kind])
    if narrow and max(busy, moving) < GOOD:
        return f"too narrow: {narrow}; {WIDTH[kind]} at once are multiplied"
    if work.bound == "compute":
        did = counted(round(work.flops / took), "FLOP/s")
        few = _few(node) if busy < GOOD / 2 else ""
        word = "compute-bound" if busy >= USED else "under-used"
        return f"{word}: {did}, {_percent(busy)} of the peak{few}"
    if work.bytes:
        word = "memory-bound" if moving >= USED else "under-used"
        each = f"{work.flops / work.bytes:.2g} FLOP for each byte"
        rate = f"{gigabytes(work.bytes / took)} GB/s, {_percent(moving)} of the bandwidth"
        return f"{word}: {size(work.bytes)} at {rate}; {each}"
    return "no work of its own: it gives its input, or a view of it"


def _percent(share: float) -> str:
    return percent(round(1e6 * share), 10**6) or "0 %"


def _narrow(node: Node, width: int) -> str:
    """Channels of a group, where they are few; nothing for layers without products."""
    if not node.op.macs(*node.shapes) or not node.shapes[0].rank:
        return ""
    weight = next(iter(node.op.parameters(*node.shapes).values()), ())
    if len(weight) < 3:
        return ""
    channels = node.shapes[0].channels
    out, each = weight[0], weight[1]
    groups = channels // each if each and channels % each == 0 else 1
    if each < width:
        return f"{each} input channel{'s' * (each > 1)}{f' in each of {groups} groups' if groups > 1 else ''}"
    if out // groups < width:
        return f"{out // groups} output channels{f' in each of {groups} groups' if groups > 1 else ''}"
    return ""


def _few(node: Node) -> str:
    """A map of few positions leaves little to do at once."""
    positions = prod(node.output.shape.spatial)
    return f"; a map of {plural(positions, 'position')}" if node.output.shape.rank and positions < 256 else ""
