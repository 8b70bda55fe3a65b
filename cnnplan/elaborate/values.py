"""Expressions and conditions, evaluated where they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnplan.elaborate.findings import used_in
from cnnplan.elaborate.state import UNKNOWN
from cnnplan.grammar import expression_error
from cnnplan.source import describe
from cnnplan.spec import PlacedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnnplan.diagnostics import Report
    from cnnplan.elaborate.state import Values, Where
    from cnnplan.expressions import Names
    from cnnplan.spec import Given


def with_input(names: Names, values: Values | None, given: Iterable[Given]) -> Names:
    """The names, and `in_channels` and `in_size` of the first of the values, if `given` uses them."""
    if not any(g.needs_input for g in given):
        return names
    if not values:
        return names.extended(in_channels=UNKNOWN, in_size=UNKNOWN)
    shape = values[0].shape
    return names.extended(in_channels=shape.channels, in_size=list(shape.spatial))


def known(given: Given, names: Names) -> bool:
    """Whether no earlier error keeps the value from being known."""
    return not any(names.get(name) is UNKNOWN for name in given.names)


def evaluate_plainly(given: Given, names: Names, report: Report) -> Any:
    """The value, or UNKNOWN and, unless an earlier error is to blame, a finding."""
    if not given.dynamic:
        return given.constant
    if not known(given, names):
        return UNKNOWN
    try:
        return given.value(names)
    except PlacedError as error:
        expression_error(report, error)
        return UNKNOWN


def evaluate(given: Given, names: Names, where: Where, layer: str | None = None) -> Any:
    """The same inside a list: a finding inside a built-in block is placed at its use."""
    if not given.dynamic:
        return given.constant
    if not known(given, names):
        return UNKNOWN
    try:
        return given.value(names)
    except PlacedError as error:
        if use := where.place:
            message = next(u.prefix for u in where.uses if u.is_place) + error.message
            where.run.report.add(error.code, message, use, help=error.help, layer=layer)
        else:
            expression_error(where.run.report, error, layer, used_in(where))
        return UNKNOWN


def truth(condition: Given, values: Values | None, where: Where) -> bool | None:
    """An `if`; None where an error keeps it from being known."""
    if not condition.dynamic:
        return bool(condition.constant)
    value = evaluate(condition, with_input(where.names, values, (condition,)), where)
    if value is UNKNOWN:
        return None
    if type(value) is bool:
        return value
    where.run.report.add(
        "Y911",
        f"`if` is true or false, not {describe(value)}",
        where.place or condition.node,
        related=used_in(where),
    )
    return None
