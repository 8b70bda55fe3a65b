"""A picture for the terminal: how the receptive field grows with depth, against the input's size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.ops.base import AXES
from cnnplan.render.styled import Styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.planning import Plan

ROWS = 10
EIGHTHS = " ▁▂▃▄▅▆▇█"


def growth(plan: Plan, width: int) -> Styled:
    """A chart of the field's size by layer, one for each group of axes that grow alike.

    Layers without local paths are left out; a dashed line stands at the input's size.
    """
    series: dict[tuple[tuple[int, ...], int], list[str]] = {}
    names: list[str] = []
    sizes: list[tuple[int, ...]] = []
    given = None
    for layer in plan.layers:
        field = layer.receptive_field
        if field is None or not field.size or (given and field.input != given):
            continue
        known = tuple(size for size in field.size if size is not None)
        if len(known) == len(field.size) and (not sizes or len(known) == len(sizes[0])):
            given = field.input
            names.append(layer.name)
            sizes.append(known)
    value = next((v for v in plan.graph.inputs if v.name == given), None)
    if value is None or len(sizes) < 2 or len(sizes[0]) != value.shape.rank:
        return Styled("there is no growth to draw: fewer than two layers have a local receptive field\n\n")
    for index, axis in enumerate(AXES[value.shape.rank]):
        key = (tuple(size[index] for size in sizes), value.shape.spatial[index])
        series.setdefault(key, []).append(axis)
    out = Styled()
    for (values, limit), axes in series.items():
        out.extend(_chart(names, values, limit, " and ".join(axes), width))
    return out


def _chart(names: Sequence[str], values: Sequence[int], limit: int, axes: str, width: int) -> Styled:
    top = max(*values, limit)
    room = max(10, width - len(f"{top:,}") - 4)
    columns = min(room, max(len(values), min(room, 2 * len(values))))
    at = [i * len(values) // columns for i in range(columns)]
    heights = [max(1, round(8 * ROWS * values[i] / top)) for i in at]
    marked = min(ROWS - 1, max(0, round(ROWS * limit / top - 0.5)))
    margin = len(f"{top:,}")
    out = Styled((f"receptive field along {axes}, by layer; ╌ the input's {limit:,}\n", "dim"))
    for row in reversed(range(ROWS)):
        label = f"{limit:,}" if row == marked else f"{top:,}" if row == ROWS - 1 else ""
        out.add(f"{label:>{margin}} {'┼' if label else '│'}", "dim")
        for height in heights:
            filled = min(8, max(0, height - 8 * row))
            if filled:
                out.add(EIGHTHS[filled], "cyan")
            else:
                out.add("╌" if row == marked else " ", "dim")
        out.add("\n")
    out.add(f"{'':>{margin}} └{'─' * columns}\n", "dim")
    out.add(f"{'':>{margin}}  {_labels(names, at)}\n\n", "dim")
    return out


def _labels(names: Sequence[str], at: Sequence[int]) -> str:
    """The first part of the layers' names, where it begins and there is room."""
    text = ""
    last = ""
    for column, index in enumerate(at):
        part = names[index].partition(".")[0]
        if part != last and column >= len(text) + (2 if text else 0) and column + len(part) <= len(at):
            text = text.ljust(column) + part
        last = part
    return text
