"""Runs the rules over a plan."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from cnnplan import plugins
from cnnplan.codes import CODES, ERROR, INFO, SEVERITIES
from cnnplan.diagnostics import Fix, Related, Report, TooManyFindings, some
from cnnplan.lint.base import Rule
from cnnplan.lint.net import Net
from cnnplan.lint.selection import Choice, Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cnnplan.diagnostics import Diagnostic, Position
    from cnnplan.graph import Node
    from cnnplan.lint.base import Finding
    from cnnplan.planning import Plan


ALL = Selection()


@cache
def rule(code: str) -> type[Rule]:
    """The rule of a code."""
    if code in plugins.rules():
        return plugins.rules()[code]
    module = import_module(f"cnnplan.lint.rules.{CODES[code].module}")
    (found,) = (v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Rule) and "code" in vars(v))
    return found


def rules() -> tuple[type[Rule], ...]:
    """All rules, in the order of the catalogue; those of other packages last."""
    plugins.rules()
    return tuple(map(rule, CODES))


def lint(plan: Plan, report: Report, selection: Selection = ALL) -> tuple[Diagnostic, ...]:
    """All findings: those of reading and elaborating the spec, and those of the rules.

    The spec's own `lint: {ignore: […], select: […]}`, `selection` and the comments of the text choose among those
    that leave the spec valid.
    """
    own = plan.graph.settings.get("lint")
    choice = Choice(tuple(own.select) or None, (), tuple(own.ignore)) if own else Choice()
    wanted = selection.wanted(choice)
    found = Report(report.path)
    net = Net(plan)
    words = _words(plan)
    try:
        for code, kind in CODES.items():
            needs = kind.when.split()
            if code in wanted and (not needs or not words.isdisjoint(needs)):
                findings = rule(code)().check(net)
                _add(code, plugins.guarded(code, findings) if kind.foreign else findings, net, selection, found)
    except TooManyFindings:
        found.cut(INFO)
    read = [d._replace(severity=selection.level(d.code, d.severity)) for d in report.diagnostics if d.severity != ERROR]
    shown = [d for d in (*read, *found.diagnostics) if d.code in wanted]
    if "ignore" in plan.spec.text:
        from cnnplan.lint.ignores import without_ignored

        shown = without_ignored(shown, plan.spec.text, report.path, wanted, selection)
    return tuple(sorted(shown, key=lambda d: (d.start is None, d.start, d.code)))


def _words(plan: Plan) -> frozenset[str]:
    """What a spec has that rules may need: its operations, and its settings."""
    words = {node.op.kind for node in plan.graph.nodes} | plan.graph.settings.keys()
    return frozenset(words | {"target"} if plan.conditions.device else words)


def _add(code: str, findings: Iterable[Finding], net: Net, selection: Selection, report: Report) -> None:
    """Report the findings of a rule: those at one place as one."""
    places: dict[tuple[Position | None, str], list[Finding]] = {}
    for finding in findings:
        start = finding.node.start if finding.node else None
        places.setdefault((start, "" if start else finding.message), []).append(finding)
    for several in places.values():
        several.sort(key=lambda one: SEVERITIES.index(one.severity or CODES[code].severity))
        first = several[0]
        related = first.related
        if others := [f.layer for f in several[1:] if f.layer and f.layer != first.layer]:
            related += (Related(f"the same in {some(dict.fromkeys(others), 4)}"),)
        report.add(
            code,
            first.message,
            first.node,
            help=first.help,
            layer=first.layer,
            related=related,
            severity=selection.level(code, first.severity or CODES[code].severity),
            fix=first.fix or _fix(several, net),
        )


def _fix(several: Sequence[Finding], net: Net) -> Fix | None:
    """The fix of findings at one place, where it holds for every layer that its items make."""
    changes = [finding.change for finding in several if finding.change]
    if len(changes) < len(several):
        return None
    concerned: dict[int, set[Node]] = {}
    for change in changes:
        for node, (_, *words) in change.steps:
            for one in (node, *(w for w in words if not isinstance(w, str))):
                concerned.setdefault(id(one.item), set()).add(one)
    if any(net.made_by(next(iter(nodes))) != nodes for nodes in concerned.values()):
        return None
    sheet = net.sheet
    written = {sheet.write(change) for change in changes}
    edits = written.pop() if len(written) == 1 else None
    if edits is None:
        return None
    return Fix(all(change.safe for change in changes), changes[0].message, edits)
