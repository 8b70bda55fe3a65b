"""Devices for people: a table, or one with the sources of its figures."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from cnnplan.render.numbers import size
from cnnplan.render.styled import Styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.devices import Device

TERA = 10**12
TITLES = ("device", "memory", "GB/s", "float32", "tf32", "float16", "bfloat16", "cache", "product")
SPARE = ("product", "cache", "tf32", "float16")
"""Columns that go where the width is short, first to last."""


def rate(n: int | None) -> str:
    """TFLOP/s; a dash where the hardware has no such format."""
    return f"{n / TERA:.1f}" if n else "–"


def table(found: Sequence[Device], width: int) -> Styled:
    """All devices, a line each."""
    rows = [
        (
            one.key,
            size(one.memory),
            f"{one.bandwidth / 1e9:,.0f}",
            *map(rate, (one.float32, one.tf32, one.float16, one.bfloat16)),
            size(one.l2),
            one.name,
        )
        for one in found
    ]
    columns = list(range(len(TITLES)))
    wide = [max(len(row[i]) for row in (TITLES, *rows)) for i in columns]
    for name in SPARE:
        if sum(wide[i] + 2 for i in columns) - 2 <= width:
            break
        columns.remove(TITLES.index(name))
    out = Styled()
    for index, row in enumerate((TITLES, *rows)):
        cells = [row[i].ljust(wide[i]) if i in (0, len(TITLES) - 1) else row[i].rjust(wide[i]) for i in columns]
        out.add("  ".join(cells).rstrip() + "\n", "" if index else "bold")
    out.add("\n")
    about = "dense TFLOP/s, accumulated in float32; a dash: no such format. `cnnplan devices NAME` gives the sources."
    out.add("\n".join(wrap(about, width)) + "\n", "dim")
    return out


def one(found: Device, width: int) -> Styled:
    """One device."""
    out = Styled((found.key, "bold"), (f"  {found.name}\n\n", ""))
    major, minor = found.compute_capability
    for word, value in (
        ("memory", f"{size(found.memory)} ({found.memory:,} bytes)"),
        ("bandwidth", f"{found.bandwidth / 1e9:,.1f} GB/s"),
        *((name, f"{rate(getattr(found, name))} TFLOP/s") for name in ("float32", "tf32", "float16", "bfloat16")),
        ("cache", size(found.l2)),
        ("capability", f"{major}.{minor}"),
    ):
        out.add(f"{word:<12}{value if not value.startswith('–') else '– (not in its hardware)'}\n")
    out.add("\nsources\n")
    for source in found.sources:
        out.add("\n".join(wrap(source, width, initial_indent="  ", subsequent_indent="    ")) + "\n", "dim")
    return out
