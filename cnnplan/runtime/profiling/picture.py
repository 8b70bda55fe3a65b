"""The roofline and memory over the step, as a PNG.

Source: Williams, Waterman & Patterson 2009, doi:10.1145/1498765.1498785.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from cnnplan.render.numbers import seconds, size
from cnnplan.render.rows import shortened
from cnnplan.runtime.figures import FAINT, INK, TRAIN, VAL, Legible, picture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from cnnplan.runtime.profiling.memory import Held, Key
    from cnnplan.runtime.profiling.profile import Measured, Profile

COLORS = {
    "products": "#1f5a96",
    "normalization": "#b08a3c",
    "activation": "#7a9e4f",
    "pooling": "#8a5aa8",
    "others": "#8a8a8a",
}
NAMED = 5
"""So many of the layers that cost most are named."""
LONGEST = 30
"""Longer names are cut."""
DOT = 2500
"""The area of a dot of all the time, in points."""


def draw(found: Profile, path: Path) -> None:
    """Draw both, as a PNG of 1500x620 pixels.

    Raises:
        UsageError: it cannot be written.
    """
    what = "training step" if found.trains else "inference"
    title = f"{found.plan.name}, {what} at batch {found.plan.batch:,} on {found.machine.device.name}"
    with picture(path, title, 15, 6.2) as figure:
        panes = figure.subplot_mosaic([["roofline", "memory"]], width_ratios=[1, 1])
        _roofline(panes["roofline"], found)
        _memory(panes["memory"], found)


# ------------------------------------------------------------------------ roofline


def _roofline(axes: Axes, found: Profile) -> None:
    device = found.machine.device
    layers = [one for one in found.layers if one.roof.flops and one.roof.bytes and one.seconds]
    points = [(one.roof.flops / one.roof.bytes, one.roof.flops / one.seconds) for one in layers]
    peaks = {"float32": device.float32, "tf32": device.tf32, found.plan.conditions.dtype: 0}
    peaks[found.plan.conditions.dtype] = getattr(device, found.plan.conditions.dtype)
    ceilings = {name: rate for name, rate in peaks.items() if rate}
    left = min([x for x, _ in points], default=0.1) / 2
    right = 4 * max([*(x for x, _ in points), *(rate / device.bandwidth for rate in ceilings.values())])
    top = max(ceilings.values())
    axes.set(xscale="log", yscale="log", xlim=(left, right))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.yaxis.set_major_formatter(lambda x, _: _si(x).strip())
    axes.plot([left, top / device.bandwidth], [left * device.bandwidth, top], color=INK, linewidth=1.4)
    for name, rate in ceilings.items():
        axes.plot([rate / device.bandwidth, right], [rate, rate], color=INK, linewidth=1.4)
        axes.annotate(f"{name} {_si(rate)}FLOP/s", (right, rate), (-4, 4), textcoords="offset points", ha="right")
    axes.annotate(
        f"{device.bandwidth / 1e9:,.0f} GB/s",
        (left, left * device.bandwidth),
        (16, 4),
        textcoords="offset points",
    )
    for kind, color in COLORS.items():
        chosen = [(point, one) for point, one in zip(points, layers, strict=True) if _kind(one) == kind]
        if chosen:
            areas = [12 + DOT * one.seconds / found.took.whole for _, one in chosen]
            xs, ys = zip(*(point for point, _ in chosen), strict=True)
            axes.scatter(xs, ys, areas, color=color, alpha=0.65, linewidths=0.5, edgecolors="white", label=kind)
    _names(axes, found, dict(zip([one.layer.name for one in layers], points, strict=True)))
    axes.set_title("each layer under the roof; its area is its share of the time")
    axes.set_xlabel("FLOP for each byte that has to move")
    axes.set_ylabel("FLOP/s reached")
    from matplotlib.collections import PathCollection

    legend = axes.legend(loc="lower right", fontsize=9)
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set_sizes([40.0])


def _names(axes: Axes, found: Profile, points: dict[str, tuple[float, float]]) -> None:
    legible = Legible()
    places: list[tuple[float, float]] = []
    for one in [one for one in found.costly if one.layer.name in points][:NAMED]:
        point = points[one.layer.name]
        x, y = axes.transData.transform(point)
        lower = 0.0
        while any(abs(x - a) < 170 and abs(y - lower - b) < 13 for a, b in places):
            lower += 13
        places.append((x, y - lower))
        text = legible(shortened(one.layer.name, LONGEST), LONGEST)
        right = axes.transAxes.inverted().transform((x, y))[0] > 0.6  # there is no room for a name behind it
        axes.annotate(
            f"{text}, line {one.layer.line}: {seconds(one.seconds)}",
            point,
            (-9 if right else 9, -3 - 0.72 * lower),
            textcoords="offset points",
            ha="right" if right else "left",
            fontsize=8,
            color=INK,
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.5} if lower else None,
        )


def _kind(one: Measured) -> str:
    if one.layer.macs:
        return "products"
    group = one.layer.node.op.group
    return group if group in COLORS else "others"


def _si(n: float) -> str:
    for unit, name in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if n >= unit:
            return f"{n / unit:.3g} {name}"
    return f"{n:.3g} "


# -------------------------------------------------------------------------- memory


def _memory(axes: Axes, found: Profile) -> None:
    """Bytes in each part of the step: the most while it runs, and what is left behind it."""
    keys = [key for key in found.timeline.measured if key in _order(found)]
    scale, unit = _scale(max(held.peak for held in found.timeline.measured.values()))
    for side, color, word, style in (
        (found.timeline.planned, TRAIN, "planned", "-"),
        (found.timeline.measured, VAL, "measured", "--"),
    ):
        xs, ys = _curve(keys, side)
        axes.plot(xs, [y / scale for y in ys], style, color=color, linewidth=3 if style == "-" else 1.3, label=word)
    phases = [(a, index) for index, (a, b) in enumerate(pairwise([("", None), *keys])) if a[0] != b[0]]
    starts = [index for _, index in phases]
    for start, stop in pairwise([*starts, len(keys)]):
        word = "optimizer" if keys[start][0] == "step" else keys[start][0]
        axes.axvline(start, color=FAINT, linewidth=0.8)
        if stop - start > len(keys) / 12:
            axes.annotate(word, (start, 1.0), (4, -12), xycoords=("data", "axes fraction"), textcoords="offset points")
    axes.axhline(found.planned_peak / scale, color=FAINT, linewidth=0.8, linestyle=":")
    same = "planned and measured" if found.peak == found.planned_peak else f"planned, measured {size(found.peak)}"
    axes.annotate(
        f"peak {size(found.planned_peak)}, {same}",
        (len(keys), found.planned_peak / scale),
        (0, 4),
        textcoords="offset points",
        ha="right",
    )
    axes.set(ylim=(0, 1.14 * found.planned_peak / scale), xlim=(0, max(1, len(keys))))
    axes.locator_params(axis="x", integer=True)
    axes.set_title("memory over the step")
    axes.set_xlabel("layers in the order they run")
    axes.set_ylabel(unit)
    axes.legend(loc="lower center", fontsize=9)


def _order(found: Profile) -> dict[Key, None]:
    return dict.fromkeys(found.took.parts)


def _curve(keys: Sequence[Key], side: dict[Key, Held]) -> tuple[list[float], list[int]]:
    """The peak in the middle of a part, and what is alive behind it; in a part without events nothing changes."""
    xs: list[float] = []
    ys: list[int] = []
    before = min((held.after for held in side.values()), default=0)
    for index, key in enumerate(keys):
        held = side.get(key)
        peak, after = (held.peak, held.after) if held else (before, before)
        xs += [index + 0.5, index + 1]
        ys += [peak, after]
        before = after
    return xs, ys


def _scale(most: int) -> tuple[int, str]:
    units = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
    return next(((n, word) for n, word in units if most >= 4 * n), (1, "B"))
