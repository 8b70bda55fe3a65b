"""Which findings are wanted, and at what level: what the configuration, the spec and the command line say.

Each of the three may choose; a later one goes over an earlier one. Codes are given whole or by their
beginning: `N` or `N2` or `N201`. Within one, the longer beginning counts, and `ignore` where both are
as long.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from cnnplan import plugins
from cnnplan.codes import CODES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Choice(NamedTuple):
    """What one of them says.

    Attributes:
        select: what is wanted, and nothing else; None where it says nothing.
        extend: what is wanted besides.
        ignore: what is not wanted.
    """

    select: tuple[str, ...] | None = None
    extend: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def wants(self, code: str, before: bool) -> bool:
        """Whether a code is wanted, where it was `before`."""
        for_, against = _longest(code, (self.select or ()) + self.extend), _longest(code, self.ignore)
        if for_ or against:
            return for_ > against
        return before and self.select is None


class Selection(NamedTuple):
    """What the configuration and the command line say; the spec's own `lint` stands between them."""

    configured: Choice = Choice()
    asked: Choice = Choice()
    severity: Mapping[str, str] = {}

    def wanted(self, own: Choice) -> frozenset[str]:
        """The codes that are wanted in a spec that says `own`."""
        return _wanted(self.configured, own, self.asked)

    def level(self, code: str, level: str) -> str:
        """The level of a finding: that of the longest beginning of its code, else its own."""
        longest = _longest(code, self.severity)
        return self.severity[code[:longest]] if longest else level


@lru_cache
def _wanted(*choices: Choice) -> frozenset[str]:
    plugins.rules()
    found = set()
    for code, kind in CODES.items():
        wanted = kind.default
        for choice in choices:
            wanted = choice.wants(code, wanted)
        if wanted:
            found.add(code)
    return frozenset(found)


def _longest(code: str, beginnings: Iterable[str]) -> int:
    """The length of the longest of them that the code begins with."""
    return max((len(b) for b in beginnings if code.startswith(b)), default=0)


def unknown(codes: Iterable[str]) -> str | None:
    """What is wrong with codes that are given; None where each begins a known one."""
    return next(filter(None, map(_unknown, codes)), None)


@lru_cache
def _unknown(code: str) -> str | None:
    from cnnplan.diagnostics import nearest

    plugins.rules()
    if code and any(known.startswith(code) for known in CODES):
        return None
    names = {kind.name: known for known, kind in CODES.items()}
    match = names.get(code) or nearest(code, CODES)
    help = f"did you mean {match}?" if match else "`cnnplan rule` lists them"
    return f"there is no rule '{code:.40}'; {help}"
