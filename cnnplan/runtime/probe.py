"""The receptive field, measured: where do NaNs in the input arrive?

No weight can hide a NaN, so a unit whose value becomes NaN depends on the places that were NaN, and
one that stays a number does not. Where tokens would be NaN, they are others, whose embedding is made NaN.
For a sample of units of every layer the plan says which places those are; `probe` asks torch with three
kinds of input:

    everything outside what a unit sees is NaN      the unit has to stay a number
    one place at an end of what it sees is NaN      the unit has to become NaN
    one place within is NaN                         the same, for what is read between the ends

and compares the answers of all sampled units of all layers to each of them. Where an operation reads
a whole axis, its output is made finite again, so that local paths are measured behind it; that it
reads everything is measured apart.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from cnnplan.analyses.region import Look, Region, is_wide

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnnplan.graph import Graph, Node, Value
    from cnnplan.runtime.interpreter import Interpreter

Unit = tuple[int, ...]

BUDGET = 150_000_000_000
"""About so many multiply-accumulates are spent on probing, where that is enough for `LEAST` inputs."""

LEAST, MOST = 12, 96
INTERPOLATED = 1e-9
"""Interpolation weights below this count as none: in floating point, some that are 0 are not quite."""


class Sample(NamedTuple):
    """A unit of a layer, and what the plan says it sees of an input, through local and through all paths."""

    node: Node
    port: int
    unit: Unit
    given: int
    local: Region
    whole: Region


class Miss(NamedTuple):
    """A unit that did not answer as planned."""

    sample: Sample
    tainted: bool
    probe: str


class Probed(NamedTuple):
    """What was asked and answered.

    Attributes:
        inputs: how many inputs were probed.
        units: how many units were looked at, in how many layers.
        layers: names of those layers.
        answers: how many answers were compared.
        bounds: how many units have only a bound of what they see.
        misses: the answers that were others than planned.
    """

    inputs: int
    units: int
    layers: frozenset[str]
    answers: int
    bounds: int
    misses: tuple[Miss, ...]


class _Probe(NamedTuple):
    given: int
    mask: Tensor  # the places that are NaN
    what: str


def probe(graph: Graph, interpreter: Interpreter, macs: int, count: int | None = None) -> Probed:
    """Compare what units see with what the plan says.

    Args:
        interpreter: of the built model, in evaluation.
        macs: of the network, which decide how many inputs are tried.
        count: how many inputs are tried at most.
    """
    samples = list(_samples(graph))
    if not samples:
        return Probed(0, 0, frozenset(), 0, 0, ())
    wanted = count or max(LEAST, min(MOST, BUDGET // max(macs, 1)))
    misses: list[Miss] = []
    probes = list(_probes(samples, wanted))
    answers = _ask(graph, interpreter, samples, probes, macs, misses, local=True)
    if any(sample.local.boxes != sample.whole.boxes for sample in samples):
        few = [p for p in probes if p.what != "outside"][:2]
        answers += _ask(graph, interpreter, samples, few, macs, misses, local=False)
    return Probed(
        len(probes),
        len(samples),
        frozenset(sample.node.name for sample in samples),
        answers,
        sum(not sample.local.exact for sample in samples),
        tuple(misses),
    )


# ---------------------------------------------------------------- what is asked


def _samples(graph: Graph) -> Iterator[Sample]:
    """Of every value with spatial axes the middle unit, the first, the last and one at random."""
    chance = random.Random(0)  # noqa: S311 - a sample, the same in every run
    look = Look(graph)
    other = all(getattr(node.op, "num_embeddings", 2) > 1 for node in graph.nodes)
    inputs = [i for i, v in enumerate(graph.inputs) if (v.shape.rank if v.dtype == "float32" else other)]
    for node in graph.nodes:
        for port, value in enumerate(node.outputs):
            if not value.shape.rank or value.dtype != "float32":
                continue
            sizes = value.shape.spatial
            units = [
                tuple(n // 2 for n in sizes),
                (0,) * len(sizes),
                tuple(n - 1 for n in sizes),
                tuple(chance.randrange(n) for n in sizes),
            ]
            for unit in dict.fromkeys(units):
                local, whole = look.seen(value, unit, local=True), look.seen(value, unit)
                for given in inputs:
                    yield Sample(node, port, unit, given, local[given], whole[given])


def _probes(samples: Sequence[Sample], most: int) -> Iterator[_Probe]:
    """Inputs that tell what units see, at most so many; layers of all depths have their share."""
    regions: dict[tuple[object, ...], Sample] = {}
    for sample in samples:
        if sample.local.boxes:
            regions.setdefault((sample.given, frozenset(sample.local.boxes)), sample)
    found = list(regions.values())
    groups = [list(_about(sample)) for sample in found]
    step = max(1.0, sum(map(len, groups)) / most)
    left, at = most, 0.0
    order = [groups[-1], *groups[:-1]] if groups else []
    while left > 0 and int(at) < len(order):
        chosen = order[int(at)][:left]
        yield from chosen
        left -= len(chosen)
        at += step


def _about(sample: Sample) -> Iterator[_Probe]:
    """The inputs that ask what one unit sees."""
    region = sample.local
    inside = mask_of(region)
    if not inside.all():
        yield _Probe(sample.given, ~inside, "outside")
    places = inside.nonzero()
    ends = {int(places[:, axis].argmin()) for axis in range(places.shape[1])}
    ends |= {len(places) - 1 - int(places[:, axis].flip(0).argmax()) for axis in range(places.shape[1])}
    for index in sorted(ends):
        yield _Probe(sample.given, _single(inside.shape, places[index]), "end")
    yield _Probe(sample.given, _single(inside.shape, places[len(places) // 2]), "within")


def _single(shape: torch.Size, place: Tensor) -> Tensor:
    mask = torch.zeros(shape, dtype=torch.bool)
    mask[tuple(place.tolist())] = True
    return mask


def mask_of(region: Region) -> Tensor:
    """A region as a mask over the positions of its value."""
    sizes = region.shape.spatial
    mask = torch.zeros(sizes, dtype=torch.bool)
    for box in region.boxes:
        part = torch.ones((), dtype=torch.bool)
        for axis, units in enumerate(box.axes[1:]):
            line = torch.tensor([c == "1" for c in f"{units:0{sizes[axis]}b}"[::-1]])
            part = part & line.view([-1 if i == axis else 1 for i in range(len(sizes))])
        mask |= part
    return mask


# ---------------------------------------------------------------- what is answered


@torch.no_grad()
def _ask(
    graph: Graph,
    interpreter: Interpreter,
    samples: Sequence[Sample],
    probes: Sequence[_Probe],
    macs: int,
    misses: list[Miss],
    local: bool,
) -> int:
    """Run the probes and compare the answers; how many there were."""
    expected = _expected(samples, probes, local)
    by_value: dict[Value, list[int]] = {}
    for index, sample in enumerate(samples):
        by_value.setdefault(sample.node.outputs[sample.port], []).append(index)
    chunk = max(1, min(16, 2_000_000_000 // max(macs, 1)))
    answers = 0
    for start in range(0, len(probes), chunk):
        several = probes[start : start + chunk]
        found: dict[int, Tensor] = {}

        def watch(node: Node, values: Sequence[Tensor], outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            if node.op.kind == "embedding":
                outputs = (outputs[0].masked_fill(values[0].unsqueeze(1) == 1, torch.nan),)
            if node.op.interpolates():
                outputs = tuple(_interpolated(interpreter.runners[node.index], values, y) for y in outputs)
            if local and _cuts(node):
                outputs = tuple(y.nan_to_num(0.0, 0.0, 0.0) for y in outputs)
            for port, value in enumerate(node.outputs):
                for index in by_value.get(value, ()):
                    sample = samples[index]
                    at: tuple[slice | int, ...] = (slice(None), slice(None), *sample.unit)
                    tainted = outputs[port][at].isnan().any(1)
                    found[index] = tainted.view(-1, value.slices).any(1)  # noqa: B023
            return outputs

        inputs = []
        for given, value in enumerate(graph.inputs):
            number = value.dtype == "float32"
            x = torch.ones(len(several), *value.shape) if number else torch.zeros(len(several), *value.shape).long()
            for row, one in enumerate(several):
                if one.given == given:
                    x[row].masked_fill_(one.mask, torch.nan if number else 1)
            inputs.append(x)
        interpreter.run(inputs, watch)
        for index, tainted in found.items():
            sample = samples[index]
            region = sample.local if local else sample.whole
            for row, one in enumerate(several):
                if one.given != sample.given:
                    continue
                answers += 1
                planned, measured = bool(expected[index, start + row]), bool(tainted[row])
                if measured != planned and (region.exact or measured):
                    misses.append(Miss(sample, measured, one.what))
    return answers


def _expected(samples: Sequence[Sample], probes: Sequence[_Probe], local: bool) -> Tensor:
    """[sample, probe]: whether the plan says that the unit sees a place that is NaN."""
    masks: dict[tuple[object, ...], Tensor] = {}
    rows = torch.zeros(len(samples), len(probes), dtype=torch.bool)
    for index, sample in enumerate(samples):
        region = sample.local if local else sample.whole
        key = (sample.given, frozenset(region.boxes))
        if key not in masks:
            mask = mask_of(region)
            row = [one.given == sample.given and bool((mask & one.mask).any()) for one in probes]
            masks[key] = torch.tensor(row, dtype=torch.bool)
        rows[index] = masks[key]
    return rows


def _cuts(node: Node) -> bool:
    """Whether the operation reads a whole axis of some input."""
    reads = (node.op.reads(index, 0, *node.shapes) for index in range(len(node.inputs)))
    return any(is_wide(node, windows, v.shape) for windows, v in zip(reads, node.inputs, strict=True))


def _interpolated(runner: torch.nn.Module, values: Sequence[Tensor], y: Tensor) -> Tensor:
    """What an interpolation gives for NaNs: torch multiplies them with weights of 0 too, which gives NaN.

    So NaNs are followed by their weights: where the interpolation of the places that are NaN is not 0.
    """
    x = values[0]
    weights = torch.rand_like(x, dtype=torch.float64) + 0.5
    taint = runner(torch.where(x.isnan(), weights, 0.0), *values[1:]).abs() > INTERPOLATED
    return torch.where(taint, torch.nan, torch.where(y.isnan(), 1.0, y))
