"""The arguments of an item."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan import names
from cnnplan.arguments import build
from cnnplan.diagnostics import nearest, suggest
from cnnplan.grammar.merges import read_merge
from cnnplan.source import Mapping, Scalar

if TYPE_CHECKING:
    from cnnplan.grammar.reading import Reading
    from cnnplan.source import Node
    from cnnplan.spec import Item


def read_arguments(reading: Reading, item: Item, value: Node | None) -> None:
    """Read what stands behind an item's word: arguments, and branches of a merge."""
    if item.kind == "merge":
        read_merge(reading, item, value)
    elif item.kind in ("op", "block"):
        _arguments(reading, item, value)
    elif value is not None:
        reading.given(value)  # expressions below an item that is not understood: their errors count too
        return
    if item.kind == "broken":
        return
    if item.op and item.kind in ("op", "merge") and not any(g.dynamic for _, g in item.arguments.values()):
        item.fixed = build(
            item.op,
            {name: given.constant for name, (_, given) in item.arguments.items()},
            f"'{item.word}'",
            item.key,
            {name: (k, given.node) for name, (k, given) in item.arguments.items()},
            reading.report,
        )
        if item.fixed is None:
            item.kind = "broken"


def _arguments(reading: Reading, item: Item, value: Node | None) -> None:
    known = fields(reading, item)
    if value is None or (isinstance(value, Scalar) and value.value is None):
        return
    if isinstance(value, Mapping):
        cut_off = False  # by a comma: the rest of an expression without quotes looks like further keys
        for key, node in value:
            if cut_off and isinstance(node, Scalar) and node.value is None:
                continue
            read_argument(reading, item, known, key, node)
            cut_off = isinstance(node, Scalar) and node.is_expression and node.text.count("(") > node.text.count(")")
        return
    if not known:
        what = "argument" if item.kind == "op" else "param"
        reading.report.add("Y901", f"'{item.word}' takes no {what}s, but is given {value.kind}", value)
        return
    if given := reading.given(value):
        item.arguments[known[0]] = (None, given)
    else:
        item.kind = "broken"


def fields(reading: Reading, item: Item) -> list[str]:
    """The names of an item's arguments; the first one is what a bare value sets."""
    if item.op:
        return list(item.op.model_fields)
    node = reading.block_nodes.get(item.word) or reading.builtin_nodes.get(item.word)
    params = node.get("params") if isinstance(node, Mapping) else None
    return [key.value for key, _ in params] if isinstance(params, Mapping) else []


def read_argument(reading: Reading, item: Item, known: list[str], key: Scalar, node: Node) -> None:
    """Read one argument; an unknown one that is close to a known one is taken for it."""
    word = key.value
    if word not in known:
        what = "argument" if item.op else "param"
        if word in names.MODIFIERS:
            help = f"`{word}` stands beside '{item.word}', not below it"
        else:
            help = suggest(key.text, known)
        reading.report.add("Y901", f"'{item.word}' has no {what} '{key.text:.60}'", key, help=help)
        match = nearest(key.text, known)
        if match is None or match in item.arguments:
            reading.given(node)
            item.kind = "broken"
            return
        word = match  # carry on as if it had been meant
    if given := reading.given(node):
        item.arguments[word] = (key, given)
    else:
        item.kind = "broken"
