"""P711 tensor-over-int32."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.conditions import CPU
from cnnplan.lint.base import Finding, Rule, at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.net import Net

ELEMENTS = 2**31 - 1
BATCH = 65_535


class TensorOverInt32(Rule):
    """An activation of more than 2,147,483,647 elements at the plan's batch, or a batch of more than 65,535 maps.

    Some CUDA kernels count elements in 32 bits: depthwise convolutions then stop with "Expected
    canUse32BitIndexMath(input) && canUse32BitIndexMath(output) to be true", and others take a slower way, or have
    read from wrong places. Some put the batch on an axis of the grid that holds 65,535 blocks, and stop with
    "invalid configuration argument". On a CPU neither matters.

    Source: pytorch/pytorch, issues 80020, 152816 and 155225; CUDA C++ Programming Guide, "Compute Capabilities".
    """

    code: ClassVar[str] = "P711"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 224, 224]
        target: {batch: 1024}
        layers:
          - conv: {out_channels: 64, kernel_size: 3, padding: 1}
          - relu
          - global_avgpool
          - linear: 10
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 224, 224]
        target: {batch: 512}
        layers:
          - conv: {out_channels: 64, kernel_size: 3, padding: 1}
          - relu
          - global_avgpool
          - linear: 10
    """

    def check(self, net: Net) -> Iterator[Finding]:
        asked = net.plan.conditions
        if asked.target == CPU:
            return
        batch = asked.batch
        for node in net.nodes:
            for value in (*node.inputs, *node.outputs):
                elements = value.shape.numel
                if elements * batch > ELEMENTS:
                    most = ELEMENTS // elements
                    yield at(
                        node,
                        f"'{value.name}' ({value.shape}) has {elements * batch:,} elements at batch {batch:,}: some "
                        f"CUDA kernels count up to {ELEMENTS:,}",
                        help=f"use a batch of at most {most:,}" if most else "cut the input into tiles",
                    )
                    return
        if batch > BATCH:
            first = next((node for node in net.nodes if node.inputs[0].shape.rank), None)
            if first:
                yield at(
                    first,
                    f"a batch of {batch:,} maps: some CUDA kernels take {BATCH:,} at most",
                    help=f"use a batch of at most {BATCH:,}, and sum gradients over several",
                )
