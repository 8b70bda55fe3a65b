"""P709 budget-exceeded."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Finding, Rule
from cnnplan.render.numbers import percent, size
from cnnplan.source import Mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.net import Net
    from cnnplan.planning import Plan
    from cnnplan.settings import Limit
    from cnnplan.source import Node as TextNode


class BudgetExceeded(Rule):
    """The network costs more, or less, than its own `budget` allows.

    Why: a budget is what the author promised; a change that breaks it should not pass unseen.

    Source: the spec's own `budget`.
    """

    code: ClassVar[str] = "P709"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        budget: {parameters: 100}
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        budget: {parameters: 300, macs: 1M}
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        plan = net.plan
        budget = plan.graph.settings.get("budget")
        node = plan.spec.settings.get("budget")
        if budget is None or not isinstance(node, Mapping):
            return
        if budget.receptive_field:
            yield from self.field(plan, budget.receptive_field, node.entries["receptive_field"][1])
        if budget.training_memory:
            yield from self.memory(plan, budget.training_memory, node.entries["training_memory"][1])
        for name in ("parameters", "macs"):
            limit = getattr(budget, name)
            if limit is None:
                continue
            found = getattr(plan, name)
            heaviest = max(plan.layers, key=lambda layer: getattr(layer, name))
            share = percent(getattr(heaviest, name), found)
            if limit.at_most is not None and found > limit.at_most:
                yield Finding(
                    f"{found:,} {_words[name]} exceed the budget of {limit.at_most:,}",
                    node.entries[name][1],
                    heaviest.name,
                    help=f"'{heaviest.name}' (line {heaviest.line}) weighs most: {getattr(heaviest, name):,}, {share}",
                )
            if limit.at_least is not None and found < limit.at_least:
                message = f"{found:,} {_words[name]} are below the budget's {limit.at_least:,}"
                yield Finding(message, node.entries[name][1])

    @staticmethod
    def memory(plan: Plan, limit: Limit, node: TextNode) -> Iterator[Finding]:
        """The peak of a training step, at the budget's batch size or the plan's."""
        batch = limit.batch or plan.batch
        found = plan.memory.played(batch).peak
        said = f"a training step at batch {batch:,} needs {size(found)},"
        if limit.at_most is not None and found > limit.at_most:
            memory = plan.memory.under(plan.conditions._replace(batch=batch))
            heaviest = max(plan.layers, key=lambda layer: memory.saved_bytes[layer.node])
            kept = memory.saved_bytes[heaviest.node]
            help = (
                f"'{heaviest.name}' (line {heaviest.line}) keeps most for the backward pass: {size(kept)}, "
                f"{percent(kept, memory.training.saved_activations)} of all"
                if kept
                else "parameters, gradients and the optimizer's state weigh most"
            )
            yield Finding(f"{said} more than the budget of {size(limit.at_most)}", node, heaviest.name, help=help)
        if limit.at_least is not None and found < limit.at_least:
            yield Finding(f"{said} less than the budget's {size(limit.at_least)}", node)

    @staticmethod
    def field(plan: Plan, limit: Limit, node: TextNode) -> Iterator[Finding]:
        """The receptive field of the last map, along each axis."""
        found = plan.receptive_field
        sizes = [size for size in found.size if size is not None] if found else []
        if not sizes:
            yield Finding("no map of the network has a receptive field to hold against the budget", node)
        elif limit.at_least is not None and min(sizes) < limit.at_least:
            help = "more layers, larger kernels, strides or dilation make it larger"
            yield Finding(
                f"a receptive field of {min(sizes):,} is below the budget's {limit.at_least:,}", node, help=help
            )
        elif limit.at_most is not None and max(sizes) > limit.at_most:
            yield Finding(f"a receptive field of {max(sizes):,} exceeds the budget of {limit.at_most:,}", node)


_words = {"parameters": "parameters", "macs": "MACs"}
