"""Two specs side by side, for people."""

from __future__ import annotations

import re
from textwrap import wrap
from typing import TYPE_CHECKING

from cnnplan.diagnostics import printable
from cnnplan.differences import AFFECTED, BYTES
from cnnplan.render.diff_rows import MARKS, Row, rest, rows
from cnnplan.render.numbers import plural, short, size
from cnnplan.render.styled import Styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.differences import Difference, Metric
    from cnnplan.ops.base import Shape
    from cnnplan.planning import Plan
    from cnnplan.thresholds import Condition

STYLES = {"added": "green", "removed": "red", "changed": "yellow", "moved": "cyan", "renamed": "cyan"}
WIDEST = 100
PARAMETERS, MACS = 14, 12
"""The widths of the columns of changes."""

TITLES = {
    "layers": "layers",
    "weighted_layers": "with weights",
    "parameters": "parameters",
    "trainable_parameters": "trainable",
    "buffers": "buffers",
    "macs": "MACs",
    "flops": "FLOPs",
    "training_memory": "training",
    "inference_memory": "inference",
    "saved_activations": "saved",
    "receptive_field": "field",
}
"""What the totals are called in print."""


def page(found: Difference, failed: Sequence[Condition], width: int, every: bool, quiet: bool) -> Styled:
    """What `cnnplan diff` says."""
    out = Styled()
    width = min(width, WIDEST)
    if not quiet:
        _heading(out, found, width)
        _layers(out, found, width, every)
        _totals(out, found, width)
    for one in failed:
        out.add("fails  ", "bold red")
        out.add("\n       ".join(wrapped(held(one, found), width - 7)) + "\n")
    return out


def held(one: Condition, found: Difference) -> str:
    """A condition that holds, with its numbers."""
    if one.metric not in found.totals:
        old, new = found.inputs if one.metric == "inputs" else found.outputs
        return f"{one.text}: {ends(old)} → {ends(new)}"
    pair = found.totals[one.metric]
    return (
        f"{one.text}: {number(one.metric, pair.old)} → {number(one.metric, pair.new)}{_in_brackets(one.metric, pair)}"
    )


def _in_brackets(metric: str, pair: Metric) -> str:
    words = [signed(metric, pair.change), percent(pair)]
    return f" ({', '.join(filter(None, words))})" if pair.change else ""


def wrapped(text: str, width: int) -> list[str]:
    """A text in lines; no number is parted from its unit."""
    kept = re.sub(r"(?<=\d) (?=[KMGTP%]\b|[KMGTP]iB|%)", "\u00a0", printable(text))
    return [line.replace("\u00a0", " ") for line in wrap(kept, width, break_on_hyphens=False)]


# -------------------------------------------------------------------- numbers


def number(metric: str, n: int | None, brief: bool = False) -> str:
    """A total: bytes with their unit, others exact or brief."""
    if n is None:
        return "?"
    return size(n) if metric in BYTES else short(n) or "0" if brief else f"{n:,}"


def signed(metric: str, n: int | None, brief: bool = False) -> str:
    """A change with its sign; nothing for none."""
    return f"{'+' if n > 0 else '−'}{number(metric, abs(n), brief)}" if n else ""


def percent(pair: Metric) -> str:
    """+12.5 %; "new" where there was nothing."""
    if not pair.change:
        return ""
    if pair.percent is None:
        return "new"
    sign = "+" if pair.percent > 0 else "−"
    share = abs(pair.percent)
    return f"{sign}{share:,.1f} %" if share >= 0.05 else f"{sign}<0.1 %"


def ends(shapes: dict[str, Shape]) -> str:
    """Inputs or outputs with their shapes."""
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())


# --------------------------------------------------------------------- layers


def _heading(out: Styled, found: Difference, width: int) -> None:
    old, new = found.old, found.new
    names = old.name if old.name == new.name else f"{old.name} → {new.name}"
    paths = f"{printable(old.path)} → {printable(new.path)}"
    out.add(names, "bold")
    out.add(f"{'  ' if len(names) + len(paths) + 2 <= width else chr(10)}{paths}\n", "dim")
    for before, behind in (found.inputs, found.outputs):
        if list(before.items()) != list(behind.items()):
            word = "input" if before == found.inputs[0] else "output"
            out.add("\n  ".join(wrapped(f"{word} {ends(before)} → {ends(behind)}", width - 2)) + "\n", "yellow")
    out.add("\n")


def _layers(out: Styled, found: Difference, width: int, every: bool) -> None:
    shown = rows(found, every)
    affected = found.of(AFFECTED)
    if not shown and not affected:
        out.add(f"no difference in {plural(len(found.new.layers), 'layer')}\n\n")
        return
    room = width - PARAMETERS - MACS - 4
    out.add(f"{'layer':<{room}}{'parameters':>{PARAMETERS + 2}}{'MACs':>{MACS + 2}}\n", "bold")
    out.add("─" * width + "\n", "dim")
    for row in shown:
        _row(out, row, width, room)
    if not every:
        if affected:
            _affected(out, rest(found, AFFECTED), room)
        if count := len(found.of("same")):
            out.add(f"  {plural(count, 'layer')} {'is' if count == 1 else 'are'} the same\n", "dim")
    weighted = [x for x in found.renamed if x.new and (x.new.work.tensors or x.new.buffers)]
    if weighted:
        text = f"the weights of {plural(len(weighted), 'layer')} go by other names than in old checkpoints"
        out.add("".join(f"  {line}\n" for line in wrapped(text, width - 2)), "dim")
    out.add("\n")


def _row(out: Styled, row: Row, width: int, room: int) -> None:
    _line(out, row, room)
    for line in wrapped(row.said, width - 4):
        out.add(f"    {line}\n", "dim")


def _affected(out: Styled, row: Row, room: int) -> None:
    """The layers that the change is not about, but reaches."""
    note = "what comes before differs"
    whole = f"{row.name}: {note}"
    fits = len(whole) <= room - 2
    _line(out, row._replace(name=whole if fits else row.name), room)
    if not fits:
        out.add(f"    {note}\n", "dim")


def _line(out: Styled, row: Row, room: int) -> None:
    times = f" ×{row.times}" if row.times > 1 and row.status != AFFECTED else ""
    name, free = row.name, room - 2 - len(times)
    if len(name) > free:  # the end says more than the beginning
        name = f"…{name[len(name) - free + 1 :]}"
    out.add(f"{MARKS[row.status]} ", STYLES.get(row.status, ""))
    out.add(f"{name}{times}".ljust(room - 2), STYLES.get(row.status, "" if row.status == AFFECTED else "dim"))
    changes = signed("parameters", row.parameters.change), signed("macs", row.macs.change, brief=True)
    if len(changes[0]) > PARAMETERS:
        changes = signed("parameters", row.parameters.change, brief=True), changes[1]
    out.add(f"{changes[0]:>{PARAMETERS + 2}}{changes[1]:>{MACS + 2}}\n")


# --------------------------------------------------------------------- totals


def listed(found: Difference) -> list[str]:
    """The totals that say something: not those that repeat another, and not what neither plan has."""
    out = []
    for name, pair in found.totals.items():
        repeats = name == "trainable_parameters" and pair == found.totals["parameters"]
        if not repeats and (pair.old or pair.new):
            out.append(name)
    return out


def _totals(out: Styled, found: Difference, width: int) -> None:
    for brief in (False, True):
        cells = [("", "old", "new", "change", "")]
        for name in listed(found):
            pair = found.totals[name]
            old, new = (number(name, n, brief) for n in pair)
            cells.append((TITLES[name], old, new, signed(name, pair.change, brief), percent(pair)))
        widths = [max(len(row[i]) for row in cells) for i in range(5)]
        if sum(widths) + 8 <= width:
            break
    for index, row in enumerate(cells):
        style = "dim" if index == 0 else ""
        texts = [row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in range(1, 5))]
        out.add(f"{'  '.join(texts[:3])}  ", style)
        grown = row[3].startswith("+")
        out.add(f"{texts[3]}  {texts[4]}\n", style or ("bold" if grown else "green" if row[3] else ""))
    out.add("\n".join(wrapped(conditions(found), width)) + "\n\n", "dim")


def conditions(found: Difference) -> str:
    """What memory is planned for."""
    return f"training, inference: peaks at {differing(found)}; saved: activations kept for the backward pass"


def differing(found: Difference) -> str:
    """batch 1, float32, sgd; with an arrow where the two plans differ."""
    sides = zip(*map(_conditions, (found.old, found.new)), strict=True)
    words = [a if a == b else f"{a} → {b}" for a, b in sides]
    return ", ".join(word for word in words if word != "any CUDA device")


def _conditions(plan: Plan) -> tuple[str, str, str, str]:
    it = plan.conditions
    device = it.device.key if it.device else it.target
    place = "any CUDA device" if device == "cuda" else device
    return f"batch {it.batch:,}", it.dtype, it.optimizer.replace("_", " with "), place
