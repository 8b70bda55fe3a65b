"""H309 dense-layer-dominates."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.heads import flattening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.net import Net

LARGE = 10_000_000
"""Weights of a layer that is worth a word; all of DenseNet-121 has 8 million."""

SHARE = 0.5
"""Of the parameters of the network."""


class DenseLayerDominates(Rule):
    """One dense layer behind a flattened map holds more than half of all parameters: 10 million weights or more.

    Each of its units has a weight for each position of the map: 103 of the 138 million parameters of VGG-16 are
    those of its first dense layer. They cost memory, the optimizer's too, overfit, and fix the input's size. The mean
    of each channel before it leaves one weight a channel; GoogLeNet gained 0.6 % of accuracy by it.

    Small networks are left alone: there the dense layer may be the network.

    Source: Lin, Chen & Yan 2013, arXiv:1312.4400, section 3.2; Szegedy et al. 2014, arXiv:1409.4842, section 5.
    """

    code: ClassVar[str] = "H309"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 64, 64]
        layers:
          - conv: {out_channels: 64, kernel_size: 3, padding: 1}
          - relu
          - maxpool: 2
          - flatten
          - linear: 256
          - relu
          - linear: 10
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 64, 64]
        layers:
          - conv: {out_channels: 64, kernel_size: 3, padding: 1}
          - relu
          - maxpool: 2
          - global_avgpool
          - linear: 256
          - relu
          - linear: 10
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for node in net.of("linear"):
            weights = node.shapes[0].channels * node.output.shape.channels
            flat = flattening(node) if weights >= LARGE and not node.shared_with else None
            if flat is None or weights <= SHARE * net.plan.parameters:
                continue
            shape = flat.shapes[0]
            if shape.numel == shape.channels:
                continue
            less = shape.channels * node.output.shape.channels
            step = (flat, ("replace", "global_avgpool"))
            yield at(
                node,
                f"'{node.name}' has {weights:,} of the {net.plan.parameters:,} parameters "
                f"({100 * weights / net.plan.parameters:.0f} %): a weight for each unit of the {shape} map",
                help=f"`global_avgpool` in place of `{flat.item.word}` leaves {less:,}",
                change=Change(False, f"write `global_avgpool` instead of `{flat.item.word}`", (step,)),
            )
