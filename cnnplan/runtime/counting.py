"""Shapes and MACs: every layer run by its own torch rule, and counted; and the emitted model, counted by fvcore."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import torch

from cnnplan.runtime.check import DIFFERS, EXACT, LEFT_OUT, Check, Difference, counted, sizes
from cnnplan.runtime.interpreter import Refused
from cnnplan.runtime.products import TRACED, counter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import Tensor, nn

    from cnnplan.graph import Graph, Node
    from cnnplan.planning import Plan
    from cnnplan.runtime.interpreter import Interpreter


class Measured(NamedTuple):
    """One layer as it ran.

    Attributes:
        node: the layer.
        outputs: the shapes of its outputs, without the batch; empty where it did not run.
        macs: of one sample, by torch's counter.
    """

    node: Node
    outputs: tuple[tuple[int, ...], ...]
    macs: int | None


@torch.no_grad()
def by_layer(interpreter: Interpreter, inputs: Sequence[Tensor]) -> tuple[list[Measured], list[Tensor], Refused | None]:
    """Every layer run by its own torch rule: shapes, and MACs by torch's counter."""
    layers: list[Measured] = []
    counts = counter()
    before = 0

    def watch(node: Node, values: Sequence[Tensor], outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        nonlocal before
        total = counts.get_total_flops()
        shapes = tuple(tuple(y.shape[1:]) for y in outputs)
        layers.append(Measured(node, shapes, (total - before) // (2 * len(inputs[0]))))
        before = total
        return outputs

    try:
        with counts:
            return layers, interpreter.run(inputs, watch), None
    except Refused as refused:
        return layers, [], refused


def shapes(layers: Sequence[Measured], refused: Refused | None) -> Check:
    """The shapes of all outputs; a layer that torch refuses is a difference."""
    differences = [
        Difference(x.node.name, x.node.line, _all(v.shape for v in x.node.outputs), _all(x.outputs))
        for x in layers
        if tuple(tuple(v.shape) for v in x.node.outputs) != x.outputs
    ]
    if refused:
        node = refused.node
        planned = _all(v.shape for v in node.outputs)
        differences.append(Difference(node.name, node.line, planned, f"torch refuses: {refused.reason}"))
    ran = counted(len(layers) - len(differences) + bool(refused), "layer")
    planned = counted(len(layers) + bool(refused), "layer")
    return Check("shapes", planned, ran, "torch, layer by layer", DIFFERS if differences else EXACT, tuple(differences))


def _all(shapes: Iterable[Iterable[int]]) -> str:
    return ", ".join(map(sizes, shapes))


def torch_macs(plan: Plan, layers: Sequence[Measured]) -> Check:
    """MACs of every layer, by torch's counter."""
    differences = tuple(
        Difference(x.node.name, x.node.line, f"{planned.macs:,}", f"{x.macs:,}")
        for planned, x in zip(plan.layers, layers, strict=False)
        if planned.macs != x.macs
    )
    total = sum(x.macs or 0 for x in layers)
    verdict = DIFFERS if differences or total != plan.macs else EXACT
    return Check("MACs", f"{plan.macs:,}", f"{total:,}", "torch's flop counter", verdict, differences)


COUNTED = ("conv", "linear", "matmul", "addmm", "bmm", *(name.removeprefix("aten::") for name in TRACED))
"""What fvcore calls the operations that are MACs."""


def fvcore_macs(plan: Plan, model: nn.Module, inputs: Sequence[Tensor]) -> Check:
    """MACs of the emitted model's modules, by fvcore, which follows a trace of it."""
    planned: Counter[str] = Counter()
    nodes: dict[str, Node] = {}
    needed = needed_layers(plan.graph)
    for layer in plan.layers:
        if layer.node in needed:
            planned[layer.node.path] += layer.macs
            nodes.setdefault(layer.node.path, layer.node)
    whole = sum(planned.values())
    if importlib.util.find_spec("fvcore") is None:
        return Check("MACs", f"{whole:,}", "", "fvcore: pip install fvcore", LEFT_OUT)
    from importlib.metadata import version

    oracle = f"fvcore {version('fvcore').partition('.post')[0]}"
    try:
        counts = _count(model, inputs)
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        return Check("MACs", f"{whole:,}", "", f"{oracle}: {str(error).partition(chr(10))[0]:.60}", LEFT_OUT)
    found = {name: sum(of[operator] for operator in COUNTED) for name, of in counts.items()}
    differences = tuple(
        Difference(path, nodes[path].line, f"{macs:,}", f"{found.get(path, 0):,}")
        for path, macs in planned.items()
        if macs != found.get(path, 0) and (macs or path not in _parents(found))
    )
    total = found.get("", 0)
    verdict = DIFFERS if differences or total != whole else EXACT
    return Check("MACs", f"{whole:,}", f"{total:,}", oracle, verdict, differences)


def needed_layers(graph: Graph) -> set[Node]:
    """The layers that some output depends on."""
    wanted = set(graph.outputs.values())
    found = set()
    for node in reversed(graph.nodes):
        if not wanted.isdisjoint(node.outputs):
            found.add(node)
            wanted.update(node.inputs)
    return found


def _parents(names: Iterable[str]) -> set[str]:
    """Names of modules that hold others."""
    return {name.rpartition(".")[0] for name in names}


def _count(model: nn.Module, inputs: Sequence[Tensor]) -> Mapping[str, Counter[str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

        logging.getLogger("fvcore").setLevel(logging.ERROR)
        analysis = FlopCountAnalysis(model, tuple(x[:1] for x in inputs))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        analysis.set_op_handle(**TRACED)
        counts: Mapping[str, Counter[str]] = analysis.by_module_and_operator()
    return counts
