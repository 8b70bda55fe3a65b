"""G116 down-then-up-roundtrip."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.diagnostics import Related
from cnnplan.lint.base import Change, Finding, Rule, at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node
    from cnnplan.lint.net import Net


class DownThenUpRoundtrip(Rule):
    """A map is pooled and made as large again, with nothing between that learns, and no copy kept.

    The two together are a coarse blur: detail is lost, and nothing is computed at the smaller size that would be
    worth it. A global pool is spared, and the code of an autoencoder: the smallest map of a network that gives
    what it takes.

    Source: Ronneberger, Fischer & Brox 2015, arXiv:1505.04597, whose skips keep what pooling loses.
    """

    code: ClassVar[str] = "G116"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv_bn_relu: 8
          - maxpool: 2
          - upsample: 2
          - conv: {out_channels: 2, kernel_size: 3, padding: 1}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv_bn_relu: 8
          - maxpool: 2
          - conv_bn_relu: 16
          - upsample: 2
          - conv: {out_channels: 2, kernel_size: 3, padding: 1}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for node in net.of("upsample"):
            down = self.down(net, node)
            if down is None or self.is_code(net, node):
                continue
            wide, small, large = down.shapes[0], node.shapes[0], node.output.shape
            again = [
                2 * m <= n + 1 and out > n - -(-n // m)
                for n, m, out in zip(wide.spatial, small.spatial, large.spatial, strict=True)
            ]
            if not any(again) or max(small.spatial) == 1:
                continue
            steps = ((down, ("remove",)), (node, ("remove",)))
            words = f"remove `{down.item.word}` and `{node.item.word}`"
            yield at(
                node,
                f"'{node.name}' makes large again what '{down.name}' made small, with nothing between them that "
                f"learns: {wide} to {small} to {large}",
                help="remove both, put layers between them, or merge a copy of the larger map",
                related=(Related(f"'{down.name}' makes it smaller", down.at.start),),
                change=Change(False, words, steps) if wide == large else None,
            )

    @staticmethod
    def down(net: Net, node: Node) -> Node | None:
        """The pool in front of it, or what else makes a map smaller without weights, where no copy is kept."""
        while True:
            value = node.inputs[0]
            found = value.node
            if (
                [user for user in net.users[value] if value in user.inputs] != [node]
                or value in net.wanted
                or not found
            ):
                return None
            if found.op.group in _POINTWISE or found.op.kind == "identity":
                node = found
                continue
            source = found.inputs[0]
            if found.op.group not in ("pooling", "unpooling and resizing") or source.shape.rank != value.shape.rank:
                return None
            kept = [user for user in net.users[source] if source in user.inputs] != [found] or source in net.wanted
            return None if kept or found.op.kind in _REARRANGING else found

    @staticmethod
    def is_code(net: Net, node: Node) -> bool:
        """Whether it takes the smallest value of an autoencoder."""
        given = {value.shape for value in net.graph.inputs}
        if given.isdisjoint(value.shape for value in net.wanted):
            return False
        return node.shapes[0].numel <= min(value.shape.numel for other in net.nodes for value in other.outputs)


_POINTWISE = ("activation", "normalization", "regularization")
_REARRANGING = ("pixel_shuffle", "space_to_depth")
