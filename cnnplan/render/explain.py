"""One layer, explained for people."""

from __future__ import annotations

import re
from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING

from cnnplan.analyses.explain import explanation, field_steps
from cnnplan.analyses.region import wide_layers
from cnnplan.diagnostics import printable
from cnnplan.emit import emit
from cnnplan.ops.base import AXES
from cnnplan.render.columns import axes
from cnnplan.render.numbers import percent, plural, size
from cnnplan.render.rows import described
from cnnplan.render.styled import Styled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnnplan.analyses.explain import Line, Step
    from cnnplan.graph import Value
    from cnnplan.planning import Layer, Plan

WORD = 12
WORDS = {"parameters": "parameters", "buffers": "buffers", "macs": "MACs", "flops": "FLOPs"}
PHASES = 16
"""Fields with longer periods are not listed phase by phase."""


def page(layer: Layer, plan: Plan, width: int) -> Styled:
    """Where it stands, its neighbours, its numbers, its field."""
    node = layer.node
    out = Styled((node.name, "bold"), f"  {described(node.op)}\n")
    _where(out, layer, plan, width)
    _neighbours(out, layer, plan, width)
    _numbers(out, layer, plan, width)
    _memory(out, layer, plan, width)
    _field(out, layer, plan, width)
    return out


def _entry(out: Styled, word: str, text: str, width: int, style: str = "") -> None:
    """A word in the margin, and a text beside it."""
    room = max(30, width - WORD)
    kept = (
        re.sub(r"(?<!;) (?!#)", "\u00a0", text)
        if " = " in text or " * " in text
        else text.replace("(line ", "(line\u00a0")
    )
    lines = wrap(kept, room, break_on_hyphens=False, break_long_words=False)
    if any(len(line) > room for line in lines):
        lines = wrap(text, room, break_on_hyphens=False, break_long_words=False)
    lines = [line.replace("\u00a0", " ") for line in lines] or [""]
    for index, line in enumerate(lines):
        out.add(f"{word if index == 0 else '':<{WORD}}")
        out.add(f"{line}\n", style)


def _where(out: Styled, layer: Layer, plan: Plan, width: int) -> None:
    node = layer.node
    text = plan.spec.text.split("\n")
    said = text[node.line - 1].strip() if node.line <= len(text) else ""
    _entry(out, "spec", f"{printable(plan.path)}:{node.line}", width)
    _entry(out, "", printable(said), width, "dim")
    source = emit(plan.graph)
    if line := source.line(node):
        _entry(out, "source", f"line {line} of what `cnnplan build` writes", width)
        _entry(out, "", _statement(source.text.splitlines(), line), width, "dim")
    if node.shared_with:
        _entry(out, "shares", f"the parameters of {node.shared_with}", width)
    for word, holds in (("frozen", not node.trainable), ("recomputed", node.checkpoint)):
        if holds:
            meaning = {"frozen": "training leaves its parameters as they are", "recomputed": "in the backward pass"}
            _entry(out, word, meaning[word], width)
    out.add("\n")


def _statement(lines: Sequence[str], number: int) -> str:
    """A statement of the source, on one line."""
    text = ""
    for line in lines[number - 1 :]:
        part = line.strip()
        text += part if not text or text.endswith("(") or part.startswith(")") else f" {part}"
        if text.count("(") <= text.count(")"):
            break
    return text.replace(",)", ")")


def _neighbours(out: Styled, layer: Layer, plan: Plan, width: int) -> None:
    node = layer.node
    for index, value in enumerate((*node.inputs, *((node.like,) if node.like else ()))):
        word = "from" if index == 0 else "like" if value is node.like and index == len(node.inputs) else ""
        _entry(out, word, _value(value), width)
    users = plan.graph.users()
    ends = {value: name for name, value in plan.graph.outputs.items()}
    first = True
    for value in node.outputs:
        for user in users.get(value, ()):
            port = f", output {node.outputs.index(value)}" if len(node.outputs) > 1 else ""
            _entry(out, "to" if first else "", f"{user.name} {value.size}{port} (line {user.line})", width)
            first = False
        if value in ends:
            _entry(out, "to" if first else "", f"output {ends[value]} {value.shape} of the network", width)
            first = False
    if first:
        _entry(out, "to", "no other layer", width)
    out.add("\n")


def _value(value: Value) -> str:
    origin = f"line {value.node.line}" if value.node else "input of the network"
    return f"{value.name} {value.size} ({origin})"


def _numbers(out: Styled, layer: Layer, plan: Plan, width: int) -> None:
    lines = list(explanation(layer))
    outputs = [line for line in lines if line.what == "output"]
    shapes = ", ".join(value.size for value in layer.node.outputs)
    _entry(out, "output", shapes, width, "bold")
    if outputs[0].values:
        _entry(out, "", outputs[0].formula, width, "dim")
        for names, text in _alike([(line.axis, f"{line.values} = {line.result:,}") for line in outputs]):
            _entry(out, "", f"{names}: {text}" if names else text, width)
    else:
        _entry(out, "", outputs[0].formula, width, "dim")
    whole = {"parameters": plan.parameters, "macs": plan.macs, "flops": plan.flops}
    for line in lines[len(outputs) :]:
        total = whole.get(line.what, 0)
        share = percent(int(line.result), total) if total and not layer.node.shared_with else ""
        _number(out, line, share, width)
        if line.what == "parameters" and layer.work.tensors:
            tensors = ", ".join(f"{name} {'x'.join(map(str, s)) or '1'}" for name, s in layer.work.tensors.items())
            _entry(out, "", tensors, width)
    out.add("\n")


def _alike(texts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Texts about axes, those together that are the same; without names where all are."""
    found: dict[str, list[str]] = {}
    for axis, text in texts:
        found.setdefault(text, []).append(axis)
    if len(found) == 1:
        return [("", next(iter(found)))]
    return [(", ".join(axes), text) for text, axes in found.items()]


def _number(out: Styled, line: Line, share: str, width: int) -> None:
    text = f"{line.result:,}{f'  {share} of the network' if share else ''}"
    _entry(out, WORDS[line.what], text, width, "bold")
    if line.formula not in ("0", str(line.result)):
        _entry(out, "", line.formula, width, "dim")
        if line.values and line.values not in (line.formula, str(line.result)):
            _entry(out, "", f"{line.values} = {line.result:,}", width)


def _memory(out: Styled, layer: Layer, plan: Plan, width: int) -> None:
    memory, node = plan.memory, layer.node
    if node.checkpoint:
        _entry(out, "keeps", f"{size(layer.saved_bytes)}; the rest is recomputed", width, "bold")
    else:
        kept = memory.keeps(node)
        whole = f"{size(layer.saved_bytes)} more" if layer.saved_bytes else "nothing more" if kept else "nothing"
        batch = f" for the backward pass, batch {plan.batch:,}"
        _entry(out, "keeps", f"{whole}{batch}", width, "bold")
        for what, n, first in kept:
            _entry(out, "", f"{what}: {size(n)}{'' if first else ', kept anyway'}", width)
    if memory.runs_in_place(node):
        which = "first input" if len(node.inputs) > 1 else "input"
        copied = "; autograd keeps a copy" if node.op.overwrites_a_copy() else ""
        words = f"it overwrites its {which}, which nobody else reads or keeps{copied}"
        _entry(out, "in place", words, width)
    out.add("\n")


def _field(out: Styled, layer: Layer, plan: Plan, width: int) -> None:
    field = layer.receptive_field
    if field is None:
        return
    names = AXES.get(len(field.size), ())
    local = any(size is not None for size in field.size)
    if not local:
        wide = next(iter(wide_layers(layer.node.output, plan.graph)), None)
        why = f": {wide.name} reads a whole axis" if wide else ""
        _entry(out, "field", field.unknown or f"all of {field.input}{why}", width, "bold")
        return
    of = f" of {field.input}" if len(plan.graph.inputs) > 1 else ""
    _entry(
        out, "field", f"{axes(field.size)}{of}, stride {axes(field.stride)}, start {axes(field.start)}", width, "bold"
    )
    for text in _growth(layer, plan):
        _entry(out, "", text, width)
    if field.unknown:
        _entry(out, "", field.unknown, width)
    if not field.aligned:
        _entry(out, "", "the paths that meet have different centres", width)
    if field.min_size != field.size:
        _entry(out, "", f"{axes(field.min_size)} through the smallest single path", width)
    if field.is_global:
        _entry(out, "", "through local paths; others see all of the input", width)
    repeating = [
        (name, f"repeating after {len(phases)} units: {_runs(phases)}")
        for name, phases in zip(names, field.phases, strict=False)
        if 1 < len(phases) <= PHASES
    ]
    for which, text in _alike(repeating) if repeating else ():
        _entry(out, "", f"{which} {text}".strip(), width)
    coverage = layer.coverage
    if any(share is not None and share < 1 for share in coverage):
        shown = axes([share if share is None else f"{100 * share:.0f} %" for share in coverage])
        _entry(out, "", f"reads {shown} of it: dilation leaves holes", width)
    estimate = axes([None if n is None else f"{n:.0f}" for n in layer.effective_size])
    _entry(out, "", f"effective about {estimate}, an estimate at initialization (Luo et al. 2016)", width, "dim")


def _runs(phases: Sequence[tuple[int, int]]) -> str:
    """The intervals of a period, equal neighbours together."""
    groups = [(interval, len(list(group))) for interval, group in groupby(phases)]
    return ", ".join(f"{low} … {high}{f' ({n} units)' if n > 1 else ''}" for (low, high), n in groups)


def _growth(layer: Layer, plan: Plan) -> Iterator[str]:
    """The field from that of what enters, by the window, or as the hull of several."""
    node, reach = layer.node, plan.reach
    steps = field_steps(node, plan.graph, reach.fields)
    if steps:
        texts = [(step.axis, _arithmetic(step, node.inputs[0].name)) for step in steps]
        for names, text in _alike(texts):
            yield f"{names}: {text}" if names else text
    elif len(node.inputs) == 1:
        yield from _spread(layer, plan)
    else:
        for value in node.inputs:
            field = reach.of(value)
            if field and any(size is not None for size in field.size):
                yield f"{value.name}: {axes(field.size)}, stride {axes(field.stride)}, start {axes(field.start)}"
            else:
                yield f"{value.name}: {'all of the input' if field else 'nothing of it'}"


def _spread(layer: Layer, plan: Plan) -> Iterator[str]:
    """A field behind a window that repeats after several units: a transposed convolution, an up-sampling."""
    node = layer.node
    before, after = plan.reach.of(node.inputs[0]), layer.receptive_field
    windows = node.op.reads(0, 0, *node.shapes)[1:]
    texts = []
    for axis, (name, window) in enumerate(zip(AXES.get(layer.output.rank, ()), windows, strict=True)):
        source = axis if window.source is None else window.source
        old = before.stride[source] if before and source < len(before.stride) else None
        new = after.stride[axis] if after else None
        if old is None or new is None or len(window.phases) < 2:
            return
        taps = max(len(window.phases[phase]) for phase in range(min(len(window.phases), PHASES)))
        reads = f"{plural(len(window.phases), 'unit')} in turn, each of {plural(taps, 'unit')} of the input or fewer"
        texts.append((name, f"stride {old} * {window.advance} / {len(window.phases)} = {new}; {reads}"))
    for names, text in _alike(texts):
        yield f"{names}: {text}" if names else text


def _arithmetic(step: Step, name: str) -> str:
    """A step of the field along an axis."""
    before, after = step.before, step.after
    if step.extent == 1 and step.step == 1 and not step.first:
        return f"that of {name}: a unit reads the unit at its place"
    start = f"{before.start} {'-' if step.first < 0 else '+'} {abs(step.first)} * {before.stride} = {after.start}"
    size = f"{before.size} + ({step.extent} - 1) * {before.stride} = {after.size}"
    return f"size {size}; stride {before.stride} * {step.step} = {after.stride}; start {start}"
