"""The arguments of an item."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan import jargon, names
from cnnplan.arguments import build, check
from cnnplan.diagnostics import Report, nearest, suggest
from cnnplan.grammar.merges import read_merge
from cnnplan.source import Mapping, Scalar

if TYPE_CHECKING:
    from cnnplan.grammar.reading import Reading
    from cnnplan.ops.base import Op
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
    if item.op and item.kind in ("op", "merge"):
        _check(reading, item, item.op)
    if item.unsure:
        item.kind = "broken"


def _check(reading: Reading, item: Item, op: type[Op]) -> None:
    """Check the arguments of an operation; where they are all known, that is the operation itself."""
    report = Report("") if item.guessed else reading.report
    nodes = {name: (key, given.node) for name, (key, given) in item.arguments.items()}
    known = {name: given.constant for name, (_, given) in item.arguments.items() if not given.dynamic}
    unknown = item.arguments.keys() - known.keys()
    if op.refers in unknown:
        message, help = f"`{op.refers}` names a value of the network", "references are names, not expressions"
        reading.report.add("S016", message, nodes[op.refers][1], help=help)
        good = False
    elif unknown or item.unsure:
        if item.unsure:  # an argument that is not understood may be one that seems to be missing
            unknown = {*unknown, *op.model_fields.keys() - known.keys()}
        good = check(op, known, unknown, f"'{item.word}'", item.key, nodes, report)
    else:
        item.fixed = build(op, known, f"'{item.word}'", item.key, nodes, report)
        good = item.fixed is not None
    if not good:
        item.kind = "broken"


def _arguments(reading: Reading, item: Item, value: Node | None) -> None:
    known = fields(reading, item)
    if value is not None and value.spoiled:
        item.kind = "broken"
        return
    if value is None or (isinstance(value, Scalar) and value.value is None):
        return
    if isinstance(value, Mapping):
        for key, node in value:
            read_argument(reading, item, known, key, node)
        return
    if not known:
        what = "argument" if item.kind == "op" else "param"
        if not item.guessed:
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
    return [key.value for key, _ in params if isinstance(key.value, str)] if isinstance(params, Mapping) else []


def read_argument(reading: Reading, item: Item, known: list[str], key: Scalar, node: Node) -> None:
    """Read one argument; an unknown one that is close to a known one is taken for it."""
    word = key.value
    if word not in known:
        what = "argument" if item.op else "param"
        match, hint = nearest(key.text, known), jargon.of_argument(key.text, known) if item.op else None
        if word in names.MODIFIERS:
            hint = f"`{word}` stands beside '{item.word}', not below it"
        elif ":" in key.text:
            hint = "a blank is missing behind the colon"
        elif key.text.endswith(")"):
            hint = "a list is written in square brackets: [3, 3]"
        if not item.guessed:
            help = hint or suggest(key.text, known)
            reading.report.add("Y901", f"'{item.word}' has no {what} '{key.text:.60}'", key, help=help)
        if match is None or match in item.arguments or hint not in (None, f"did you mean '{match}'?"):
            reading.given(node)
            item.unsure = True
            return
        word = match  # carry on as if it had been meant
    if given := reading.given(node):
        item.arguments[word] = (key, given)
    else:
        item.kind = "broken"
