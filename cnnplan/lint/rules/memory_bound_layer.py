"""P703 memory-bound-layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Finding, Rule, at
from cnnplan.render.numbers import plural, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.net import Net

LEAST = 0.25
"""The share of an inference that layers must wait for memory before it is said."""

LAUNCH = 5e-6
"""Seconds: what takes less is not what takes long, as every launch of a kernel takes as much."""


class MemoryBoundLayer(Rule):
    """Convolutions and dense layers that wait for memory on the device that the plan is for.

    They do so few operations for each byte that moves (depthwise convolutions, dense layers of a small batch) that
    the arithmetic units idle. What counts is an inference at the plan's batch: time can be no less than FLOPs by
    the device's peak, nor than bytes by its bandwidth. There is one finding, at the layer that takes longest, and none
    where all of them take less than a quarter of the time. Activations and merges always wait for memory.

    Source: Williams, Waterman & Patterson 2009, doi:10.1145/1498765.1498785.
    """

    code: ClassVar[str] = "P703"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [256, 56, 56]
        target: {device: a100-80gb, batch: 64}
        layers:
          - depthwise_conv: {kernel_size: 3, padding: 1}
          - conv: {out_channels: 256, kernel_size: 3, padding: 1}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [256, 56, 56]
        target: {device: a100-80gb, batch: 64}
        layers:
          - conv: {out_channels: 256, kernel_size: 3, padding: 1}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        device = net.plan.conditions.device
        if device is None:
            return
        roofs = net.plan.inference_roofline
        times = {node: roof.forward.seconds or 0.0 for node, roof in roofs.items()}
        waiting = [
            node
            for node, roof in roofs.items()
            if net.is_weighted(node) and roof.forward.bound == "memory" and times[node] >= LAUNCH
        ]
        spent, whole = sum(times[node] for node in waiting), sum(times.values())
        if not waiting or spent < LEAST * whole:
            return
        node = max(waiting, key=times.__getitem__)
        peak, batch = getattr(device, roofs[node].format), net.plan.conditions.batch
        dense = node.op.group == "dense"
        yield at(
            node,
            f"'{node.name}' does {roofs[node].forward.intensity:.1f} FLOPs for each byte that moves, {device.name} "
            f"could do {peak / device.bandwidth:.0f}: it waits for memory {seconds(times[node])} at batch {batch:,}, "
            f"and all {plural(len(waiting), 'such layer')} {seconds(spent)} of {seconds(whole)}",
            help="use a larger batch: its weights are read once for all of it"
            if dense
            else "fewer and wider layers do more with each byte, and so do larger groups than depthwise ones",
        )
