"""Where modules go: the statements that put them into their scope, for all uses of a block at once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from cnnplan.emit.layout import Call, statement, written
from cnnplan.emit.names import local
from cnnplan.emit.solver import Inexpressible, Solver
from cnnplan.emit.structure import NUMBERED, part_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cnnplan.emit.draft import Draft
    from cnnplan.emit.structure import Rules
    from cnnplan.emit.terms import Site
    from cnnplan.graph import Copy, Step
    from cnnplan.spec import Item


class Placed(NamedTuple):
    """A copy of an item at one site; `inside` is the path of the scope around it."""

    site: Site
    copy: Copy
    inside: str


class Ran(NamedTuple):
    """A list of items as it ran at one site."""

    site: Site
    steps: Mapping[int, Step]
    inside: str


def ran(site: Site, steps: Sequence[Step], inside: str) -> Ran:
    """The steps of a list, found by their item."""
    return Ran(site, {id(step.item): step for step in steps}, inside)


class Placing:
    """Writes statements into the constructor of one class.

    Raises Inexpressible where the uses differ too much for one class.

    Attributes:
        shape: of the value that was made last, which no comment repeats.
        commented: whether shapes are written as comments.
        held: variables that hold a group or merge while it is built.
        copied: whether inside the copies of a group without a name.
        frozen: whether inside a group without a name that the spec freezes.
        writing: the paths of the layers that the next statement writes.
    """

    def __init__(self, draft: Draft, rules: Rules) -> None:
        self.draft = draft
        self.rules = rules
        self.solver = Solver(draft.uses)
        self.shape = ""
        self.commented = True
        self.held: set[str] = set()
        self.copied = False
        self.frozen = False
        self.writing: tuple[str, ...] = ()

    @contextmanager
    def inside(self, frozen: bool, copied: bool) -> Iterator[None]:
        """What holds for the items of an inner list, and no longer, whatever happens there."""
        outer = self.frozen, self.copied
        self.frozen, self.copied = frozen, copied
        try:
            yield
        finally:
            self.frozen, self.copied = outer

    @contextmanager
    def silent(self) -> Iterator[None]:
        """No shapes as comments: they would be those of some of the uses alone."""
        outer, self.commented = self.commented, False
        try:
            yield
        finally:
            self.commented = outer

    def holder(
        self,
        item: Item,
        placed: Sequence[Placed],
        kind: str,
        target: str,
        indent: int,
        options: str = "",
        shape: str = "",
    ) -> str:
        """Create what holds the layers of a group or merge; the source that names it."""
        parts = self.parts_of(placed)
        comment = shape if shape != self.shape and self.commented else ""
        if len(set(parts)) == 1 and parts[0].isidentifier():
            self.add(indent, f"{target}.{parts[0]} = {kind}({options})", comment)
            return f"{target}.{parts[0]}"
        variable = local(item.name or item.word, {*self.solver.taken, *placed[0].site.loop, *self.held})
        self.held.add(variable)
        self.add(indent, f"{variable} = {kind}({options})", comment)
        return variable

    def hold(self, item: Item, placed: Sequence[Placed], inner: str, target: str, indent: int) -> None:
        """Register what `holder` kept in a variable; freeze it where the spec says so."""
        if self.freezes(item):
            self.add(indent, f"{inner}.requires_grad_(False)")
        if "." not in inner:
            self.held.discard(inner)
            self.place(target, self.parts_of(placed), [p.site for p in placed], inner, indent, "")

    def parts_of(self, placed: Sequence[Placed]) -> list[str]:
        return [part_of(p.copy.scope.path, p.inside) for p in placed if p.copy.scope]

    def place(
        self, target: str, parts: Sequence[str], sites: Sequence[Site], code: str | Call, indent: int, shape: str
    ) -> None:
        """The statement that makes `code` the child `parts` of `target`."""
        comment = ""
        if shape and shape != self.shape and self.commented:
            comment = self.shape = shape
        if len(set(parts)) == 1 and parts[0].isidentifier():
            head = f"{target}.{parts[0]} = "
            self.add(
                indent,
                Call(head + code.head, code.arguments, code.tail) if isinstance(code, Call) else head + code,
                comment,
            )
        elif all(part.isdecimal() for part in parts):
            self.add(indent, Call(f"{target}.append(", (code,)), comment)
        elif "." in parts[0]:  # a named item in the copies of a group: its copies are in a list
            name, _, number = parts[0].partition(".")
            if len(set(parts)) > 1:
                raise Inexpressible(name)
            if number == "0":
                self.add(indent, f"{target}.{name} = nn.ModuleList()")
            self.add(indent, Call(f"{target}.{name}.append(", (code,)), comment)
        else:
            name = self.numbered(parts, sites)
            self.add(indent, Call(f"{target}.add_module(", (name, code)), comment)

    def numbered(self, parts: Sequence[str], sites: Sequence[Site]) -> str:
        """The source of a name whose number depends on a loop variable."""
        matches = [NUMBERED.fullmatch(part) for part in parts]
        words = {m[1] for m in matches if m}
        if not all(matches) or len(words) != 1:
            raise Inexpressible(parts[0])
        number = self.solver.ordinal([int(m[2]) for m in matches if m], sites)
        return f'f"{words.pop()}{{{number}}}"'

    def freezes(self, item: Item) -> bool:
        return item.trainable is False or self.frozen

    def freeze(self, target: str, parts: Sequence[str], sites: Sequence[Site], indent: int) -> None:
        if len(set(parts)) == 1 and parts[0].isidentifier():
            self.add(indent, f"{target}.{parts[0]}.requires_grad_(False)")
        elif all(part.isdecimal() for part in parts):
            self.add(indent, f"{target}[-1].requires_grad_(False)")
        elif "." in parts[0]:
            self.add(indent, f"{target}.{parts[0].partition('.')[0]}[-1].requires_grad_(False)")
        else:
            self.add(indent, f"{target}.get_submodule({self.numbered(parts, sites)}).requires_grad_(False)")

    def add(self, indent: int, code: str | Call, comment: str = "") -> None:
        self.draft.lines += written(statement(indent, code, comment), self.writing)


def beside(target: str, parts: Sequence[str], suffix: str) -> tuple[str, list[str]]:
    """Where modules that run around layers are put, and their names: `conv1_pad`, `stage_pad0`."""
    if parts[0].isdecimal():  # beside the list that holds the copies
        owner, _, name = target.rpartition(".")
        return owner, [f"{name}{suffix}{number}" for number in parts]
    return target, [f"{name}{suffix}{number}" for name, _, number in (part.partition(".") for part in parts)]


def setting(target: str, name: str, code: str) -> str:
    """The statement that registers a child, whatever its name."""
    if name.isidentifier():
        return f"{target}.{name} = {code}"
    return f'{target}.add_module("{name}", {code})'
