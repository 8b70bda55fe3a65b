"""From the tree of scopes to drafts: what is one box, what is a frame with boxes in it, what is left out.

Copies that are alike are walked side by side, as twins: the last of them is drawn, and its boxes stand for the layers
of all. `paths` remembers of each layer in which copy it is, so that what one copy gives to the next is not drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cnnplan.diagrams.colors import color_of
from cnnplan.diagrams.drafts import Draft, Frame, joined, shared_path, unframed
from cnnplan.diagrams.folding import runs
from cnnplan.diagrams.scopes import SHORT, content, meaning
from cnnplan.diagrams.wording import brief
from cnnplan.render.rows import described

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from cnnplan.diagrams.drafts import DraftPart
    from cnnplan.graph import Copy, Graph, Node, Scope, Step, Value
    from cnnplan.spec import Item

Path = tuple[tuple[int, int], ...]
"""Of the runs of copies around a layer, from the outermost: the run, and which of its copies it is in."""


class Twins(NamedTuple):
    """Copies that are alike. The copies around them come one after the other, each with its `times` copies."""

    copies: Sequence[Copy]
    paths: Sequence[Path]
    times: int


class Drafting:
    """Walks the tree.

    Attributes:
        paths: of each layer that is inside a run of copies.
    """

    def __init__(self, graph: Graph, loosely: bool) -> None:
        self.users: Mapping[Value, Sequence[Node]] = graph.users()
        self.leaving: Collection[Value] = set(graph.outputs.values())
        self.loosely = loosely
        self.paths: dict[Node, Path] = {}
        self.count = 0

    def steps(
        self, alike: Sequence[Sequence[Step]], paths: Sequence[Path], inside: str, level: int, depth: int
    ) -> list[DraftPart]:
        """The parts of lists that are alike."""
        found: list[DraftPart] = []
        for index, step in enumerate(alike[-1]):
            every = [steps[index].copies for steps in alike]
            for start, stop in runs(step.copies, self.loosely):
                times = stop - start
                self.count += 1
                copies = [copy for copies in every for copy in copies[start:stop]]
                within = [(*path, (self.count, copy)) if times > 1 else path for path in paths for copy in range(times)]
                found += self.twins(Twins(copies, within, times), step.item, inside, level, depth)
        return joined(found, self.users, self.leaving)

    def twins(self, twins: Twins, item: Item, inside: str, level: int, depth: int) -> list[DraftPart]:
        copies, paths, times = twins
        last = copies[-1]
        while len(last.steps) == 1 and len(last.steps[0].copies) == 1:
            item = last.steps[0].item
            copies = [copy.steps[0].copies[0] for copy in copies]
            last = copies[-1]
        nodes = [list(copy.nodes()) for copy in copies]
        for path, made in zip(paths, nodes, strict=True):
            self.paths.update((node, path) for node in made)
        if not nodes[-1]:
            return []
        if last.node:
            return [self.layer([node for (node,) in nodes], times, inside)]
        if last.scope:
            scopes = [copy.scope for copy in copies if copy.scope]
            return self.scope(scopes, paths, nodes, times, inside, level, depth, item.key.line)
        parts = self.steps([copy.steps for copy in copies], paths, inside, level, depth)
        if times == 1:
            return parts
        ends = nodes[-times][0].name, nodes[-1][0].name
        names = (_below(ends[0], inside), _below(ends[1], inside)) if len(parts) == 1 else ("", "")
        every = [node for made in nodes for node in made]
        frame = Frame("copies", names, "", "a group", item.key.line, nodes[-times:], every, last.outputs, "", parts)
        return [unframed(frame)]

    def layer(self, nodes: Sequence[Node], times: int, inside: str) -> Draft:
        first, last = nodes[-times], nodes[-1]
        op = last.op
        words = {brief(node) for node in nodes}
        owns = bool(op.parameters(*last.shapes))
        return Draft(
            (_below(first.name, inside), _below(last.name, inside)),
            "merge" if op.group == "merge" else "layer",
            color_of(op.group),
            [words.pop() if len(words) == 1 else op.kind],
            described(op),
            last.item.name is not None,
            last.line,
            [[node] for node in nodes[-times:]],
            list(nodes),
            last.outputs,
            (last.shared_with or "") if owns else "",
        )

    def scope(
        self,
        scopes: Sequence[Scope],
        paths: Sequence[Path],
        nodes: Sequence[list[Node]],
        times: int,
        inside: str,
        level: int,
        depth: int,
        line: int,
    ) -> list[DraftPart]:
        """A block, a named group or a branch: a box or a frame. A merge that shows its branches has no frame."""
        last = scopes[-1]
        opened = depth > 1 or (last.kind == "merge" and level > 0)
        if last.kind == "merge" and opened and times == 1:
            return self.merge(scopes, paths, inside, level, depth)
        names = _below(scopes[-times].name, inside), _below(last.name, inside)
        every = [node for made in nodes for node in made]
        shared = shared_path(last)
        if opened:
            if last.kind == "merge":
                parts = self.merge(scopes, paths, last.name, level + 1, depth)
            else:
                lists = [scope.steps for scope in scopes]
                parts = self.steps(lists, paths, last.name, level + 1, depth - 1)
            what = meaning(last)
            frame = Frame(last.kind, names, what, what, line, nodes[-times:], every, last.outputs, shared, parts)
            return [unframed(frame)]
        if chain := self.chain(scopes, paths, nodes, times, names):
            chain.shared = shared if chain.shared else ""
            return [chain]
        words = content(scopes)
        copies = nodes[-times:]
        return [
            Draft(names, "block", "block", words, meaning(last), True, line, copies, every, last.outputs, shared, True)
        ]

    def chain(
        self,
        scopes: Sequence[Scope],
        paths: Sequence[Path],
        nodes: Sequence[list[Node]],
        times: int,
        names: tuple[str, str],
    ) -> Draft | None:
        """The box of a scope that is no more than a layer and small ones behind it: it says which; else None."""
        kinds = [[node.op.kind for node in made] for made in nodes]
        last = scopes[-1]
        if last.kind == "merge" or len(kinds[-1]) > SHORT or any(other != kinds[-1] for other in kinds):
            return None
        parts = self.steps([scope.steps for scope in scopes], paths, last.name, 1, SHORT)
        only = parts[0]
        if len(parts) > 1 or not isinstance(only, Draft) or len(only.copies) > 1 or only.shape == "block":
            return None
        only.first, only.last = names
        only.copies = list(nodes[-times:])
        only.whole = "\n".join(filter(None, (meaning(last), only.whole)))
        only.given = only.closed = True
        return only

    def merge(
        self, scopes: Sequence[Scope], paths: Sequence[Path], inside: str, level: int, depth: int
    ) -> list[DraftPart]:
        """The branches of a merge, side by side, and its layer."""
        found: list[DraftPart] = []
        last = scopes[-1]
        for index, (_, branch) in enumerate(last.branches):
            if branch is None:
                continue
            alike = [ran for scope in scopes if (ran := scope.branches[index][1])]
            nodes = [list(ran.nodes()) for ran in alike]
            if nodes[-1]:
                line = branch.steps[0].item.key.line
                around = inside if branch.part.isdecimal() else last.name
                found += self.scope(alike, paths, nodes, 1, around, level + 1, depth, line)
        if last.node:
            found.append(self.layer([scope.node for scope in scopes if scope.node], 1, inside))
        return found


def _below(name: str, inside: str) -> str:
    return name[len(inside) + 1 :] if inside and name.startswith(f"{inside}.") else name
