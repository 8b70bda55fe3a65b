"""Does it fit? What a device has to hold for a training step or an inference, with what is only known as a range.

    need(memory, place)           bytes at a batch size: planned exactly, and between which bounds in all
    largest_batch(…)              the largest batch that fits even at the upper bound
    suggestions(…)                what would make it smaller, by how much, at which cost

A range, because two things cannot be known from the architecture. Workspaces of cuBLAS and cuDNN: cuBLAS
takes a fixed one for each handle (PyTorch's documentation, "CUDA semantics: cuBLAS workspaces"), and two
are used, one a thread; cuDNN's choice is between none and copies of a layer's input, output and weights
in another layout. And the CUDA context with its kernels: 0.27 to 0.62 GiB by PyTorch's pull request 86509,
which measured it with lazy and with eager loading. The allocator's own reserve is replayed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from cnnplan.analyses.allocator import replay
from cnnplan.analyses.distributed import share
from cnnplan.analyses.inplace import checkpointed
from cnnplan.analyses.optimizers import OPTIMIZERS, UNFUSED
from cnnplan.conditions import decays
from cnnplan.errors import ShapeError
from cnnplan.graph import Node, Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cnnplan.analyses.allocator import Allocator
    from cnnplan.analyses.distributed import Fleet
    from cnnplan.devices import Device
    from cnnplan.graph import Graph, Step
    from cnnplan.memory import Memory
    from cnnplan.spec import Item

CUBLAS: Final = 8_519_680
CUBLAS_HOPPER: Final = 33_554_432
CONTEXT: Final = (287_047_680, 666_632_192)
MOST: Final = 1 << 20
"""Larger batches are not asked for."""
LIGHTER: Final = {
    "momentum": "needs its own learning rate, and often more steps",
    "sgd": "no momentum: slower to converge",
}
"""Optimizers that hold less than others, and what they cost."""


class Range(NamedTuple):
    """A number of bytes that is known within bounds."""

    at_least: int
    at_most: int


class Need(NamedTuple):
    """What a device has to hold.

    Attributes:
        batch: samples.
        peak: bytes alive at once, planned.
        reserved: what the caching allocator takes for it where there is plenty; the peak on a CPU.
        squeezed: what it takes where memory is short: it gives back what is not used before it asks for more.
        workspace, context: beside it.
        total: all of it.
    """

    batch: int
    peak: int
    reserved: int
    squeezed: int
    workspace: Range
    context: Range
    total: Range


class Suggestion(NamedTuple):
    """What would need less.

    Attributes:
        what: in the words of the spec or the command line.
        cost: what it costs.
        need: what is needed with it.
        saves: bytes of the upper bound.
    """

    what: str
    cost: str
    need: Need
    saves: int


class Place(NamedTuple):
    """Where it has to fit.

    Attributes:
        limit: bytes.
        device: the device, where one is named.
        fleet: several of them; None for one.
    """

    limit: int
    device: Device | None = None
    fleet: Fleet | None = None


class _Most(NamedTuple):
    """What is needed at most: from the allocator where memory is short, and beside it."""

    squeezed: int
    workspace: Range
    context: Range

    @property
    def total(self) -> int:
        return self.squeezed + self.workspace.at_most + self.context.at_most


def need(memory: Memory, place: Place, *, training: bool = True, batch: int | None = None) -> Need:
    """What a device has to hold at a batch size."""
    batch = memory.conditions.batch if batch is None else batch
    most = _most(memory, place, batch, training=training)
    peak = reserved = most.squeezed
    if memory.conditions.target != "cpu":
        books, shared = _replayed(memory, batch, training=training), _shared(memory, place, batch, training=training)
        peak, reserved = books.peak + shared, books.reserved + shared
    total = Range(peak + most.workspace.at_least + most.context.at_least, most.total)
    return Need(batch, peak, reserved, most.squeezed, most.workspace, most.context, total)


def _most(memory: Memory, place: Place, batch: int, *, training: bool) -> _Most:
    """The upper bound alone: half of the work of `need`."""
    shared = _shared(memory, place, batch, training=training)
    if memory.conditions.target == "cpu":
        played = memory.played(batch) if training else memory.inference_tape.play(batch)
        return _Most(played.peak + shared, Range(0, 0), Range(0, 0))
    squeezed = _replayed(memory, batch, training=training, short=True).most + shared
    return _Most(squeezed, _workspace(memory, place.device, batch, training=training), Range(*CONTEXT))


def _replayed(memory: Memory, batch: int, *, training: bool, short: bool = False) -> Allocator:
    """The allocator's books behind a step, or an inference."""
    tape = memory.tape if training else memory.inference_tape
    persistent = sum(where.phase == "start" for where in tape.places)
    return replay(tape.bytes(batch), tape.events, persistent, 2 if training else 1, short=short)


def _shared(memory: Memory, place: Place, batch: int, *, training: bool) -> int:
    """Bytes that a device of several holds beyond what a single one would; below 0 where state is sharded."""
    if place.fleet is None or not training:
        return 0
    return share(memory, place.fleet, batch).peak - memory.played(batch).peak


def _workspace(memory: Memory, device: Device | None, batch: int, *, training: bool) -> Range:
    each = CUBLAS if device and device.compute_capability < (9, 0) else CUBLAS_HOPPER
    convolutions, products = memory.workspaces
    copies = max((batch * units + weights for units, weights in convolutions), default=0)
    handles = 1 + training
    return Range(0, (handles * each if products else 0) + copies)


def largest_batch(memory: Memory, place: Place, *, training: bool = True) -> tuple[int, Need, Need]:
    """The largest batch that fits for sure, and what is needed at it and at one more.

    0 where not even a single sample fits; then both needs are those of one sample. `MOST` where even so
    many do, and larger ones are not asked for; then both are those of `MOST`.
    """

    def room(batch: int) -> int:
        return place.limit - _most(memory, place, batch, training=training).total

    if (left := room(1)) < 0:
        one = need(memory, place, training=training, batch=1)
        return 0, one, one
    low, spare = 1, left
    high, lack = 2, room(2)
    while lack >= 0:  # needs grow about evenly: as far as the room that is left would take it
        if high >= MOST:
            most = need(memory, place, training=training, batch=MOST)
            return MOST, most, most
        grown = (spare - lack) / (high - low)
        low, spare = high, lack
        ahead = int(spare / grown) + 1 if grown > 0 else low
        high = min(MOST, low + max(1, min(ahead, 15 * low)))
        lack = room(high)
    narrow = True
    while high - low > 1:
        between = low + int((high - low) * spare / (spare - lack)) if narrow else (low + high) // 2
        narrow = not narrow
        middle = min(max(between, low + 1), high - 1)
        if (left := room(middle)) >= 0:
            low, spare = middle, left
        else:
            high, lack = middle, left
    at, beyond = (need(memory, place, training=training, batch=n) for n in (low, low + 1))
    return low, at, beyond


def suggestions(memory: Memory, place: Place, largest: int | None = None) -> list[Suggestion]:
    """What would need less in training, the most effective first; what saves nothing is left out.

    A larger stride comes last: it makes another network.

    Args:
        largest: the largest batch, where it is known.
    """
    before = need(memory, place)
    found: list[Suggestion] = []
    for what, cost, other in _alternatives(memory, place, largest):
        after = need(other, place)
        saves = before.total.at_most - after.total.at_most
        if saves > 0 and (cost, saves) not in {(one.cost, one.saves) for one in found}:
            found.append(Suggestion(what, cost, after, saves))
    return sorted(found, key=lambda one: (one.what.startswith("stride"), -one.saves))


def _alternatives(memory: Memory, place: Place, largest: int | None) -> Iterator[tuple[str, str, Memory]]:
    it, device = memory.conditions, place.device
    batch = largest_batch(memory, place)[0] if largest is None else largest
    if 1 <= batch < it.batch:
        yield (
            f"--batch {batch}",
            f"{-(-it.batch // batch)} steps where there was one, and another learning rate",
            (memory.under(it._replace(batch=batch))),
        )
    elif not batch and it.batch > 1:
        yield "--batch 1", "one sample at a time does not fit either", memory.under(it._replace(batch=1))
    if it.dtype == "float32" and it.target != "cpu":
        dtype = "bfloat16" if device is None or device.bfloat16 else "float16"
        scaled = "" if dtype == "bfloat16" else ", with a gradient scaler"
        cost = "the whole model in it: less exact" if it.pure else f"mixed precision: less exact products{scaled}"
        yield f"--dtype {dtype}", cost, memory.under(it._replace(dtype=dtype))
    for name, cost in LIGHTER.items():
        if OPTIMIZERS[it.optimizer].states > OPTIMIZERS[name].states:
            other = it._replace(optimizer=name, decayed=decays(memory.graph, name))
            yield f"--optimizer {name}", cost, memory.under(other)
    if it.implementation == "foreach" and it.target != "cpu" and it.optimizer not in UNFUSED:
        yield (
            "--implementation fused",
            "the same step in one kernel",
            (memory.under(it._replace(implementation="fused"))),
        )
    yield from _recomputed(memory)
    yield from _coarser(memory)


def _recomputed(memory: Memory) -> Iterator[tuple[str, str, Memory]]:
    """Each item of the spec under `checkpoint: true`, as long as it holds several layers."""
    graph = memory.graph
    work = {node: node.op.flops(*node.shapes) * node.slices for node in graph.nodes}
    whole = sum(work.values()) or 1
    items: dict[int, tuple[Item, int]] = {}
    pending: list[Step] = list(graph.root.steps)
    while pending:
        step = pending.pop(0)
        nodes = list(step.nodes())
        if len(nodes) < 2 or step.item.checkpoint or step.item.kind == "share" or nodes[0].checkpoint:
            continue
        saved = sum(memory.saved_bytes[node] for node in nodes)
        items[id(step.item)] = step.item, items.get(id(step.item), (step.item, 0))[1] + saved
        for copy in step.copies:
            if not (copy.scope and copy.scope.block and copy.scope.block.builtin):  # not the reader's own text
                pending += copy.inside()
    for item, _ in sorted(items.values(), key=lambda known: -known[1])[:8]:
        segments = checkpointed(graph, item)
        again = sum(work[node] for node in segments if not node.checkpoint)
        cost = f"{100 * again / whole:.0f} % of the forward pass once more"
        yield f"checkpoint: true on {_named(item)}", cost, memory.recomputing(segments)


def _named(item: Item) -> str:
    return f"'{item.name or item.word}' (line {item.key.line})"


def _coarser(memory: Memory) -> Iterator[tuple[str, str, Memory]]:
    """Twice the stride in the first convolution."""
    graph = memory.graph
    node = next((n for n in graph.nodes if hasattr(n.op, "stride") and n.op.macs(*n.shapes)), None)
    if node is None or node.shared_with or node.inputs[0].shape.rank == 0:
        return
    said = node.item.arguments.get("stride")
    alone = sum(other.item is node.item for other in graph.nodes) == 1
    if not (alone or (said and said[1].dynamic)):  # the item stands for other layers, too
        return
    stride = node.op.stride  # type: ignore[attr-defined]
    twice = tuple(2 * n for n in stride) if isinstance(stride, tuple) else 2 * stride
    other = restrided(memory, node, twice)
    if other:
        shown = list(twice) if isinstance(twice, tuple) else twice
        macs = [sum(n.op.macs(*n.shapes) * n.slices for n in g.nodes) for g in (graph, other.graph)]
        cost = f"coarser maps everywhere behind it: {100 * macs[1] / (macs[0] or 1):.0f} % of the MACs"
        held = [memory.training.parameters, other.training.parameters]
        cost += f", {100 * held[1] / held[0]:.0f} % of the parameters" if held[0] != held[1] else ""
        yield f"stride: {shown} in '{node.name}' (line {node.line})", cost, other


def restrided(memory: Memory, changed: Node, stride: int | tuple[int, ...]) -> Memory | None:
    """The memory with another stride in one layer; None where the network does not run then."""
    graph = memory.graph
    values: dict[Value, Value] = {v: v for v in graph.inputs}
    nodes: dict[Node, Node] = {}
    for node in graph.nodes:
        op = node.op.model_copy(update={"stride": stride}) if node is changed else node.op
        inputs = tuple(values[v] for v in node.inputs)
        like = values[node.like] if node.like else None
        again = Node(
            node.index,
            node.name,
            op,
            inputs,
            like,
            node.item,
            node.trainable,
            node.checkpoint,
            node.shared_with,
            node.at,
        )
        try:
            shapes = op.outputs(*again.shapes)
        except ShapeError:
            return None
        again.give(shapes)
        values.update(zip(node.outputs, again.outputs, strict=True))
        nodes[node] = again
    outputs: Mapping[str, Value] = {name: values[v] for name, v in graph.outputs.items()}
    other: Graph = graph._replace(nodes=tuple(nodes.values()), outputs=outputs)
    return memory.rebuilt(other, nodes, values)
