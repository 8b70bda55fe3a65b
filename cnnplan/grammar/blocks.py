"""Blocks of a file: their params, inputs and outputs, and whether one reaches itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan import names
from cnnplan.diagnostics import some, suggest
from cnnplan.grammar.items import read_items
from cnnplan.grammar.reading import Reading
from cnnplan.limits import height
from cnnplan.source import Mapping, Scalar, Sequence
from cnnplan.spec import TYPES, Block, Param

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cnnplan.source import Node
    from cnnplan.spec import Item

KEYS = ("params", "inputs", "outputs", "layers")


def block_name(reading: Reading, key: Scalar) -> bool:
    """Whether uses of the key are uses of this block; a finding where it cannot name one."""
    name = key.value
    if key.spoiled:
        return False
    why = names.problem(name)
    part = name in names.MERGES or name in (*names.MODIFIERS, "layers", "share")
    if part and not why:
        why = f"`{name}` is part of the language"
    if why:
        reading.report.add("Y914", f"'{key.text:.40}' cannot name a block: {why}", key)
    return isinstance(name, str) and not part


def read_block(reading: Reading, name: str, node: Node, builtin: bool = False) -> Block:
    """The block under a key; without items where it cannot be read."""
    empty = Block(name, node, {}, (), (), (), builtin)
    if not isinstance(node, Mapping):
        help = f"write `{name}: {{layers: […]}}`" if isinstance(node, Sequence) else ""
        reading.report.add("Y911", f"block '{name}' is a mapping with `layers`, not {node.kind}", node, help=help)
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
    once: set[str] = set()
    for output in outputs:
        if str(output) in once:
            reading.report.add("S016", f"output '{output}' is named twice", output.node)
        once.add(str(output))
    reading.input_names = inputs
    items = read_items(reading, node.get("layers"), "layers", node.entries["layers"][0])
    needs_from(reading, items)
    return Block(name, node, params, inputs, outputs, items, builtin)


def _params(reading: Reading, node: Mapping) -> dict[str, Param]:
    params = {}
    for key, value in reading.mapping(node.get("params"), "params"):
        if why := names.problem_of_variable(key.value):
            reading.report.add("Y914", f"'{key.text:.40}' cannot name a param: {why}", key)
        if not isinstance(key.value, str):
            continue
        if isinstance(value, Scalar) and value.value is None:
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
    """Report each block that reaches itself; find how deep the lists of each block are nested.

    Without recursion: a chain of blocks may be as long as a file.
    """
    uses = {name: {item.word: item for item in _uses(block.items)} for name, block in reading.blocks.items()}
    done: set[str] = set()
    circular: set[str] = set()
    for first in reading.blocks:
        path: dict[str, None] = {}  # from the first block to the one that is looked at
        ahead: list[Iterator[str]] = [iter((first,))]
        while ahead:
            name = next(ahead[-1], None)
            if name is None:
                ahead.pop()
                if path:
                    left, _ = path.popitem()
                    done.add(left)
                    _measure(reading, left)
            elif name in path:
                around = list(path)
                circle = [*around[around.index(name) :], name]
                circular.update(circle)
                message = f"block '{name}' reaches itself: {some_of(circle)}"
                at = uses[circle[-2]][name].key
                reading.report.add("Y916", message, at, help="use `repeat` to run a block several times")
            elif name in reading.blocks and name not in done:
                path[name] = None
                ahead.append(iter(uses[name]))
    for name in circular:
        reading.blocks[name] = reading.blocks[name]._replace(items=(), height=0)


def some_of(circle: list[str]) -> str:
    """The blocks of a circle, those in the middle of a long one left out."""
    shown = circle if len(circle) <= 8 else [*circle[:4], "…", *circle[-3:]]
    return " → ".join(shown)


def _measure(reading: Reading, name: str) -> None:
    block = reading.blocks[name]
    reading.blocks[name] = block._replace(height=height(block.items, reading.blocks))


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
