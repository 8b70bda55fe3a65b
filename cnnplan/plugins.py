"""Operations and rules of other packages, found by their entry points.

    [project.entry-points."cnnplan.ops"]         [project.entry-points."cnnplan.rules"]
    gem_pool = "gem_cnnplan.gem_pool:GemPool"    GEM001 = "gem_cnnplan.large_exponent:LargeExponent"

A package has to be installed: no spec can name a path, for checking a spec runs no code of its author's. What is
installed is looked up without importing it, and only what is needed is imported.

Source: the Python Packaging User Guide, "Entry points specification".
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.base import Finding, Rule
    from cnnplan.ops.base import Op

OPS, RULES = "cnnplan.ops", "cnnplan.rules"
CODE = re.compile(r"[A-Z]{2,}[0-9]{3}")
"""Codes of plugins' rules: at least two letters, so that none is one of cnnplan's own."""


class Entry(NamedTuple):
    """An entry point.

    Attributes:
        name: of the operation, or the code of the rule.
        target: `module:Class`.
        package: the distribution that has it.
    """

    name: str
    target: str
    package: str

    def load(self) -> Any:
        """What it names.

        Raises:
            UsageError: it cannot be imported.
        """
        module, _, attribute = self.target.partition(":")
        try:
            found: Any = import_module(module.strip())
            for part in attribute.strip().split("."):
                found = getattr(found, part)
        except Exception as error:
            raise self.refuse(f"{type(error).__name__}: {error}") from error
        return found

    def refuse(self, why: str) -> UsageError:
        """What is wrong with the plugin."""
        reason = " ".join(why.split())
        return UsageError(f"plugin '{self.name}' of package '{self.package}' ({self.target}) cannot be used: {reason}")


@cache
def installed(group: str) -> dict[str, Entry]:
    """The entry points of a group, by their names; of several of one name the first on the path."""
    found: dict[str, Entry] = {}
    for point in entry_points(group=group):
        package = point.dist.name if point.dist else "unknown"
        found.setdefault(point.name, Entry(point.name, point.value, package))
    return found


@cache
def operation(name: str) -> type[Op] | None:
    """The operation of this name that a package brings, or None.

    Raises:
        UsageError: it cannot be imported, or is no operation of that name.
    """
    entry = installed(OPS).get(name)
    if entry is None:
        return None
    from cnnplan.ops.base import Op

    found = entry.load()
    if not (isinstance(found, type) and issubclass(found, Op)):
        raise entry.refuse("it is no subclass of cnnplan.ops.base.Op")
    if getattr(found, "kind", None) != name:
        raise entry.refuse(f"its `kind` is {getattr(found, 'kind', None)!r}")
    return found


@cache
def rules() -> dict[str, type[Rule]]:
    """The rules that packages bring, by their codes, which are in the catalogue from then on.

    Raises:
        UsageError: one cannot be imported, or is no rule of its code.
    """
    found: dict[str, type[Rule]] = {}
    for code, entry in sorted(installed(RULES).items()):
        from cnnplan.codes import CODES, SEVERITIES, Code
        from cnnplan.lint.base import Rule

        rule = entry.load()
        if not (isinstance(rule, type) and issubclass(rule, Rule)):
            raise entry.refuse("it is no subclass of cnnplan.lint.base.Rule")
        if not CODE.fullmatch(code):
            raise entry.refuse("a code is two or more capital letters and three digits, such as 'GEM001'")
        if getattr(rule, "code", None) != code:
            raise entry.refuse(f"its `code` is {getattr(rule, 'code', None)!r}")
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name) or rule.severity not in SEVERITIES:
            raise entry.refuse(f"it needs a `name` in kebab-case and a `severity`: {', '.join(SEVERITIES)}")
        meaning = (rule.__doc__ or rule.name).strip().partition("\n")[0].rstrip(".")
        CODES[code] = Code(rule.name, rule.severity, meaning, "", rule.default, True, rule.url)
        found[code] = rule
    return found


def guarded(code: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings of a package's rule.

    Raises:
        UsageError: the rule fails.
    """
    try:
        yield from findings
    except Exception as error:
        raise installed(RULES)[code].refuse(f"{type(error).__name__}: {error}") from error


def failed(kind: str, error: Exception) -> UsageError | None:
    """What is wrong with a package's operation that raises; None where the operation is cnnplan's own."""
    entry = installed(OPS).get(kind)
    return entry.refuse(f"{type(error).__name__}: {error}") if entry else None
