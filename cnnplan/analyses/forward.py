"""Writes down a forward pass, storage by storage, and what is there before it: the first half of a tape.

A value lives as long as the emitted source holds it; in training, as long as autograd keeps it. Layers
that are recomputed keep what enters them.

Source: PyTorch's documentation, "Autograd mechanics" and "CUDA semantics: memory management".
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from cnnplan.analyses.optimizers import LOSSES, OPTIMIZERS
from cnnplan.analyses.precision import BYTES
from cnnplan.analyses.tape import BLOCK, Place, Tape
from cnnplan.ops.needs import NOTHING, Needs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnnplan.analyses.facts import Facts, Rules
    from cnnplan.analyses.recorder import Setting
    from cnnplan.graph import Node, Value
    from cnnplan.ops.needs import Kept


class Forward:
    """Writes a tape up to the end of a forward pass."""

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
            self.at[value] = tape.alloc(value.numel * self.widths.values[value], 0, "input")
        if training:
            for value, loss in zip(self.graph.outputs.values(), self.setting.losses, strict=True):
                positions = prod(value.shape.spatial)
                if loss is None:
                    continue
                if LOSSES[loss].classes:
                    tape.alloc(8 * positions, 0, "target")
                else:
                    tape.alloc(value.numel * self.setting.precision.parameter, 0, "target")

    # -------------------------------------------------------------- forward

    def rules(self, node: Node) -> Rules:
        """What a layer keeps and needs."""
        return self.facts.rules(node, self.needs[node])

    def judge(self) -> None:
        """Which values need gradients."""
        for node in self.graph.nodes:
            inputs = tuple(self.needed[v] and i not in node.op.detached for i, v in enumerate(node.inputs))
            needs = Needs(inputs, node.trainable and bool(self.tensors[node]))
            self.needs[node] = needs
            self.needed.update((v, needs.any and v.dtype != "int64") for v in node.outputs)

    def size(self, kept: Kept, node: Node) -> tuple[int, int]:
        """Bytes of a layer's own tensor: per sample, and once."""
        own, full = self.widths.own[node]
        dtype = kept.dtype
        held = self.setting.precision.parameter
        on_cpu = {"mask": own, "weight mask": held, "pooled": full, "reduced": own, "float32": held}
        on_cpu |= {"cpu": own, "cuda": 0}
        on_cuda = {"mask": 1, "weight mask": 1, "pooled": own, "reduced": full, "float32": 4, "cpu": 0, "cuda": own}
        special = on_cuda if self.cuda else on_cpu
        width = {"activation": own, "full": full}.get(dtype)
        if width is None:
            width = special[dtype] if dtype in special else BYTES[dtype]
        n = max(0, kept.elements) * width * (node.slices if kept.per_sample else 1)
        return (n, 0) if kept.per_sample else (0, n)

    def made(self, kept: Kept, node: Node, part: str) -> int:
        """The storage of a layer's own tensor."""
        per_sample, constant = self.size(kept, node)
        number = self.tape.alloc(per_sample, constant, part)
        if kept.parts and not self.cuda:
            self.tape.paged[number] = tuple(per_sample * n // kept.elements for n in kept.parts)
        return number

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
                sources[i] = tape.alloc(value.numel * self.widths.own[node][0], 0, "transient")
            packed = None
            if node in self.facts.repacked:
                packed = sources[0] = tape.alloc(node.inputs[0].numel * self.widths.own[node][0], 0, "saved")
            weights = self.weights(node) if training else []
            kept = saved if training and segment is None else NOTHING
            passing = scratch.evaluation
            if training:
                passing = scratch.training
                if parts and not kept.own:  # made all the same
                    passing = (*passing, *(scratch.unkept or scratch.evaluation or parts))
            brief = [self.made(k, node, "transient") for k in passing]
            own = [self.made(k, node, "saved") for k in kept.own]
            rewritten = node in self.facts.in_place and (
                node in self.rewritten or not (training and self.needs[node].any)
            )
            passed = (view if training else passes) and node not in self.facts.copying
            for value in node.outputs:
                if passed or rewritten:
                    at[value] = tape.hold(sources[0])
                else:
                    at[value] = tape.alloc(value.numel * values[value], 0, "activations")
            if training and segment is None and self.needs[node].any:
                held = [tape.hold(sources[i]) for i in kept.inputs]
                held += [tape.hold(at[v]) for v in node.outputs] if kept.output else []
                held += [tape.hold(at[node.outputs[port]]) for port in kept.ports]
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
