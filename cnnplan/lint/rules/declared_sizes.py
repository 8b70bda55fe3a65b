"""S018 declared-sizes-illegal."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.diagnostics import Related, Report, TooManyFindings
from cnnplan.elaborate import elaborate
from cnnplan.lint.base import Finding, Rule
from cnnplan.ops.base import Shape
from cnnplan.source import Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Graph
    from cnnplan.planning import Plan


class DeclaredSizes(Rule):
    """A spatial size in `sizes` of an input at which the built model cannot run.

    Why: what is declared is relied on; a size that breaks the network breaks it in use.
    """

    code: ClassVar[str] = "S018"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: {shape: [3, 64, 64], sizes: [128, 4]}
        layers:
          - conv: {out_channels: 8, kernel_size: 7}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: {shape: [3, 64, 64], sizes: [128, [7, 9]]}
        layers:
          - conv: {out_channels: 8, kernel_size: 7}
    """

    def check(self, plan: Plan) -> Iterator[Finding]:
        graph = plan.graph
        for given in graph.spec.inputs:
            for index, size in enumerate(graph.sizes.get(given.name, ())):
                report = Report("")
                try:
                    other = elaborate(graph.spec, report, graph.overrides, {given.name: size})
                except TooManyFindings:
                    other = None
                why = _refusal(report) if other is None else _difference(graph, other)
                if why is None or given.sizes is None:
                    continue
                node = given.sizes.node
                at = node.items[index] if isinstance(node, Sequence) and index < len(node.items) else node
                shown = "x".join(map(str, size))
                yield why._replace(message=f"size {shown} of `sizes` does not work: {why.message}", node=at)


def _refusal(report: Report) -> Finding | None:
    """The first reason why the network is not valid."""
    reason = next((d for d in report.diagnostics if d.severity == "error"), None)
    if reason is None:
        return None
    place = (Related(f"'{reason.layer}' refuses it", reason.start),) if reason.layer else ()
    return Finding(reason.message, None, reason.layer, reason.help, place)


def _difference(graph: Graph, other: Graph) -> Finding | None:
    """The first layer that one module cannot be for both sizes."""
    if [n.name for n in graph.nodes] != [n.name for n in other.nodes]:
        return Finding("the network has other layers then", None)
    for node, again in zip(graph.nodes, other.nodes, strict=True):
        had, needs = (n.op.parameters(*n.shapes) for n in (node, again))
        tensor = next((name for name in had if had[name] != needs.get(name)), "")
        place = (Related(f"'{node.name}' takes {node.shapes[0]} at the size that is planned", node.at.start),)
        if tensor:
            message = f"'{node.name}' would need a {tensor} of {Shape(needs[tensor])}, not {Shape(had[tensor])}"
            help = "put a `global_avgpool`, or an adaptive one, before the first dense layer"
            return Finding(message, None, node.name, help, place)
        if node.op.torch(*node.shapes) != again.op.torch(*again.shapes):
            message = f"'{node.name}' depends on the size of its input, and is built for one size"
            return Finding(message, None, node.name, "write its padding, size or shape in numbers", place)
    return None
