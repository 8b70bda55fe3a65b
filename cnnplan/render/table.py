"""A plan as a table for people, and several as a line each."""

from __future__ import annotations

from textwrap import shorten, wrap
from typing import TYPE_CHECKING

from cnnplan.diagnostics import printable
from cnnplan.render.columns import COLUMNS, DEFAULT, DROPPED
from cnnplan.render.numbers import counted, plural, size
from cnnplan.render.rows import rows
from cnnplan.render.shifts import sentences
from cnnplan.render.styled import Styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.planning import Plan

OPERATION = 16
"""The operation's column is at least so wide, or not shown."""


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


def table(plan: Plan, depth: int | None, width: int, names: Sequence[str] | None = None) -> Styled:
    """The layers, with the columns of these names, or with as many as the width holds."""
    found = rows(plan, depth)
    shown = list(names or DEFAULT)
    cells = {name: [COLUMNS[name].cell(row, plan) for row in found] for name in shown}
    widths = {name: max([len(COLUMNS[name].title), *map(len, cells[name])]) for name in shown}
    if not names:
        shown = [name for name in shown if name == "layer" or any(cells[name])]
    if "operation" in shown:
        room = width - sum(widths[name] + 2 for name in shown if name != "operation")
        widths["operation"] = min(widths["operation"], max(room, OPERATION))
    for dropped in () if names else DROPPED:
        if sum(widths[name] + 2 for name in shown) <= width + 2:
            break
        if dropped in shown:
            shown.remove(dropped)
            if "operation" in shown:
                room = width - sum(widths[name] + 2 for name in shown if name != "operation")
                wanted = max([len(COLUMNS["operation"].title), *map(len, cells["operation"])])
                widths["operation"] = min(wanted, max(room, OPERATION))
    if (over := sum(widths[name] + 2 for name in shown) - 2 - width) > 0:
        widths["layer"] = max(12, widths["layer"] - over)
    total = sum(widths[name] + 2 for name in shown) - 2
    out = Styled()
    for name in shown:
        out.add(_fitted(COLUMNS[name].title, widths[name], COLUMNS[name].right), "bold")
        out.add("  ")
    out.add("\n")
    out.add("─" * total + "\n", "dim")
    for index, row in enumerate(found):
        for name in shown:
            column = COLUMNS[name]
            style = column.style if column.style is not None else "bold" if row.opened else ""
            out.add(_fitted(cells[name][index], widths[name], column.right), style)
            out.add("  ")
        out.add("\n")
    return out


def _fitted(text: str, width: int, right: bool) -> str:
    if len(text) > width:
        text = text[: width - 1] + "…"
    return text.rjust(width) if right else text.ljust(width)


def totals(plan: Plan, width: int) -> Styled:
    """The sums, and what the words mean, as far as the width holds it."""
    frozen = plan.parameters - plan.trainable_parameters
    kept = f", {frozen:,} of them frozen" if frozen else ""
    lines = [
        ("layers", len(plan.layers), f"{plan.weighted_layers} of them with weights on the longest path"),
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
            room = width - wide - 14
            out.add(f"  {meaning if len(meaning) <= room else shorten(meaning, room, placeholder=' …')}\n", "dim")
    for index, (n, meaning) in enumerate(sentences(plan)):
        out.add(f"{'' if index else 'shifts':<10}  ")
        out.add(f"{n:>{wide},}", "bold")
        room = width - wide - 14
        out.add(f"  {meaning if len(meaning) <= room else shorten(meaning, room, placeholder=' …')}\n", "dim")
    it, training, inference = plan.conditions, plan.training, plan.inference
    dtype = "" if it.dtype == "float32" else f", {it.dtype}"
    for word, n, meaning in (
        ("training", training.peak, f"peak at batch {it.batch:,}{dtype}, {it.optimizer}: {training.peak_at}"),
        ("inference", inference.peak, f"peak at batch {it.batch:,}{dtype}"),
    ):
        out.add(f"{word:<10}  ")
        out.add(f"{size(n):>{wide}}", "bold")
        room = width - max(wide, len(size(n))) - 14
        out.add(f"  {meaning if len(meaning) <= room else shorten(meaning, room, placeholder=' …')}\n", "dim")
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
