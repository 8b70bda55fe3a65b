"""Items of a list of layers: which operation, block or group each one is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan import jargon, names
from cnnplan.blocks import builtin_names, load_builtin
from cnnplan.diagnostics import Related, nearest, some, suggest
from cnnplan.grammar.arguments import fields, read_arguments
from cnnplan.grammar.modifiers import read_modifiers, sliced
from cnnplan.limits import MAX_LAYERS
from cnnplan.ops import registry
from cnnplan.source import Mapping, Scalar, Sequence
from cnnplan.spec import Item

if TYPE_CHECKING:
    from cnnplan.grammar.reading import Reading
    from cnnplan.source import Node


NO_EXPRESSION = "the name of an operation is no expression: write one item for each, and choose with `if`"


def read_items(
    reading: Reading, node: Node | None, what: str, key: Node, *, may_be_empty: bool = False
) -> tuple[Item, ...]:
    """The items of a list of layers. `what` and `key` name the list in findings."""
    found = reading.sequence(node, what)
    if len(found) > MAX_LAYERS:
        message = f"`{what}` lists {len(found):,} items; a network has at most {MAX_LAYERS:,} layers"
        reading.report.add("Y910", message, key, help="use `repeat` and blocks")
        return ()
    empty = node is None or isinstance(node, Sequence) or (isinstance(node, Scalar) and node.value is None)
    if not found and not may_be_empty and empty:
        reading.report.add("Y912", f"`{what}` is empty: it lists at least one layer", key)
    items = tuple(_item(reading, child) for child in found)
    seen: dict[str, Item] = {}
    for item in items:
        if item.known_as is None:
            continue
        if item.known_as in reading.input_names:
            reading.report.add("S016", f"'{item.known_as}' already names an input", item.name_node)
        elif item.known_as in seen:
            first = seen[item.known_as].name_node
            assert first is not None
            reading.report.add(
                "S016",
                f"name '{item.known_as}' is given twice in one list",
                item.name_node,
                related=[Related(f"'{item.known_as}' is first given here", first.start)],
            )
        seen.setdefault(item.known_as, item)
    return items


def _item(reading: Reading, node: Node) -> Item:
    if isinstance(node, Mapping):
        return _mapped(reading, node)
    if isinstance(node, Scalar) and isinstance(node.value, str) and not node.is_expression:
        item = _resolve(reading, node)
        read_arguments(reading, item, None)
        return item
    help = "remove the dash, or write the layer behind it" if node.kind == "nothing" else "such as `- relu`"
    if isinstance(node, Scalar) and node.is_expression:
        help = NO_EXPRESSION
    if isinstance(node, Sequence):
        help = "a list of layers stands under `layers:`"
    reading.report.add("Y917", f"an item is a name or a mapping, not {node.kind}", node, help=help)
    return Item("broken", "", node)


def _resolve(reading: Reading, key: Scalar) -> Item:
    """An item for the word of `key`: an operation, a block, or broken with a finding."""
    word = str(key.value)
    item = Item("broken", word, key)
    if word in reading.block_nodes:
        item.kind = "block"
    elif op := registry.find(word) if word.isidentifier() else None:
        item.kind, item.op = ("merge" if word in names.MERGES else "op"), op
    elif word in builtin_names():
        item.kind = "block"
        reading.builtin_nodes.setdefault(word, load_builtin(word).node)
    elif word in ("layers", "share"):
        reading.report.add("Y912", f"`{word}` needs a value", key)
    elif word in names.MODIFIERS:
        reading.report.add("Y917", f"`{word}` is a modifier; it stands beside an operation, in one item", key)
    else:
        known = [*reading.block_nodes, *registry.names(), *builtin_names()]
        match, hint = nearest(word, known), jargon.of_operation(word)
        if word.startswith("="):
            hint = NO_EXPRESSION
        elif ":" in word:
            hint = "a blank is missing behind the colon"
        if not hint:
            hint = f"did you mean '{match}'?" if match and hint is None else "`cnnplan ops` lists the operations"
        reading.report.add("Y913", f"unknown operation '{word:.60}'", key, help=hint)
        if match and hint == f"did you mean '{match}'?" and match not in names.MERGES:  # carry on as if it were meant
            guessed = _resolve(reading, _renamed(key, match))
            guessed.key = key
            guessed.guessed = True
            return guessed
    return item


def _mapped(reading: Reading, node: Mapping) -> Item:
    words: list[tuple[Scalar, Node]] = []
    modifiers: dict[str, tuple[Scalar, Node]] = {}
    strange: list[tuple[Scalar, Node]] = []
    for key, value in node:
        word = key.value
        if word in names.MODIFIERS:
            modifiers[word] = (key, value)
        elif isinstance(word, str) and (
            word in ("layers", "share")
            or word in reading.block_nodes
            or (word.isidentifier() and registry.find(word))
            or word in builtin_names()
        ):
            words.append((key, value))
        else:
            strange.append((key, value))
    if not words and strange and isinstance(strange[0][0].value, str):
        closest_modifier = nearest(strange[0][0].text, names.MODIFIERS)
        if len(strange) == 1 or not closest_modifier:
            words.append(strange.pop(0))
    if not words:
        _strange_keys(reading, strange, None)
        at = next(iter(node))[0] if node.entries else node
        if not strange:
            reading.report.add(
                "Y917",
                "an item needs an operation, a block, `layers` or `share`",
                at,
                help="such as `- conv: {out_channels: 64, kernel_size: 3}`",
            )
        item = Item("broken", "", at)
    else:
        key, value = words[0]
        if len(words) > 1:
            reading.report.add(
                "Y917",
                f"an item has one operation; this one has {some([k.text for k, _ in words])}",
                words[1][0],
                help="start a new item with `- ` for each",
            )
        value, strange = _indented(reading, key, value, strange)
        item = _read(reading, key, value)
        _strange_keys(reading, strange, item)
    read_modifiers(reading, item, modifiers)
    return sliced(item) if item.each else item


def _indented(
    reading: Reading, key: Scalar, value: Node, strange: list[tuple[Scalar, Node]]
) -> tuple[Node, list[tuple[Scalar, Node]]]:
    """The arguments of an operation that stand beside it instead of below, put where they belong."""
    if not strange:
        return value, strange
    item = Item("op", str(key.value), key)
    item.op = registry.find(item.word) if item.word not in reading.block_nodes else None
    beside = [(k, v) for k, v in strange if k.value in fields(reading, item)]
    if not beside or not (isinstance(value, Scalar) and value.value is None):
        return value, strange
    given = some([k.text for k, _ in beside])
    message = f"{given} {'stand' if len(beside) > 1 else 'stands'} beside '{item.word}', not below it"
    reading.report.add("Y901", message, beside[0][0], help="arguments are indented further than the operation's name")
    below = Mapping(value.start_mark, value.end_mark)
    below.entries = {k.value: (k, v) for k, v in beside}
    return below, [entry for entry in strange if entry not in beside]


def _strange_keys(reading: Reading, strange: list[tuple[Scalar, Node]], item: Item | None) -> None:
    for key, _ in strange:
        if item and key.value in fields(reading, item):
            help = f"arguments of '{item.word}' stand below it: `{item.word}: {{{key.text}: …}}`"
        else:
            help = suggest(key.text, names.MODIFIERS)
        reading.report.add("Y901", f"an item has no key '{key.text:.60}'", key, help=help)


def _read(reading: Reading, key: Scalar, value: Node) -> Item:
    """The item of `KEY: VALUE`."""
    word = key.value
    if word == "layers" and word not in reading.block_nodes:
        item = Item("group", "layers", key)
        item.items = read_items(reading, value, "layers", key)
        if not item.items:
            item.kind = "broken"
        return item
    if word == "share":
        item = Item("share", "share", key)
        reference = reading.reference(value)
        if reference and reference.part is not None:
            reading.report.add("S016", f"`share` runs a whole item; '{reference}' is one of its outputs", value)
            reference = None
        item.target = reference
        if reference is None:
            item.kind = "broken"
        return item
    item = _resolve(reading, key)
    read_arguments(reading, item, value)
    return item


def _renamed(key: Scalar, word: str) -> Scalar:
    return Scalar(key.start_mark, key.end_mark, word, key.text, key.plain, key.flow)
