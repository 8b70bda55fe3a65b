"""Numbers that differ between the uses of a block, as expressions over constructor arguments.

Every use of a block gives one value for each number in its class. A number that is the same in all
uses is written out; one that follows the spec's own expression is written as that expression; else
it is looked for among what is already named, and in the end becomes an argument of its own. An
expression is used only where it gives the right value for every use.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.emit.calls import literal
from cnnplan.emit.names import local
from cnnplan.emit.pythonic import ATOM, python
from cnnplan.emit.terms import Site, Term, affine, fits, outside_loops, pair, same, variable, with_number, words
from cnnplan.errors import ExpressionError
from cnnplan.expressions import Names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnnplan.expressions import Expression
    from cnnplan.graph import Scope


REPEATED = 4
"""So often is an expression written before it gets a variable."""

_WIDTHS = frozenset({"in_channels", "out_channels", "in_features", "out_features", "num_features", "num_channels"})


class Inexpressible(Exception):
    """The uses differ in a way that one class cannot express."""


class Argument(NamedTuple):
    """An argument of a class: its name, its value in each use, its default if it has one."""

    name: str
    values: tuple[Any, ...]
    default: Any
    has_default: bool


class Solver:
    """The constructor arguments of one class, found while its body is written."""

    def __init__(
        self, uses: Sequence[Scope], without: frozenset[str] = frozenset(), parametrized: bool = False
    ) -> None:
        """Offer the block's params as arguments.

        Args:
            uses: the uses of the block.
            without: params that are not offered: no number is written with them.
            parametrized: whether the class has arguments, so that numbers of channels follow
                `in_channels` even where they are the same in all uses.
        """
        self.uses = uses
        self.without = without
        self.parametrized = parametrized
        self.widths: list[Term] = []  # the numbers of channels that were written so far
        self.written: Counter[str] = Counter()  # how often each expression was
        self.variables: dict[str, str] = {}  # expression → the variable that holds it
        self.taken: set[str] = {"x"}
        self.arguments: dict[str, Argument] = {}
        self.offered: dict[str, Argument] = {}
        self.derived: dict[str, Expression] = {}
        self.memo: list[Term] = []
        self.functions: set[str] = set()
        if uses[0].kind == "block":
            block = uses[0].block
            assert block is not None
            channels = tuple(u.inputs[0].shape.channels for u in uses)
            self._offer("in_channels", "in_channels", channels, None, False)
            for name, param in block.params.items():
                values = tuple(u.arguments[name] for u in uses)
                if name in without or not all(map(_may_be_argument, values)):
                    continue
                if param.default and param.default.expression and self._follows(param.default.expression, values):
                    self.derived[name] = param.default.expression
                    continue
                default = param.default.constant if param.default and not param.default.dynamic else None
                given = _may_be_argument(default)
                self._offer(name, local(name, self.taken), values, default, given)

    def _follows(self, default: Expression, values: Sequence[Any]) -> bool:
        """Whether a param has the value of its default expression in every use."""
        term = self._from_hint(default, {})
        return term is not None and fits(term, values, self.sites())

    def _offer(self, spec_name: str, name: str, values: tuple[Any, ...], default: Any, has: bool) -> None:
        self.taken.add(name)
        self.offered[spec_name] = Argument(name, values, default, has)

    # ------------------------------------------------------------ state, for attempts

    def snapshot(self) -> tuple[Any, ...]:
        return (
            set(self.taken),
            dict(self.arguments),
            list(self.memo),
            set(self.functions),
            list(self.widths),
            Counter(self.written),
        )

    def restore(self, state: tuple[Any, ...]) -> None:
        self.taken, self.arguments = set(state[0]), dict(state[1])
        self.memo, self.functions = list(state[2]), set(state[3])
        self.widths, self.written = list(state[4]), Counter(state[5])

    def sites(self) -> list[Site]:
        return [Site(i, {}) for i in range(len(self.uses))]

    # ------------------------------------------------------------ the search

    def solve(
        self,
        values: Sequence[Any],
        sites: Sequence[Site],
        name: str,
        hint: Expression | None = None,
        counters: Mapping[str, str] | None = None,
    ) -> str:
        """The source that gives `values` at `sites`.

        Args:
            name: what an argument for it would be called.
            hint: the spec's own expression for it.
            counters: the spec's counters that are loop variables here.

        Raises:
            Inexpressible: it would have to be an argument, but changes within a loop.
        """
        constant = all(same(v, values[0]) for v in values)
        if constant and hint is None and self.parametrized and name in _WIDTHS:
            for term in (*reversed(self.widths), self._term(self.offered["in_channels"])):
                if fits(term, values, sites):
                    return self._remember(term).text
        if constant and not (hint and self._varies(hint)):
            return literal(values[0])
        if hint is not None and (term := self._from_hint(hint, counters or {})) and fits(term, values, sites):
            self.widths += [term] if name in _WIDTHS else []
            return self._remember(term).text
        if constant:
            return literal(values[0])
        if all(type(v) is int for v in values):
            if term := self._search(values, sites):
                return self._remember(term).text
        else:
            for argument in self.offered.values():
                term = self._term(argument)
                if fits(term, values, sites):
                    self.arguments[argument.name] = argument
                    return argument.name
        if all(isinstance(v, tuple) for v in values) and len({len(v) for v in values}) == 1:
            parts = [
                self.solve([v[i] for v in values], sites, f"{name}_{i}", None, counters) for i in range(len(values[0]))
            ]
            return f"({', '.join(parts)})"
        return self._argument(values, sites, name)

    def _varies(self, hint: Expression) -> bool:
        """Whether the spec's expression uses a param that every use gives, or some give differently."""
        found = [self.offered[name] for name in hint.names() if name in self.offered]
        return any(
            not same(a.default if a.has_default else a.values[0], v) or (not a.has_default and a.name != "in_channels")
            for a in found
            for v in a.values
        )

    def ordinal(self, values: Sequence[int], sites: Sequence[Site]) -> str:
        """Numbers in names, which follow a loop variable.

        Raises:
            Inexpressible: they do not.
        """
        if all(v == values[0] for v in values):
            return literal(values[0])
        for name in sites[0].loop:
            shifts = {v - site.loop[name] for v, site in zip(values, sites, strict=True)}
            if len(shifts) == 1:
                shift = shifts.pop()
                return f"{name} {'+' if shift > 0 else '-'} {abs(shift)}" if shift else name
        loops = [variable(name) for name in sites[0].loop]
        for loop in loops:
            if found := affine(loop, values, sites, [v for v in loops if v is not loop]):
                return found.text
        raise Inexpressible("number")

    def condition(self, present: Sequence[bool], sites: Sequence[Site], name: str, hint: Expression | None) -> str:
        """The source of a condition that holds at the sites where an item is present."""
        if hint is not None and (term := self._from_hint(hint, {})) and fits(term, present, sites):
            return self._remember(term).text
        return self._argument(list(present), sites, f"with_{name}")

    def _term(self, argument: Argument) -> Term:
        return Term(argument.name, lambda site: argument.values[site.use], ATOM)

    def _remember(self, term: Term) -> Term:
        """Mark the arguments and helpers that the term uses; let later numbers find it first."""
        if "make_divisible(" in term.text:
            self.functions.add("make_divisible")
        for argument in self.offered.values():
            if argument.name in words(term.text):
                self.arguments[argument.name] = argument
        if term.binds < ATOM and outside_loops(term):
            self.written[term.text] += 1
        if name := self.variables.get(term.text):
            term = Term(name, term.value, ATOM)
        self.memo = [t for t in self.memo if t.text != term.text] + [term]
        return term

    def repeated(self) -> str | None:
        """The expression that is written most often, if it deserves a variable."""
        text, times = max(self.written.items(), key=lambda found: found[1], default=("", 0))
        return text if times >= REPEATED else None

    def _search(self, values: Sequence[int], sites: Sequence[Site]) -> Term | None:
        """What is already named, alone or with a number or a second one."""
        known: list[Term] = [t for t in reversed(self.memo) if all(type(t.value(site)) is int for site in sites)]
        known += [self._term(a) for a in self.offered.values() if all(type(v) is int for v in a.values)]
        known += [self._term(a) for a in self.arguments.values() if all(type(v) is int for v in a.values)]
        loops = [variable(name) for name in (sites[0].loop if sites else {})]
        for term in (*known, *loops):
            if fits(term, values, sites):
                return term
        for loop in loops:
            if found := affine(loop, values, sites, known):
                return found
        for term in known:
            if found := with_number(term, values, sites):
                return found
        if len(set(values)) < 3:
            return None
        for i, a in enumerate(known):
            for b in known[: i + 1]:
                for first, second in ((a, b), (b, a)):
                    if found := pair(first, second, values, sites):
                        return found
        return None

    def _argument(self, values: Sequence[Any], sites: Sequence[Site], name: str) -> str:
        """An argument of its own, in the end."""
        by_use: dict[int, Any] = {}
        for site, value in zip(sites, values, strict=True):
            if not same(by_use.setdefault(site.use, value), value):
                raise Inexpressible(name)
        if self.uses[0].kind != "block":
            raise Inexpressible(name)
        filler = values[0]
        found = tuple(by_use.get(i, filler) for i in range(len(self.uses)))
        for argument in self.arguments.values():
            if all(same(a, b) for a, b in zip(argument.values, found, strict=True)):
                return argument.name
        named = local(name, self.taken)
        self.arguments[named] = Argument(named, found, None, False)
        return named

    # ------------------------------------------------------------ the spec's own expressions

    def _from_hint(self, hint: Expression, counters: Mapping[str, str]) -> Term | None:
        names: dict[str, tuple[str, int]] = {n: (v, ATOM) for n, v in counters.items()}
        for name in hint.names() - names.keys():
            if name in self.derived:
                term = self._from_hint(self.derived[name], {})
                if term is None:
                    return None
                names[name] = term.text, term.binds
            elif name in self.offered:
                names[name] = self.offered[name].name, ATOM
            else:
                return None
        found = python(hint, names)
        if found is None:
            return None

        def value(site: Site) -> Any:
            known = Names({n: a.values[site.use] for n, a in self.offered.items()})
            known.update((n, site.loop[v]) for n, v in counters.items())
            try:
                known.update((n, e.value(known)) for n, e in self.derived.items())
                return hint.value(known)
            except ExpressionError:
                return None

        return Term(found[0], value, found[1])


def _may_be_argument(value: Any) -> bool:
    """Whether a param of this value can be an argument of a class: a number, a word, a list of those."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(v, bool | int | float | str) for v in value)
    return isinstance(value, bool | int | float | str)
