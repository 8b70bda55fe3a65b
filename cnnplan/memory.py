"""Will it fit? The memory of a graph in training and in inference, each part computed when it is first asked for.

plan.training.peak, plan.training.saved_activations, plan.inference.peak
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from cnnplan.pause import no_collection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnnplan.analyses.facts import Facts
    from cnnplan.analyses.inplace import Segments
    from cnnplan.analyses.precision import Widths
    from cnnplan.analyses.recorder import Setting
    from cnnplan.analyses.tape import Played, Tape
    from cnnplan.conditions import Conditions
    from cnnplan.graph import Graph, Node, Value


class Peak(NamedTuple):
    """Where memory is highest.

    Attributes:
        phase: "forward", "loss", "backward", "recompute" or "step".
        layer: the layer that runs then; None in the loss and in the optimizer's step.
        line: its line in the spec.
    """

    phase: str
    layer: str | None
    line: int | None

    def __str__(self) -> str:
        return (
            f"{self.phase} of {self.layer}" if self.layer else {"step": "optimizer's step"}.get(self.phase, self.phase)
        )


class Training(NamedTuple):
    """The memory of a training step, in bytes.

    Parts are exact. The peak counts what is alive at once, on CUDA in blocks of 512 bytes as its
    allocator does; workspaces of libraries and the CUDA context come on top.

    Attributes:
        parameters, buffers, gradients: all of them.
        optimizer_state: what the optimizer holds between steps.
        average: the average of the weights, where training keeps one.
        saved_activations: what autograd keeps for the backward pass, each storage once, but for
            parameters, buffers and the network's own inputs.
        input, target: a batch of samples, and what they are compared with.
        loss: what the losses keep.
        peak: the most that is alive at once.
        peak_at: when.
        at_peak: what is alive then, by what it is for.
    """

    parameters: int
    buffers: int
    gradients: int
    optimizer_state: int
    average: int
    saved_activations: int
    input: int
    target: int
    loss: int
    peak: int
    peak_at: Peak
    at_peak: Mapping[str, int]


class Inference(NamedTuple):
    """The memory of an inference, in bytes: evaluation, without gradients, all in one dtype."""

    parameters: int
    buffers: int
    input: int
    peak: int
    peak_at: Peak
    at_peak: Mapping[str, int]


class Memory:
    """The memory of a graph under conditions.

    Attributes:
        graph: the network.
        conditions: batch, dtypes, optimizer, device.
    """

    def __init__(
        self,
        graph: Graph,
        conditions: Conditions,
        last: Mapping[Value, int] | None = None,
        segments: Segments | None = None,
    ) -> None:
        self.graph = graph
        self.conditions = conditions
        self._segments = segments
        self._played: dict[int, Played] = {}
        if last is not None:
            self._last = last

    def under(self, conditions: Conditions) -> Memory:
        """The memory of the same graph under other conditions."""
        return Memory(self.graph, conditions, self._last, self._segments)

    def recomputing(self, segments: Segments) -> Memory:
        """The memory if these layers were recomputed in the backward pass."""
        return Memory(self.graph, self.conditions, self._last, segments)

    def rebuilt(self, graph: Graph, nodes: Mapping[Node, Node], values: Mapping[Value, Value]) -> Memory:
        """The memory of a graph that was made from this one, layer by layer and value by value."""
        last = {values[v]: index for v, index in self._last.items()}
        segments = {nodes[n]: tuple(nodes[m] for m in several) for n, several in self._facts.segments.items()}
        one: dict[tuple[Node, ...], tuple[Node, ...]] = {}
        return Memory(graph, self.conditions, last, {n: one.setdefault(s, s) for n, s in segments.items()})

    @cached_property
    def setting(self) -> Setting:
        """What the step is recorded for."""
        from cnnplan.analyses.precision import Precision
        from cnnplan.analyses.recorder import Setting

        it = self.conditions
        precision = Precision(it.dtype, it.mixed, it.target)
        return Setting(precision, it.optimizer, it.implementation, it.decayed, it.losses, it.averaged)

    @cached_property
    def _last(self) -> Mapping[Value, int]:
        from cnnplan.emit.lifetimes import lifetimes

        return lifetimes(self.graph)

    @cached_property
    def _facts(self) -> Facts:
        from cnnplan.analyses.facts import Facts

        return Facts(self.graph, self.setting.precision, self._last, self._segments)

    @property
    def widths(self) -> Widths:
        """How wide each value is in training."""
        return self._facts.widths

    @cached_property
    def workspaces(self) -> tuple[list[tuple[int, int]], bool]:
        """Of each convolution the bytes of a sample's maps and of its weights; and whether there are dense layers."""
        own, convolutions, dense = self.widths.own, [], False
        for node in self.graph.nodes:
            if node.op.macs(*node.shapes):
                maps = sum(v.numel for v in (*node.inputs, *node.outputs)) * own[node][0]
                dense = dense or not node.output.shape.rank
                if node.output.shape.rank:
                    convolutions.append((maps, sum(self.tensors[node]) * own[node][0]))
        return convolutions, dense

    @property
    def segments(self) -> Segments:
        """What is recomputed in the backward pass."""
        return self._facts.segments

    @property
    def tensors(self) -> Mapping[Node, Sequence[int]]:
        """The elements of each parameter, by layer."""
        return self._facts.tensors

    @cached_property
    def tape(self) -> Tape:
        """A training step, storage by storage."""
        from cnnplan.analyses.recorder import record

        with no_collection():
            return record(self._facts, self.setting)

    @cached_property
    def inference_tape(self) -> Tape:
        """An inference, storage by storage."""
        from cnnplan.analyses.facts import Facts
        from cnnplan.analyses.precision import Precision
        from cnnplan.analyses.recorder import Setting, record

        pure = Precision(self.conditions.dtype, False, self.conditions.target)
        with no_collection():
            facts = self._facts
            if pure != self.setting.precision:
                facts = Facts(self.graph, pure, self._last, self._segments)
            return record(facts, Setting(pure), training=False)

    def played(self, batch: int | None = None) -> Played:
        """The training step at a batch size: the bytes alive after every event."""
        batch = self.conditions.batch if batch is None else batch
        if batch not in self._played:
            self._played[batch] = self.tape.play(batch)
        return self._played[batch]

    @cached_property
    def training(self) -> Training:
        """The memory of a training step."""
        batch, tape, played = self.conditions.batch, self.tape, self.played()
        sums: dict[str, int] = {}
        for number, part in enumerate(tape.part, 1):
            if part in _PARTS:
                sums[part] = sums.get(part, 0) + tape.exact(number, batch)
        width = self.setting.precision.parameter
        trained = sum(
            n for node in self.graph.nodes if node.trainable and not node.shared_with for n in self._facts.tensors[node]
        )
        return Training(
            gradients=trained * width,
            saved_activations=sum(self.saved_bytes.values()),
            peak=played.peak,
            peak_at=_peak(tape, played.at),
            at_peak=tape.parts(batch, played.at),
            **{part: sums.get(part, 0) for part in _PARTS},
        )

    @cached_property
    def inference(self) -> Inference:
        """The memory of an inference."""
        batch, tape = self.conditions.batch, self.inference_tape
        played = tape.play(batch)
        sums = dict.fromkeys(("parameters", "buffers", "input"), 0)
        for number, part in enumerate(tape.part, 1):
            if part in sums:
                sums[part] += tape.exact(number, batch)
        return Inference(**sums, peak=played.peak, peak_at=_peak(tape, played.at), at_peak=tape.parts(batch, played.at))

    @cached_property
    def saved_bytes(self) -> dict[Node, int]:
        """For each layer, the bytes of what it is the first to keep for the backward pass."""
        batch, tape = self.conditions.batch, self.tape
        found = dict.fromkeys(self.graph.nodes, 0)
        for node, numbers in tape.kept.items():
            found[node] = sum(tape.exact(n, batch) for n in numbers)
        return found

    def keeps(self, node: Node) -> list[tuple[str, int, bool]]:
        """What autograd keeps of a layer: what it is, its bytes, and whether the layer is the first to keep it."""
        batch, tape = self.conditions.batch, self.tape
        mine = set(tape.kept.get(node, ()))
        found = []
        for what, number in tape.named.get(node, ()):
            found.append((what, tape.exact(number, batch), number in mine))
        return found

    def runs_in_place(self, node: Node) -> bool:
        """Whether a layer overwrites its input."""
        return node in self._facts.in_place


_PARTS = ("parameters", "buffers", "optimizer_state", "average", "input", "target", "loss")


def _peak(tape: Tape, at: int) -> Peak:
    if not tape.places:
        return Peak("start", None, None)
    phase, node = tape.places[at]
    return Peak(phase, node.name if node else None, node.line if node else None)
