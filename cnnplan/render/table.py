"""A plan as a table for people, and several as a line each."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from cnnplan.diagnostics import printable
from cnnplan.render.numbers import bar, counted, exact, percent, plural, short, size
from cnnplan.render.rows import rows
from cnnplan.render.styled import Styled

if TYPE_CHECKING:
    from cnnplan.planning import Plan
    from cnnplan.render.rows import Row

BAR = 8
OPERATION = 16
"""The operation's column is at least so wide, or not shown."""

TITLES = ("layer", "operation", "output", "parameters", "share", "MACs", "share", "")
STYLES = {"operation": "dim", "": "cyan"}
RIGHT = frozenset({"parameters", "share", "MACs"})
DROPPED = (7, 4, 1)
"""Columns that go where the width is short: the bar, the share of parameters, the operation."""


def heading(plan: Plan, width: int) -> Styled:
    """Name, file, input and output, and what the network is."""
    spec = plan.spec
    shapes = ", ".join(f"{v.name} {v.shape}" for v in plan.graph.inputs)
    ends = ", ".join(f"{name} {v.shape}" for name, v in plan.graph.outputs.items())
    out = Styled((plan.name, "bold"), (f"  {printable(plan.path)}\n", "dim"))
    words = (" ".join(t.split()).rstrip(".") for t in (spec.description, spec.reference))
    if about := printable(". ".join(filter(None, words))):
        out.add("\n".join(wrap(about, width)) + "\n", "dim")
    out.add(f"{shapes} → {ends}\n\n")
    return out


def table(plan: Plan, depth: int | None, width: int) -> Styled:
    """The layers, with as many columns as the width holds."""
    found = rows(plan, depth)
    cells = [_cells(row, plan) for row in found]
    widths = [max([len(title), *(len(row[i]) for row in cells)]) for i, title in enumerate(TITLES)]
    columns = list(range(len(TITLES)))
    room = width + 2 - sum(widths[i] + 2 for i in columns if i != 1) - 2
    widths[1] = min(widths[1], max(room, OPERATION))
    for dropped in DROPPED:
        if sum(widths[i] + 2 for i in columns) <= width + 2:
            break
        columns.remove(dropped)
    total = min(width, sum(widths[i] + 2 for i in columns) - 2)
    if (over := sum(widths[i] + 2 for i in columns) - 2 - width) > 0:
        widths[0] = max(12, widths[0] - over)
    out = Styled()
    for column in columns:
        out.add(_fitted(TITLES[column], widths[column], TITLES[column] in RIGHT), "bold")
        out.add("  ")
    out.add("\n")
    out.add("─" * total + "\n", "dim")
    for row, line_ in zip(found, cells, strict=True):
        for column in columns:
            title = TITLES[column]
            style = "bold" if row.opened and title not in STYLES else STYLES.get(title, "")
            out.add(_fitted(line_[column], widths[column], title in RIGHT), style)
            out.add("  ")
        out.add("\n")
    return out


def _cells(row: Row, plan: Plan) -> list[str]:
    times = f" ×{row.times}" if row.times > 1 else ""
    return [
        f"{'  ' * row.level}{row.name}{times}",
        row.what,
        row.output,
        "shared" if row.shared and not row.parameters else exact(row.parameters),
        percent(row.parameters, plan.parameters),
        short(row.macs),
        percent(row.macs, plan.macs),
        "" if row.opened else bar(row.macs, plan.macs, BAR),
    ]


def _fitted(text: str, width: int, right: bool) -> str:
    if len(text) > width:
        text = text[: width - 1] + "…"
    return text.rjust(width) if right else text.ljust(width)


def totals(plan: Plan) -> Styled:
    """The sums, and what the words mean."""
    frozen = plan.parameters - plan.trainable_parameters
    kept = f", {frozen:,} of them frozen" if frozen else ""
    lines = [
        ("layers", len(plan.layers), ""),
        ("parameters", plan.parameters, f"{size(4 * plan.parameters)} in float32{kept}"),
        ("buffers", plan.buffers, "running statistics and counters"),
        ("MACs", plan.macs, "multiply-accumulates of convolutions, matrix products"),
        ("FLOPs", plan.flops, "2 a MAC; bias, norm, activation, pooling, merges"),
    ]
    wide = max(len(f"{n:,}") for _, n, _ in lines)
    out = Styled("\n")
    for word, n, meaning in lines:
        if n or word != "buffers":
            out.add(f"{word:<10}  ")
            out.add(f"{n:>{wide},}", "bold")
            out.add(f"  {meaning}\n", "dim")
    out.add("\n")
    return out


def line(plan: Plan, path: str, width: int, worst: str) -> Styled:
    """One spec on one line; `worst` is the severity of its worst finding, "" for none."""
    layers = f"{plural(len(plan.layers), 'layer'):>12}"
    numbers = f"{plan.parameters:>13,} parameters  {counted(plan.macs, 'MACs'):>13}"
    word, style = {"error": ("error", "bold red"), "warning": ("warn", "bold yellow")}.get(worst, ("ok", "green"))
    return Styled((f"{word:<7}", style), f"{printable(path):<{width}}  {layers}  {numbers}\n")


def failed(path: str, found: str, width: int) -> Styled:
    """One spec that is not valid, on one line."""
    return Styled(("error  ", "bold red"), f"{printable(path):<{width}}  {found}\n")
