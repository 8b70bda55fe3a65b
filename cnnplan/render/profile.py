"""Where time and memory go, for people: the layers, the whole network, the layers that cost most and why."""

from __future__ import annotations

import os
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from cnnplan.diagnostics import printable
from cnnplan.render.numbers import gigabytes, percent, plural, seconds, short, size
from cnnplan.render.rows import shortened
from cnnplan.render.styled import Styled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cnnplan.runtime.profiling.profile import Measured, Profile
    from cnnplan.runtime.profiling.stable import Spread

LISTED = 10
"""So many layers that cost most."""
NAME = 16
"""The layers' column is at least so wide."""


class Column(NamedTuple):
    """A column of the layers: its title, and its text for a layer of a profile."""

    title: str
    cell: Callable[[Measured, Profile], str]


COLUMNS = {
    "line": Column("line", lambda one, found: str(one.layer.line)),
    "forward": Column("forward", lambda one, found: seconds(one.forward.median)),
    "forward_spread": Column("±", lambda one, found: _scatter(one.forward)),
    "backward": Column("backward", lambda one, found: seconds(one.backward.median) if one.backward else ""),
    "backward_spread": Column("±", lambda one, found: _scatter(one.backward)),
    "share": Column("share", lambda one, found: _percent(one.seconds, found.took.whole)),
    "bound": Column("bound", lambda one, found: seconds(one.roof.seconds) if one.roof.seconds else ""),
    "reached": Column("reached", lambda one, found: _percent(one.roof.seconds or 0.0, one.seconds)),
    "rate": Column("FLOP/s", lambda one, found: short(round(one.roof.flops / one.seconds)) if one.seconds else ""),
    "bandwidth": Column("GB/s", lambda one, found: gigabytes(one.roof.bytes / one.seconds) if one.seconds else ""),
    "allocated": Column("allocated", lambda one, found: size(one.held.after)),
    "peak": Column("peak", lambda one, found: size(one.held.peak)),
    "planned": Column("planned", lambda one, found: size(one.planned.peak)),
}
"""What a layer's row has, beside its name; spreads are half of what the middle half of the runs lies in."""

DROPPED = ("line", "backward_spread", "forward_spread", "planned", "allocated", "bandwidth", "rate", "bound", "peak")
"""What is left out where the width does not hold all, the first one first."""


def page(found: Profile, width: int, *, quiet: bool = False) -> Styled:
    """Everything `cnnplan profile` says."""
    out = Styled()
    _heading(out, found, width)
    if not quiet:
        _layers(out, found, width)
    _whole(out, found, width)
    _costly(out, found, width)
    _sweep(out, found, width)
    _batches(out, found, width)
    _notes(out, found, width)
    return out


def _heading(out: Styled, found: Profile, width: int) -> None:
    plan, device = found.plan, found.machine.device
    it = plan.conditions
    out.add(plan.name, "bold")
    out.add(f"  {printable(plan.path)}\n", "dim")
    threads = f", {plural(found.machine.threads, 'thread')}" if found.machine.threads else ""
    rates = [("float32", device.float32), ("tf32", device.tf32), (it.dtype, getattr(device, it.dtype))]
    peaks = ", ".join(f"{short(rate)}FLOP/s in {name}" for name, rate in dict(rates).items() if rate)
    source = "measured here" if found.machine.measured else "by its data sheet"
    dtype = (
        it.dtype if it.dtype == "float32" else f"{it.dtype}, {'mixed' if it.mixed and found.trains else 'all of it'}"
    )
    how = f"batch {it.batch:,}, {dtype}{f', {it.optimizer}' if found.trains else ', inference'}"
    _wrapped(out, f"{printable(device.name)}{threads}; {how}", width)
    beyond = f" beyond {size(2 * device.l2)} of cache" if device.l2 else ""
    _wrapped(out, f"at most {peaks}, {device.bandwidth / 1e9:,.0f} GB/s{beyond}, {source}", width, "dim")
    out.add("\n")


def _wrapped(out: Styled, text: str, width: int, style: str = "", indent: str = "  ") -> None:
    out.add("\n".join(wrap(text, width, subsequent_indent=indent)) + "\n", style)


def _layers(out: Styled, found: Profile, width: int) -> None:
    cells = {key: [column.cell(one, found) for one in found.layers] for key, column in COLUMNS.items()}
    rest = _rest(found)
    cells["forward"] += [seconds(took.median) for _, took in rest]
    cells["forward_spread"] += [_scatter(took) for _, took in rest]
    cells["share"] += [_percent(took.median, found.took.whole) for _, took in rest]
    names = [printable(one.layer.name) for one in found.layers] + [f"({word})" for word, _ in rest]
    shown = [key for key in COLUMNS if any(cells[key])]
    widths = {key: max(len(COLUMNS[key].title), *map(len, cells[key])) for key in shown}
    longest = max(map(len, [*names, "layer"]))

    def room() -> int:
        return width - sum(widths[key] + 2 for key in shown)

    for key in DROPPED:
        if room() >= min(longest, NAME + 12):
            break
        if key in shown:
            shown.remove(key)
    first = max(NAME, min(longest, room()))
    out.add(f"{'layer':<{first}}" + "".join(f"  {COLUMNS[key].title:>{widths[key]}}" for key in shown) + "\n", "bold")
    out.add("─" * (first + sum(widths[key] + 2 for key in shown)) + "\n", "dim")
    for number, name in enumerate(names):
        out.add(f"{shortened(name, first):<{first}}", "" if number < len(found.layers) else "dim")
        row = (cells[key][number] if number < len(cells[key]) else "" for key in shown)
        out.add("".join(f"  {cell:>{widths[key]}}" for key, cell in zip(shown, row, strict=True)) + "\n")
    out.add("\n")


def _rest(found: Profile) -> list[tuple[str, Spread]]:
    """What has no layer."""
    words = {("loss", None): "loss", ("backward", None): "loss, backward", ("step", None): "optimizer's step"}
    return [(word, found.took.parts[key]) for key, word in words.items() if key in found.took.parts]


def _whole(out: Styled, found: Profile, width: int) -> None:
    rows = [("", "time", "±", _unit(found), "bound", "reached")]
    for word, time, bound in (
        ("inference", found.speed.inference, found.bounds[0]),
        ("training step", found.speed.training, found.bounds[1]),
    ):
        if time:
            rate, reached = _rate(found.plan.batch / time.median), _percent(bound, time.median)
            rows.append((word, seconds(time.median), _scatter(time), rate, seconds(bound) if bound else "", reached))
    _table(out, rows)
    same = "as planned" if found.peak == found.planned_peak else f"planned {size(found.planned_peak)}"
    off = found.peak / found.planned_peak - 1 if found.planned_peak else 0.0
    more = f" ({100 * off:+.1f} % measured)" if found.peak != found.planned_peak else ""
    _wrapped(out, f"peak memory {size(found.peak)}, {same}{more}", width)
    took = found.took
    share = 100 * took.overhead / took.plain.median if took.plain.median else 0.0
    shows = took.overhead > took.plain.high - took.plain.low
    said = f"looking at each layer adds {seconds(took.overhead)} ({share:.1f} %)"
    if not shows:
        said = f"what looking at each layer adds ({share:+.1f} %) is within the scatter of the runs"
    stable = "" if took.warm.stable else ", at whose end times still changed"
    _wrapped(
        out,
        f"{said}; {plural(took.warm.runs, 'run')} after {took.warm.warm_up} of warm-up{stable}; "
        f"the smallest operation takes {seconds(found.launch)}",
        width,
        "dim",
    )
    out.add("\n")


def _unit(found: Profile) -> str:
    return "images/s" if found.plan.graph.inputs[0].shape.rank == 2 else "samples/s"


def _rate(n: float) -> str:
    return f"{n:,.0f}" if n >= 100 else f"{n:.3g}"


def _costly(out: Styled, found: Profile, width: int) -> None:
    whole = found.took.whole
    out.add(f"the {'layers' if len(found.layers) > 1 else 'layer'} that cost most\n", "bold")
    for one in found.costly[:LISTED]:
        share = _percent(one.seconds, whole)
        head = f"{share:>6}  {printable(one.layer.name)} (line {one.layer.line}), {seconds(one.seconds)}: "
        _wrapped(out, f"{head}{one.why}", width, indent=" " * 8)
    out.add("\n")


def _sweep(out: Styled, found: Profile, width: int) -> None:
    if not found.sweep:
        return
    unit = _unit(found)
    rows: list[Sequence[str]] = [("", "inference", unit, "", *(("training", unit, "") if found.trains else ()))]
    for one in found.sweep:
        faster = one.faster if one is not found.sweep[0] else (1.0, 1.0)
        cells = [*_sped(found, one.inference, faster[0])]
        if found.trains:
            cells += _sped(found, one.training, faster[1])
        rows.append((one.way.name, *cells))
    _table(out, rows)
    _wrapped(out, "x: as fast as eager, in runs that take turns with it", width, "dim")
    for one in found.sweep:
        if one.reason:
            _wrapped(out, f"{one.way.name}: {printable(one.reason)}", width, "dim")
    out.add("\n")


def _sped(found: Profile, took: Spread | None, faster: float | None) -> tuple[str, str, str]:
    if took is None:
        return "", "", ""
    return seconds(took.median), _rate(found.plan.batch / took.median), f"{faster:.2f}x" if faster else ""


def _batches(out: Styled, found: Profile, width: int) -> None:
    if not found.batches:
        return
    unit = _unit(found)
    kinds = ("inference", "training") if found.trains else ("inference",)
    heads = [title for kind in kinds for title in (kind, unit)]
    rows: list[Sequence[str]] = [("batch", *heads, "planned peak", "measured")]
    for one in sorted(found.batches, key=lambda one: one.size):
        cells: list[str] = []
        for took in [getattr(one.speed, kind, None) for kind in kinds]:
            cells += (seconds(took.median), _rate(one.size / took.median)) if took else ("", "")
        rows.append((f"{one.size:,}", *cells, size(one.planned), size(one.measured) if one.measured else ""))
    if sum(max(map(len, column)) + 2 for column in zip(*rows, strict=True)) - 2 > width:
        rows = [(row[0], *row[2:-2:2], *row[-2:]) for row in rows]
        rows[0] = ("batch", *kinds, *rows[0][-2:])
        out.add(f"in {unit}\n", "dim")
    _table(out, rows)
    for one in sorted(found.batches, key=lambda one: one.size):
        if one.note:
            _wrapped(out, f"batch {one.size:,}: {printable(one.note)}", width, "dim")
    out.add("\n")


def _table(out: Styled, rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = [f"{row[0]:<{widths[0]}}", *(f"{cell:>{n}}" for cell, n in zip(row[1:], widths[1:], strict=True))]
        out.add("  ".join(cells).rstrip() + "\n", "bold" if number == 0 else "")


def _notes(out: Styled, found: Profile, width: int) -> None:
    if any(node.checkpoint for node in found.plan.graph.nodes):
        said = "layers with `checkpoint` are not recomputed one by one: their rows have no second forward pass"
        _wrapped(out, f"note: {said}; the whole step has", width, "dim")
    if found.busy:
        cores = plural(os.cpu_count() or 1, "core")
        said = f"the load was {found.load:.1f} on {cores} before: other work makes times longer"
        _wrapped(out, f"note: {said}", width, "yellow")
    for one in found.too_fast:
        said = f"'{printable(one.layer.name)}' (line {one.layer.line}) is faster than its bound, which is wrong then"
        _wrapped(out, f"warning: {said}: please report it", width, "yellow")


def _scatter(took: Spread | None) -> str:
    """Half of what the middle half of the runs lies in, as a share of the median."""
    return f"{100 * took.half / took.median:.0f} %" if took and took.median else ""


def _percent(part: float, whole: float) -> str:
    return percent(round(1e9 * part), round(1e9 * whole)) if part and whole else ""
