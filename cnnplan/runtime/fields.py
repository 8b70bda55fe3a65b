"""Receptive fields: what was probed against what the plan says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.analyses.region import Look
from cnnplan.runtime.check import DIFFERS, EXACT, Check, Difference, counted
from cnnplan.runtime.probe import probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Graph
    from cnnplan.planning import Plan
    from cnnplan.runtime.interpreter import Interpreter
    from cnnplan.runtime.probe import Miss


def field(plan: Plan, interpreter: Interpreter, probes: int | None) -> Check:
    """What sampled units of every layer see, probed with NaNs."""
    probed = probe(plan.graph, interpreter, plan.macs, probes)
    if not probed.units:
        return Check("field", "none", "none", "no layer has spatial axes", EXACT)
    misses = {(miss.sample.node.name, miss.sample.unit): miss for miss in reversed(probed.misses)}
    hulls = list(_outside_spans(plan.graph, plan))
    differences = (*(_missed(miss) for miss in misses.values()), *hulls)
    planned = f"{counted(probed.units, 'unit')} of {counted(len(probed.layers), 'layer')}"
    measured = counted(probed.answers, "answer")
    oracle = f"NaNs in {counted(probed.inputs, 'input')}"
    if probed.bounds:
        oracle += f"; a bound for {counted(probed.bounds, 'unit')}"
    return Check("field", planned, measured, oracle, DIFFERS if differences else EXACT, differences)


def _missed(miss: Miss) -> Difference:
    sample = miss.sample
    unit = f"[{','.join(map(str, sample.unit))}]"
    seen = ", ".join(str(sample.local.interval(axis)) for axis in range(sample.local.shape.rank))
    measured = "sees a place outside it" if miss.tainted else "does not see a place in it"
    return Difference(f"{sample.node.name}{unit}", sample.node.line, seen, f"{measured} ({miss.probe})")


def _outside_spans(graph: Graph, plan: Plan) -> Iterator[Difference]:
    """Where a unit sees more than the field that the plan reports."""
    look = Look(graph)
    for node in graph.nodes:
        value = node.output
        if not value.shape.rank:
            continue
        unit = tuple(n // 2 for n in value.shape.spatial)
        for given, region in enumerate(look.seen(value, unit, local=True)):
            paths = plan.reach.fields[value][given]
            for axis, known in enumerate(paths.axes if paths else ()):
                span = known.span
                found = region.interval(span.axis) if span and region.boxes else None
                if span is None or found is None:
                    continue
                low, high = span.at(unit[axis])
                if not (low <= found[0] and found[1] <= high) and not wraps(graph):
                    yield Difference(node.name, node.line, f"({low}, {high})", str(found))


def wraps(graph: Graph) -> bool:
    """Whether some padding repeats units of the input, so that a unit sees beyond its field."""
    return any(w.beyond for node in graph.nodes for w in node.op.reads(0, 0, *node.shapes))
