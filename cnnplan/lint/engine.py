"""Runs the rules over a plan."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from cnnplan.diagnostics import CODES, ERROR, INFO, TooManyFindings
from cnnplan.lint.base import Rule

if TYPE_CHECKING:
    from cnnplan.diagnostics import Diagnostic, Report
    from cnnplan.planning import Plan


@cache
def rules() -> tuple[type[Rule], ...]:
    """All rules, by their codes."""
    package = import_module("cnnplan.lint.rules")
    found = []
    for info in iter_modules(package.__path__):
        module = import_module(f"cnnplan.lint.rules.{info.name}")
        found += [v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Rule) and v is not Rule]
    return tuple(sorted(found, key=lambda rule: rule.code))


def lint(plan: Plan, report: Report) -> tuple[Diagnostic, ...]:
    """All findings: those of reading and elaborating the spec, and those of the rules.

    The spec's own `lint: {ignore: […], select: […]}` chooses among those that are not errors of
    the language or of shapes.
    """
    try:
        for rule in rules():
            for f in rule().check(plan):
                report.add(rule.code, f.message, f.node, help=f.help, layer=f.layer, related=f.related)
    except TooManyFindings:
        report.cut(INFO)
    chosen = plan.graph.settings.get("lint")
    ignore = tuple(chosen.ignore) if chosen else ()
    select = tuple(chosen.select) if chosen else ()
    return tuple(d for d in report.diagnostics if _shown(d, ignore, select))


def _shown(found: Diagnostic, ignore: tuple[str, ...], select: tuple[str, ...]) -> bool:
    if CODES[found.code].severity == ERROR and found.code[0] in "SY":
        return True
    return not found.code.startswith(ignore) and (not select or found.code.startswith(select))
