"""What a comparison of the plan with torch says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

EXACT, EQUAL, DIFFERS, LEFT_OUT = "exact", "equal", "differs", "left out"


class Difference(NamedTuple):
    """Something that is not as planned, at a layer where it has one."""

    layer: str
    line: int | None
    planned: str
    measured: str


class Check(NamedTuple):
    """One number or claim of the plan beside what was measured.

    Attributes:
        what: such as "parameters".
        planned, measured: in words; numbers are exact.
        oracle: what it is held against.
        verdict: "exact", "equal" (up to rounding), "differs", or "left out".
        differences: where it differs.
    """

    what: str
    planned: str
    measured: str
    oracle: str
    verdict: str
    differences: tuple[Difference, ...] = ()


def counted(n: int, word: str) -> str:
    """1 layer, 2 layers."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def sizes(shape: Iterable[int]) -> str:
    """3x224x224; 1 for a scalar."""
    return "x".join(map(str, shape)) or "1"
