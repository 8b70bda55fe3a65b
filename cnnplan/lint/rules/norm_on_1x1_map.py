"""N210 norm-on-1x1-map."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.norms import group_norm, positions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.net import Net


class NormOn1x1Map(Rule):
    """A batch norm of a map with a single position: its mean and variance are those of the batch alone.

    A map of 7x7 gives 49 values a sample, a pooled one a single value: with a batch of 16 the statistics are those of
    16 values, and each sample changes what the others are taken for. With a batch of 1 PyTorch refuses to train.

    Source: Chen et al. 2017, arXiv:1706.05587, whose image-level features are such a map, trained in batches of 16.
    """

    code: ClassVar[str] = "N210"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [64, 8, 8]
        layers:
          - global_avgpool: {keepdim: true}
          - conv: {out_channels: 16, kernel_size: 1, bias: false}
          - batchnorm
          - relu
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [64, 8, 8]
        layers:
          - global_avgpool: {keepdim: true}
          - conv: {out_channels: 16, kernel_size: 1, bias: false}
          - groupnorm: 1
          - relu
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for node in net.of("batchnorm"):
            x = node.shapes[0]
            if x.rank == 0 or positions(node) > 1 or net.batch == 1:
                continue
            norm = group_norm([node])
            values = f"the {net.batch} samples" if net.batch else "the samples"
            yield at(
                node,
                f"'{node.name}' normalizes {x}: each mean is one of {values} of the batch, one value of each",
                help=f"use `{norm}`, or train with large batches",
                change=Change(False, f"use `{norm}`", ((node, ("replace", norm)),)),
            )
