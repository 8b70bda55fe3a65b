"""How fast could it be? For each layer the work, the bytes that have to move, and the time that neither can beat.

The roofline: time ≥ max(FLOPs / peak, bytes / bandwidth). Two things keep it a bound. What fits into the
cache may not have to come from memory at all, and what is written may stay there, so that a layer is only
charged for bytes beyond twice the cache's size. And convolutions of stride 1 can do with fewer
multiplications: Winograd's F(4, r) needs 4 r / (r + 3) times fewer along each axis, and libraries use it.

Sources: Williams, Waterman & Patterson 2009, doi:10.1145/1498765.1498785; Lavin & Gray 2015,
arXiv:1509.09308; PyTorch's documentation, "CUDA semantics" (TF32 is on for convolutions, off for
matrix products) and "Automatic Mixed Precision".
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

from cnnplan.analyses.precision import Precision, widths
from cnnplan.ops.needs import Needs
from cnnplan.ops.window import WHOLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.devices import Device
    from cnnplan.graph import Graph, Node, Value


class Pass(NamedTuple):
    """One pass of a layer over a batch.

    Attributes:
        flops: 2 · MACs and the elementwise work.
        bytes: read and written, each tensor once.
        seconds: the lower bound; None without a device.
        bound: "compute" or "memory", by which of the two is the larger; "" without a device.
    """

    flops: int
    bytes: int
    seconds: float | None
    bound: str

    @property
    def intensity(self) -> float | None:
        """FLOPs for each byte."""
        return self.flops / self.bytes if self.bytes else None


class Roof(NamedTuple):
    """A layer under the roof.

    Attributes:
        format: what its products are computed in: "float32", "tf32", "float16", "bfloat16"; "" without products.
        forward, backward: its two passes; the second is empty in an inference.
    """

    format: str
    forward: Pass
    backward: Pass


def roofline(
    graph: Graph, precision: Precision, batch: int, device: Device | None, *, training: bool = True
) -> dict[Node, Roof]:
    """The roof over each layer.

    An inference has no backward passes, and what gives its input itself in evaluation costs it nothing.
    """
    width = widths(graph, precision)
    needed: dict[Value, bool] = dict.fromkeys(graph.inputs, False)
    found = {}
    for node in graph.nodes:
        op, shapes = node.op, node.shapes
        weights = sum(map(prod, op.parameters(*shapes).values()))
        trained = node.trainable and bool(weights)
        inputs = [(v.numel * width.values[v] * batch, needed[v]) for v in node.inputs]
        needs = training and (trained or any(need for _, need in inputs))
        needed.update(dict.fromkeys(node.outputs, needs))
        view = op.is_view(*shapes) if training else op.passes_by(*shapes)
        outputs = 0 if view else sum(v.numel * width.values[v] for v in node.outputs) * batch
        entering = 0 if view else sum(n for n, _ in inputs)
        own = width.own[node][0]
        runs = batch * node.slices
        macs, flops = op.macs(*shapes) * runs, op.flops(*shapes) * runs
        format = _format(node, precision, own, device) if macs else ""
        fewer = _fewer(node)
        read = weights * own if op.kind != "embedding" else min(weights * own, outputs)  # of the tokens that are there
        forward = _pass(flops, macs, entering + outputs + read, format, fewer, device)
        if not needs:
            found[node] = Roof(format, forward, Pass(0, 0, None if device is None else 0.0, ""))
            continue
        wanted = Needs(tuple(need for _, need in inputs), trained)
        through = range(len(inputs)) if view else op.scratch(wanted, *shapes).passes
        onward = any(need for _, need in inputs)
        passes = 1 + (trained and onward) if macs else 1  # one for data, one for weights
        moved = sum(n for index, (n, need) in enumerate(inputs) if need and index not in through)
        if moved or trained:  # else gradients pass as they are
            saved = op.kept(wanted, *shapes)
            read = trained or not macs  # a product's input is read for the gradients of its weights alone
            moved += sum(inputs[i][0] for i in saved.inputs if read and i < len(inputs))
            moved += outputs + (outputs if saved.output else 0)
            moved += weights * own * onward + weights * precision.parameter * trained
        found[node] = Roof(format, forward, _pass(flops * passes, macs * passes, moved, format, fewer, device))
    return found


def _pass(flops: int, macs: int, moved: int, format: str, fewer: float, device: Device | None) -> Pass:
    if device is None:
        return Pass(flops, moved, None, "")
    products = 2 * macs / fewer / (getattr(device, format or "float32") or device.float32)
    rest = max(0, flops - 2 * macs) / _fastest(device)
    compute = max(products, rest)  # tensor cores and others work at the same time
    memory = _through_memory(moved, device)
    if moved and flops and not memory:
        bound = "compute" if flops / moved > _ridge(format, device) else "memory"
    else:
        bound = "compute" if compute > memory else "memory"
    return Pass(flops, moved, max(compute, memory), bound if moved else "")


def _through_memory(moved: int, device: Device) -> float:
    """Seconds: of what is read as much as the cache holds may be there, and of what is written may stay."""
    return max(0, moved - 2 * device.l2) / device.bandwidth


def _ridge(format: str, device: Device) -> float:
    return (getattr(device, format or "float32") or device.float32) / device.bandwidth


def _fastest(device: Device) -> int:
    """Elementwise work runs on CUDA cores: twice as fast, at best, in a 16-bit format."""
    return 2 * device.float32


def _format(node: Node, precision: Precision, width: int, device: Device | None) -> str:
    """What the products of a layer are computed in on CUDA, by PyTorch's defaults."""
    if width < 4:
        fast = device is None or getattr(device, precision.dtype)
        return precision.dtype if fast else "float32"
    if precision.device == "cpu" or not node.output.shape.rank:
        return "float32"
    return "tf32" if device is None or device.tf32 else "float32"


def _fewer(node: Node) -> float:
    """How many times fewer multiplications Winograd's convolution needs."""
    found = 1.0
    if not node.op.macs(*node.shapes):
        return found
    for window in node.op.windows(*node.shapes):
        taps = window.phases[0] if window != WHOLE and window.phases else range(1)
        if window.advance == 1 and len(window.phases) == 1 and taps.step == 1 and len(taps) > 1:
            found *= 4 * len(taps) / (len(taps) + 3)
    return found


def total(passes: Sequence[Pass]) -> Pass:
    """Several passes one after the other."""
    seconds = None if any(one.seconds is None for one in passes) else sum(one.seconds or 0.0 for one in passes)
    timed = {"compute": 0.0, "memory": 0.0, "": 0.0}
    for one in passes:
        timed[one.bound] += one.seconds or 0.0
    bound = "" if seconds is None else "compute" if timed["compute"] > timed["memory"] else "memory"
    return Pass(sum(one.flops for one in passes), sum(one.bytes for one in passes), seconds, bound)


def step(parameters: int, states: int, width: int, device: Device | None) -> Pass:
    """The optimizer's step: it reads parameters, gradients and its state, and writes all but the gradients."""
    moved = parameters * width * (3 + 2 * states)
    seconds = None if device is None else _through_memory(moved, device)
    return Pass(0, moved, seconds, "memory" if device else "")
