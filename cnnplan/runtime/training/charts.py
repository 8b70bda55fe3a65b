"""Charts of a training: its curves, and which class was taken for which."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cnnplan.render.numbers import exact, percent
from cnnplan.runtime.figures import FAINT, INK, RATE, TRAIN, VAL, Legible, picture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

DECADES = 2
"""Values that span more of them are drawn on a logarithmic axis."""
MARKED = 40
"""Curves of at most so many epochs have a dot for each."""
COUNTED = 20
"""Matrices of at most so many classes have their counts in the cells."""
FINE = 100
"""Matrices of more classes have twice as many pixels, so that a cell is more than one."""
LABELS = 40
"""About so many classes are named; of more, every second, fifth, tenth …"""
LONGEST = 24
"""Longer names of classes are cut."""


def curves(history: Sequence[Mapping[str, float]], path: Path, title: str, best_epoch: int | None) -> None:
    """Draw losses, accuracy (or another metric) and learning rate by epoch, as a PNG of 1200x500 pixels.

    Args:
        history: a row for each epoch: "epoch" (from 1), "train_loss", "val_loss", "learning_rate"; "train_NAME" and
            "val_NAME" of other metrics. Values that are not finite are left out.
        path: the file to write.
        title: above it.
        best_epoch: the epoch to mark.

    Raises:
        UsageError: it cannot be written.
    """
    names = dict.fromkeys(key.partition("_")[2] for row in history for key in row if key.startswith(("train_", "val_")))
    others = [name for name in names if name != "loss"]
    metric = next((name for name in others if "accuracy" in name), others[0] if others else None)
    with picture(path, title, 12, 5) as figure:
        if metric is None:
            mosaic: list[Any] = [["loss", "rate"]]
            panes = figure.subplot_mosaic(mosaic, width_ratios=[2, 1])
        else:
            mosaic = [["loss", "metric"], ["loss", "rate"]]
            panes = figure.subplot_mosaic(mosaic, height_ratios=[3, 1], gridspec_kw={"hspace": 0.08})
            _pair(panes["metric"], history, metric, best_epoch)
            panes["metric"].tick_params(labelbottom=False)
        _pair(panes["loss"], history, "loss", best_epoch)
        rate = panes["rate"]
        points = _points(history, "learning_rate")
        rate.plot(*zip(*points, strict=True) if points else ((), ()), color=RATE, **_dots(len(points)))
        rate.set_title("learning rate")
        _finish(rate, history, bool(points))
        for pane in ("loss", "rate"):
            panes[pane].set_xlabel("epoch")


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str], path: Path, title: str) -> None:
    """Draw a confusion matrix, as a PNG: rows are true classes, columns predicted ones.

    Args:
        matrix: how often; [N][N].
        classes: their names; numbers stand for those that are missing.
        path: the file to write.
        title: above it.

    Raises:
        UsageError: it cannot be written.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.ticker import PercentFormatter

    count = len(matrix)
    totals = [sum(row) for row in matrix]
    shares = [[n / total if total else 0.0 for n in row] for row, total in zip(matrix, totals, strict=True)]
    right, whole = sum(matrix[i][i] for i in range(count)), sum(totals)
    side = max(3.2, min(9.0, 0.5 * count + 1.0))
    names = [*classes, *map(str, range(len(classes), count))][:count]
    room = 0.08 * min(LONGEST, max(map(len, names)))
    with picture(path, title, side + 2.0 + room, side + 1.2 + room, fine=count > FINE) as figure:
        legible = Legible()
        shown = [legible(name, LONGEST) or str(i) for i, name in enumerate(names)]
        axes = figure.add_subplot()
        axes.set_title(f"{exact(right) or 0} of {exact(whole) or 0} right, {percent(right, whole) or '0 %'}")
        drawn = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1))  # so that rare mistakes are seen, too
        axes.grid(False)
        for edge in ("right", "top"):
            axes.spines[edge].set_visible(True)
        every = next(n * 10**e for e in range(9) for n in (1, 2, 5) if count <= LABELS * n * 10**e)
        ticks = range(0, count, every)
        tall = any(len(shown[i]) > 3 for i in ticks)
        axes.set_xticks(ticks, [shown[i] for i in ticks], rotation=90 if tall else 0)
        axes.set_yticks(ticks, [shown[i] for i in ticks])
        axes.tick_params(length=0 if every == 1 else 3, labelsize=10 if count <= COUNTED else 8)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        beside = axes.inset_axes((1.02, 0, 0.03, 1))
        bar = figure.colorbar(
            drawn, cax=beside, ticks=[0, 0.01, 0.05, 0.1, 0.25, 0.5, 1], format=PercentFormatter(1, 0, " %")
        )
        bar.set_label("share of the true class")
        bar.outline.set_visible(False)
        if count <= COUNTED:
            _numbers(axes, matrix, shares, side * 72 / count)


def _numbers(axes: Axes, matrix: Sequence[Sequence[int]], shares: Sequence[Sequence[float]], cell: float) -> None:
    """The counts, as large as a cell of so many points allows."""
    texts = [[_count(n) for n in row] for row in matrix]
    size = min(12.0, 0.8 * cell / (0.65 * max(len(text) for row in texts for text in row)))
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            color = "white" if shares[i][j] > 0.3 else INK if matrix[i][j] else "#bbbbbb"
            axes.text(j, i, text, ha="center", va="center", color=color, fontsize=size)


def _count(n: int) -> str:
    """99999, 123K, 1.23M: five characters at most."""
    for unit, name in ((10**9, "G"), (10**6, "M"), (10**3, "K")):
        if n >= max(0.9995 * unit, 100_000):
            return f"{n / unit:.3g}{name}"
    return str(n)


def _pair(axes: Axes, history: Sequence[Mapping[str, float]], name: str, best_epoch: int | None) -> None:
    """Training and validation of a metric, and the best epoch."""
    scale = 100 if "accuracy" in name else 1
    every: list[float] = []
    for kind, label, color in (("train", "training", TRAIN), ("val", "validation", VAL)):
        points = [(x, scale * y) for x, y in _points(history, f"{kind}_{name}")]
        every += [y for _, y in points]
        if points:
            axes.plot(*zip(*points, strict=True), color=color, label=label, **_dots(len(points)))
            if kind == "val" and (best := dict(points).get(best_epoch or 0)) is not None:
                axes.axvline(best_epoch or 0, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
                axes.plot(best_epoch or 0, best, "o", color="white", markeredgecolor=VAL, markeredgewidth=1.8, zorder=5)
                text = f"{best:.2f} %" if scale == 100 else f"{best:.4g}"
                axes.set_title(f"best epoch {best_epoch}: {text}", loc="right", fontsize=10, color=FAINT)
    axes.set_title(f"{name.replace('_', ' ')}{' (%)' if scale == 100 else ''}")
    _finish(axes, history, bool(every))
    if every:
        axes.legend(loc="best")
        if min(every) > 0 and max(every) / min(every) > 10**DECADES:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
            axes.yaxis.set_minor_formatter("")


def _finish(axes: Axes, history: Sequence[Mapping[str, float]], drawn: bool) -> None:
    """Whole epochs on the axis; a word where nothing could be drawn."""
    from matplotlib.ticker import MaxNLocator

    epochs = [row["epoch"] for row in history] or [1]
    room = max(0.5, 0.02 * (max(epochs) - min(epochs)))
    axes.set_xlim(min(epochs) - room, max(epochs) + room)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if not drawn:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no finite values", transform=axes.transAxes, ha="center", va="center", color=FAINT)


def _points(history: Sequence[Mapping[str, float]], key: str) -> list[tuple[float, float]]:
    return [(row["epoch"], row[key]) for row in history if key in row and math.isfinite(row[key])]


def _dots(count: int) -> dict[str, Any]:
    return {"marker": "o", "markersize": 3.5} if count <= MARKED else {}
