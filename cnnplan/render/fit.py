"""Whether a network fits, as a page for people."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from cnnplan.analyses.fit import MOST
from cnnplan.diagnostics import printable
from cnnplan.fitting import machine_memory
from cnnplan.render.numbers import at_most, bar, counted, percent, plural, seconds, size
from cnnplan.render.rows import rows
from cnnplan.render.spark import curve
from cnnplan.render.styled import Styled
from cnnplan.render.table import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.analyses.distributed import Share
    from cnnplan.analyses.fit import Range
    from cnnplan.fitting import Fit
    from cnnplan.runtime.measure import Measured

WORD = 20
BAR = 24
LISTED = 5
"""So many layers that weigh most."""
SUGGESTED = 8


def page(found: Fit, measured: Measured | None, width: int, *, roofline: bool = False) -> Styled:
    """Everything `cnnplan fit` says."""
    out = Styled()
    _heading(out, found, width)
    _training(out, found, width)
    _verdict(out, found, width)
    if measured:
        _measured(out, found, measured)
    if found.share:
        _share(out, found.share, width)
    _heaviest(out, found, width)
    _suggestions(out, found, width)
    _times(out, found, width)
    _deployment(out, found)
    if roofline:
        names = ("layer", "output", "flops", "bytes", "intensity", "bound", "format", "time", "training_time")
        out.add("\n")
        out.extend(table(found.plan, None, width, names))
    return out


def conditions(found: Fit) -> str:
    """batch 32, bfloat16 mixed, adamw (foreach)"""
    it = found.plan.conditions
    dtype = it.dtype if it.dtype == "float32" else f"{it.dtype}, {'mixed' if it.mixed else 'all of it'}"
    return f"batch {it.batch:,}, {dtype}, {it.optimizer.replace('_', ' with ')} ({it.implementation})"


def where(found: Fit) -> str:
    """The device, or the amount of memory."""
    device, limit = found.place.device, found.place.limit
    if device is None:
        here = found.plan.conditions.target == "cpu" and limit == machine_memory()
        return f"{size(limit)}{' of this machine' if here else ''}"
    return f"{device.name}, {size(limit)}"


def _heading(out: Styled, found: Fit, width: int) -> None:
    plan = found.plan
    out.add(plan.name, "bold")
    out.add(f"  {printable(plan.path)}\n", "dim")
    out.add("\n".join(wrap(f"{conditions(found)}; {where(found)}", width)) + "\n\n")


def _row(out: Styled, word: str, n: int, whole: int, note: str = "", style: str = "") -> None:
    out.add(f"{word:<{WORD}}")
    out.add(f"{size(n):>11}", style)
    drawn = bar(n, whole, BAR)
    out.add(f"  {drawn:<{BAR}}" if note else f"  {drawn}", "cyan")
    out.add(f"  {note}\n" if note else "\n", "dim")


def _training(out: Styled, found: Fit, width: int) -> None:
    training, peak = found.plan.training, found.plan.training.peak
    out.add("training\n", "bold")
    parts = [
        ("parameters", training.parameters),
        ("buffers", training.buffers),
        ("gradients", training.gradients),
        ("optimizer state", training.optimizer_state),
        ("average of weights", training.average),
        ("saved activations", training.saved_activations),
        ("input and target", training.input + training.target),
    ]
    for word, n in parts:
        if n:
            _row(out, word, n, peak)
    _row(out, "peak", peak, peak, style="bold")
    out.add("\n".join(wrap(f"in the {training.peak_at}{_line(training.peak_at.line)}", width)) + "\n\n", "dim")
    line, mark, phases = curve(found.plan.memory.tape, found.plan.memory.played(), min(width - 2, 78))
    out.add(f"{line}\n", "cyan")
    out.add(f"{mark}\n", "bold")
    out.add(f"{phases}\n\n", "dim")


def _line(number: int | None) -> str:
    return f" (line {number})" if number else ""


def _range(found: Range) -> str:
    if found.at_least == found.at_most:
        return size(found.at_least)
    return f"{size(found.at_least)} to {size(found.at_most)}"


def _verdict(out: Styled, found: Fit, width: int) -> None:
    need, limit = found.training, found.place.limit
    if found.plan.conditions.target != "cpu":
        out.add(f"{'allocated':<{WORD}}{size(need.peak):>11}  in the allocator's blocks\n")
        least = f"; {size(need.squeezed)} where memory is short" if need.squeezed != need.reserved else ""
        reserve = f"with what the caching allocator keeps{least}"
        lines = wrap(reserve, max(20, width - WORD - 13))
        out.add(f"{'reserved':<{WORD}}{size(need.reserved):>11}  " + f"\n{'':<{WORD + 13}}".join(lines) + "\n")
        if need.workspace.at_most:
            out.add(f"{'workspaces':<{WORD}}{_range(need.workspace)}  cuBLAS and cuDNN: cannot be known\n")
        out.add(f"{'CUDA context':<{WORD}}{_range(need.context)}\n")
    out.add(f"{'needed':<{WORD}}{_range(need.total)} of {size(limit)}\n\n")
    if found.fits:
        out.add("fits", "bold green")
        out.add(f", {100 * found.headroom / limit:.0f} % free")
    elif found.tight:
        out.add("tight", "bold yellow")
        out.add(": may fit, but not for sure")
    else:
        out.add("does not fit", "bold red")
        out.add(f": at least {size(need.total.at_least - limit)} too much")
    out.add("\n")
    for text in batches(found):
        out.add("\n".join(wrap(text, width, subsequent_indent="  ")) + "\n")
    out.add("\n")


def batches(found: Fit) -> list[str]:
    """The largest batches, or what a single sample would need."""
    limit = found.place.limit
    said = []
    if found.largest_batch == found.beyond.batch:
        said.append(f"largest batch at least {found.largest_batch:,}: up to {size(found.at.total.at_most)}")
    elif found.largest_batch:
        beyond = f"; {found.beyond.batch:,} would need up to {size(found.beyond.total.at_most)}"
        said.append(f"largest batch {found.largest_batch:,}: up to {size(found.at.total.at_most)}{beyond}")
    else:
        training = found.plan.training
        whole = training.parameters + training.gradients + training.optimizer_state
        parts = f"parameters, gradients and optimizer state alone are {size(whole)}; " if whole > limit else ""
        alone = f"the parameters alone are {size(training.parameters)}; " if training.parameters > limit else parts
        said.append(f"not even one sample can be trained: {alone}it needs up to {at_most(found.at.total.at_most)}")
    if found.largest_inference:
        least = "at least " if found.largest_inference == MOST else ""
        said.append(f"largest batch of an inference {least}{found.largest_inference:,}")
    else:
        said.append(
            f"an inference of one sample needs up to {size(found.single.total.at_most)}, which does not fit either"
        )
    return said


def _measured(out: Styled, found: Fit, measured: Measured) -> None:
    out.add(f"measured on {measured.device}\n", "bold")
    lines = [("training", found.plan.training.peak if measured.counted else found.training.peak, measured.peak)]
    if measured.inference is not None:
        lines.append(("inference", found.plan.inference.peak, measured.inference))
    if measured.reserved is not None:
        lines.append(("reserved", found.training.reserved, measured.reserved))
    for word, planned, real in lines:
        off = f"{100 * (planned - real) / real:+.2f} %" if planned != real else "to the byte"
        out.add(f"{word:<{WORD}}{size(real):>11}  planned {size(planned)}, {off}\n")
    out.add("\n")


def _share(out: Styled, share: Share, width: int) -> None:
    out.add(f"each of {share.devices} devices, {share.strategy}\n", "bold")
    parts = [
        ("parameters", share.parameters),
        ("gradients", share.gradients),
        ("optimizer state", share.optimizer_state),
        (f"{plural(share.bucket_count, 'bucket')}", share.buckets),
        ("gathered", share.gathered),
    ]
    for word, n in parts:
        if n:
            _row(out, word, n, share.peak)
    _row(out, "peak", share.peak, share.peak, style="bold")
    out.add(f"{share.global_batch:,} samples on all of them\n\n", "dim")


def _heaviest(out: Styled, found: Fit, width: int) -> None:
    plan = found.plan
    whole = plan.training.saved_activations
    layers = sorted((x for x in plan.layers if x.saved_bytes), key=lambda x: -x.saved_bytes)[:LISTED]
    if not layers:
        return
    out.add("layers that keep most for the backward pass\n", "bold")
    wide = min(max(len(x.name) for x in layers), max(16, width - 48))
    for layer in layers:
        name = _shortened(layer.name, wide)
        out.add(f"{name:<{wide}}  line {layer.line:>4}  {size(layer.saved_bytes):>11}")
        out.add(f"  {percent(layer.saved_bytes, whole):>6}  ")
        out.add(f"{bar(layer.saved_bytes, layers[0].saved_bytes, min(BAR, max(4, width - wide - 36)))}\n", "cyan")
    groups = [(row.name, sum(plan.memory.saved_bytes[n] for n in row.nodes)) for row in rows(plan, 1)]
    groups = sorted((group for group in groups if group[1]), key=lambda group: -group[1])[:LISTED]
    if len(groups) > 1:
        text = ", ".join(f"{name} {percent(n, whole)}" for name, n in groups).replace(" %", "\u00a0%")
        out.add("\n".join(wrap(f"by part: {text}", width)).replace("\u00a0", " ") + "\n", "dim")
    out.add("\n")


def _shortened(name: str, wide: int) -> str:
    """A name without its middle."""
    if len(name) <= wide:
        return name
    front = (wide - 1) // 2
    return f"{name[:front]}…{name[len(name) - (wide - 1 - front) :]}"


def _suggestions(out: Styled, found: Fit, width: int) -> None:
    shown = found.suggestions[:SUGGESTED]
    if not shown:
        return
    out.add("what would need less\n", "bold")
    for one in shown:
        fits = one.need.total.at_most <= found.place.limit
        text = f"{one.what}: {one.cost}" + ("" if found.fits or not fits else "; then it fits")
        lines = wrap(text, max(30, width - 15)) or [""]
        out.add(f"{'−' + size(one.saves):>12}   ", "green")
        out.add(("\n" + " " * 15).join(lines) + "\n")
    if left := len(found.suggestions) - len(shown):
        out.add(f"{'':<15}and {left} more in --format json\n", "dim")
    out.add("\n")


def _times(out: Styled, found: Fit, width: int) -> None:
    times = found.times
    device = found.place.device
    out.add(f"at least, on {device.name}\n" if device else "work of a batch\n", "bold")
    lines = [("inference", times.inference), ("training step", times.training)]
    for word, one in lines:
        time = seconds(one.seconds) if one.seconds is not None else ""
        moved = f"{counted(one.flops, 'FLOPs')}, {size(one.bytes)} moved"
        said = wrap(f"{moved}{f', mostly {one.bound}-bound' if one.bound else ''}", max(20, width - WORD - 13))
        out.add(f"{word:<{WORD}}{time:>11}  " + f"\n{'':<{WORD + 13}}".join(said) + "\n")
    formats = sorted({roof.format for roof in found.plan.roofline.values() if roof.format})
    if device and formats:
        out.add(
            "\n".join(wrap(f"products in {' and '.join(formats)}; a bound, which no kernel beats", width)) + "\n", "dim"
        )
    out.add("\n")


def _deployment(out: Styled, found: Fit) -> None:
    deployed, inference = found.deployment, found.single
    out.add("deployment\n", "bold")
    lines: list[tuple[str, Sequence[int]]] = [("weights", deployed.weights)]
    if deployed.norms:
        lines.append(("norms folded", deployed.folded))
    for word, sizes in lines:
        texts = zip(("float32", "float16", "int8"), sizes, strict=True)
        out.add(f"{word:<{WORD}}" + ", ".join(f"{name} {size(n)}" for name, n in texts) + "\n")
    whole = f", {_range(inference.total)} in all" if inference.total.at_most != inference.peak else ""
    out.add(f"{'inference, batch 1':<{WORD}}peak {size(inference.peak)}{whole}\n")
