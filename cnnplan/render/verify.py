"""Plan beside measurement, for people."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from cnnplan.diagnostics import printable
from cnnplan.render.styled import Styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.runtime.check import Check
    from cnnplan.runtime.verify import Verification

STYLES = {"exact": "green", "equal": "green", "differs": "bold red", "left out": "yellow"}
SHOWN = 20
"""So many differences of a check are listed."""


def page(found: Sequence[Verification], width: int, verbose: bool, quiet: bool, several: bool) -> Styled:
    """One network: a table of its checks. Several: a line each, and what differs."""
    out = Styled()
    room = max((len(printable(one.plan.path)) for one in found), default=0)
    for one in found:
        if quiet:
            continue
        if several and not verbose:
            _line(out, one, room)
        else:
            _table(out, one, width, verbose)
    for one in found:
        for check in one.checks:
            if check.differences:
                _differences(out, one, check, named=several or quiet)
    return out


def _line(out: Styled, one: Verification, room: int) -> None:
    wrong = [check.what for check in one.checks if check.verdict == "differs"]
    left = [check.oracle for check in one.checks if check.verdict == "left out"]
    out.add(f"{'ok' if one.passed else 'differs':<9}", "green" if one.passed else "bold red")
    exact = sum(check.verdict in ("exact", "equal") for check in one.checks)
    said = f"differs in {', '.join(dict.fromkeys(wrong))}" if wrong else f"{exact} checks agree"
    out.add(f"{printable(one.plan.path):<{room}}  {said}{f'; left out: {left[0]}' if left else ''}\n")


def _table(out: Styled, one: Verification, width: int, verbose: bool) -> None:
    out.add(one.plan.name, "bold")
    out.add(f"  {printable(one.plan.path)}\n\n", "dim")
    rows = [("", "planned", "measured", "verdict", "by")]
    rows += [(c.what, c.planned, c.measured, c.verdict, c.oracle) for c in one.checks]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    margin = sum(widths) + 8
    for number, row in enumerate(rows):
        cells = [row[0].ljust(widths[0]), row[1].rjust(widths[1]), row[2].rjust(widths[2])]
        out.add(f"{'  '.join(cells)}  ", "dim" if number == 0 else "")
        out.add(f"{row[3]:<{widths[3]}}  ", STYLES.get(row[3], "dim"))
        lines = (wrap(row[4], width - margin) if width - margin >= 16 else []) or [""]
        out.add(f"\n{'':{margin}}".join(lines) + "\n", "dim")
    out.add("\n")
    if verbose:
        _layers(out, one, width)
    for note in one.notes:
        out.add("\n  ".join(wrap(f"note: {note}", width - 2)) + "\n", "dim")
    if one.notes:
        out.add("\n")


def _layers(out: Styled, one: Verification, width: int) -> None:
    """Every layer: its output and its MACs, planned and measured."""
    rows = [("layer", "planned", "measured", "MACs", "measured", "")]
    for planned, measured in zip(one.plan.layers, one.layers, strict=False):
        shapes = ", ".join(map(str, planned.outputs))
        found = ", ".join("x".join(map(str, shape)) for shape in measured.outputs)
        same = shapes == found and planned.macs == measured.macs
        numbers = (f"{planned.macs:,}", f"{measured.macs:,}") if planned.macs or measured.macs else ("", "")
        rows.append((planned.name, shapes, found, *numbers, "" if same else "differs"))
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    widths[0] = max(12, min(widths[0], width - sum(widths[1:]) - 10))
    for number, row in enumerate(rows):
        name = row[0] if len(row[0]) <= widths[0] else row[0][: widths[0] - 1] + "…"
        cells = [name.ljust(widths[0]), row[1].ljust(widths[1]), row[2].ljust(widths[2])]
        cells += [row[3].rjust(widths[3]), row[4].rjust(widths[4])]
        out.add(f"{'  '.join(cells)}  ", "dim" if number == 0 else "")
        out.add(f"{row[5]}\n", "bold red")
    out.add("\n")


def _differences(out: Styled, one: Verification, check: Check, named: bool) -> None:
    where = f"{printable(one.plan.path)}: " if named else ""
    out.add(f"{where}{check.what} by {check.oracle}\n", "bold red")
    for difference in check.differences[:SHOWN]:
        line = f" (line {difference.line})" if difference.line else ""
        out.add(f"  {difference.layer}{line}: planned {difference.planned}, measured {difference.measured}\n")
    if len(check.differences) > SHOWN:
        out.add(f"  and {len(check.differences) - SHOWN:,} more\n")
    out.add("\n")
