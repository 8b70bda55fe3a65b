"""The functions that expressions may call."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cnnplan.errors import ExpressionError
from cnnplan.source import describe

if TYPE_CHECKING:
    from collections.abc import Callable


def _number(value: Any) -> Any:
    if type(value) not in (int, float):
        raise ExpressionError(f"a number is wanted, not {describe(value)}")
    return value


def _numbers(values: tuple[Any, ...], least: int = 1) -> list[Any]:
    found = values[0] if len(values) == 1 and type(values[0]) is list else list(values)
    if len(found) < least:
        raise ExpressionError("at least one number is wanted")
    return [_number(v) for v in found]


def _length(value: Any) -> int:
    if type(value) not in (list, dict, str):
        raise ExpressionError(f"a list is wanted, not {describe(value)}")
    return len(value)


def _sum(values: Any) -> Any:
    if type(values) is not list:
        raise ExpressionError(f"a list is wanted, not {describe(values)}")
    return sum(_numbers((values,), least=0))


def _round(value: Any, digits: Any = None) -> Any:
    if digits is not None and (type(digits) is not int or abs(digits) > 30):
        raise ExpressionError(f"a small number of digits is wanted, not {describe(digits)}")
    return round(_number(value), digits)


def make_divisible(v: Any, divisor: Any = 8) -> int:
    """The multiple of `divisor` nearest to v, at least one of it and not below 0.9 v.

    Source: Howard et al. 2017, MobileNets, reference implementation.
    """
    if type(_number(divisor)) is not int or divisor < 1:
        raise ExpressionError(f"a positive integer divisor is wanted, not {describe(divisor)}")
    rounded = max(divisor, int(_number(v) + divisor / 2) // divisor * divisor)
    return int(rounded + divisor if rounded < 0.9 * v else rounded)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": lambda *v: min(_numbers(v)),
    "max": lambda *v: max(_numbers(v)),
    "abs": lambda v: abs(_number(v)),
    "round": _round,
    "int": lambda v: int(_number(v)),
    "float": lambda v: float(_number(v)),
    "ceil": lambda v: math.ceil(_number(v)),
    "floor": lambda v: math.floor(_number(v)),
    "sqrt": lambda v: math.sqrt(_number(v)),
    "log2": lambda v: math.log2(_number(v)),
    "sum": _sum,
    "len": _length,
    "make_divisible": make_divisible,
}
TAKES = dict.fromkeys(FUNCTIONS, "one value") | {
    "min": "numbers or a list",
    "max": "numbers or a list",
    "round": "a number and its digits",
    "make_divisible": "a number and a divisor",
}
