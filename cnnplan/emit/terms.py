"""Terms: pieces of source with the values that they have at each use of a block."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.emit.calls import literal
from cnnplan.emit.pythonic import ATOM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Site(NamedTuple):
    """One use of a block, and the values of the loop variables around a statement."""

    use: int
    loop: Mapping[str, int]


class Term(NamedTuple):
    """A piece of source, its value at each site, and how tightly it binds."""

    text: str
    value: Callable[[Site], Any]
    binds: int

    def operand(self, level: int) -> str:
        """The text as an operand of an operator of this level."""
        return self.text if self.binds >= level else f"({self.text})"


def outside_loops(term: Term) -> bool:
    """Whether the term is an integer that depends on no loop variable."""
    try:
        return type(term.value(Site(0, {}))) is int
    except KeyError:
        return False


def same(a: Any, b: Any) -> bool:
    """Equal, and of one type: 1, 1.0 and True are three values."""
    return type(a) is type(b) and bool(a == b)


def fits(term: Term, values: Sequence[Any], sites: Sequence[Site]) -> bool:
    """Whether the term has these values at these sites."""
    return all(same(term.value(site), value) for site, value in zip(sites, values, strict=True))


def words(text: str) -> set[str]:
    """The names and numbers in a piece of source."""
    return set("".join(c if c.isalnum() or c == "_" else " " for c in text).split())


def variable(name: str) -> Term:
    """A loop variable."""
    return Term(name, lambda site: site.loop[name], ATOM)


def with_number(term: Term, values: Sequence[int], sites: Sequence[Site]) -> Term | None:
    """k * term, term // k (what `padding: half` is of a kernel), term + k."""
    at = [term.value(site) for site in sites]
    first, value = at[0], values[0]
    half = Term(f"{term.operand(7)} // 2", lambda site: term.value(site) // 2, 7)
    if fits(half, values, sites):
        return half
    if first > 0 and value % first == 0:
        k = value // first
        found = Term(f"{k} * {term.operand(8)}", lambda site: k * term.value(site), 7)
        if k > 1 and fits(found, values, sites):
            return found
    if value > 0 and first % value == 0:
        d = first // value
        found = Term(f"{term.operand(7)} // {d}", lambda site: term.value(site) // d, 7)
        if d > 1 and fits(found, values, sites):
            return found
    if len(set(values)) < 3:
        return None  # any two numbers differ from any other two by a number
    k = value - first
    mark = "+" if k > 0 else "-"
    found = Term(f"{term.operand(6)} {mark} {abs(k)}", lambda site: term.value(site) + k, 6)
    return found if fits(found, values, sites) else None


def affine(loop: Term, values: Sequence[int], sites: Sequence[Site], known: Sequence[Term]) -> Term | None:
    """base + step * loop variable, where the base is a number or a term."""
    steps = [
        (w - v, loop.value(b) - loop.value(a))
        for (a, v), (b, w) in pairwise(zip(sites, values, strict=True))
        if a.use == b.use
    ]
    moved = next(((dv, di) for dv, di in steps if di), None)
    if moved is None or moved[0] % moved[1] or moved[0] == 0:
        return None
    if len({loop.value(site) for site in sites}) < 3:
        return None  # a line runs through any two points
    step = int(moved[0] // moved[1])
    product = loop.text if abs(step) == 1 else f"{abs(step)} * {loop.text}"
    number = values[0] - step * int(loop.value(sites[0]))
    bases = [Term(literal(number), lambda _: number, ATOM), *(t for t in known if loop.text not in words(t.text))]
    for term in bases:
        if term.text == "0" and step > 0:
            text = product
        else:
            text = f"{term.operand(6)} {'+' if step > 0 else '-'} {product}"
        if step == 1 and term.text.isdecimal() and term.text != "0":
            text = f"{product} + {term.text}"

        def value(site: Site, term: Term = term) -> int:
            return int(term.value(site)) + step * int(loop.value(site))

        found = Term(text, value, 6)
        if fits(found, values, sites):
            return found
    return None


def pair(a: Term, b: Term, values: Sequence[int], sites: Sequence[Site]) -> Term | None:
    """a + b, a - b, a * b."""
    for found in (
        Term(f"{a.operand(6)} + {b.operand(7)}", lambda site: a.value(site) + b.value(site), 6),
        Term(f"{a.operand(6)} - {b.operand(7)}", lambda site: a.value(site) - b.value(site), 6),
        Term(f"{a.operand(7)} * {b.operand(8)}", lambda site: a.value(site) * b.value(site), 7),
    ):
        if fits(found, values, sites):
            return found
    return None
