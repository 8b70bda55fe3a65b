"""`diff --format markdown`: a comment for a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.differences import AFFECTED, STATUSES
from cnnplan.render.diff import TITLES, conditions, ends, held, listed, number, percent, signed
from cnnplan.render.diff_rows import MARKS, rest, rows
from cnnplan.render.markdown import code, escaped
from cnnplan.render.numbers import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnnplan.differences import Difference
    from cnnplan.thresholds import Condition

HEADLINE = (
    ("parameters", "parameters"),
    ("macs", "MACs"),
    ("training_memory", "training memory"),
    ("inference_memory", "inference memory"),
)


def page(found: Difference, failed: Sequence[Condition], every: bool, quiet: bool) -> str:
    """The change in a sentence, the totals as a table, the layers folded away."""
    fails = [
        f"- **fails** {code(one.text)}: {escaped(held(one, found).removeprefix(f'{one.text}: '))}" for one in failed
    ]
    if quiet:
        return "".join(f"{line}\n" for line in fails)
    lines = [headline(found), "", *fails, *([""] if fails else []), *_shapes(found), *_totals(found)]
    return "\n".join([*lines, *_layers(found, every)]).rstrip() + "\n"


def headline(found: Difference) -> str:
    """**net**: 1 layer added; parameters +12.5 % (1.2 M → 1.4 M)."""
    name = escaped(found.new.name)
    if found.old.name != found.new.name:
        name = f"{escaped(found.old.name)} → {name}"
    counts = [f"{plural(n, 'layer')} {status}" for status in STATUSES[:-2] if (n := len(found.of(status)))]
    numbers = []
    for metric, word in HEADLINE:
        pair = found.totals[metric]
        if pair.change:
            said = f"{number(metric, pair.old, brief=True)} → {number(metric, pair.new, brief=True)}"
            numbers.append(f"{word} {percent(pair)} ({said})")
    if not counts and not numbers:
        return f"**{name}**: no layer differs" if not found.of(AFFECTED) else f"**{name}**: the same layers and totals"
    return f"**{name}**: {'; '.join(filter(None, (', '.join(counts), ', '.join(numbers) or 'no total changes')))}"


def _shapes(found: Difference) -> Iterator[str]:
    for word, (old, new) in (("input", found.inputs), ("output", found.outputs)):
        if list(old.items()) != list(new.items()):
            yield f"**{word}** {escaped(ends(old))} → {escaped(ends(new))}"
            yield ""


def _totals(found: Difference) -> Iterator[str]:
    yield f"| | {code(found.old.path)} | {code(found.new.path)} | change | |"
    yield "| :-- | --: | --: | --: | --: |"
    for name in listed(found):
        pair = found.totals[name]
        cells = (TITLES[name], number(name, pair.old), number(name, pair.new), signed(name, pair.change), percent(pair))
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield f"<sub>{escaped(conditions(found))}</sub>"
    yield ""


def _layers(found: Difference, every: bool) -> Iterator[str]:
    shown = rows(found, every)
    counts = [f"{len(found.of(status)):,} {status}" for status in STATUSES if found.of(status)]
    if not shown and not found.of(AFFECTED):
        return
    yield f"<details><summary>layers: {', '.join(counts)}</summary>"
    yield ""
    yield "| | layer | | parameters | MACs |"
    yield "| :-- | :-- | :-- | --: | --: |"
    for row in shown:
        times = f" ×{row.times}" if row.times > 1 else ""
        cells = [MARKS[row.status], code(row.name) + times, escaped(row.said)]
        yield f"| {' | '.join(cells)} | {signed('parameters', row.parameters.change)} | {_macs(row.macs.change)} |"
    if not every and found.of(AFFECTED):
        row = rest(found, AFFECTED)
        yield (
            f"| {MARKS[AFFECTED]} | {row.name} | what comes before differs "
            f"| {signed('parameters', row.parameters.change)} | {_macs(row.macs.change)} |"
        )
    yield ""
    yield "</details>"
    yield ""


def _macs(change: int | None) -> str:
    return signed("macs", change, brief=True)
