"""The spec's expressions as Python source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.emit.calls import literal
from cnnplan.expressions import tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cnnplan.expressions import Expression

ATOM = 10
"""How tightly a name, number or call binds; operators bind as `_LEVELS` says."""

_IN_PYTHON = frozenset({"min", "max", "abs", "round", "int", "float", "sum", "len", "make_divisible"})
"""Functions that Python has, or that the emitted source brings with it."""

_LEVELS = {"or": 2, "and": 3, "not": 4, "compare": 5, "+": 6, "-": 6, "*": 7, "/": 7, "//": 7, "%": 7, "sign": 8}


def python(expression: Expression, names: Mapping[str, tuple[str, int]]) -> tuple[str, int] | None:
    """The expression as Python source, and how tightly it binds.

    None where Python has no such function, or where `**` is used.
    """
    try:
        return _python(expression, names)
    except _NotPython:
        return None


class _NotPython(Exception):
    pass


def _python(e: Expression, names: Mapping[str, tuple[str, int]]) -> tuple[str, int]:
    """The source and how tightly it binds."""

    def operand(part: Expression, level: int) -> str:
        text, binds = _python(part, names)
        return text if binds >= level else f"({text})"

    if isinstance(e, tree.Literal):
        return literal(e.constant), ATOM
    if isinstance(e, tree.Name):
        return names[e.name]
    if isinstance(e, tree.List):
        return f"[{', '.join(operand(p, 0) for p in e.items)}]", ATOM
    if isinstance(e, tree.Call) and e.function in _IN_PYTHON:
        return f"{e.function}({', '.join(operand(p, 0) for p in e.arguments)})", ATOM
    if isinstance(e, tree.Index):
        return f"{operand(e.whole, ATOM)}[{operand(e.key, 0)}]", ATOM
    if isinstance(e, tree.Unary):
        if e.mark == "not":
            return f"not {operand(e.operand, 4)}", 4
        return f"{e.mark}{operand(e.operand, 8)}", 8
    if isinstance(e, tree.Binary) and e.mark in _LEVELS:
        level = _LEVELS[e.mark]
        return f"{operand(e.left, level)} {e.mark} {operand(e.right, level + 1)}", level
    if isinstance(e, tree.Logic):
        level = _LEVELS[e.mark]
        return f"{operand(e.left, level)} {e.mark} {operand(e.right, level)}", level
    if isinstance(e, tree.Comparison):
        rest = "".join(f" {mark} {operand(p, 6)}" for mark, p in e.rest)
        return f"{operand(e.first, 6)}{rest}", 5
    if isinstance(e, tree.Conditional):
        chosen, condition = operand(e.chosen, 2), operand(e.condition, 2)
        return f"{chosen} if {condition} else {operand(e.otherwise, 1)}", 1
    raise _NotPython
