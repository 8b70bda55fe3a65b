"""`check --format markdown`: for pull requests and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.diagnostics import printable
from cnnplan.render.columns import COLUMNS
from cnnplan.render.numbers import counted, exact, plural, short, size
from cnnplan.render.rows import rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.diagnostics import Diagnostic
    from cnnplan.planning import Plan


TABLE = ("layer", "operation", "output", "field", "parameters", "parameters_share", "macs", "macs_share")


def plan_table(plan: Plan, depth: int | None, names: Sequence[str] | None = None) -> str:
    """One plan: its totals and its layers, with the columns of these names."""
    columns = [COLUMNS[name] for name in names or TABLE]
    ends = ", ".join(f"{name} {v.shape}" for name, v in plan.graph.outputs.items())
    starts = ", ".join(f"{v.name} {v.shape}" for v in plan.graph.inputs)
    lines = [
        f"## {escaped(plan.name)}",
        "",
        f"{starts} → {ends}",
        "",
        f"**{plan.parameters:,}** parameters ({size(4 * plan.parameters)} in float32), "
        f"**{counted(plan.macs, 'MACs')}** ({plan.macs:,}), {counted(plan.flops, 'FLOPs')}, {len(plan.layers)} layers",
        "",
        f"| {' | '.join(column.title for column in columns)} |",
        f"| {' | '.join('--:' if column.right else ':--' for column in columns)} |",
    ]
    for row in rows(plan, depth):
        cells = [column.cell(row, plan) for column in columns]
        for index, name in enumerate(names or TABLE):
            if name == "layer":
                times = f" ×{row.times}" if row.times > 1 else ""
                cells[index] = "&nbsp;&nbsp;" * row.level + f"`{row.name}`" + times
            elif name == "operation":
                cells[index] = code(row.what)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def summary_table(found: Sequence[tuple[str, Plan | None, Sequence[Diagnostic]]]) -> str:
    """Several specs: a row each."""
    lines = [
        "| spec | layers | parameters | MACs | findings |",
        "| :-- | --: | --: | --: | :-- |",
    ]
    for path, plan, diagnostics in found:
        numbers = [str(len(plan.layers)), exact(plan.parameters), short(plan.macs)] if plan else ["", "", ""]
        errors = sum(d.severity == "error" for d in diagnostics)
        others = len(diagnostics) - errors
        said = ", ".join(plural(n, word) for n, word in ((errors, "error"), (others, "other")) if n)
        lines.append(f"| {code(path)} | {' | '.join(numbers)} | {said} |")
    return "\n".join(lines) + "\n"


def findings(found: Sequence[Diagnostic]) -> str:
    """The findings as a list."""
    return "".join(
        f"- **{d.severity}** `{d.code}` {code(f'{d.path}:{d.start.line}:{d.start.column}' if d.start else d.path)}: "
        f"{escaped(d.message)}{'; ' + escaped(d.help) if d.help else ''}\n"
        for d in found
    )


def escaped(text: str) -> str:
    """Text that Markdown and HTML take as it is; what stands in backticks stays code."""
    parts = printable(text).split("`")
    if len(parts) % 2 == 0:
        parts = ["'".join(parts)]
    return "".join(code(part) if i % 2 else _prose(part) for i, part in enumerate(parts))


def code(text: str) -> str:
    """Text as code, in a table too."""
    return "`" + printable(text).replace("`", "'").replace("|", "\\|") + "`"


def _prose(text: str) -> str:
    for mark in "\\*_|<>[]":
        text = text.replace(mark, f"&#{ord(mark)};" if mark in "<>|" else f"\\{mark}")
    return text
