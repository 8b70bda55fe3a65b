"""Expressions against Python itself, and what they refuse."""

import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cnnplan.errors import ExpressionError
from cnnplan.expressions import Names, parse
from tests.language.helpers import blames, complaint, last, listed, net, plan, refused

VALUES: dict[str, Any] = {
    "a": 3,
    "b": -7,
    "c": 0,
    "f": 2.5,
    "g": -0.5,
    "on": True,
    "off": False,
    "xs": [4, 8, 15, 16],
    "ys": [0.5, 2],
    "t": {"s": 1, 18: 2, 34: -3},
    "word": "deep",
}


def make_divisible(v: float, divisor: int = 8) -> int:
    """The contract's formula: n = max(d, int(v + d/2) // d * d), plus d if n < 0.9 v."""
    n = max(divisor, int(v + divisor / 2) // divisor * divisor)
    return n + divisor if n < 0.9 * v else n


PYTHON = {"min": min, "max": max, "abs": abs, "round": round, "int": int, "float": float, "sum": sum, "len": len} | {
    "ceil": math.ceil,
    "floor": math.floor,
    "sqrt": math.sqrt,
    "log2": math.log2,
    "make_divisible": make_divisible,
    "true": True,
    "false": False,
}


def value(text: str) -> Any:
    return parse(text).value(Names(VALUES))


def python(text: str) -> Any:
    return eval(text, {"__builtins__": {}}, PYTHON | VALUES)


def unfit(text: str) -> bool:
    """Whether Python has no value for it, or one that is no 64-bit integer and no finite number."""
    try:
        found = python(text)
    except (ArithmeticError, ValueError, LookupError, TypeError):
        return True
    if isinstance(found, float):
        return not math.isfinite(found)
    return isinstance(found, complex) or (isinstance(found, int) and not -(2**63) <= found < 2**63)


# Expressions with all their parts, so that a refusal can be traced to a part that has no value.
Parts = tuple[str, tuple[str, ...]]


def joined(template: str, *parts: Parts) -> Parts:
    text = template.format(*(p[0] for p in parts))
    return text, (text, *(t for p in parts for t in p[1]))


def leaves(*texts: str) -> st.SearchStrategy[Parts]:
    return st.sampled_from(texts).map(lambda t: (t, (t,)))


integers = leaves("a", "b", "c", "xs[0]", "xs[-1]", "t[18]", "t['s']", "len(xs)", "0", "1", "2", "5", "13", "len(word)")
floats = leaves("f", "g", "ys[0]", "0.5", "1e2", ".25", "3.", "1.5e-1")
numbers = st.deferred(lambda: st.one_of(integers, integers, floats, compound))
lists = st.deferred(
    lambda: st.one_of(
        leaves("xs", "ys", "[]", "[1]"),
        st.builds(lambda a, b: joined("[{}, {}]", a, b), numbers, numbers),
        st.builds(lambda a, b: joined("({} + {})", a, b), lists, lists),
    )
)
booleans = st.deferred(
    lambda: st.one_of(
        leaves("on", "off", "true", "False", "word == 'deep'", "word != \"flat\"", "18 in t", "7 not in t"),
        st.builds(lambda a, o, b: joined(f"{{}} {o} {{}}", a, b), numbers, comparisons, numbers),
        st.builds(
            lambda a, o, b, p, c: joined(f"{{}} {o} {{}} {p} {{}}", a, b, c),
            numbers, comparisons, numbers, comparisons, numbers,
        ),
        st.builds(lambda a, x: joined("{} in {}", a, x), numbers, lists),
        st.builds(lambda a, b: joined("({} and {})", a, b), booleans, booleans),
        st.builds(lambda a, b: joined("({} or {})", a, b), booleans, booleans),
        st.builds(lambda a: joined("(not {})", a), booleans),
    )
)  # fmt: skip
comparisons = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
arithmetic = st.sampled_from(["+", "-", "*", "/", "//", "%"])
compound = st.deferred(
    lambda: st.one_of(
        st.builds(lambda a, o, b: joined(f"{{}} {o} {{}}", a, b), simple, arithmetic, simple),
        st.builds(lambda a, o, b: joined(f"({{}} {o} {{}})", a, b), numbers, arithmetic, numbers),
        st.builds(lambda a: joined("-{}", a), simple),
        st.builds(lambda a, b: joined("{} ** {}", a, b), simple, leaves("0", "2", "3", "-1", "0.5", "a", "-a ** 0")),
        st.builds(lambda a, c, b: joined("({} if {} else {})", a, c, b), numbers, booleans, numbers),
        st.builds(lambda f, a: joined(f + "({})", a), st.sampled_from(ONE), numbers),
        st.builds(lambda f, a, b: joined(f + "({}, {})", a, b), st.sampled_from(["min", "max"]), numbers, numbers),
        st.builds(lambda f, x: joined(f + "({})", x), st.sampled_from(["min", "max", "sum", "len"]), lists),
        st.builds(lambda x, a: joined("{}[{}]", x, a), lists, integers),
        st.builds(lambda a, d: joined("make_divisible({}, {})", a, d), numbers, leaves("1", "8", "divisor=4")),
        st.builds(lambda a, n: joined("round({}, {})", a, n), numbers, leaves("0", "1", "2")),
    )
)
simple = st.one_of(integers, floats, numbers.map(lambda p: joined("({})", p)))
ONE = ["abs", "round", "int", "float", "ceil", "floor", "sqrt", "log2", "make_divisible"]


@given(st.one_of(numbers, booleans, lists))
def test_python_gives_the_same(expression: Parts) -> None:
    text, parts = expression
    assume(len(text) < 900)
    try:
        found = value(text)
    except ExpressionError as error:
        said = error.message
    else:
        wanted = python(text)
        assert (found, type(found)) == (wanted, type(wanted))
        return
    too_deep = "levels deep" in said or "parts" in said
    assert too_deep or any(unfit(part) for part in parts if not part.startswith("divisor")), said


terms = st.sampled_from(["1", "2", "3", "0.5", "a", "b", "-a", "- -2", "+b", "f"])
operators = st.sampled_from([" + ", "-", " * ", " / ", "//", " % ", " ** ", "**-"])


@given(terms, st.lists(st.tuples(operators, terms), max_size=6))
def test_precedence(first: str, rest: list[tuple[str, str]]) -> None:
    """Chains without parentheses bind as Python binds them."""
    text = first + "".join(o + t for o, t in rest)
    assume(text.count("**") <= (1 if "b" in text else 2))  # or the numbers are huge
    try:
        wanted = python(text)
    except (ArithmeticError, TypeError):  # the latter: there are no comparisons and remainders of complex numbers
        return
    if not isinstance(wanted, complex):
        found = value(text)
        assert (found, type(found)) == (wanted, type(wanted))


logic = st.sampled_from(["on", "off", "1 < a", "not on", "a == 3 == 3", "1 > b < 2", "not 2 in xs", "4 not in xs"])


@given(logic, st.lists(st.tuples(st.sampled_from([" and ", " or ", " and not ", " or not "]), logic), max_size=6))
def test_precedence_of_logic(first: str, rest: list[tuple[str, str]]) -> None:
    text = first + "".join(o + t for o, t in rest)
    assert value(text) is python(text)


@given(st.floats(-1e6, 1e6), st.integers(1, 512))
def test_make_divisible(v: float, divisor: int) -> None:
    found = parse("make_divisible(v, divisor=d)").value(Names({"v": v, "d": divisor}))
    assert found == make_divisible(v, divisor)
    assert parse("make_divisible(v)").value(Names({"v": v})) == make_divisible(v)


NO_EXPRESSIONS = """
1 +   * 2   (1   1)   [1   xs[1   a b   1 2   a = 1   a := 1   1 if on   if on else 1   not   1 ==   a not 1   min(
min(1,,2)   xs[]   [1,,2]   ()   (1, 2)   a.b   a.real   xs.append(1)   xs[0:1]   xs[::2]   xs[1:]   lambda: 1
lambda x: x   [x for x in xs]   {1: 2}   {1}   f'{a}'   a and   a is b   a & b   a | b   ~a   a ^ b   a << 2   a @ b
a; b   `a`   $a   a!   a?   open('x')   eval('1')   __import__('os')   exec('1')   print(1)   range(3)   str(1)
min(1)(2)   sorted(xs)   (lambda: 1)()   xs(1)   ''.join(xs)   *xs   min(*xs)   round(number=1)   'a   "a   1e
0x10   0b1   0o7   1j   1_000   b'a'   r'a'   ...   None   a if on else   yield 1   await a   in xs   a.__class__
"""


@pytest.mark.parametrize("text", ["", " ", "a\nb", *listed(NO_EXPRESSIONS)])
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(ExpressionError):
        value(text)


NO_VALUES = """
1 and on   on and 1   off or 1   not 1   not xs   1 if 1 else 2   1 if xs else 2   on + 1   -on   on * 2   on < 2
int(on)   abs(on)   sum([on])   min(on, 1)   'a' + 'b'   'a' * 3   xs * 2   2 * xs   xs % 2   '%d' % 3   xs + 1
xs - xs   xs + 'a'   t + t   -xs   xs < ys   'a' < 'b'   xs[on]   xs[0.0]   xs['a']   xs[4]   xs[-5]   t[19]
t[18.0]   t['x']   a[0]   word[0]   t[xs]   1 / 0   1 // 0   1 % 0   1.0 // 0   0 ** -1   sqrt(-1)   log2(0)
(-8) ** 0.5   int('3')   float('1')   unknown   min   min()   min([])   max([])   sum(1)   sum(1, 2)   len(1)
abs()   abs(1, 2)   sqrt([4])   9**9**9   2 ** 63   2 ** 64   10 ** 400   1e308 * 10   1e400   2.0 ** 5000
9223372036854775807 + 1   int(1e300)   make_divisible(3, 0)   make_divisible(3, 2.0)   make_divisible(3, -8)
make_divisible()   ceil(1e300)   round(1, 1.5)   3 in 4   'a' in 'abc'   xs in t
"""


@pytest.mark.parametrize("text", listed(NO_VALUES))
def test_what_has_no_value(text: str) -> None:
    with pytest.raises(ExpressionError):
        value(text)


@pytest.mark.parametrize(
    "text", ["1 if on else 1 / 0", "unknown if off else 1", "off and 1 / 0 == 1", "on or xs[9] > 1"]
)
def test_only_the_chosen_side_is_evaluated(text: str) -> None:
    assert value(text) == python(text.replace("unknown", "0"))


@pytest.mark.parametrize("text", ["٣", "２", "1\xa0+ 1"])
def test_numbers_are_ascii(text: str) -> None:
    with pytest.raises(ExpressionError):
        value(text)


DEEP = {
    "(": "(" * 400 + "1" + ")" * 400,
    "-": "-" * 900 + "1",
    "not": "not " * 200 + "on",
    "[": "[" * 300 + "]" * 300,
    "+": "1+" * 490 + "1",
    "abs": "abs(" * 150 + "1" + ")" * 150,
    "**": "2**" * 300 + "1",
    "[0]": "xs" + "[0]" * 300,
    "if": "1 if on else " * 70 + "1",
    "<": "1<" * 480 + "2",
    "open": "(" * 100_000,
    "and": "on and " * 140 + "on",
    "list": "[" + "1," * 480 + "1]",
}


@pytest.mark.parametrize("kind", DEEP)
def test_long_and_deep_expressions(kind: str) -> None:
    """They are refused, or they have Python's value; nothing else happens."""
    text = DEEP[kind]
    try:
        found = value(text)
    except ExpressionError:
        return
    assert found == python(text)


@pytest.mark.parametrize(
    "expression",
    ["a / 2", "32.0", "sqrt(16)", "a * 1.0", "2 ** -1", "float(a)", "round(2.5, 0)", "true", "'3'", "[3]", "xs", "t"],
)
def test_an_integer_argument_refuses_what_is_no_integer(expression: str) -> None:
    head = "cnnplan: 1\nname: net\ninput: [3, 8, 8]\nvariables: {a: 4, xs: [3], t: {3: 3}}\n"
    blames(net(f'- conv: {{kernel_size: 1, out_channels: «"={expression}"}}', head=head), "Y911")


@pytest.mark.parametrize(
    "expression", ["a // 2", "int(a / 2)", "round(a / 2)", "ceil(1.5)", "floor(2.5)", "round(2.5)"]
)
def test_an_integer_argument_takes_integers(expression: str) -> None:
    head = "cnnplan: 1\nname: net\ninput: [3, 8, 8]\nvariables: {a: 4}\n"
    assert last(net(f'- conv: {{kernel_size: 1, out_channels: "={expression}"}}', head=head)) == (2, 8, 8)


@pytest.mark.parametrize(
    ("place", "channels"),
    [
        ("- conv: {out_channels: =2 * 2, kernel_size: =1}", 4),
        ("- conv: {out_channels: 4, kernel_size: [=1, 1]}", 4),
        ("- relu:\n  if: =1 < 2\n- conv: {out_channels: 4, kernel_size: 1}", 4),
        ("- conv: {out_channels: =index + 3, kernel_size: 1}\n  repeat: =1 + 1", 4),
        ("- concat: {axis: =0, a: [], b: [relu]}", 6),
        ('- concat: {a: [], b: {layers: [relu], if: "=1 in [1]"}}', 6),
        ("- reshape: [=2 * 2, =48]", 4),
    ],
)
def test_where_expressions_stand(place: str, channels: int) -> None:
    assert last(net(place))[0] == channels


NOT_THERE = """
- relu:@  name: «=a   - relu:@  from: «=input   - add:@  from: [input, «=input]   - share: «=a
- relu:@  trainable: «=true   - relu:@  checkpoint: «=true   - relu:@  repeat: {«=a: 2}
"""


@pytest.mark.parametrize("layers", listed(NOT_THERE))
def test_where_expressions_do_not_stand(layers: str) -> None:
    blames(net(layers.replace("@", "\n"), more="variables: {a: b}"))


def test_like_takes_no_expression() -> None:
    refused(net("- maxpool: 2\n  name: q\n- upsample: 2\n- crop: {like: =r}", more="variables: {r: q}"))


def test_a_string_that_starts_with_equals_is_an_expression_however_it_is_quoted() -> None:
    for text in ("=3", "'=3'", '"=3"', '"=  3 "', "=3 # three"):
        assert plan(net(f"- conv:\n    kernel_size: 1\n    out_channels: {text}")).layers[0].output.channels == 3


@pytest.mark.parametrize(("text", "truth"), [("true", True), ("True", True), ("false", False), ("False", False)])
def test_truth_values(text: str, truth: bool) -> None:
    assert value(text) is truth


def test_the_least_of_nothing() -> None:
    for text in ("min([])", "max([])"):
        with pytest.raises(ExpressionError, match="at least one number"):
            value(text)
    assert value("sum([])") == 0
    assert value("round(3.14159, 2)") == 3.14


def test_an_expression_is_no_reference() -> None:
    assert "not expressions" in complaint(net("- relu:\n  name: a\n- tanh:\n  from: «=a"), "S016")
