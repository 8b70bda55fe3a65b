"""P709 budget-exceeded."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Finding, Rule
from cnnplan.render.numbers import percent
from cnnplan.source import Mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.planning import Plan


class BudgetExceeded(Rule):
    """The network costs more, or less, than its own `budget` allows.

    Why: a budget is what the author promised; a change that breaks it should not pass unseen.
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

    def check(self, plan: Plan) -> Iterator[Finding]:
        budget = plan.graph.settings.get("budget")
        node = plan.spec.settings.get("budget")
        if budget is None or not isinstance(node, Mapping):
            return
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


_words = {"parameters": "parameters", "macs": "MACs"}
