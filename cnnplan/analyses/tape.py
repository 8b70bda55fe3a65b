"""When is which tensor alive? The tape of a training step, or of an inference: storages that come and go.

    tape.play(batch)     the bytes alive after every event, for any batch size
    tape.parts(batch, at)    what is alive then, by what it is for

`recorder` writes it. Storages, not tensors: a view shares its base's, and what runs in place its input's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cnnplan.graph import Node

BLOCK = 512
"""CUDA's allocator rounds every request up to this many bytes."""

PAGE = 4096
"""The parts of a workspace of a CPU kernel are rounded up to this many bytes."""


class Storage(NamedTuple):
    """A piece of memory.

    Attributes:
        per_sample, constant: its bytes: batch · per_sample + constant.
        part: what it is for, such as "parameters", "saved" or "gradients".
    """

    per_sample: int
    constant: int
    part: str


class Place(NamedTuple):
    """A moment of the step: in which phase, at which layer."""

    phase: str
    node: Node | None


class Played(NamedTuple):
    """A step at one batch size.

    Attributes:
        live: bytes alive after each event.
        peak: the most there are.
        at: the event of the peak.
    """

    live: list[int]
    peak: int
    at: int


class Tape:
    """The storages of a step and the order in which they come and go.

    Attributes:
        per_sample, constant, part: of each storage, in parallel lists: thousands of small tuples cost a plan time.
        events: their numbers, from 1; negative where one is freed.
        places: where each event happens.
        kept: for each layer, the storages that it is the first to keep for the backward pass.
        named: for each layer, what it keeps and in which storage.
        paged: of the workspaces of CPU kernels: the bytes per sample of each part, which fills whole pages.
        outputs: the storages of the network's outputs.
        block: sizes are rounded up to a multiple of this.
    """

    def __init__(self, block: int) -> None:
        self.per_sample: list[int] = []
        self.constant: list[int] = []
        self.part: list[str] = []
        self.events: list[int] = []
        self.places: list[Place] = []
        self.kept: dict[Node, list[int]] = {}
        self.named: dict[Node, list[tuple[str, int]]] = {}
        self.paged: dict[int, tuple[int, ...]] = {}
        self.outputs: set[int] = set()
        self.block = block
        self.place = Place("start", None)
        self._refs: list[int] = []

    def alloc(self, per_sample: int, constant: int, part: str) -> int:
        """A new storage, held once."""
        self.per_sample.append(per_sample)
        self.constant.append(constant)
        self.part.append(part)
        self._refs.append(1)
        number = len(self._refs)
        self.events.append(number)
        self.places.append(self.place)
        return number

    @property
    def storages(self) -> list[Storage]:
        """All storages."""
        return list(map(Storage, self.per_sample, self.constant, self.part))

    def exact(self, number: int, batch: int) -> int:
        """The bytes of a storage, not rounded up."""
        if number in self.paged:
            return sum(-(-part * batch // PAGE) * PAGE for part in self.paged[number])
        return self.per_sample[number - 1] * batch + self.constant[number - 1]

    def hold(self, number: int) -> int:
        """One more holder."""
        self._refs[number - 1] += 1
        return number

    def drop(self, number: int) -> None:
        """One holder less; nobody's storage is freed."""
        self._refs[number - 1] -= 1
        if not self._refs[number - 1]:
            self.events.append(-number)
            self.places.append(self.place)

    def holders(self, number: int) -> int:
        """How many hold it."""
        return self._refs[number - 1]

    def bytes(self, batch: int) -> list[int]:
        """The bytes of each storage at a batch size."""
        block = self.block
        if block == 1:
            sizes = [a * batch + b for a, b in zip(self.per_sample, self.constant, strict=True)]
            for number in self.paged:
                sizes[number - 1] = self.exact(number, batch)
            return sizes
        return [-(-(a * batch + b) // block) * block for a, b in zip(self.per_sample, self.constant, strict=True)]

    def play(self, batch: int) -> Played:
        """The step at a batch size."""
        sizes = self.bytes(batch)
        live, now, peak, at = [], 0, 0, 0
        for index, event in enumerate(self.events):
            now += sizes[event - 1] if event > 0 else -sizes[-event - 1]
            live.append(now)
            if now > peak:
                peak, at = now, index
        return Played(live, peak, at)

    def parts(self, batch: int, at: int) -> dict[str, int]:
        """What is alive after an event, by what it is for."""
        sizes = self.bytes(batch)
        found: dict[str, int] = {}
        for event in self.events[: at + 1]:
            number = abs(event)
            part = self.part[number - 1]
            found[part] = found.get(part, 0) + (sizes[number - 1] if event > 0 else -sizes[number - 1])
        return {part: n for part, n in found.items() if n}
