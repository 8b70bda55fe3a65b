"""P710 exceeds-device-memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Finding, Rule
from cnnplan.render.numbers import size
from cnnplan.source import Mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.net import Net


class ExceedsDeviceMemory(Rule):
    """A training step needs more memory than the device that the spec, or `--target`, plans for.

    Even without what cannot be known from the architecture: the workspaces of libraries. `cnnplan fit`
    says what would need less.

    Why: a run that cannot fit should end before a device is rented for it.

    Source: the device's data sheet, as `cnnplan devices` lists it.
    """

    code: ClassVar[str] = "P710"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 512, 512]
        target: {device: t4, batch: 64}
        layers:
          - conv: {out_channels: 64, kernel_size: 3, padding: 1}
          - relu
          - conv: {out_channels: 64, kernel_size: 3, padding: 1}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 256, 256]
        target: {device: t4, batch: 64}
        layers:
          - conv: {out_channels: 64, kernel_size: 3, padding: 1}
          - relu
          - conv: {out_channels: 64, kernel_size: 3, padding: 1}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        plan = net.plan
        device = plan.conditions.device
        if device is None:
            return
        from cnnplan.analyses.fit import Place, largest_batch, need

        place = Place(device.memory, device)
        found = need(plan.memory, place)
        if found.total.at_least <= device.memory:
            return
        batch, _, _ = largest_batch(plan.memory, place)
        most = f"the largest batch that fits is {batch:,}; " if batch else "not even one sample fits; "
        heaviest = max(plan.layers, key=lambda layer: layer.saved_bytes, default=None)
        target = plan.spec.settings.get("target")
        node = target.entries["device"][1] if isinstance(target, Mapping) and "device" in target.entries else None
        yield Finding(
            f"a training step at batch {found.batch:,} needs at least {size(found.total.at_least)}, "
            f"{device.name} has {size(device.memory)}",
            node,
            heaviest.name if heaviest else None,
            help=f"{most}`cnnplan fit {plan.path} --target {device.key}` says what would need less",
        )
