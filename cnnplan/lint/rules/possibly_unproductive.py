"""F602 possibly-unproductive."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Finding, Rule, at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.net import Net


class PossiblyUnproductive(Rule):
    """Convolutions that see nothing new along their longest path, while shorter ones are still smaller than the input.

    Most deep networks with shortcuts have such layers, and many need them: it is a hint where layers may be left
    out, and nothing more. Where the smallest path is as large as the input, too, F601 says so.

    Source: Richter, Schöning, Wiedenroth & Krumnack 2021, arXiv:2106.12307, section on residual connections.
    """

    code: ClassVar[str] = "F602"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 8, 8]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
          - relu
          - add:
              body:
                - conv: {out_channels: 8, kernel_size: 3, padding: 1}
                - relu
                - conv: {out_channels: 8, kernel_size: 3, padding: 1}
              shortcut: []
            repeat: 3
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
          - relu
          - add:
              body:
                - conv: {out_channels: 8, kernel_size: 3, padding: 1}
                - relu
                - conv: {out_channels: 8, kernel_size: 3, padding: 1}
              shortcut: []
            repeat: 3
    """

    def check(self, net: Net) -> Iterator[Finding]:
        from cnnplan.lint.rules.unproductive_layer import following, seen, sizes

        found = list(seen(net))
        if found and not any(one.is_covered(net) for one in found):
            first = found[0]
            yield at(
                first.node,
                f"what enters '{first.node.name}' has a field of {sizes(line.size for line in first.lines)} through "
                f"the longest path, {sizes(line.least for line in first.lines)} through the shortest, the input "
                f"{sizes(first.extent)}; perhaps nothing new is seen by {following(found, net)}",
                help="compare with a network that has fewer layers there, or with a larger input",
            )
