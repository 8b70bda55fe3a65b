"""GEM001: an exponent so large that float32 overflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Finding, Rule, at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.net import Net

from gem_cnnplan.gem_pool import GemPool


class LargeExponent(Rule):
    """The exponent of a generalized mean starts so large that the powers of ordinary activations overflow.

    Values of 10 are raised to p before they are averaged; float16 ends at 65,504, less than 10^5.

    Source: IEEE 754, binary16.
    """

    code: ClassVar[str] = "GEM001"
    name: ClassVar[str] = "large-exponent"
    severity: ClassVar[str] = "warning"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv_bn_relu: 16
          - gem_pool: 20
          - linear: 10
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv_bn_relu: 16
          - gem_pool: 3
          - linear: 10
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for node in net.graph.of(GemPool):
            op = node.op
            assert isinstance(op, GemPool)
            if op.p >= 5:
                yield at(
                    node,
                    f"'{node.name}' starts with the exponent {op.p:g}: 10^{op.p:g} is more than float16 holds",
                    argument="p",
                    help="start with the paper's 3",
                )
