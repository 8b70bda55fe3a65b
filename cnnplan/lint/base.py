"""What a rule is.

A rule is one file in `rules/`: a docstring (what, why, source), a `bad` and a `good` spec, which
are its tests and its documentation, and a `check` that yields findings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.diagnostics import Related
    from cnnplan.planning import Plan
    from cnnplan.source import Node as TextNode


class Finding(NamedTuple):
    """What a rule has found, and where."""

    message: str
    node: TextNode | None
    layer: str | None = None
    help: str = ""
    related: tuple[Related, ...] = ()


class Rule:
    """A rule. Its code and name are those of `diagnostics.CODES`."""

    code: ClassVar[str]
    bad: ClassVar[str]
    good: ClassVar[str]

    def check(self, plan: Plan) -> Iterator[Finding]:
        """What is wrong with the plan."""
        raise NotImplementedError
