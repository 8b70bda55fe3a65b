"""N209 small-batch-batchnorm."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.norms import batch_said, group_norm, positions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node
    from cnnplan.lint.net import Net

LEAST = 8


class SmallBatchBatchnorm(Rule):
    """Batch norm that is trained with fewer than 8 samples on a device.

    Its mean and variance are then those of few samples: noise that another batch would not repeat, while evaluation
    uses averages. ResNet-50's error on ImageNet rises from 23.6 % with 32 samples on a device to 27.3 % with 4 and
    34.7 % with 2. Group norm, which looks at one sample at a time, stays at 24.0 to 24.2 %.

    Frozen batch norms are left alone; one that sees a single value a channel cannot run at all.

    Source: Wu & He 2018, arXiv:1803.08494, table 2.
    """

    code: ClassVar[str] = "N209"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, bias: false}
          - batchnorm
          - relu
        train: {batch: 4}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, bias: false}
          - groupnorm: 4
          - relu
        train: {batch: 4}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        batch = net.batch
        if batch is None or batch >= LEAST:
            return
        norms = [node for node in net.of("batchnorm") if node.trainable and batch * positions(node) > 1]
        if not norms:
            return
        several = f"{len(norms)} batch norms take" if len(norms) > 1 else f"'{norms[0].name}' takes"
        yield at(
            norms[0],
            f"{several} mean and variance of {batch} sample{'s' if batch > 1 else ''} on a device, fewer than {LEAST}",
            help=f"use `{group_norm(norms[:1])}`, which looks at one sample at a time, or a batch of {LEAST} or more",
            related=batch_said(net),
            change=Change(False, "use `groupnorm`", tuple(self.steps(norms, net))),
        )

    @staticmethod
    def steps(norms: list[Node], net: Net) -> Iterator[tuple[Node, tuple[str | Node, ...]]]:
        """A group norm in the place of each, alike for all that one word makes."""
        texts: dict[int, str] = {}
        for node in norms:
            item = id(node.item)
            texts[item] = texts.get(item) or group_norm(net.made_by(node))
            yield node, ("replace", texts[item])
