"""The modifiers that stand beside an item's word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnplan import names
from cnnplan.arguments import meant_as_expression
from cnnplan.source import Mapping, Scalar, Sequence, describe
from cnnplan.spec import Item, Reference

if TYPE_CHECKING:
    from cnnplan.grammar.reading import Reading
    from cnnplan.source import Node
    from cnnplan.spec import Given


def read_modifiers(reading: Reading, item: Item, found: dict[str, tuple[Scalar, Node]]) -> None:
    """Read the modifiers of an item into it."""
    for word, (key, node) in found.items():
        _READ[word](reading, item, key, node)


def _name(reading: Reading, item: Item, key: Scalar, node: Node) -> None:
    inline = item.op is not None and item.op.inline and not item.branches
    name = node.value if isinstance(node, Scalar) else None
    if why := names.problem_of_layer(name, has_module=not inline):
        shown = node.text if isinstance(node, Scalar) else node.kind
        reading.report.add("Y914", f"'{shown:.40}' cannot name a layer: {why}", node)
        if not isinstance(name, str):
            return
    assert isinstance(node, Scalar)
    item.name, item.name_node = str(name), node  # a refused name too: what refers to it is not to blame


def _from(reading: Reading, item: Item, key: Scalar, node: Node) -> None:
    if isinstance(node, Sequence):
        item.listed = True
        item.sources = reading.references(node, "from")
        if not node.items or len(item.sources) != len(node.items):
            item.kind = "broken"
    elif reference := reading.reference(node):
        item.sources = (reference,)
    else:
        item.kind = "broken"


def _if(reading: Reading, item: Item, key: Scalar, node: Node) -> None:
    item.condition = read_condition(reading, node)
    if item.condition is None:
        item.kind = "broken"


def _repeat(reading: Reading, item: Item, key: Scalar, node: Node) -> None:
    if isinstance(node, Mapping):
        entries = list(node)
        if len(entries) != 1:
            reading.report.add("Y911", "`repeat` names one counter: `repeat: {stage: 4}`", key)
            item.kind = "broken"
            return
        counter, node = entries[0]
        if counter.value != "index" and (why := names.problem_of_variable(counter.value)):
            reading.report.add("Y914", f"'{counter.text:.40}' cannot name a counter: {why}", counter)
        item.counter = str(counter.value)
    item.repeat = reading.given(node)
    if item.repeat is None:
        item.kind = "broken"
    elif not item.repeat.dynamic and (problem := repeat_problem(item.repeat.constant)):
        help = meant_as_expression(node.text) if isinstance(node, Scalar) else ""
        reading.report.add("Y911", problem, node, help=help)
        item.kind, item.repeat = "broken", None


def _trainable(reading: Reading, item: Item, key: Scalar, node: Node) -> None:
    item.trainable = _switch(reading, item, key, node)


def _checkpoint(reading: Reading, item: Item, key: Scalar, node: Node) -> None:
    item.checkpoint = bool(_switch(reading, item, key, node))


def _each(reading: Reading, item: Item, key: Scalar, node: Node) -> None:
    if isinstance(node, Scalar) and type(node.value) is int:
        item.each = (key, node.value)
        return
    help = "0 = channels, 1 = the axis behind them, -1 = the last one"
    reading.report.add("Y911", f"`each` is the number of an axis of the sample, not {node.kind}", node, help=help)
    item.kind = "broken"


def sliced(item: Item) -> Item:
    """An item with `each`: a group that folds the axis, runs the item, and puts the axis back."""
    from cnnplan.ops.slices import Each, EachEnd  # few specs have any

    assert item.each
    key, axis = item.each
    group = Item("group" if item.kind != "broken" else "broken", item.word, item.key)
    group.label, group.name_node = item.name, item.name_node
    group.each, item.each = item.each, None
    for modifier in ("sources", "listed", "condition", "repeat", "counter", "checkpoint"):
        setattr(group, modifier, getattr(item, modifier))
    group.trainable = item.trainable
    if item.listed and len(item.sources) > 1:  # the branches of a merge take one each
        item.sources = tuple(Reference("previous", str(i), r.node) for i, r in enumerate(item.sources))
    else:
        item.sources, item.listed = (), False
    item.condition = item.repeat = None
    item.counter, item.checkpoint = "index", False
    ends = []
    for end in (Each, EachEnd):
        found = Item("op", end.kind, key)
        found.op, found.fixed = end, end(axis=axis)
        ends.append(found)
    group.items = (ends[0], item, ends[1])
    return group


def read_condition(reading: Reading, node: Node) -> Given | None:
    """An `if`; None, and a finding, where it is not one."""
    given = reading.given(node)
    if given and not given.dynamic and type(given.constant) is not bool:
        reading.report.add(
            "Y911",
            f"`if` is `true`, `false` or an expression, not {node.kind}",
            node,
            help="an expression starts with `=`",
        )
        return None
    return given


def _switch(reading: Reading, item: Item, key: Scalar, node: Node) -> bool | None:
    if isinstance(node, Scalar) and type(node.value) is bool:
        if item.kind == "share":
            reading.report.add(
                "Y911", f"`{key.text}` belongs on the item that `share` runs again", key, help="move it there"
            )
        return node.value
    reading.report.add("Y911", f"`{key.text}` is `true` or `false`, not {node.kind}", node)
    return None


def repeat_problem(value: Any) -> str:
    """Why this cannot be a number of repeats; "" where it can."""
    if type(value) is int and value >= 0:
        return ""
    return f"`repeat` is an integer ≥ 0, not {describe(value)}"


_READ = {
    "name": _name,
    "from": _from,
    "if": _if,
    "repeat": _repeat,
    "trainable": _trainable,
    "checkpoint": _checkpoint,
    "each": _each,
}
