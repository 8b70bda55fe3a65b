"""Text to an expression: precedence climbing over one token of look-ahead, as Python binds."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import NoReturn

from cnnplan.diagnostics import suggest
from cnnplan.errors import ExpressionError
from cnnplan.expressions.functions import FUNCTIONS
from cnnplan.expressions.tree import (
    COMPARISONS,
    Binary,
    Call,
    Comparison,
    Conditional,
    Expression,
    Index,
    List,
    Literal,
    Logic,
    Name,
    Unary,
)
from cnnplan.source import MAX_INTEGER

MAX_TEXT = 1_000
MAX_NESTING = 32
MAX_PARTS = 200

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<text>'[^'\\\n]*'|"[^"\\\n]*")
  | (?P<mark>\*\*|//|==|!=|<=|>=|[-+*/%<>()\[\],=])
  | (?P<end>$)
  )""",
    re.VERBOSE | re.ASCII,
)
_WORDS = frozenset({"and", "or", "not", "in", "if", "else"})
_LITERALS = {"true": True, "True": True, "false": False, "False": False}


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """Read an expression (the text behind the `=`).

    Raises:
        ExpressionError: it is not one; `start` and `end` say where in the text.
    """
    if len(text) > MAX_TEXT:
        raise ExpressionError(f"an expression of {len(text):,} characters; at most {MAX_TEXT:,} are read")
    return _Parser(text).read()


class _Parser:
    """Precedence climbing over one token of look-ahead; precedences are Python's."""

    def __init__(self, text: str) -> None:
        self.source = text
        self.depth = 0
        self.stop = 0  # where the last token that was taken ends
        self.advance(0)

    def advance(self, position: int) -> None:
        match = _TOKEN.match(self.source, position)
        if match is None:
            rest = self.source[position:].lstrip(" \t\n\r\f\v")
            start, mark = len(self.source) - len(rest), rest[0]
            hints = {
                ".": "attributes are not part of expressions",
                "'": "this text has no closing quote",
                '"': "this text has no closing quote",
                "{": "tables are written as variables",
                ":": "slices and lambdas are not part of expressions",
            }
            raise ExpressionError(f"unexpected {mark!r}", start, start + 1, hints.get(mark, ""))
        self.kind = str(match.lastgroup)
        self.token = match[self.kind]
        self.start, self.next = match.span(self.kind)

    def take(self) -> str:
        token = self.token
        self.stop = self.next
        self.advance(self.next)
        return token

    def accept(self, *tokens: str) -> str:
        """The token, taken, if it is one of these; else nothing."""
        return self.take() if self.token in tokens and self.kind in ("mark", "name") else ""

    def expect(self, token: str, opened: int) -> None:
        if not self.accept(token):
            if self.kind == "end":
                raise ExpressionError(f"'{self.source[opened]}' is not closed", opened, opened + 1)
            self.unexpected()

    def unexpected(self) -> NoReturn:
        if self.kind == "end":
            message = "the expression ends too early" if self.source.strip() else "the expression is empty"
            raise ExpressionError(message, self.start, self.start + 1)
        help = ""
        if self.token == "=":  # noqa: S105
            help = "use `==` to compare"
        elif self.kind == "name" and self.token in ("lambda", "for", "is", "import"):
            help = f"`{self.token}` is not part of expressions"
        raise ExpressionError(f"unexpected '{self.token}'", self.start, self.next, help)

    def read(self) -> Expression:
        expression = self.conditional()
        if self.kind != "end":
            self.unexpected()
        return expression

    def at(self, expression: Expression, start: int) -> Expression:
        expression.start, expression.end = start, self.stop
        expression.size = 1 + sum(part.size for part in expression.parts())
        if expression.size > MAX_PARTS:
            raise ExpressionError(f"an expression of more than {MAX_PARTS} parts", start, self.stop)
        return expression

    def conditional(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise ExpressionError(f"nested more than {MAX_NESTING} levels deep", self.start, self.next)
        start = self.start
        chosen = self.either()
        if self.accept("if"):
            condition = self.either()
            if not self.accept("else"):
                self.unexpected()
            chosen = self.at(Conditional(chosen, condition, self.conditional()), start)
        self.depth -= 1
        return chosen

    def either(self) -> Expression:
        start = self.start
        left = self.both()
        while mark := self.accept("or"):
            left = self.at(Logic(left, mark, self.both()), start)
        return left

    def both(self) -> Expression:
        start = self.start
        left = self.negation()
        while mark := self.accept("and"):
            left = self.at(Logic(left, mark, self.negation()), start)
        return left

    def negation(self) -> Expression:
        start, count = self.start, 0
        while count <= MAX_PARTS and self.accept("not"):
            count += 1
        expression = self.comparison()
        for _ in range(count):
            expression = self.at(Unary("not", expression), start)
        return expression

    def comparison(self) -> Expression:
        start = self.start
        first = self.sum()
        rest: list[tuple[str, Expression]] = []
        while mark := self.accept(*COMPARISONS, "in", "not"):
            if mark == "not":
                if not self.accept("in"):
                    self.unexpected()
                mark = "not in"
            rest.append((mark, self.sum()))
        return self.at(Comparison(first, rest), start) if rest else first

    def sum(self) -> Expression:
        start = self.start
        left = self.product()
        while mark := self.accept("+", "-"):
            left = self.at(Binary(left, mark, self.product()), start)
        return left

    def product(self) -> Expression:
        start = self.start
        left = self.sign()
        while mark := self.accept("*", "/", "//", "%"):
            left = self.at(Binary(left, mark, self.sign()), start)
        return left

    def sign(self) -> Expression:
        start = self.start
        marks: list[str] = []
        while len(marks) <= MAX_PARTS and (mark := self.accept("-", "+")):
            marks.append(mark)
        expression = self.power()
        for mark in reversed(marks):
            expression = self.at(Unary(mark, expression), start)
        return expression

    def power(self) -> Expression:
        start = self.start
        base = self.element()
        if not self.accept("**"):
            return base
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise ExpressionError(f"nested more than {MAX_NESTING} levels deep", self.start, self.next)
        power = self.at(Binary(base, "**", self.sign()), start)
        self.depth -= 1
        return power

    def element(self) -> Expression:
        start = self.start
        expression = self.atom()
        while self.kind == "mark" and self.token == "[":  # noqa: S105
            opened = self.start
            self.take()
            key = self.conditional()
            self.expect("]", opened)
            expression = self.at(Index(expression, key), start)
        return expression

    def atom(self) -> Expression:
        start, kind = self.start, self.kind
        if kind == "number":
            token = self.take()
            if self.kind == "name" and self.start == self.stop:
                raise ExpressionError(f"'{token}{self.token}' is not a number", start, self.next)
            return self.at(Literal(self.number(token, start)), start)
        if kind == "text":
            return self.at(Literal(self.take()[1:-1]), start)
        if kind == "name" and self.token not in _WORDS:
            name = self.take()
            if self.kind == "mark" and self.token == "(":  # noqa: S105
                return self.call(name, start)
            return self.at(Literal(_LITERALS[name]) if name in _LITERALS else Name(name), start)
        if self.token == "(" and kind == "mark":  # noqa: S105
            self.take()
            inner = self.conditional()
            self.expect(")", start)
            return inner
        if self.token != "[" or kind != "mark":  # noqa: S105
            self.unexpected()
        self.take()
        return self.at(List(self.values("]", start)), start)

    def number(self, token: str, start: int) -> int | float:
        if token.isdigit():
            if len(token) > 1 and token[0] == "0":
                raise ExpressionError(f"'{token[:20]}' starts with a zero", start, self.stop, "write it without")
            if len(token) > 20 or int(token) > MAX_INTEGER:
                raise ExpressionError(f"{token[:20]} does not fit into 64 bits", start, self.stop)
            return int(token)
        value = float(token)
        if not math.isfinite(value):
            raise ExpressionError(f"{token[:20]} is too large for a number", start, self.stop)
        return value

    def call(self, name: str, start: int) -> Expression:
        if name not in FUNCTIONS:
            raise ExpressionError(f"there is no function '{name}'", start, self.stop, suggest(name, FUNCTIONS))
        opened = self.start
        self.take()
        return self.at(Call(name, self.values(")", opened, keyword=name == "make_divisible")), start)

    def values(self, closing: str, opened: int, keyword: bool = False) -> list[Expression]:
        values: list[Expression] = []
        while not self.accept(closing):
            values.append(self.conditional())
            last = values[-1]
            if keyword and len(values) == 2 and isinstance(last, Name) and last.name == "divisor" and self.accept("="):
                values[-1] = self.conditional()
            if not self.accept(","):
                self.expect(closing, opened)
                break
        return values
