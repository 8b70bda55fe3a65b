"""The parts of an expression, and how each finds its value."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any, NoReturn

from cnnplan.diagnostics import nearest, suggest
from cnnplan.errors import ExpressionError
from cnnplan.expressions.functions import FUNCTIONS, TAKES
from cnnplan.expressions.names import MAX_LENGTH, Names, count
from cnnplan.source import MAX_INTEGER, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}


class Expression:
    """A parsed expression. `start` and `end` are its place in the text, `size` its parts."""

    __slots__ = ("end", "size", "start")
    start: int
    end: int
    size: int

    def value(self, names: Names) -> Any:
        """Its value, given the values of the names it uses.

        Raises:
            ExpressionError: an unknown name, a wrong type, a value out of bounds.
        """
        raise NotImplementedError

    def parts(self) -> tuple[Expression, ...]:
        """The expressions it is made of."""
        return ()

    def names(self) -> frozenset[str]:
        """The names it uses, in branches not taken too."""
        return frozenset(e.name for e in self.walk() if isinstance(e, Name))

    def walk(self) -> Iterator[Expression]:
        yield self
        for part in self.parts():
            yield from part.walk()

    def fail(self, message: str, help: str = "") -> NoReturn:
        raise ExpressionError(message, self.start, self.end, help)


OF_THE_INPUT = ("in_channels", "in_size")


class Literal(Expression):
    """A number, text or truth value."""

    __slots__ = ("constant",)

    def __init__(self, constant: Any) -> None:
        self.constant = constant

    def value(self, names: Names) -> Any:
        return self.constant


class Name(Expression):
    """A variable, param or counter, or what is known of the input."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def value(self, names: Names) -> Any:
        try:
            return names[self.name]
        except KeyError:
            if self.name in FUNCTIONS:
                self.fail(f"'{self.name}' is a function", f"call it: {self.name}(…)")
            if self.name in OF_THE_INPUT:
                self.fail(f"`{self.name}` is not known here", "the items of a list of layers know their input")
            nearby = nearest(self.name, (*names, *OF_THE_INPUT))
            help = suggest(self.name, [nearby] if nearby else names) or "define it under `variables`"
            self.fail(f"unknown name '{self.name}'", help)


class List(Expression):
    """`[a, b]`."""

    __slots__ = ("items",)

    def __init__(self, items: list[Expression]) -> None:
        self.items = tuple(items)

    def value(self, names: Names) -> Any:
        values = [item.value(names) for item in self.items]
        held = count(values) - 1  # the list itself
        names.budget.spend(held)
        if held > MAX_LENGTH:
            self.fail(f"a list of more than {MAX_LENGTH:,} values")
        return values

    def parts(self) -> tuple[Expression, ...]:
        return self.items


class Unary(Expression):
    """`-a`, `+a`, `not a`."""

    __slots__ = ("mark", "operand")

    def __init__(self, mark: str, operand: Expression) -> None:
        self.mark = mark
        self.operand = operand

    def value(self, names: Names) -> Any:
        value = self.operand.value(names)
        if self.mark == "not":
            if type(value) is not bool:
                self.fail(f"`not` takes a boolean, not {describe(value)}")
            return not value
        if type(value) not in (int, float):
            self.fail(f"`{self.mark}` takes a number, not {describe(value)}")
        return in_bounds(self, -value if self.mark == "-" else value)

    def parts(self) -> tuple[Expression, ...]:
        return (self.operand,)


class Binary(Expression):
    """`a + b`, and the other arithmetic."""

    __slots__ = ("left", "mark", "right")

    def __init__(self, left: Expression, mark: str, right: Expression) -> None:
        self.left = left
        self.mark = mark
        self.right = right

    def value(self, names: Names) -> Any:
        a, b = self.left.value(names), self.right.value(names)
        mark = self.mark
        if mark == "+" and type(a) is list and type(b) is list:
            held = count(a) + count(b) - 2  # the two lists themselves
            names.budget.spend(held)
            if held > MAX_LENGTH:
                self.fail(f"a list of more than {MAX_LENGTH:,} values")
            return a + b
        if type(a) not in (int, float) or type(b) not in (int, float):
            takes = "numbers, or two lists" if mark == "+" else "numbers"
            self.fail(f"`{mark}` takes {takes}, not {describe(a)} and {describe(b)}")
        try:
            return in_bounds(self, self.power(a, b) if mark == "**" else _ARITHMETIC[mark](a, b))
        except ZeroDivisionError:
            self.fail(f"division by zero: {describe(a)} {mark} {describe(b)}")
        except OverflowError:
            self.fail(f"{describe(a)} {mark} {describe(b)} is too large for a number")

    def power(self, a: float, b: float) -> Any:
        if type(a) is int and type(b) is int and b > 0 and a.bit_length() * b > 128 and abs(a) > 1:
            self.fail(f"{a} ** {b} does not fit into 64 bits")
        result = a**b
        if isinstance(result, complex):
            self.fail(f"{describe(a)} ** {describe(b)} is not a real number")
        return result

    def parts(self) -> tuple[Expression, ...]:
        return (self.left, self.right)


class Comparison(Expression):
    """`a < b <= c`: true where every neighbouring pair compares so."""

    __slots__ = ("first", "rest")

    def __init__(self, first: Expression, rest: list[tuple[str, Expression]]) -> None:
        self.first = first
        self.rest = tuple(rest)

    def value(self, names: Names) -> Any:
        left = self.first.value(names)
        for mark, expression in self.rest:
            right = expression.value(names)
            if type(right) in (list, dict):
                names.budget.spend(count(right))
            if not self.compare(left, mark, right):
                return False
            left = right
        return True

    def compare(self, left: Any, mark: str, right: Any) -> bool:
        if mark in ("in", "not in"):
            if type(right) not in (list, dict):
                self.fail(f"`{mark}` takes a list or a table, not {describe(right)}")
            try:
                return (left in right) == (mark == "in")
            except TypeError:
                self.fail(f"a table has no key {describe(left)}")
        if mark not in ("==", "!=") and not (type(left) in (int, float) and type(right) in (int, float)):
            self.fail(f"`{mark}` takes numbers, not {describe(left)} and {describe(right)}")
        return bool(COMPARISONS[mark](left, right))

    def parts(self) -> tuple[Expression, ...]:
        return (self.first, *(e for _, e in self.rest))


class Logic(Expression):
    """`and`, `or`: booleans only; the right side is evaluated only where it matters."""

    __slots__ = ("left", "mark", "right")

    def __init__(self, left: Expression, mark: str, right: Expression) -> None:
        self.left = left
        self.mark = mark
        self.right = right

    def value(self, names: Names) -> Any:
        left = self.truth(self.left.value(names))
        if left == (self.mark == "or"):
            return left
        return self.truth(self.right.value(names))

    def truth(self, value: Any) -> bool:
        if type(value) is not bool:
            self.fail(f"`{self.mark}` takes booleans, not {describe(value)}")
        return value

    def parts(self) -> tuple[Expression, ...]:
        return (self.left, self.right)


class Conditional(Expression):
    """`a if condition else b`: only the chosen side is evaluated."""

    __slots__ = ("chosen", "condition", "otherwise")

    def __init__(self, chosen: Expression, condition: Expression, otherwise: Expression) -> None:
        self.chosen = chosen
        self.condition = condition
        self.otherwise = otherwise

    def value(self, names: Names) -> Any:
        condition = self.condition.value(names)
        if type(condition) is not bool:
            self.condition.fail(f"`if` takes a boolean, not {describe(condition)}")
        return (self.chosen if condition else self.otherwise).value(names)

    def parts(self) -> tuple[Expression, ...]:
        return (self.chosen, self.condition, self.otherwise)


class Index(Expression):
    """`xs[i]` or `table[key]`."""

    __slots__ = ("key", "whole")

    def __init__(self, whole: Expression, key: Expression) -> None:
        self.whole = whole
        self.key = key

    def value(self, names: Names) -> Any:
        whole, key = self.whole.value(names), self.key.value(names)
        if type(whole) is list:
            if type(key) is not int:
                self.key.fail(f"a list takes an integer index, not {describe(key)}")
            if not -len(whole) <= key < len(whole):
                self.key.fail(f"index {key} is outside a list of {len(whole)}")
            return whole[key]
        if type(whole) is not dict:
            self.fail(f"only lists and tables have elements, not {describe(whole)}")
        for known, value in whole.items():
            if type(known) is type(key) and known == key:
                return value
        keys = ", ".join(describe(k) for k in list(whole)[:20])
        return self.key.fail(f"the table has no key {describe(key)}", f"its keys are {keys}")

    def parts(self) -> tuple[Expression, ...]:
        return (self.whole, self.key)


class Call(Expression):
    """A call of one of `FUNCTIONS`."""

    __slots__ = ("arguments", "function")

    def __init__(self, function: str, arguments: list[Expression]) -> None:
        self.function = function
        self.arguments = tuple(arguments)

    def value(self, names: Names) -> Any:
        values = [a.value(names) for a in self.arguments]
        names.budget.spend(sum(len(v) for v in values if type(v) is list))
        try:
            return in_bounds(self, FUNCTIONS[self.function](*values))
        except ExpressionError as error:
            self.fail(f"{self.function}: {error.message}")
        except (ValueError, OverflowError, ZeroDivisionError):
            self.fail(f"{self.function}({', '.join(map(describe, values))}) is not a real number")
        except TypeError:
            self.fail(f"{self.function} takes {TAKES[self.function]}, not {len(values)} value(s)")

    def parts(self) -> tuple[Expression, ...]:
        return self.arguments


def in_bounds(expression: Expression, value: Any) -> Any:
    """The value itself, if it is a finite number within 64 bits, or no number."""
    kind = type(value)
    if kind is int and not -MAX_INTEGER - 1 <= value <= MAX_INTEGER:
        expression.fail("the result does not fit into 64 bits")
    if kind is float and not math.isfinite(value):
        expression.fail("the result is not a finite number")
    return value
