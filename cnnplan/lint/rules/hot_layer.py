"""P707 hot-layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Finding, Rule, at
from cnnplan.render.numbers import percent, short, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.net import Net

SHARE = 0.3
LAYERS = 4
"""In a network of fewer layers with weights, one of them always has much of the work."""


class HotLayer(Rule):
    """One layer that has more than 30 % of the multiplications, or of what is kept for the backward pass.

    In a network of four layers or more with weights, and where it is also three times an equal share, work on this
    one pays, and work on others does not. What is kept for the backward pass is judged where a device is named:
    there, memory is planned in any case; elsewhere it would take longer than all other rules together.

    Source: Amdahl 1967, doi:10.1145/1465482.1465560.
    """

    code: ClassVar[str] = "P707"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 64, 64]
        layers:
          - conv: {out_channels: 16, kernel_size: 9, padding: 4}
          - relu
          - layers:
              - conv: {out_channels: 16, kernel_size: 3, padding: 1}
              - maxpool: 2
              - relu
            repeat: 4
          - layers:
              - conv: {out_channels: 16, kernel_size: 1}
              - relu
            repeat: 5
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 64, 64]
        layers:
          - layers:
              - conv: {out_channels: 16, kernel_size: 3, padding: 1}
              - relu
            repeat: 10
    """

    def check(self, net: Net) -> Iterator[Finding]:
        count = sum(map(net.is_weighted, net.nodes))
        if count < LAYERS:
            return
        share = max(SHARE, 3 / count)
        plan = net.plan
        hot = max(plan.layers, key=lambda layer: layer.macs)
        if hot.macs > share * plan.macs:
            yield at(
                hot.node,
                f"'{hot.name}' has {percent(hot.macs, plan.macs)} of the multiplications: "
                f"{short(hot.macs)} of {short(plan.macs)} MACs",
                help="save there first: fewer channels, a smaller kernel, groups, or a smaller map",
            )
        if plan.conditions.device is None:
            return
        saved = plan.memory.saved_bytes
        kept = sum(saved.values())
        most = max(saved, key=lambda node: saved[node])
        if saved[most] > share * kept:
            yield at(
                most,
                f"'{most.name}' has {percent(saved[most], kept)} of what is kept for the backward pass: "
                f"{size(saved[most])} of {size(kept)}",
                help="save there first: a smaller map, fewer channels, or `checkpoint: true`",
            )
