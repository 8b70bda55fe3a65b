"""From a plan to a diagram: drafts get their numbers, and the flow of values becomes edges."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cnnplan.diagrams.drafting import Drafting
from cnnplan.diagrams.drafts import Draft
from cnnplan.diagrams.flows import edges
from cnnplan.diagrams.model import Box, Diagram, Group, Line
from cnnplan.diagrams.wording import WIDEST_FRAME, clipped, details, field, weights
from cnnplan.render.numbers import counted, plural
from cnnplan.render.rows import spanned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.diagrams.drafting import Path
    from cnnplan.diagrams.drafts import DraftPart, Frame
    from cnnplan.diagrams.model import Part
    from cnnplan.graph import Node, Value
    from cnnplan.planning import Plan


def diagram(plan: Plan, depth: int | None) -> Diagram:
    """The diagram of a plan; `depth` as in `draw`."""
    drafting = Drafting(plan.graph, loosely=not depth)
    drafts = drafting.steps([plan.graph.root.steps], [()], "", 0, depth or 1)
    return _Building(plan).whole(drafts, drafting.paths)


class _Building:
    """Numbers boxes in the order they run."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.count = 0
        self.boxes: dict[Node, int] = {}

    def whole(self, drafts: Sequence[DraftPart], paths: dict[Node, Path]) -> Diagram:
        plan, graph = self.plan, self.plan.graph
        named = len(graph.inputs) > 1
        inputs = [self.end("input", value.name if named else "input", value) for value in graph.inputs]
        parts = [self.part(draft) for draft in drafts]
        named = len(graph.outputs) > 1
        outputs = [self.end("output", name if named else "output", value) for name, value in graph.outputs.items()]
        flows = edges(
            graph,
            self.boxes,
            {value: box.key for value, box in zip(graph.inputs, inputs, strict=True)},
            ((value, box.key) for value, box in zip(graph.outputs.values(), outputs, strict=True)),
            paths,
        )
        macs = f" · {counted(plan.macs, 'MACs')}" if plan.macs else ""
        root = Group(0, "network", plan.name, "", (*inputs, *parts, *outputs))
        return Diagram(plan.name, f"{plural(plan.parameters, 'parameter')}{macs}", root, flows)

    def end(self, shape: str, name: str, value: Value) -> Box:
        """The box of an input or an output of the network."""
        self.count += 1
        lines = (Line(clipped(name), "name"), Line(value.size, "number"))
        return Box(self.count, shape, "end", lines, f"{shape} {value.name}\n{value.size} {value.dtype}")

    def part(self, draft: DraftPart) -> Part:
        self.count += 1
        key = self.count
        if isinstance(draft, Draft):
            self.boxes.update((node, key) for node in draft.nodes)
            return self.box(key, draft)
        return self.group(key, draft)

    def box(self, key: int, draft: Draft) -> Box:
        name, times = spanned(draft.first, draft.last), len(draft.copies)
        words = [] if _says(name, draft.words) else draft.words
        lines = [Line(clipped(word), "what") for word in words]
        if times == 1 and not draft.given and draft.shape == "merge":  # `add1` says no more than `add`
            lines = [Line(word, "name" if word == draft.words[0] else "what") for word in map(clipped, draft.words)]
        else:
            lines.insert(0, Line(f"{clipped(name)} × {times}" if times > 1 else clipped(name), "name"))
        lines += [Line(text, "number") for text in self.numbers(draft)]
        about = details(self.plan, _path(draft), draft.whole, draft.nodes, draft.line, draft.outputs)
        return Box(key, draft.shape, draft.color, tuple(lines), about, tuple(draft.nodes), times, bool(draft.shared))

    def numbers(self, draft: Draft) -> list[str]:
        """The lines of numbers: shape and field, parameters. Where there are several shapes, two a line."""
        sizes = [value.size for value in draft.outputs]
        if draft.shape == "merge":
            return sizes
        seen = field(self.plan, draft.outputs[0] if draft.outputs else None)
        found = [f"{sizes[0]} · {seen}" if seen else sizes[0]] if len(sizes) == 1 else []
        if not found:
            found = [*(", ".join(sizes[i : i + 2]) for i in range(0, len(sizes), 2)), seen]
        shared = f"weights of {draft.shared}" if draft.shared else ""
        return [clipped(text) for text in (*found, weights(self.plan, draft.copies) or shared) if text]

    def group(self, key: int, frame: Frame) -> Group:
        times = len(frame.copies)
        count = f"× {times}" if times > 1 else ""
        name = spanned(*frame.names)
        what = f"weights of {frame.shared}" if frame.shared else "" if _says(name, [frame.what]) else frame.what
        nodes = [node for made in frame.copies for node in made]
        about = details(self.plan, _path(frame), frame.whole, nodes, frame.line, frame.outputs)
        parts = tuple(self.part(part) for part in frame.parts)
        title = f"{clipped(name)} {count}".strip()
        return Group(key, frame.kind, title, about, parts, clipped(what, WIDEST_FRAME))


def _says(name: str, words: Sequence[str]) -> bool:
    """Whether a name says all that the words do: `relu1` is a `relu`."""
    return len(words) == 1 and re.sub(r"\d+(–\d+)?$", "", name) == words[0]


def _path(draft: DraftPart) -> str:
    """The names of its first layer and its last."""
    return " … ".join(dict.fromkeys((draft.nodes[0].name, draft.nodes[-1].name)))
