"""The `=` language: arithmetic over named values, in bounded time and memory.

    text ─ parse ─▶ Expression ─ value(names) ─▶ int, float, bool, str, list or table

The language is a strict subset of Python's: there are no attributes, slices, comprehensions or
calls beyond `FUNCTIONS`, so nothing of the spec's author can run. Integers stay within 64 bits,
lists within `MAX_LENGTH` values, and all evaluations of one spec share one `Budget` of work.
"""

from cnnplan.expressions.functions import FUNCTIONS, make_divisible
from cnnplan.expressions.names import MAX_LENGTH, Budget, Names
from cnnplan.expressions.parser import parse
from cnnplan.expressions.tree import Expression

__all__ = ["FUNCTIONS", "MAX_LENGTH", "Budget", "Expression", "Names", "make_divisible", "parse"]
