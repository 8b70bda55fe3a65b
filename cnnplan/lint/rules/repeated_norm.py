"""N211 repeated-norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.diagnostics import Related
from cnnplan.lint.base import Change, Finding, Rule, at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node
    from cnnplan.lint.net import Net

BETWEEN = frozenset(("identity",))


class RepeatedNorm(Rule):
    """A normalization directly behind a normalization.

    What the first one makes even is even: the second takes its learned factor and offset away and learns its own. Both
    cost a pass over the map, and keep it for the backward pass. A batch norm and then a group norm is
    batch-channel normalization, and meant.

    Source: Ioffe & Szegedy 2015, arXiv:1502.03167, section 3; Qiao et al. 2019, arXiv:1903.10520.
    """

    code: ClassVar[str] = "N211"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, bias: false}
          - batchnorm
          - batchnorm
          - relu
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, bias: false}
          - batchnorm
          - relu
    """

    def check(self, net: Net) -> Iterator[Finding]:
        pairs = []
        for second in net.nodes:
            first = net.ahead(second, BETWEEN) if second.op.group == "normalization" else None
            if first and not _is_meant(first, second) and net.behind(first, BETWEEN) is second:
                pairs.append((first, second))
        firsts, seconds = ({pair[index] for pair in pairs} for index in (0, 1))
        for first, second in pairs:
            if second.shared_with:
                continue
            # where both words make other layers too, it is the seam of two blocks, and neither can go
            if net.made_by(second) <= seconds:
                extra = second
            elif net.made_by(first) <= firsts:
                extra = first
            else:
                continue
            yield at(
                second,
                f"'{second.name}' normalizes what '{first.name}' has just normalized",
                help=f"remove '{extra.name}'",
                related=(Related(f"'{first.name}' is before it", first.at.start),),
                change=Change(is_bare(extra), f"remove `{extra.item.word}`", ((extra, ("remove",)),)),
            )


def is_bare(node: Node) -> bool:
    """Whether it has no weights and statistics, so that those of the layers behind it keep their names."""
    return not node.op.parameters(*node.shapes) and not node.op.buffers(*node.shapes)


def _is_meant(first: Node, second: Node) -> bool:
    """Whether the first is no normalization, or both are batch-channel normalization."""
    return first.op.group != "normalization" or (first.op.kind, second.op.kind) == ("batchnorm", "groupnorm")
