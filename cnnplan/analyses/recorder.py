"""Writes down a training step, or an inference, storage by storage.

    record(facts, setting)  ->  Tape        once for a graph, whatever the batch

A value lives in the forward pass as long as the emitted source holds it; afterwards, as long as
autograd keeps it. In the backward pass layers run in reverse; a layer's gradients are made while what
it kept is still there. Gradients of a value that several layers read are added as they arrive, in place
where nobody else holds the sum. Layers that are recomputed keep what enters them, and run again before
their backward pass.

Source: PyTorch's documentation, "Autograd mechanics" and "CUDA semantics: memory management".
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

from cnnplan.analyses.optimizers import LOSSES, OPTIMIZERS
from cnnplan.analyses.precision import BYTES, Precision
from cnnplan.analyses.tape import BLOCK, Place, Tape
from cnnplan.ops.base import NOTHING, Needs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnnplan.analyses.facts import Facts, Rules
    from cnnplan.graph import Node, Value
    from cnnplan.ops.base import Kept


class Setting(NamedTuple):
    """What a training step is planned for.

    Attributes:
        precision: dtypes.
        optimizer: of `optimizers.OPTIMIZERS`.
        implementation: "foreach", "fused" or "forloop".
        decayed: whether the optimizer decays weights.
        losses: for each output, of `optimizers.LOSSES`; None where it has none.
        averaged: whether an average of the weights is held beside them.
    """

    precision: Precision = Precision()
    optimizer: str = "sgd"
    implementation: str = "foreach"
    decayed: bool = False
    losses: tuple[str | None, ...] = ()
    averaged: bool = False


class Recorder:
    """Writes a tape."""

    def __init__(self, facts: Facts, setting: Setting) -> None:
        self.facts = facts
        self.graph = facts.graph
        self.setting = setting
        self.cuda = setting.precision.device == "cuda"
        self.tape = Tape(BLOCK if self.cuda else 1)
        self.widths = facts.widths
        self.rewritten = facts.rewritten
        self.segments = facts.segments
        self.tensors = facts.tensors
        self.at: dict[Value, int] = {}
        self.saved: dict[Node, list[int]] = {}
        self.entered: dict[int, dict[Value, int]] = {}
        self.needed: dict[Value, bool] = dict.fromkeys(facts.graph.inputs, False)
        self.needs: dict[Node, Needs] = {}
        self.copies: dict[str, list[int]] = {}  # of weights, cast by autocast
        self.narrow: set[str] = set()  # whose weights were cast
        self._first: set[int] = set()

    # -------------------------------------------------------------- what is there all the time

    def start(self, *, training: bool) -> None:
        """Parameters, buffers, the optimizer's state, the batch."""
        tape, width = self.tape, self.setting.precision.parameter
        held = OPTIMIZERS[self.setting.optimizer]
        for node in self.graph.nodes:
            if node.shared_with:
                continue
            for n in self.tensors[node]:
                tape.alloc(0, n * width, "parameters")
                if training and self.setting.averaged:
                    tape.alloc(0, n * width, "average")
                if training and node.trainable:
                    for _ in range(held.states):
                        tape.alloc(0, n * width, "optimizer_state")
                    if held.counts and (not self.cuda or self.setting.implementation == "fused"):
                        tape.alloc(0, 4, "optimizer_state")
            for n in self.facts.buffers[node]:  # a count is a single int64
                tape.alloc(0, n * width or 8, "buffers")
        for value in self.graph.inputs:
            self.at[value] = tape.alloc(value.shape.numel * self.widths.values[value], 0, "input")
        if training:
            for value, loss in zip(self.graph.outputs.values(), self.setting.losses, strict=True):
                positions = prod(value.shape.spatial)
                if loss is None:
                    continue
                if LOSSES[loss].classes:
                    tape.alloc(8 * positions, 0, "target")
                else:
                    tape.alloc(value.shape.numel * self.setting.precision.parameter, 0, "target")

    # -------------------------------------------------------------- forward

    def rules(self, node: Node) -> Rules:
        """What a layer keeps and needs."""
        return self.facts.rules(node, self.needs[node])

    def judge(self) -> None:
        """Which values need gradients."""
        for node in self.graph.nodes:
            inputs = tuple(self.needed[v] for v in node.inputs)
            needs = Needs(inputs, node.trainable and bool(self.tensors[node]))
            self.needs[node] = needs
            self.needed.update(dict.fromkeys(node.outputs, needs.any and node.outputs[0].dtype != "int64"))

    def size(self, kept: Kept, node: Node) -> tuple[int, int]:
        """Bytes of a layer's own tensor: per sample, and once."""
        own, full = self.widths.own[node]
        dtype = kept.dtype
        on_cpu = {"mask": own, "pooled": full, "float32": self.setting.precision.parameter}
        on_cuda = {"mask": 1, "pooled": own, "float32": 4}
        special = on_cuda if self.cuda else on_cpu
        width = own if dtype == "activation" else full if dtype == "full" else special.get(dtype) or BYTES[dtype]
        n = max(0, kept.elements) * width
        return (n, 0) if kept.per_sample else (0, n)

    def forward(
        self,
        nodes: Sequence[Node],
        at: dict[Value, int],
        last: Mapping[Value, int],
        phase: str,
        *,
        training: bool,
    ) -> None:
        """Layers one after the other; `last` says behind which one a value is let go."""
        tape, values = self.tape, self.widths.values
        releases: dict[int, list[Value]] = {}
        for value, index in last.items():
            releases.setdefault(index, []).append(value)
        for value in releases.get(-1, ()):
            tape.drop(at.pop(value))
        for node in nodes:
            tape.place = Place(phase, node)
            saved, parts, scratch, view, passes = self.rules(node)
            segment = self.segments.get(node) if phase == "forward" and training else None
            if segment is not None and node is segment[0] and any(map(self.packs, segment)):
                self.enter(segment, at)
            sources = [at[v] for v in node.inputs]
            cast = self.widths.casts.get(node, ())
            for i in cast:
                value = node.inputs[i]
                sources[i] = tape.alloc(value.shape.numel * self.widths.own[node][0], 0, "transient")
            packed = None
            if node in self.facts.repacked:
                packed = sources[0] = tape.alloc(node.inputs[0].shape.numel * self.widths.own[node][0], 0, "saved")
            weights = self.weights(node) if training else []
            kept = saved if training and segment is None else NOTHING
            passing = scratch.evaluation
            if training:
                passing = scratch.training
                if parts and not kept.own:  # made all the same
                    passing = (*passing, *(scratch.evaluation or parts))
            brief = [tape.alloc(*self.size(k, node), "transient") for k in passing]
            own = [tape.alloc(*self.size(k, node), "saved") for k in kept.own]
            passed = (view if training else passes) and node not in self.facts.copying
            for value in node.outputs:
                if passed or node in self.rewritten:
                    at[value] = tape.hold(sources[0])
                else:
                    at[value] = tape.alloc(value.shape.numel * values[value], 0, "activations")
            if training and segment is None and self.needs[node].any:
                held = [tape.hold(sources[i]) for i in kept.inputs]
                held += [tape.hold(at[v]) for v in node.outputs] if kept.output else []
                self.saved[node] = [*own, *held, *weights]
                if phase == "forward":
                    names = [k.what for k in kept.own]
                    names += [f"its input {node.inputs[i].name}" for i in kept.inputs]
                    names += ["its output"] * (len(held) - len(kept.inputs))
                    tape.named[node] = list(zip(names, [*own, *held], strict=True))
                    self.first(node, [*own, *held])
            elif own or weights:
                for number in (*own, *weights):
                    tape.drop(number)
            for number in brief:
                tape.drop(number)
            for i in cast:
                tape.drop(sources[i])
            if packed:
                tape.drop(packed)
            for value in releases.get(node.index, ()):
                tape.drop(at.pop(value))

    def weights(self, node: Node) -> list[int]:
        """The copies of a layer's weights that autocast makes, once for a forward pass."""
        precision = self.setting.precision
        if not precision.mixed or node.op.autocasts(precision.device, *node.shapes) != "low":
            return []
        made = self.copies.get(node.path)
        if made is None:
            self.narrow.add(node.path)
            sizes = [n * precision.low for n in self.tensors[node]]
            made = self.copies[node.path] = [self.tape.alloc(0, n, "cast parameters") for n in sizes]
        return [self.tape.hold(made[0])] if made and self.needs[node].any else []

    def forget(self) -> None:
        """Let the copies of weights go: autocast keeps them to the end of a forward pass."""
        for made in self.copies.values():
            for number in made:
                self.tape.drop(number)
        self.copies = {}

    def first(self, node: Node, held: Sequence[int]) -> None:
        """Note what a layer is the first to keep; the network's own input is apart."""
        new = [n for n in dict.fromkeys(held) if n not in self._first and self.tape.part[n - 1] != "input"]
        if new:
            self._first.update(new)
            self.tape.kept.setdefault(node, []).extend(new)

    def packs(self, node: Node) -> bool:
        """Whether autograd would keep anything of a layer, be it a parameter."""
        saved = self.rules(node).saved
        return self.needs[node].any and bool(saved.inputs or saved.output or saved.own or self.tensors[node])

    def enter(self, segment: Sequence[Node], at: Mapping[Value, int]) -> None:
        """Keep what a recomputed part of the network reads."""
        made = {v for node in segment for v in node.outputs}
        read = dict.fromkeys(v for node in segment for v in (*node.inputs, *([node.like] if node.like else [])))
        held = {v: self.tape.hold(at[v]) for v in read if v not in made}
        self.entered[id(segment)] = held
        self.first(segment[0], list(held.values()))

    # -------------------------------------------------------------- backward

    def backward(self, gradients: dict[Value, int]) -> None:
        """Layers in reverse: gradients in, gradients out, and what was kept is let go."""
        done: set[str] = set()
        recomputed: set[int] = set()
        for node in reversed(self.graph.nodes):
            segment = self.segments.get(node, ())
            held = self.entered.get(id(segment))
            if self.needs[node].any and any(v in gradients for v in node.outputs):
                if held is not None and id(segment) not in recomputed:
                    recomputed.add(id(segment))
                    self.recompute(segment, held)
                self.tape.place = Place("backward", node)
                self.step_back(node, gradients, done)
            if held is not None and node is segment[0]:
                for number in held.values():
                    self.tape.drop(number)
        for number in gradients.values():
            self.tape.drop(number)

    def recompute(self, segment: Sequence[Node], held: Mapping[Value, int]) -> None:
        """The forward pass of a part of the network once more, now keeping what its backward pass needs."""
        at = {v: self.tape.hold(n) for v, n in held.items()}
        last: dict[Value, int] = {}
        for node in segment:
            last.update(dict.fromkeys(node.outputs, node.index))
            last.update(dict.fromkeys((*node.inputs, *([node.like] if node.like else [])), node.index))
        self.forward(segment, at, last, "recompute", training=True)
        self.forget()

    def step_back(self, node: Node, gradients: dict[Value, int], done: set[str]) -> None:
        """The backward pass of one layer."""
        tape, values = self.tape, self.widths.values
        needs, scratch = self.needs[node], self.rules(node).scratch
        own = self.widths.own[node][0]
        missing = [v for v in node.outputs if v not in gradients]  # of a split: zeros are made
        entering = [gradients.pop(v) for v in node.outputs if v in gradients]
        brief = [tape.alloc(*self.size(k, node), "transient") for k in scratch.backward]
        brief += [tape.alloc(v.shape.numel * values[v], 0, "transient") for v in missing]
        one = None
        leaving: list[tuple[Value, int]] = []
        cast: list[int] = []  # places in `leaving` whose gradients are cast back
        for index, (value, needed) in enumerate(zip(node.inputs, needs.inputs, strict=True)):
            if not needed:
                continue
            if index in scratch.passes:
                leaving.append((value, tape.hold(entering[0])))
                continue
            if scratch.shared and value.shape == node.output.shape:
                one = tape.hold(one) if one else tape.alloc(value.shape.numel * values[value], 0, "transient")
                leaving.append((value, one))
                continue
            narrow = values[value] != own and index in self.widths.casts.get(node, ())
            cast += [len(leaving)] if narrow else []
            leaving.append((value, tape.alloc(value.shape.numel * (own if narrow else values[value]), 0, "transient")))
        made = self.parameter_gradients(node, done) if needs.parameters else []
        for number in (*self.saved.pop(node, ()), *entering, *brief):
            tape.drop(number)
        for n, number in made:  # of weights that were cast
            tape.alloc(0, n * self.setting.precision.parameter, "gradients")
            tape.drop(number)
        for index in cast:
            value, number = leaving[index]
            leaving[index] = (value, tape.alloc(value.shape.numel * values[value], 0, "transient"))
            tape.drop(number)
        for value, number in leaving:
            old = gradients.get(value)
            if old is None:
                gradients[value] = number
            elif tape.holders(old) == 1:  # added in place
                tape.drop(number)
            else:
                gradients[value] = tape.alloc(value.shape.numel * values[value], 0, "transient")
                tape.drop(old)
                tape.drop(number)

    def parameter_gradients(self, node: Node, done: set[str]) -> list[tuple[int, int]]:
        """The gradients of a layer's parameters, added to those of another run; elements and storage of narrow ones."""
        tape, precision = self.tape, self.setting.precision
        again, low = node.path in done, node.path in self.narrow
        done.add(node.path)
        if low and not again:
            return [(n, tape.alloc(0, n * precision.low, "transient")) for n in self.tensors[node]]
        width = precision.low if low else precision.parameter
        numbers = [tape.alloc(0, n * width, "gradients") for n in self.tensors[node]]
        for number in numbers if again else ():
            tape.drop(number)
        return []

    # -------------------------------------------------------------- the whole

    def train(self) -> Tape:
        """A training step, as every one is but the first: the optimizer has its state already."""
        tape = self.tape
        self.judge()
        self.start(training=True)
        self.forward(self.graph.nodes, self.at, self.facts.last, "forward", training=True)
        tape.outputs = {self.at[v] for v in self.graph.outputs.values()}
        tape.place = Place("loss", None)
        kept = self.losses()
        self.forget()
        tape.alloc(0, self.setting.precision.parameter, "loss")  # a number, which the loop holds
        gradients = self.loss_back(kept)
        one = tape.alloc(0, self.setting.precision.parameter, "transient")  # its gradient
        self.backward(gradients)
        tape.drop(one)
        tape.place = Place("step", None)
        self.step()
        return tape

    def losses(self) -> dict[Value, list[int]]:
        """The losses of all outputs, one after the other; what they keep."""
        tape = self.tape
        kept: dict[Value, list[int]] = {}
        wide = 4 if self.setting.precision.mixed else self.setting.precision.low
        for value, name in zip(self.graph.outputs.values(), self.setting.losses, strict=True):
            if name is None:
                continue
            loss, n = LOSSES[name], value.shape.numel * wide
            held = [tape.alloc(n, 0, "loss") for _ in range(loss.kept)]
            held += [tape.alloc(0, wide, "loss")] if loss.classes else []  # the sum of the classes' weights
            brief = [tape.alloc(n, 0, "transient") for _ in range(loss.forward + (self.widths.values[value] < wide))]
            if name == "mse" and sum(map(bool, self.setting.losses)) == 1:
                held = []  # torch leaves the number in a storage of the output's size, and the loop holds it
            kept.setdefault(value, []).extend(held)
            for number in brief:
                tape.drop(number)
            if not self.needed[value]:
                for number in kept.pop(value):
                    tape.drop(number)
        return kept

    def loss_back(self, kept: Mapping[Value, list[int]]) -> dict[Value, int]:
        """The gradients of the outputs, in place of what the losses kept."""
        tape = self.tape
        gradients: dict[Value, int] = {}
        wide = 4 if self.setting.precision.mixed else self.setting.precision.low
        names = dict(zip(self.graph.outputs.values(), self.setting.losses, strict=True))
        for value in reversed(list(kept)):
            n, width = value.shape.numel, self.widths.values[value]
            wanted = LOSSES[names[value] or ""].backward + (width < wide)
            brief = [tape.alloc(n * wide, 0, "transient") for _ in range(wanted)]
            gradients[value] = tape.alloc(n * width, 0, "transient")
            for number in (*brief, *kept[value]):
                tape.drop(number)
        return gradients

    def step(self) -> None:
        """The optimizer's step."""
        tape, setting = self.tape, self.setting
        width = setting.precision.parameter
        sizes = [n for node in self.graph.nodes if node.trainable and not node.shared_with for n in self.tensors[node]]
        needed = OPTIMIZERS[setting.optimizer].scratch(setting.implementation, setting.decayed, sizes)
        made = [tape.alloc(0, n * width, "transient") for n in needed]
        for number in made:
            tape.drop(number)

    def infer(self) -> Tape:
        """An inference: evaluation, without gradients."""
        self.needs = {node: Needs((False,) * len(node.inputs), False) for node in self.graph.nodes}
        self.start(training=False)
        self.forward(self.graph.nodes, self.at, self.facts.last, "forward", training=False)
        return self.tape


def record(facts: Facts, setting: Setting, *, training: bool = True) -> Tape:
    """Write down a training step, or an inference."""
    recorder = Recorder(facts, setting)
    return recorder.train() if training else recorder.infer()
