"""Changes of items as edits of the text: what is not changed stays as it is, comments and all.

An item may be written in many ways (`- relu`, `- conv: 64`, `- conv: {…}`, below each other, in a list in brackets);
what is written in a way that a step does not know gives no fix.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from cnnplan.diagnostics import Edit, Position, Report
from cnnplan.names import MODIFIERS
from cnnplan.source import LINE_BREAK, Mapping, Scalar, Sequence, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cnnplan.graph import Node
    from cnnplan.lint.base import Change
    from cnnplan.source import Node as TextNode


class Entry(NamedTuple):
    """An item of a list as it is written.

    Attributes:
        node: the whole item.
        parent: the list.
        place: its index there.
        key: its word.
        value: what stands behind the word; None for a word alone.
    """

    node: TextNode
    parent: Sequence
    place: int
    key: Scalar
    value: TextNode | None

    @property
    def modified(self) -> bool:
        """Whether something beside its word says what enters it, or how often it runs."""
        return isinstance(self.node, Mapping) and any(key in MODIFIERS and key != "name" for key in self.node.entries)


class Sheet:
    """The text of a spec, with its items by the places of their words."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = LINE_BREAK.split(text)
        self._starts = _line_starts(text)
        top = parse(text, Report(""))
        self._entries = {key.start: entry for entry in _entries(top) for key in _keys(entry)} if top else {}

    def offset(self, at: Position) -> int:
        """A place as an index of the text."""
        return self._starts[at.line - 1] + at.column - 1

    def position(self, offset: int) -> Position:
        """An index of the text as a place."""
        from bisect import bisect_right

        line = bisect_right(self._starts, offset)
        return Position(line, offset - self._starts[line - 1] + 1)

    def entry(self, node: Node) -> Entry | None:
        """The item that made a layer; None where the user did not write it: inside a built-in block, or by `share`."""
        if node.at is not node.item.key:
            return None
        found = self._entries.get(node.item.key.start)
        if found is None or found.key.start == node.item.key.start:
            return found
        assert isinstance(found.node, Mapping)
        key, value = next(pair for pair in found.node if pair[0].start == node.item.key.start)
        return found._replace(key=key, value=value)

    def inserted(self, key: Position, text: str) -> list[Edit] | None:
        """An item before the one whose word stands there; None where it cannot be written."""
        entry = self._entries.get(key)
        return self._before(entry, text) if entry else None

    def write(self, change: Change) -> tuple[Edit, ...] | None:
        """The edits of a change; None where one of its steps cannot be written."""
        found: list[Edit] = []
        for node, (what, *words) in change.steps:
            entry = self.entry(node)
            if entry is None:
                return None
            edits = self._step(entry, node, what, words)
            if edits is None:
                return None
            found += edits
        found = sorted(set(found))  # copies of an item are written once
        if any(a.end > b.start for a, b in pairwise(found)):
            return None
        return tuple(found)

    def _step(self, entry: Entry, node: Node, what: str | Node, words: list[str | Node]) -> list[Edit] | None:
        match what, *words:
            case "set", str(name), str(text):
                return self._set(entry, name, text, node.op.first())
            case "drop", str(name):
                return self._drop(entry, name)
            case "replace", str(text):
                return self._replace(entry, text)
            case ("remove",):
                return self._remove(entry)
            case "before", str(text):
                return self._before(entry, text)
            case "after", str(text):
                return self._after(entry, text)
            case "swap", other:
                assert not isinstance(other, str)
                return self._swap(entry, self.entry(other))
        raise AssertionError(what)

    # ---------------------------------------------------------------------- steps

    def _set(self, entry: Entry, name: str, text: str, first: str | None) -> list[Edit] | None:
        """`name: text` among the arguments."""
        key, value = entry.key, entry.value
        if value is None:
            if self._is_flow(entry.parent):
                return [self._edit(key.start, key.end, f"{{{key.text}: {{{name}: {text}}}}}")]
            return [self._edit(key.end, key.end, f": {{{name}: {text}}}")]
        if isinstance(value, Scalar) and value.value is None and value.plain and not value.text:
            colon = self.text.find(":", self.offset(key.end))
            return [self._edit(self.position(colon + 1), self.position(colon + 1), f" {{{name}: {text}}}")]
        if not isinstance(value, Mapping):
            end = self.end(value)
            if name == first:
                return [self._edit(value.start, end, text)]
            own = self.text[self.offset(value.start) : self.offset(end)]
            if isinstance(value, Scalar) and value.plain and any(c in ",[]{}" for c in own):
                if '"' in own or "\\" in own:
                    return None
                own = f'"{own}"'
            return [self._edit(value.start, end, f"{{{first}: {own}, {name}: {text}}}")]
        if name in value.entries:
            old = value.entries[name][1]
            if isinstance(old, Scalar) and old.is_expression:
                return None  # it says when it is otherwise
            return [self._edit(old.start, self.end(old), text)]
        if self._is_flow(value):
            if not value.entries:
                return [self._edit(value.start, value.end, f"{{{name}: {text}}}")]
            last = self.end([v for _, v in value][-1])
            return [self._edit(last, last, f", {name}: {text}")]
        start = next(iter(value))[0].start
        return [self._line_behind(self.end(value), f"{' ' * (start.column - 1)}{name}: {text}")]

    def _drop(self, entry: Entry, name: str) -> list[Edit] | None:
        """Without the argument `name`."""
        value = entry.value
        if not isinstance(value, Mapping) or name not in value.entries:
            return None
        return self._without(list(value), list(value.entries).index(name), value)

    def _remove(self, entry: Entry) -> list[Edit] | None:
        """Without the item."""
        items = entry.parent.items
        if len(items) < 2 or entry.modified:
            return None
        return self._without([(item, item) for item in items], entry.place, entry.parent)

    def _without(
        self, things: list[tuple[TextNode, TextNode]], index: int, parent: Sequence | Mapping
    ) -> list[Edit] | None:
        """Without one of the things that stand in a collection, each from where its first node starts to its last."""
        start, end = things[index][0].start, self.end(things[index][1])
        if self._is_flow(parent):
            if len(things) == 1:
                return [self._edit(start, end, "")]
            if index + 1 < len(things):
                return [self._edit(start, things[index + 1][0].start, "")]
            return [self._edit(self.end(things[index - 1][1]), end, "")]
        lead = self.lines[start.line - 1][: start.column - 1]
        if lead.strip(" -") or lead.count("-") != isinstance(parent, Sequence) or len(things) == 1:
            return None  # something else stands before it in its line
        if end.line < len(self.lines):
            return [self._edit(Position(start.line, 1), Position(end.line + 1, 1), "")]
        before = Position(start.line - 1, len(self.lines[start.line - 2]) + 1)
        return [self._edit(before, Position(end.line, len(self.lines[end.line - 1]) + 1), "")]

    def _replace(self, entry: Entry, text: str) -> list[Edit] | None:
        """Another operation with its arguments, instead of its own: `text` as it stands behind the dash."""
        if entry.value is None:
            return [
                self._edit(entry.node.start, entry.node.end, _flowing(text) if self._is_flow(entry.parent) else text)
            ]
        if self._is_flow(entry.parent) and not self._is_flow(entry.node) and len(_keys(entry)) > 1:
            return None
        if isinstance(entry.node, Mapping) and len(entry.node.entries) == 1 and not self._is_flow(entry.node):
            return [self._edit(entry.node.start, self.end(entry.node), text)]
        written = text if ":" in text else f"{text}: " if self._is_flow(entry.node) else f"{text}:"
        return [self._edit(entry.key.start, self.end(entry.value), written)]

    def _swap(self, entry: Entry, other: Entry | None) -> list[Edit] | None:
        """In the place of the item behind it, which comes first."""
        if other is None or other.parent is not entry.parent or other.place != entry.place + 1:
            return None
        if any(isinstance(e.node, Mapping) and any(key in MODIFIERS for key in e.node.entries) for e in (entry, other)):
            return None
        spans = [(e.node.start, self.end(e.node)) for e in (entry, other)]
        if not self._is_flow(entry.parent):  # with the comments in their lines
            spans = [(start, Position(end.line, len(self.lines[end.line - 1]) + 1)) for start, end in spans]
        texts = [self.text[self.offset(start) : self.offset(end)] for start, end in spans]
        return [self._edit(*span, text) for span, text in zip(spans, reversed(texts), strict=True)]

    def _before(self, entry: Entry, text: str) -> list[Edit] | None:
        """An item before it, which takes what enters it now."""
        if entry.modified:
            return None
        start = entry.node.start
        if self._is_flow(entry.parent):
            return [self._edit(start, start, f"{_flowing(text)}, ")]
        lead = self.lines[start.line - 1][: start.column - 1]
        if lead.strip(" -") or "-" not in lead:
            return None
        return [self._edit(start, start, f"{text}\n{' ' * lead.rindex('-')}- ")]

    def _after(self, entry: Entry, text: str) -> list[Edit] | None:
        """An item behind it, which takes what it gives."""
        if isinstance(entry.node, Mapping) and any(key in MODIFIERS for key in entry.node.entries):
            return None
        end = self.end(entry.node)
        if self._is_flow(entry.parent):
            return [self._edit(end, end, f", {_flowing(text)}")]
        lead = self.lines[entry.node.start.line - 1][: entry.node.start.column - 1]
        if lead.strip(" -") or "-" not in lead:
            return None
        return [self._line_behind(end, f"{' ' * lead.rindex('-')}- {text}")]

    def _line_behind(self, end: Position, text: str) -> Edit:
        """A line below the one that ends there, and below a comment in it."""
        place = Position(end.line, len(self.lines[end.line - 1]) + 1)
        return self._edit(place, place, f"\n{text}")

    # ---------------------------------------------------------------------- the text

    @staticmethod
    def _edit(start: Position, end: Position, text: str) -> Edit:
        return Edit(start, end, text)

    def _is_flow(self, node: TextNode) -> bool:
        """Whether a collection is written in brackets."""
        return isinstance(node, Sequence | Mapping) and self.text[self.offset(node.start)] in "[{"

    def end(self, node: TextNode) -> Position:
        """Where a node ends; a collection without brackets, with the last thing in it."""
        if isinstance(node, Sequence) and not self._is_flow(node) and node.items:
            return self.end(node.items[-1])
        if isinstance(node, Mapping) and not self._is_flow(node) and node.entries:
            key, value = list(node)[-1]
            if isinstance(value, Scalar) and value.plain and not value.text:
                return self.position(self.text.index(":", self.offset(key.end)) + 1)
            return self.end(value)
        return node.end


def _entries(node: TextNode) -> Iterator[Entry]:
    """All items of all lists."""
    stack = [node]
    while stack:
        found = stack.pop()
        if isinstance(found, Mapping):
            stack += [value for _, value in found]
        elif isinstance(found, Sequence):
            for index, item in enumerate(found.items):
                if isinstance(item, Mapping) and item.entries:
                    key, value = next(iter(item))
                    yield Entry(item, found, index, key, value)
                elif isinstance(item, Scalar):
                    yield Entry(item, found, index, item, None)
            stack += found.items


def _keys(entry: Entry) -> list[Scalar]:
    return [key for key, _ in entry.node] if isinstance(entry.node, Mapping) else [entry.key]


def _flowing(text: str) -> str:
    """An item as it stands in a list in brackets."""
    return f"{{{text}}}" if ":" in text else text


def applied(text: str, edits: Iterable[Edit]) -> str:
    """The text with edits that do not overlap."""
    starts = _line_starts(text)
    for edit in sorted(edits, reverse=True):
        start, end = (starts[at.line - 1] + at.column - 1 for at in (edit.start, edit.end))
        text = text[:start] + edit.text + text[end:]
    return text


def _line_starts(text: str) -> list[int]:
    return [0, *(found.end() for found in LINE_BREAK.finditer(text))]
