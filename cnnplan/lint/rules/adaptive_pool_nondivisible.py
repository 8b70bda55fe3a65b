"""G113 adaptive-pool-nondivisible."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.codes import INFO
from cnnplan.lint.base import Finding, Rule, at
from cnnplan.lint.geometry import named
from cnnplan.ops.conv import divisors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.net import Net


class AdaptivePoolNondivisible(Rule):
    """An adaptive pool whose windows overlap, and mostly differ in size, because the map does not divide.

    9 units pooled to 7 give windows of 2 and 3 units that overlap: some units count twice. PyTorch does not export
    such a pool to ONNX. Several pools of one map, as in a pyramid, are a note: there the sizes are what is wanted.

    Source: torch.nn.AdaptiveAvgPool2d; He et al. 2014, arXiv:1406.4729.
    """

    code: ClassVar[str] = "G113"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [16, 9, 9]
        layers:
          - adaptive_avgpool: 7
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [16, 14, 14]
        layers:
          - adaptive_avgpool: 7
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for node in net.of("adaptive_avgpool", "adaptive_maxpool"):
            x = node.shapes[0]
            pairs = zip(x.spatial, node.output.shape.spatial, strict=True)
            uneven = [i for i, (n, out) in enumerate(pairs) if not self.even(n, out)]
            if not uneven:
                continue
            axis = uneven[0]
            n, out = x.spatial[axis], node.output.shape.spatial[axis]
            others = [user for user in net.users[node.inputs[0]] if user.op.kind == node.op.kind and user is not node]
            yield at(
                node,
                f"'{node.name}' pools {named(x, axis)} {n} to {out}, which does not divide it: its windows overlap",
                help=f"{n} divides by {', '.join(map(str, divisors(n)))}; or give it a map of a multiple of {out}",
                argument="output_size",
                severity=INFO if others or net.graph.sizes else "",
            )

    @staticmethod
    def even(n: int, out: int) -> bool:
        """Whether windows lie beside each other, or each unit is copied as often."""
        return n % out == 0 or out % n == 0
