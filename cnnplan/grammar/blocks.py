"""Blocks of a file: their params, inputs and outputs, and whether one reaches itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan import names
from cnnplan.diagnostics import some, suggest
from cnnplan.grammar.items import read_items
from cnnplan.grammar.reading import Reading
from cnnplan.limits import MAX_NESTING
from cnnplan.source import Mapping, Scalar
from cnnplan.spec import TYPES, Block, Param

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnnplan.source import Node
    from cnnplan.spec import Item

KEYS = ("params", "inputs", "outputs", "layers")


def block_name(reading: Reading, key: Scalar) -> bool:
    """Whether the key can name a block; a finding where it cannot."""
    name = key.value
    why = names.problem(name)
    if not why and (name in names.MERGES or name in (*names.MODIFIERS, "each", "layers", "share")):
        why = f"`{name}` is part of the language"
    if why:
        reading.report.add("Y914", f"'{key.text:.40}' cannot name a block: {why}", key)
    return not why


def read_block(reading: Reading, name: str, node: Node, builtin: bool = False) -> Block:
    """The block under a key; without items where it cannot be read."""
    empty = Block(name, node, {}, (), (), (), builtin)
    if not isinstance(node, Mapping):
        reading.report.add("Y911", f"block '{name}' is a mapping with `layers`, not {node.kind}", node)
        return empty
    for key, _ in node:
        if key.value not in KEYS:
            reading.report.add("Y901", f"a block has no key '{key.text}'", key, help=suggest(key.text, KEYS))
    params = _params(reading, node)
    inputs = _inputs(reading, node)
    if "layers" not in node.entries:
        reading.report.add("Y912", f"block '{name}' needs `layers`", node, about=name)
        return empty
    outputs = reading.references(node.get("outputs"), "outputs")
    reading.input_names = inputs
    items = read_items(reading, node.get("layers"), "layers", node.entries["layers"][0])
    needs_from(reading, items)
    return Block(name, node, params, inputs, outputs, items, builtin)


def _params(reading: Reading, node: Mapping) -> dict[str, Param]:
    params = {}
    for key, value in reading.mapping(node.get("params"), "params"):
        if why := names.problem_of_variable(key.value):
            reading.report.add("Y914", f"'{key.text:.40}' cannot name a param: {why}", key)
        elif isinstance(value, Scalar) and value.value is None:
            message = f"param '{key.text}' needs a type ({', '.join(TYPES)}) or a default value"
            reading.report.add("Y911", message, key)
        elif isinstance(value, Scalar) and value.plain and value.value in TYPES:
            params[key.value] = Param(key.value, key, str(value.value), None)
        else:
            params[key.value] = Param(key.value, key, None, reading.given(value))
    return params


def _inputs(reading: Reading, node: Mapping) -> tuple[str, ...]:
    inputs: list[str] = []
    for name in reading.sequence(node.get("inputs"), "inputs"):
        if not isinstance(name, Scalar) or names.problem(name.value) or name.value in names.REFERENCES:
            reading.report.add("Y914", f"{name.kind} cannot name an input of a block", name)
        elif name.value in inputs:
            reading.report.add("S016", f"input '{name.value}' is named twice", name)
        else:
            inputs.append(str(name.value))
    return tuple(inputs)


def needs_from(reading: Reading, items: tuple[Item, ...]) -> None:
    """Where inputs have names, the first item says which it takes."""
    if reading.input_names and items and not items[0].sources and items[0].kind != "broken":
        reading.report.add(
            "S016",
            f"the first item needs `from`: the inputs have names, {some(reading.input_names)}",
            items[0].key,
            help=f"such as `from: {reading.input_names[0]}`",
        )


def check_recursion(reading: Reading) -> None:
    """Report each block that reaches itself."""
    done: set[str] = set()
    for name in reading.block_nodes:
        _follow(reading, name, [], done)


def _follow(reading: Reading, name: str, path: list[str], done: set[str]) -> None:
    if name in path:
        circle = [*path[path.index(name) :], name]
        entry = next(item for item in _uses(reading.blocks[circle[-2]].items) if item.word == name)
        for member in circle:
            reading.blocks[member] = reading.blocks[member]._replace(items=())
        reading.report.add(
            "Y916",
            f"block '{name}' reaches itself: {' → '.join(circle)}",
            entry.key,
            help="use `repeat` to run a block several times",
        )
        return
    if name in done or name not in reading.blocks:
        return
    if len(path) > MAX_NESTING:
        at = reading.blocks[path[0]].node
        reading.report.add("Y910", f"blocks are nested more than {MAX_NESTING} deep, from '{path[0]}' on", at)
        reading.blocks[path[-1]] = reading.blocks[path[-1]]._replace(items=())
        return
    for word in dict.fromkeys(item.word for item in _uses(reading.blocks[name].items)):
        _follow(reading, word, [*path, name], done)
    done.add(name)


def _uses(items: Iterable[Item]) -> Iterable[Item]:
    """The items, at any depth, that run a block."""
    for item in items:
        if item.kind == "block":
            yield item
        yield from _uses(item.items)
        for branch in item.branches or ():
            yield from _uses(branch.items)


def read_builtin_blocks(reading: Reading) -> None:
    """Read the built-in blocks that are used. They see the operations, not the file's blocks."""
    wanted = dict(reading.builtin_nodes)
    while wanted:
        name, node = wanted.popitem()
        inner = Reading(reading.report)
        reading.blocks[name] = read_block(inner, name, node, builtin=True)
        wanted.update((n, block) for n, block in inner.builtin_nodes.items() if n not in reading.blocks)
