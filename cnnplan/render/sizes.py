"""Legal input sizes, for people."""

from __future__ import annotations

import re
from textwrap import wrap
from typing import TYPE_CHECKING

from cnnplan.analyses.explain import substituted
from cnnplan.analyses.sizes import clash, refused, shapes_before, ways
from cnnplan.diagnostics import printable
from cnnplan.ops.base import AXES
from cnnplan.render.styled import Styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.analyses.legal import Legal
    from cnnplan.analyses.sizes import Answer, Axis, Refusal
    from cnnplan.planning import Plan

SHOWN = 4
"""So many legal sizes are listed on either side of the planned one."""


def page(plan: Plan, axes: Sequence[Axis], answer: Answer | None, width: int, own: bool = True) -> Styled:
    """What is legal along each axis, and the layers that refuse the rest.

    Args:
        own: whether the plan has the spec's own size; if not, what one model takes is of no interest.
    """
    out = Styled((plan.name, "bold"), (f"  {printable(plan.path)}\n", "dim"))
    out.add(f"{', '.join(f'{v.name} {v.shape}' for v in plan.graph.inputs)}\n\n" if own else "\n")
    if not axes:
        out.add("no input has spatial axes\n")
        return out
    if answer:
        _answered(out, answer, plan, width)
    for group in _alike(axes):
        first = group[0]
        out.add(f"{_title(group, plan)}  ")
        if not own:
            out.add(f"{words(first.valid)}\n", "bold")
            continue
        out.add(f"{words(first.legal)}\n", "bold")
        if listed := _listed(first):
            out.add(f"  {listed}\n", "dim")
        if first.valid[:4] != first.legal[:4]:
            out.add(f"  for one model; with a model of its own for each size: {words(first.valid)}\n")
        out.add("\n")
        reasons = refused(plan.graph, first) if answer is None else []
        if reasons:
            out.add("  refused, for example:\n", "dim")
        for size, why in reasons:
            _refused(out, plan, first, size, why, width)
        if reasons:
            out.add("\n")
    if together := clash(plan.graph, axes):
        sizes = ", ".join(f"{name} {'x'.join(map(str, size))}" for name, size in together.items())
        out.add(f"not every combination of these is legal: {sizes} is not\n\n", "yellow")
    return out


def _answered(out: Styled, answer: Answer, plan: Plan, width: int) -> None:
    size = "x".join(map(str, answer.size))
    if answer.refusal is None:
        out.add(f"{size} is legal\n\n", "green")
        return
    why = answer.refusal
    node = next((node for node in plan.graph.nodes if node.name == why.layer), None)
    by = f"{why.layer}{f' (line {node.line})' if node else ''}: " if why.layer else ""
    out.add("\n  ".join(_lines(f"{size} is not legal: {by}{why.message}", width - 2)) + "\n", "bold red")
    names = AXES[len(answer.size)]
    for name, near in zip(names, answer.nearest, strict=True):
        if near:
            out.add(f"  the nearest legal {name}: {' and '.join(map(str, near))}\n")
    out.add("\n")


def _alike(axes: Sequence[Axis]) -> list[list[Axis]]:
    """The axes of the same inputs, those together along which the same sizes are legal."""
    groups: list[list[Axis]] = []
    for axis in axes:
        for group in groups:
            first = group[0]
            if first.inputs == axis.inputs and (first.planned, first.legal, first.valid) == axis[2:]:
                group.append(axis)
                break
        else:
            groups.append([axis])
    return groups


def _title(group: Sequence[Axis], plan: Plan) -> str:
    names = AXES[group[0].inputs[0].shape.rank]
    text = ", ".join(names[axis.axis] for axis in group)
    if len(plan.graph.inputs) == 1:
        return text
    inputs = " and ".join(value.name for value in group[0].inputs)
    return f"{text} of {inputs}{', together' if len(group[0].inputs) > 1 else ''}"


def words(legal: Legal) -> str:
    """The legal sizes in words: any from 32; multiples of 32, at least 64; 224 to 255."""
    others = ", ".join(_interval(*interval) for interval in legal.others[:8]) + (", …" if len(legal.others) > 8 else "")
    if not legal.modulus:
        if legal.tried:
            return f"{others or 'none'}, of those tried: 1 to {legal.tried:,}, and around the planned one"
        return f"only {others}" if others else "none"
    first = legal.at_least
    if legal.modulus == 1:
        text = f"any from {first:,}"
    elif legal.remainders == (0,):
        text = f"multiples of {legal.modulus:,}, at least {first:,}"
    elif len(legal.remainders) == 1:
        text = f"{legal.modulus:,} · k + {legal.remainders[0]:,}, at least {first:,}"
    else:
        rests = ", ".join(map(str, legal.remainders[:8])) + (", …" if len(legal.remainders) > 8 else "")
        text = f"those that leave {rests} when divided by {legal.modulus:,}, at least {first:,}"
    return f"{text}; and {others}" if others else text


def _interval(first: int, last: int, step: int) -> str:
    if first == last:
        return f"{first:,}"
    return f"{first:,} to {last:,}{f' in steps of {step:,}' if step > 1 else ''}"


def _listed(axis: Axis) -> str:
    """Legal sizes around the planned one, where they are no plain range."""
    if axis.legal.modulus == 1 or (not axis.legal.modulus and all(step == 1 for _, _, step in axis.legal.others)):
        return ""
    below: list[int] = []
    above: list[int] = []
    size: int | None = axis.planned
    while len(below) < SHOWN and (size := axis.legal.next_below(size or 0)):
        below.append(size)
    size = axis.planned
    while len(above) < SHOWN and (size := axis.legal.next_above(size or 0)):
        above.append(size)
    around = [*below[::-1], *([axis.planned] if axis.planned in axis.legal else []), *above]
    return f"… {', '.join(f'{n:,}' for n in around)} …"


def _refused(out: Styled, plan: Plan, axis: Axis, size: int, why: Refusal, width: int) -> None:
    node = next((node for node in plan.graph.nodes if node.name == why.layer), None)
    line = f" (line {node.line})" if node else ""
    out.add(f"  {size:,}", "bold")
    by = f" is refused by {why.layer}{line}: " if why.layer else ": "
    text = f"{by}{why.message}"
    out.add("\n     ".join(_lines(text, width - 6)) + "\n")
    if node is None:
        return
    if why.finding is None:
        return
    shapes = shapes_before(plan.graph, axis.sizes(size), node)
    xs = tuple(shapes[v] for v in (*node.inputs, *((node.like,) if node.like else ())))
    formula = node.op.formula("output", *xs)
    if text := substituted(formula, node.op, xs, axis.axis):
        for line in (formula, f"{text} < 1") if why.finding.code == "S001" else (formula,):
            out.add("     " + "\n       ".join(_lines(line, width - 7)) + "\n", "dim")
    if len(node.inputs) > 1:
        for way in ways(plan.graph, axis.sizes(size), node, axis.axis):
            shown = way if len(way) <= 6 else [*way[:1], ("…", 0), *way[-4:]]
            steps = " → ".join(f"{name} {n}" if n else name for name, n in shown)
            out.add("     " + "\n       ".join(_lines(steps, width - 7)) + "\n", "dim")


def _lines(text: str, room: int) -> list[str]:
    """A text in lines; comparisons and steps are not broken."""
    kept = re.sub(r" (<|\d+ →|→) ?", lambda m: m[0].replace(" ", "\u00a0", 1), text)
    return [line.replace("\u00a0", " ") for line in wrap(kept, max(40, room), break_on_hyphens=False)] or [""]
