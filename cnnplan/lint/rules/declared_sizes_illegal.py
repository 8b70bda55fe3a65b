"""S018 declared-sizes-illegal."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.analyses.sizes import refusal
from cnnplan.diagnostics import Related
from cnnplan.lint.base import Finding, Rule
from cnnplan.source import Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.analyses.sizes import Refusal
    from cnnplan.lint.net import Net


class DeclaredSizesIllegal(Rule):
    """A spatial size in `sizes` of an input at which the built model cannot run.

    Why: what is declared is relied on; a size that breaks the network breaks it in use. `cnnplan sizes` says
    which ones work.

    Source: torch.nn.Conv2d, torch.nn.Linear: which inputs a built module takes.
    """

    code: ClassVar[str] = "S018"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: {shape: [3, 64, 64], sizes: [128, 4]}
        layers:
          - conv: {out_channels: 8, kernel_size: 7}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: {shape: [3, 64, 64], sizes: [128, [7, 9]]}
        layers:
          - conv: {out_channels: 8, kernel_size: 7}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        plan = net.plan
        graph = plan.graph
        for given in graph.spec.inputs:
            for index, size in enumerate(graph.sizes.get(given.name, ())):
                why = refusal(graph, {given.name: size})
                if why is None or given.sizes is None:
                    continue
                node = given.sizes.node
                at = node.items[index] if isinstance(node, Sequence) and index < len(node.items) else node
                message = f"size {'x'.join(map(str, size))} of `sizes` does not work: {why.message}"
                yield Finding(message, at, why.layer or None, why.help, _place(why))


def _place(why: Refusal) -> tuple[Related, ...]:
    """The layer that refuses the size."""
    if why.finding and why.layer:
        return (Related(f"'{why.layer}' refuses it", why.finding.start),)
    if why.node:
        shape = why.node.shapes[0]
        return (Related(f"'{why.layer}' takes {shape} at the size that is planned", why.node.at.start),)
    return ()
