"""YAML text to nodes that know their line and column.

The only importer of yaml. It reads libyaml's event stream instead of composing a document: the
composer dies of deep nesting, resolves scalars by YAML 1.1 and keeps the last of two equal keys.
Here nesting and size are bounded while reading, scalars follow the YAML 1.2 core schema, and
duplicate keys, anchors, aliases, tags and `<<` are errors with a place.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import yaml  # noqa: TID251 - this is the one place

from cnnplan.diagnostics import Position, Related, Report

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 2_000_000
MAX_NODES = 150_000
MAX_DEPTH = 64
MAX_INTEGER = 2**63 - 1

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}
_NUMBER_STARTS = frozenset("0123456789+-.")
# Control characters, and what YAML 1.1 takes for the end of a line and YAML 1.2 does not.
REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_QUOTED = re.compile("'[^']*'|\"[^\"]*\"")
_QUOTE = re.compile("['\"]")
LINE_BREAK = re.compile("\r\n|[\n\r]")


class Node:
    """A piece of the text. `start` and `end` are places in it; `end` is exclusive.

    `spoiled` = it is not part of the language, which is reported: it has no value, and is blamed
    for nothing else.
    """

    __slots__ = ("end_mark", "spoiled", "start_mark")

    def __init__(self, start: Any, end: Any) -> None:
        self.start_mark = start
        self.end_mark = end
        self.spoiled = False

    @property
    def start(self) -> Position:
        return Position(self.start_mark.line + 1, self.start_mark.column + 1)

    @property
    def end(self) -> Position:
        return Position(self.end_mark.line + 1, self.end_mark.column + 1)

    @property
    def line(self) -> int:
        return int(self.start_mark.line) + 1

    kind = "value"


class Scalar(Node):
    """A number, text, boolean or null. `plain` = written without quotes, `flow` = inside {…} or […]."""

    __slots__ = ("flow", "plain", "text", "value")

    def __init__(self, start: Any, end: Any, value: Any, text: str, plain: bool, flow: bool) -> None:
        self.start_mark = start
        self.end_mark = end
        self.value = value
        self.text = text
        self.plain = plain
        self.flow = flow
        self.spoiled = False

    @property
    def is_expression(self) -> bool:
        """Whether this is an expression: a text that starts with `=`."""
        return type(self.value) is str and self.value.startswith("=")

    @property
    def is_cut(self) -> bool:
        """Whether this is an expression that YAML cut off at a comma or bracket inside {…} or […]."""
        if not (self.is_expression and self.plain and self.flow):
            return False
        bare = _QUOTED.sub("", self.text)
        return bare.count("(") > bare.count(")") or bare.count("[") > bare.count("]") or bool(_QUOTE.search(bare))

    @property
    def kind(self) -> str:  # type: ignore[override]
        return describe(self.value)


class Sequence(Node):
    """A list."""

    __slots__ = ("items",)
    kind = "a list"

    def __init__(self, start: Any, end: Any) -> None:
        self.start_mark = start
        self.end_mark = end
        self.spoiled = False
        self.items: list[Node] = []


class Mapping(Node):
    """A mapping. `entries` holds (key, value) nodes in the order of the text, without duplicates.

    `cut` = a value is an expression that YAML cut off at a comma: what is left of it looks like
    further keys, which are dropped.
    """

    __slots__ = ("cut", "entries")
    kind = "a mapping"

    def __init__(self, start: Any, end: Any) -> None:
        self.start_mark = start
        self.end_mark = end
        self.spoiled = False
        self.entries: dict[Any, tuple[Scalar, Node]] = {}
        self.cut = False

    def __iter__(self) -> Iterator[tuple[Scalar, Node]]:
        return iter(self.entries.values())

    def get(self, key: str) -> Node | None:
        """The value under `key`, if it is given."""
        entry = self.entries.get(key)
        return entry[1] if entry else None


class _Abort(Exception):
    """Reading cannot go on; the report says why."""


def decode(data: bytes, report: Report) -> str | None:
    """The text of a file, or None (and a finding) where it is too large or not UTF-8."""
    if len(data) > MAX_BYTES:
        report.add(
            "Y910",
            f"the file is too large; a spec has at most {MAX_BYTES:,} bytes",
            help="use `repeat` and blocks instead of repeating layers",
        )
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        lines = LINE_BREAK.split(before)
        at = Position(len(lines), len(lines[-1]) + 1)
        report.add(
            "Y908",
            f"the file is not UTF-8 text: byte 0x{data[error.start]:02x} at offset {error.start:,}",
            span=(at, Position(at.line, at.column + 1)),
            help="save it as UTF-8",
        )
        return None
    return text.removeprefix("\ufeff")


def parse(text: str, report: Report) -> Mapping | None:
    """The nodes of one YAML document whose top is a mapping; None where that cannot be had."""
    if len(text) > MAX_BYTES and decode(text.encode("utf-8", "replace"), report) is None:
        return None
    if bad := REFUSED.search(text):
        lines = LINE_BREAK.split(text[: bad.start()])
        at = Position(len(lines), len(lines[-1]) + 1)
        code = f"{ord(bad.group()):04X}"
        report.add(
            "Y908",
            f"the file is not plain text: character U+{code}",
            span=(at, Position(at.line, at.column + 1)),
            help=f'inside a text in double quotes it may be written "\\u{code}"',
        )
        return None
    try:
        top = _Reader(text, report).read()
    except _Abort:
        return None
    except yaml.MarkedYAMLError as error:
        _syntax_error(text, error, report)
        return None
    if top is None or (isinstance(top, Scalar) and top.value is None):
        start = Position(1, 1)
        report.add("Y908", "the file is empty", span=(start, start), help="`cnnplan init` writes a first spec")
        return None
    if not isinstance(top, Mapping):
        report.add("Y908", f"a spec is a mapping of keys, not {top.kind}", top, help="it starts with `cnnplan: 1`")
        return None
    return top


class _Reader:
    """Builds nodes from libyaml's events, with a stack instead of recursion."""

    def __init__(self, text: str, report: Report) -> None:
        self.text = text
        self.report = report

    def read(self) -> Node | None:
        top: Node | None = None
        stack: list[Sequence | Mapping] = []
        keys: list[Scalar | None] = []  # per open collection: the key that waits for its value
        documents = nodes = flow = 0
        for event in yaml.parse(self.text, Loader=_LOADER):
            node: Node
            if isinstance(event, yaml.ScalarEvent):
                node = self.scalar(event, flow > 0)
            elif isinstance(event, yaml.MappingStartEvent):
                node = Mapping(event.start_mark, event.end_mark)
                flow += bool(event.flow_style)
            elif isinstance(event, yaml.SequenceStartEvent):
                node = Sequence(event.start_mark, event.end_mark)
                flow += bool(event.flow_style)
            elif isinstance(event, yaml.CollectionEndEvent):
                closed = stack.pop()
                keys.pop()
                closed.end_mark = event.end_mark
                flow = max(0, flow - 1)
                continue
            elif isinstance(event, yaml.AliasEvent):
                node = Scalar(event.start_mark, event.end_mark, None, "", True, flow > 0)
                self.unsupported(f"alias '*{event.anchor}'", node, "use a variable or a block")
                node.spoiled = True
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.stop("Y908", "a file holds one document; a second one starts here", event)
                continue
            else:
                continue

            nodes += 1
            if nodes > MAX_NODES:
                self.stop("Y910", f"more than {MAX_NODES:,} values in one file", event, "use `repeat` and blocks")
            if isinstance(event, yaml.NodeEvent) and not isinstance(event, yaml.AliasEvent):
                self.check_tag_and_anchor(event, node)
            if not stack:
                top = node
            else:
                self.attach(stack[-1], keys, node)
            if isinstance(node, Sequence | Mapping):
                stack.append(node)
                keys.append(None)
                if len(stack) > MAX_DEPTH:
                    self.stop("Y910", f"nested more than {MAX_DEPTH} levels deep", event)
        return top

    def attach(self, parent: Sequence | Mapping, keys: list[Scalar | None], node: Node) -> None:
        if isinstance(parent, Sequence):
            parent.items.append(node)
            return
        key = keys[-1]
        if key is not None:
            keys[-1] = None
            if parent.cut and isinstance(node, Scalar) and node.plain and node.value is None:
                return
            parent.cut = parent.cut or (isinstance(node, Scalar) and node.is_cut)
            if key.value in parent.entries:
                first = parent.entries[key.value][0]
                same = "is given twice" if key.text == first.text else f"is '{first.text}' once more"
                self.report.add(
                    "Y902",
                    f"key '{key.text}' {same}",
                    key,
                    related=[Related(f"'{key.text}' is first given here", first.start)],
                    help="keep one of them",
                )
            else:
                parent.entries[key.value] = (key, node)
            return
        if isinstance(node, Scalar):
            if node.plain and node.text == "<<":
                self.unsupported("the merge key `<<`", node, "use a block with params")
                node.spoiled = True
            keys[-1] = node
        else:
            self.unsupported("a list or mapping as a key", node, "keys are words or numbers")
            raise _Abort

    def scalar(self, event: Any, flow: bool) -> Scalar:
        text: str = event.value
        plain = not event.style
        node = Scalar(event.start_mark, event.end_mark, text, text, plain, flow)
        if plain:
            if text in WORDS:
                node.value = WORDS[text]
            elif text[0] in _NUMBER_STARTS:
                node.value = self.number(text, node)
        return node

    def number(self, text: str, node: Scalar) -> int | float | str:
        """The number that a plain scalar stands for in YAML 1.2, else the text itself."""
        if _INTEGER.fullmatch(text):
            if len(text) <= 24:
                value = int(text, 0) if text[:2] in ("0o", "0x") else int(text)
                if -MAX_INTEGER - 1 <= value <= MAX_INTEGER:
                    return value
            shown = text if len(text) <= 24 else f"{text[:12]}… ({len(text):,} digits)"
            return self.spoil(f"{shown} does not fit into 64 bits", node)
        if _FLOAT.fullmatch(text):
            number = float(text) if len(text) <= 400 else math.inf
            if math.isfinite(number):
                return number
            return self.spoil(f"{text[:24]} is too large for a number", node)
        if _NOT_FINITE.fullmatch(text):
            return self.spoil(f"'{text}' is not a finite number", node)
        return text

    def check_tag_and_anchor(self, event: Any, node: Node) -> None:
        if event.anchor is not None:
            self.unsupported(f"anchor '&{event.anchor}'", node, "use a variable or a block")
        if event.tag is not None:
            self.unsupported(f"tag '{event.tag}'", node, "write the plain value")

    def unsupported(self, what: str, node: Node, help: str) -> None:
        self.report.add("Y909", f"{what} is not part of the language", node, help=help)

    def spoil(self, message: str, node: Scalar) -> str:
        self.report.add("Y911", message, node)
        node.spoiled = True
        return node.text

    def stop(self, code: str, message: str, event: Any, help: str = "") -> None:
        self.report.add(code, message, Node(event.start_mark, event.end_mark), help=help)
        raise _Abort


def _syntax_error(text: str, error: yaml.MarkedYAMLError, report: Report) -> None:
    """One finding for what libyaml could not read."""
    from cnnplan.yaml_errors import explain  # needed for errors only

    found = explain(LINE_BREAK.split(text), error)
    at = Position(found.line + 1, found.column + 1)
    report.add(
        "Y908", found.message, span=(at, Position(at.line, at.column + 1)), help=found.help, related=found.related
    )


def describe(value: object) -> str:
    """A value as a message names it: `true`, `3`, `'text'`, a list …"""
    if value is None:
        return "nothing"
    if value is True or value is False:
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f"'{value}'" if len(value) <= 40 else f"'{value[:37]}…'"
    if isinstance(value, list | tuple):
        return "a list" if len(value) > 6 else f"[{', '.join(describe(v).strip('`') for v in value)}]"
    if isinstance(value, dict):
        return "a mapping"
    return str(value)
