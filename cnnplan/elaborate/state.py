"""What elaboration knows while it runs."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from cnnplan.graph import Copy, Node, Step, Value
from cnnplan.limits import MAX_VISITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cnnplan.diagnostics import Report
    from cnnplan.expressions import Names
    from cnnplan.ops.base import Shape
    from cnnplan.source import Node as TextNode
    from cnnplan.spec import Item, Spec

Values: TypeAlias = tuple[Value, ...]


class Unknown:
    """The type of `UNKNOWN`."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()
"""The value of a name that an earlier error keeps from being known."""


class TooMuch(Exception):
    """The network is larger than the limits; the report says so."""


class Run:
    """One elaboration: its spec, its findings, the layers so far, and what it has cost."""

    __slots__ = ("facts", "nodes", "pools", "report", "spec", "variables", "visits")

    def __init__(self, spec: Spec, report: Report, variables: Names) -> None:
        self.spec = spec
        self.report = report
        self.variables = variables
        self.nodes: list[Node] = []
        self.pools: dict[str, list[Node]] = {}  # the runs of each max pool, by the path of its module
        self.visits = 0
        self.facts: dict[Any, tuple[Shape, ...]] = {}

    def visit(self, item: Item, where: Where, times: int = 1) -> None:
        """Count an item that is run or left out."""
        self.visits += times
        if self.visits > MAX_VISITS:
            self.too_much(f"the network runs more than {MAX_VISITS:,} items", item, where)

    def too_much(self, message: str, item: Item, where: Where) -> None:
        """Stop: the network is larger than the limits."""
        self.report.add("Y910", message, where.place or item.key)
        raise TooMuch


class Outcome(NamedTuple):
    """What a copy of an item became.

    `values` is None where an error keeps them from being known; `parts` are the names of a
    block's several outputs.
    """

    values: Values | None
    copy: Copy | None = None
    parts: tuple[str, ...] = ()
    path: str = ""


class Record(NamedTuple):
    """What a visible name stands for."""

    values: Values | None
    parts: tuple[str, ...] = ()
    step: Step | None = None
    path: str = ""
    left_out: str = ""
    item: Item | None = None


class Frame:
    """The names that are visible in one list: its own, and those of the lists around it.

    `named` = what enters the list are inputs with names.
    """

    __slots__ = ("inputs", "items", "named", "parent", "records")

    def __init__(
        self, items: Sequence[Item], parent: Frame | None, inputs: Mapping[str, Values | None], named: bool = False
    ) -> None:
        self.items = items
        self.parent = parent
        self.inputs = inputs
        self.named = named
        self.records: dict[str, Record] = {}

    def around(self) -> Iterator[Frame]:
        """This frame, and those around it."""
        frame: Frame | None = self
        while frame:
            yield frame
            frame = frame.parent

    def find(self, name: str) -> Record | None:
        return next((f.records[name] for f in self.around() if name in f.records), None)

    def known(self) -> list[str]:
        """Every name that can be referred to here."""
        return [*(name for f in self.around() for name in f.records), *self.inputs, "previous"]

    def later(self, name: str) -> Item | None:
        """The item of this name that comes later in one of the lists."""
        return next((item for f in self.around() for item in f.items if item.known_as == name), None)


class Naming:
    """Hands out the names of the layers of one scope: the given one, else kind and ordinal."""

    __slots__ = ("copies", "given", "ordinals", "prefix", "taken")

    def __init__(self, prefix: str, items: tuple[Item, ...]) -> None:
        self.prefix = prefix
        self.ordinals: dict[str, int] = {}
        self.given: dict[str, dict[int, str]] = {}  # name → the items of that name, and what each goes by
        self.copies: dict[int, int] = {}
        self.taken = set(_given_names(items))

    def name(self, item: Item, numbered: bool) -> str:
        """The name of the next copy of an item; `numbered` where a named item has several."""
        if item.name is None:
            ordinal = self.ordinals[item.word] = self.ordinals.get(item.word, 0) + 1
            return self.free(f"{item.word}{ordinal}")
        same = self.given.setdefault(item.name, {})
        key = id(item)
        if key not in same:  # a group without a name may give a name that the list around it gives too
            same[key] = self.free(item.name) if same else item.name
        if not numbered:
            return same[key]
        number = self.copies[key] = self.copies.get(key, -1) + 1
        return f"{same[key]}.{number}"

    def free(self, name: str) -> str:
        found, suffix = name, 2
        while found in self.taken:
            found, suffix = f"{name}_{suffix}", suffix + 1
        self.taken.add(found)
        return found


@lru_cache(maxsize=256)
def _given_names(items: tuple[Item, ...]) -> frozenset[str]:
    return frozenset(_given(items))


def _given(items: Sequence[Item]) -> Iterator[str]:
    """The names given in a list, and in its groups that have none."""
    for item in items:
        if item.name:
            yield item.name
        elif item.kind == "group":
            yield from _given(item.items)


class Use(NamedTuple):
    """A use of a block, or a `share` of an item, that is being run.

    What is wrong inside a built-in block, or in a further run of an item, is reported at its use.
    """

    item: Item
    path: str
    builtin: bool
    shared: str = ""

    @property
    def is_place(self) -> bool:
        """Whether findings are placed here instead of inside."""
        return self.builtin or bool(self.shared)

    @property
    def prefix(self) -> str:
        """What a finding that is placed here begins with."""
        if self.shared:
            return f"in this run of '{self.shared}': "
        return f"in built-in block '{self.item.word}': " if self.builtin else ""


class Where(NamedTuple):
    """The surroundings of an item: what it sees, and what it inherits.

    `copied` is true inside the repeated copies of a group without a name. `place` is where findings
    are reported instead of at the item itself: the use of a built-in block, or a `share`.
    """

    run: Run
    names: Names
    frame: Frame
    naming: Naming
    copied: bool = False
    trainable: bool = True
    checkpoint: bool = False
    uses: tuple[Use, ...] = ()
    place: TextNode | None = None

    def inside(self, items: tuple[Item, ...], prefix: str) -> Where:
        """The surroundings of a list with names of its own, such as a branch's."""
        frame = Frame(items, self.frame, self.frame.inputs)
        return self._replace(frame=frame, naming=Naming(prefix, items), copied=False)

    def modified(self, item: Item) -> Where:
        """The surroundings below an item's own `trainable` and `checkpoint`."""
        if item.trainable is not False and not item.checkpoint:
            return self
        return self._replace(
            trainable=self.trainable and item.trainable is not False,
            checkpoint=self.checkpoint or item.checkpoint,
        )
