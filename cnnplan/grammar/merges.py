"""Merges: their arguments, which are scalars, and their branches, which are lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan import names
from cnnplan.diagnostics import nearest, suggest
from cnnplan.grammar import arguments
from cnnplan.grammar import items as lists
from cnnplan.grammar.modifiers import read_condition
from cnnplan.source import Mapping, Scalar, Sequence
from cnnplan.spec import Branch

if TYPE_CHECKING:
    from cnnplan.grammar.reading import Reading
    from cnnplan.source import Node
    from cnnplan.spec import Item


def read_merge(reading: Reading, item: Item, value: Node | None) -> None:
    """Read the arguments and branches of a merge."""
    assert item.op is not None
    branches: list[Branch] = []
    if isinstance(value, Mapping):
        known = list(item.op.model_fields)
        for key, node in value:
            if isinstance(node, Scalar):
                _argument(reading, item, known, key, node)
            elif why := f"it is an argument of '{item.word}'" * (key.value in known) or names.problem_of_layer(
                key.value
            ):
                reading.report.add("Y914", f"'{key.text:.40}' cannot name a branch: {why}", key)
                branches.append(Branch(f"_{len(branches)}", key, (), None))
                item.kind = "broken"
            else:
                branches.append(_branch(reading, str(key.value), key, node))
    elif isinstance(value, Sequence):
        for index, node in enumerate(value.items):
            if isinstance(node, Scalar):
                reading.report.add(
                    "Y917",
                    f"a branch is a list of layers, not {node.kind}",
                    node,
                    help=f"[{node.text}] for one layer, [] for the identity; `from: […]` lists values to merge",
                )
                item.kind = "broken"
            else:
                branches.append(_branch(reading, str(index), node, node))
    elif isinstance(value, Scalar) and value.value is not None:
        if first := item.op.first():
            if given := reading.given(value):
                item.arguments[first] = (None, given)
        else:
            reading.report.add(
                "Y901",
                f"'{item.word}' takes no arguments, but is given {value.kind}",
                value,
                help="it merges what `from` lists, or branches",
            )
            item.kind = "broken"
    if branches or (isinstance(value, Sequence) and not value.items):
        item.branches = tuple(branches)
        if len(branches) < 2 and item.kind != "broken":
            reading.report.add(
                "S019",
                f"'{item.word}' merges at least two branches, not {len(branches)}",
                item.key,
                help="an identity branch is written `[]`",
            )
            item.kind = "broken"


def _argument(reading: Reading, item: Item, known: list[str], key: Scalar, node: Scalar) -> None:
    if key.value in known or key.value in names.MODIFIERS:
        arguments.read_argument(reading, item, known, key, node)
    elif node.value is None:
        help = f"write `{key.text}: []` for the identity"
        reading.report.add("Y917", f"branch '{key.text}' of '{item.word}' is empty", key, help=help)
        item.kind = "broken"
    else:
        reading.report.add(
            "Y901",
            f"'{item.word}' has no argument '{key.text:.60}'",
            key,
            help=suggest(key.text, known) if nearest(key.text, known) else "a branch is a list of layers",
        )
        item.kind = "broken"


def _branch(reading: Reading, name: str, at: Node, node: Node) -> Branch:
    condition = None
    if isinstance(node, Sequence):
        return Branch(name, at, lists.read_items(reading, node, "branch", at, may_be_empty=True), None)
    assert isinstance(node, Mapping)
    for key, value in node:
        if key.value == "if":
            condition = read_condition(reading, value)
        elif key.value != "layers":
            help = "a branch is a list of layers, or {layers: […], if: =…}"
            if key.value not in names.MODIFIERS and len(node.entries) == 1:
                help = "the layers of a branch are a list: put `- ` before each"
            reading.report.add("Y901", f"a branch has no key '{key.text:.60}'", key, help=help)
    if node.entries.keys() <= {"if"}:
        reading.report.add("Y912", f"branch '{name}' needs `layers`", at, about=name)
    items = lists.read_items(reading, node.get("layers"), "layers", at, may_be_empty=True)
    return Branch(name, at, items, condition)
