"""What one unit of a layer sees, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.diagnostics import printable
from cnnplan.ops.base import AXES
from cnnplan.render.numbers import percent, plural
from cnnplan.render.styled import Styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.analyses.region import Region, Sight
    from cnnplan.graph import Value
    from cnnplan.planning import Plan

MAP = (12, 36)
"""Rows and columns of the drawn input."""


def line(found: Sight, plan: Plan) -> str:
    """On one line: stage3.conv2[3,4] sees height 0-27, width 0-31 of input 3x224x224."""
    seen = []
    for index, given in enumerate(plan.graph.inputs):
        region, local = found.regions[index], found.local[index]
        if not region.shape.rank or not region.boxes:
            continue
        near = local if local.boxes else region
        parts = ", ".join(f"{axis} {_dash(near.interval(i))}" for i, axis in enumerate(AXES[region.shape.rank]))
        wide = f", and more of it through {found.wide[0].name}" if near.boxes != region.boxes else ""
        seen.append(f"{parts} of {given.name} {given.shape}{wide}")
    return f"{found.value.name}[{_index(found)}] sees {'; '.join(seen) or 'nothing'}"


def lines(found: Sight, plan: Plan) -> Styled:
    """As a table for each input, and as a picture where the input is an image."""
    out = Styled((plan.name, "bold"), (f"  {printable(plan.path)}\n", "dim"))
    value = found.value
    out.add(f"unit {_index(found)} of {value.name} {value.shape} sees\n\n")
    shown = False
    for index, given in enumerate(plan.graph.inputs):
        region, local = found.regions[index], found.local[index]
        if not region.shape.rank or not region.boxes:
            continue
        shown = True
        if local.boxes:
            _table(out, found, plan, index, local, "through local paths" if found.wide else "")
        if region.boxes != local.boxes:
            names = [node.name for node in found.wide]
            others = f" and {plural(len(names) - 1, 'other')}" if len(names) > 1 else ""
            if region.positions == _positions(region):
                out.add(f"{given.name} {given.shape}: all of it, through {names[0]}{others}\n\n")
            elif local.boxes:
                out.add(f"{given.name} {given.shape}: more of it, through {names[0]}{others}\n\n")
            else:
                _table(out, found, plan, index, region, f"through {names[0]}{others}")
        if given.shape.rank == 2 and (local if local.boxes else region).boxes:
            out.extend(_picture(given, local if local.boxes else region))
        if not region.exact:
            out.add("operations on the way mix the axes: it sees no more than this, and perhaps less\n\n", "dim")
    if not shown:
        out.add("nothing of the input: no path leads there, or all of it lies in padding\n\n")
    return out


def _table(out: Styled, found: Sight, plan: Plan, index: int, region: Region, how: str) -> None:
    given = plan.graph.inputs[index]
    fields = plan.reach.fields[found.value][index]
    rows: list[Sequence[str]] = [("", "first … last", "without clipping", "read", "of the axis")]
    for axis, name in enumerate(AXES[region.shape.rank]):
        spans = [a.span for a in fields.axes] if fields else []
        span = next(((s, found.unit[i]) for i, s in enumerate(spans) if s and s.axis == axis), None)
        free = _dots(span[0].at(span[1])) if span else ""
        count = region.count(axis)
        part = percent(count, region.shape.spatial[axis])
        rows.append((name, _dots(region.interval(axis)), free, f"{count:,}", part))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    out.add(f"{given.name} {given.shape}{f', {how}' if how else ''}\n")
    for number, row in enumerate(rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        out.add(f"  {'   '.join(cells)}\n", "dim" if number == 0 else "")
    whole = _positions(region)
    out.add(f"  {region.positions:,} of {plural(whole, 'position')}, {percent(region.positions, whole)}\n")
    hulls = [region.interval(axis) for axis in range(region.shape.rank)]
    if any(ends and region.count(axis) <= ends[1] - ends[0] for axis, ends in enumerate(hulls)):
        out.add("  with holes: some units between the first and the last are not read\n", "yellow")
    out.add("\n")


def _positions(region: Region) -> int:
    return region.shape.numel // region.shape.channels


def _index(found: Sight) -> str:
    return ",".join(map(str, found.unit))


def _dots(interval: tuple[int, int] | None) -> str:
    return f"{interval[0]} … {interval[1]}" if interval else "nothing"


def _dash(interval: tuple[int, int] | None) -> str:
    return f"{interval[0]}-{interval[1]}" if interval else "nothing"


def _picture(given: Value, region: Region) -> Styled:
    """The input as a small map: full where a unit is seen, empty where none is."""
    height, width = given.shape.spatial
    columns = min(MAP[1], width)
    rows = min(MAP[0], height, max(1, round(columns * height / width / 2)) if width >= columns else height)
    out = Styled((f"  ┌{'─' * columns}┐\n", "dim"))
    for row in range(rows):
        out.add("  │", "dim")
        inside = _cell(row, rows, height)
        out.add(
            "".join("█" if region.sees((inside, _cell(c, columns, width))) else "·" for c in range(columns)), "cyan"
        )
        out.add("│\n", "dim")
    out.add(f"  └{'─' * columns}┘\n\n", "dim")
    return out


def _cell(index: int, cells: int, size: int) -> int:
    """The units of one cell of the map, as a set."""
    first, last = index * size // cells, max(index * size // cells + 1, (index + 1) * size // cells)
    return ((1 << (last - first)) - 1) << first
