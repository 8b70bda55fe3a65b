"""P701 channels-not-multiple."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.codes import INFO, WARNING
from cnnplan.conditions import CUDA
from cnnplan.lint.base import Change, Finding, Rule, at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node, Value
    from cnnplan.lint.net import Net

BYTES = 16
"""What tensor cores are fed at once: 8 numbers of two bytes, 4 of four."""

MEANT = 4
"""So many channels have a meaning of their own: a mask, a flow, colors, a box."""


class ChannelsNotMultiple(Rule):
    """Channels that are no multiple of what tensor cores take at once: 8 in 16-bit formats, 4 in TF32.

    Libraries then fill them up, or take a slower kernel: 30 channels cost what 32 do, or more. It is said of layers
    in float32 where the device has TF32, which PyTorch uses for convolutions; it is a warning where the plan is for
    float16 or bfloat16 on a device that has them in its tensor cores.

    The channels of the network's input and of its last layers are given by the task. Depthwise and grouped layers,
    what is behind a global pool (heads, squeeze-and-excitation) and up to 4 channels are not meant.

    Source: NVIDIA, Convolutional Layers User's Guide, "Channels In And Out"; Matrix Multiplication Background User's
    Guide, table 1.
    """

    code: ClassVar[str] = "P701"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        target: {device: a100-80gb, batch: 64, dtype: bfloat16}
        layers:
          - conv: {out_channels: 30, kernel_size: 3}
          - relu
          - conv: {out_channels: 10, kernel_size: 1}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        target: {device: a100-80gb, batch: 64, dtype: bfloat16}
        layers:
          - conv: {out_channels: 32, kernel_size: 3}
          - relu
          - conv: {out_channels: 10, kernel_size: 1}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        asked = net.plan.conditions
        narrow = asked.dtype != "float32"
        if asked.target != CUDA or not (narrow or asked.device):
            return
        format = asked.dtype if narrow else "tf32"
        if asked.device and getattr(asked.device, format) is None:
            return
        unit = BYTES // (2 if narrow else 4)
        pooled = _pooled(net)
        for node in net.nodes:
            channels = node.output.shape.channels
            if channels % unit == 0 or channels <= MEANT or node in net.last_weighted or not net.is_weighted(node):
                continue
            if getattr(node.op, "groups", 1) > 1 or node.op.kind == "depthwise_conv" or node.inputs[0] in pooled:
                continue
            if node.shared_with or (node.op.group == "dense" and not narrow):  # PyTorch keeps these in float32
                continue
            name = "out_features" if node.op.group == "dense" else "out_channels"
            more = -(-channels // unit) * unit
            literal = not node.item.arguments[name][1].dynamic
            step = (node, ("set", name, str(more)))
            yield at(
                node,
                f"the {channels:,} channels of '{node.name}' are no multiple of {unit}, which tensor cores take at "
                f"once in {format}",
                help=f"write `{name}: {more}`",
                argument=name,
                severity=WARNING if narrow and asked.device and self.weighs(node, net) else INFO,
                change=Change(False, f"set `{name}: {more}`", (step,)) if literal else None,
            )

    @staticmethod
    def weighs(node: Node, net: Net) -> bool:
        """Whether it has a hundredth of the multiplications or more: what is filled up in others is nothing."""
        return 100 * net.layer(node).macs >= net.plan.macs


def _pooled(net: Net) -> set[Value]:
    """The values behind a pool that leaves a single unit, and behind nothing else."""
    found: set[Value] = set()
    for node in net.nodes:
        pools = node.op.group == "pooling" and node.output.shape.numel == node.output.shape.channels
        if pools or all(value in found for value in node.inputs):
            found.update(node.outputs)
    return found
