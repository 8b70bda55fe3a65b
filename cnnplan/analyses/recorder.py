"""Writes down a training step, or an inference, storage by storage.

    record(facts, setting)  ->  Tape        once for a graph, whatever the batch

`forward` writes what is there all the time and the forward pass; here follow losses, backward pass and
the optimizer's step. In the backward pass layers run in reverse; a layer's gradients are made while what
it kept is still there. Gradients of a value that several layers read are added as they arrive, in place
where nobody else holds the sum. Layers that are recomputed run again before their backward pass.

Source: PyTorch's documentation, "Autograd mechanics" and "CUDA semantics: memory management".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cnnplan.analyses.forward import Forward
from cnnplan.analyses.optimizers import LOSSES, OPTIMIZERS
from cnnplan.analyses.precision import Precision
from cnnplan.analyses.tape import Place
from cnnplan.ops.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnnplan.analyses.facts import Facts
    from cnnplan.analyses.tape import Tape
    from cnnplan.graph import Node, Value


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


class Recorder(Forward):
    """Writes a tape."""

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

    def infer(self) -> Tape:
        """An inference: evaluation, without gradients."""
        self.needs = {node: Needs((False,) * len(node.inputs), False) for node in self.graph.nodes}
        self.start(training=False)
        self.forward(self.graph.nodes, self.at, self.facts.last, "forward", training=False)
        return self.tape

    # -------------------------------------------------------------- losses

    def losses(self) -> dict[Value, list[int]]:
        """The losses of all outputs, one after the other; what they keep."""
        tape = self.tape
        kept: dict[Value, list[int]] = {}
        wide = 4 if self.setting.precision.mixed else self.setting.precision.low
        for value, name in zip(self.graph.outputs.values(), self.setting.losses, strict=True):
            if name is None:
                continue
            loss, n = LOSSES[name], value.numel * wide
            held = [tape.alloc(n, 0, "loss") for _ in range(loss.kept)]
            held += [tape.alloc(0, wide, "loss")] if loss.classes else []  # the sum of the classes' weights
            brief = [tape.alloc(n, 0, "transient") for _ in range(loss.forward + (self.widths.values[value] < wide))]
            if loss.whole and sum(map(bool, self.setting.losses)) == 1:
                held = []  # the loop holds the number, and with it the storage
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
            n, width = value.numel, self.widths.values[value]
            wanted = LOSSES[names[value] or ""].backward + (width < wide)
            brief = [tape.alloc(n * wide, 0, "transient") for _ in range(wanted)]
            gradients[value] = tape.alloc(n * width, 0, "transient")
            for number in (*brief, *kept[value]):
                tape.drop(number)
        return gradients

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
        missing = [v for v in node.outputs if v not in gradients and v.dtype != "int64"]  # of a split: zeros are made
        entering = [gradients.pop(v) for v in node.outputs if v in gradients]
        brief = [tape.alloc(*self.size(k, node), "transient") for k in scratch.backward]
        brief += [tape.alloc(v.numel * values[v], 0, "transient") for v in missing]
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
                one = tape.hold(one) if one else tape.alloc(value.numel * values[value], 0, "transient")
                leaving.append((value, one))
                continue
            narrow = values[value] != own and index in self.widths.casts.get(node, ())
            cast += [len(leaving)] if narrow else []
            leaving.append((value, tape.alloc(value.numel * (own if narrow else values[value]), 0, "transient")))
        made = self.parameter_gradients(node, done) if needs.parameters else []
        for number in (*self.saved.pop(node, ()), *entering, *brief):
            tape.drop(number)
        for n, number in made:  # of weights that were cast
            tape.alloc(0, n * self.setting.precision.parameter, "gradients")
            tape.drop(number)
        for index in cast:
            value, number = leaving[index]
            leaving[index] = (value, tape.alloc(value.numel * values[value], 0, "transient"))
            tape.drop(number)
        for value, number in leaving:
            old = gradients.get(value)
            if old is None:
                gradients[value] = number
            elif tape.holders(old) == 1:  # added in place
                tape.drop(number)
            else:
                gradients[value] = tape.alloc(value.numel * values[value], 0, "transient")
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

    # -------------------------------------------------------------- the optimizer

    def step(self) -> None:
        """The optimizer's step."""
        tape, setting = self.tape, self.setting
        width = setting.precision.parameter
        sizes = [n for node in self.graph.nodes if node.trainable and not node.shared_with for n in self.tensors[node]]
        needed = OPTIMIZERS[setting.optimizer].scratch(setting.implementation, setting.decayed, sizes)
        made = [tape.alloc(0, n * width, "transient") for n in needed]
        for number in made:
            tape.drop(number)


def record(facts: Facts, setting: Setting, *, training: bool = True) -> Tape:
    """Write down a training step, or an inference."""
    recorder = Recorder(facts, setting)
    return recorder.train() if training else recorder.infer()
