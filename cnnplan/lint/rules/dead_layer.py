"""R401 dead-layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.diagnostics import some
from cnnplan.lint.base import Finding, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node
    from cnnplan.planning import Plan


class DeadLayer(Rule):
    """A layer, or an input, whose value reaches no output of the network.

    Why: it costs parameters, time and memory, and changes nothing. Its parameters never get a
    gradient, which stops distributed training with an error.

    Source: PyTorch's documentation of DistributedDataParallel, `find_unused_parameters`.
    """

    code: ClassVar[str] = "R401"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        outputs: [out]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
            name: out
          - conv: {out_channels: 8, kernel_size: 3}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
          - conv: {out_channels: 8, kernel_size: 3}
    """

    def check(self, plan: Plan) -> Iterator[Finding]:
        graph = plan.graph
        users = graph.users()
        wanted = set(graph.outputs.values())
        live: set[int] = set()
        for node in reversed(graph.nodes):
            if any(v in wanted for v in node.outputs):
                live.add(node.index)
                wanted.update(node.inputs)
                wanted.update([node.like] if node.like else [])
        places = {given.name: given.node for given in plan.spec.inputs}
        for value in graph.inputs:
            if value not in wanted:
                yield Finding(f"input '{value.name}' reaches no output of the network", places[value.name])
        for node in graph.nodes:
            if node.index not in live:
                if not any(users[v] for v in node.outputs):
                    yield self.dead(node)
                continue
            if unused := [v.name for v in node.outputs if not users[v] and v not in wanted]:
                what = f"output {some(unused)} is" if len(unused) == 1 else f"outputs {some(unused)} are"
                help = "use it, or `slice` what is wanted"
                yield Finding(f"{what} not used", node.at, node.name, help=help)

    @staticmethod
    def dead(node: Node) -> Finding:
        """The last of a row of layers that lead nowhere."""
        message = f"the output of '{node.name}' reaches no output of the network"
        return Finding(message, node.at, node.name, help="use it with `from`, name it in `outputs`, or remove it")
