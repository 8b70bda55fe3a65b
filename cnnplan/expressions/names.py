"""What an expression sees: the values of names, and the work that is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnplan.errors import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LENGTH = 1_024
MAX_WORK = 2_000_000


class Budget:
    """The work that all expressions of one spec may do together, in operations."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_WORK

    def spend(self, work: int) -> None:
        self.left -= work
        if self.left < 0:
            message = f"the expressions of this spec take more than {MAX_WORK:,} operations"
            raise ExpressionError(message, code="Y910")


class Names(dict[str, Any]):
    """The values of the names that an expression sees, and the budget that it draws on."""

    __slots__ = ("budget",)

    def __init__(self, values: Mapping[str, Any] | None = None, budget: Budget | None = None) -> None:
        super().__init__(() if values is None else values)
        self.budget = budget or Budget()

    def extended(self, /, **values: Any) -> Names:
        """These names and some more, on the same budget."""
        names = Names(self, self.budget)
        names.update(values)
        return names


def count(value: Any) -> int:
    """How many values a nested list or table holds, counting no further than `MAX_LENGTH`."""
    total, stack = 0, [value]
    while stack and total <= MAX_LENGTH + 1:
        item = stack.pop()
        total += 1
        if type(item) is list:
            stack.extend(item[: MAX_LENGTH + 2])
        elif type(item) is dict:
            stack.extend(item.values())
    return total
