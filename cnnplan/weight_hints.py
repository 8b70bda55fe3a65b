"""Why a checkpoint probably does not fit: a prefix, another naming, another number of classes."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final, TypeAlias

from cnnplan.diagnostics import printable
from cnnplan.safetensors import sizes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from cnnplan.graph import Graph, Node
    from cnnplan.planning import Plan

Named: TypeAlias = "tuple[str, tuple[int, ...]]"
"""A tensor's name and its shape."""

WRAPPERS: Final = {
    "module.": "nn.DataParallel and DistributedDataParallel add it",
    "_orig_mod.": "torch.compile adds it",
    "state_dict.": "it is the key that the state dict was saved under",
}
DEEPEST: Final = 4
"""So many parts of names are tried as a prefix."""


def prefix_between(names: Sequence[str], planned: Collection[str]) -> tuple[str, str]:
    """What the names of a file begin with beyond those of the network; and what those begin with beyond the file's.

    It is one of them at most: the one that makes most names agree, where it makes more agree than there are now.
    """
    wanted = set(planned)
    best, found = len(wanted.intersection(names)), ("", "")
    for prefix, count in _prefixes(names).items():
        if 2 * count < len(names):
            continue
        agreeing = sum(name[len(prefix) :] in wanted for name in names if name.startswith(prefix))
        if agreeing > best:
            best, found = agreeing, (prefix, "")
    for prefix, count in _prefixes(list(planned)).items():
        if count < len(wanted):
            continue
        agreeing = sum(prefix + name in wanted for name in names)
        if agreeing > best:
            best, found = agreeing, ("", prefix)
    return found


def _prefixes(names: Iterable[str]) -> Counter[str]:
    """How many names begin with each dotted prefix."""
    found: Counter[str] = Counter()
    for name in names:
        parts = name.split(".", DEEPEST + 1)
        found.update(f"{'.'.join(parts[:count])}." for count in range(1, min(len(parts), DEEPEST + 1)))
    return found


def prefix_hint(prefix: str, lacks: str, names: Sequence[str]) -> str:
    """What the prefix comes from, and how to load without it."""
    if lacks:
        return f"all names of the network begin with '{lacks}', those in the file do not: put it before them"
    count = sum(name.startswith(prefix) for name in names)
    which = f"all {len(names):,}" if count == len(names) else f"{count:,} of {len(names):,}"
    parts = re.findall(r"[^.]+\.", prefix)
    known = [WRAPPERS[part] for part in parts if part in WRAPPERS]
    why = f" ({known[0]})" if known else ""
    shown = printable(prefix)
    return f"{which} names in the file begin with '{shown}'{why}: load {{k.removeprefix({shown!r}): v for k, v in …}}"


# --------------------------------------------------------------- other classes


def head_hint(plan: Plan, mismatched: Sequence[tuple[Node, str, tuple[int, ...], tuple[int, ...]]]) -> str:
    """That a layer which gives an output has another number of outputs in the file; "" where none has.

    Args:
        plan: of the network.
        mismatched: tensors with their layer, name, shape here and shape in the file.
    """
    last = _heads(plan.graph)
    for node, name, here, there in mismatched:
        if node not in last or not name.endswith(".weight") or not here or here[1:] != there[1:] or here == there:
            continue
        names = [other for one, other, _, _ in mismatched if one is node]
        variable = _variable(plan, node)
        ways = [f"--set {variable}={there[0]}"] if variable else []
        ways.append(f"load the rest without {' and '.join(names)}")
        return (
            f"'{node.name}' (line {node.line}) gives {there[0]:,} outputs in the file and {here[0]:,} here, "
            f"as with another number of classes: {', or '.join(ways)}"
        )
    return ""


def _heads(graph: Graph) -> set[Node]:
    """The layers behind which no other with parameters comes before an output."""
    found, seen = set(), set()
    front = [value.node for value in graph.outputs.values() if value.node]
    while front:
        node = front.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.op.parameters(*node.shapes):
            found.add(node)
        else:
            front += [value.node for value in node.inputs if value.node]
    return found


def _variable(plan: Plan, node: Node) -> str:
    """The variable that alone says how many outputs a layer of the top list has; "" where there is none."""
    given = next((node.item.arguments[a] for a in ("out_features", "out_channels") if a in node.item.arguments), None)
    if given is None or "." in node.name:
        return ""
    text = getattr(given[1].node, "value", "")
    name = text[1:].strip() if isinstance(text, str) and text.startswith("=") else ""
    return name if name in plan.spec.variables else ""


# ----------------------------------------------------------------- other names


def names_hint(missing: Sequence[Named], unexpected: Sequence[Named], tensors: int) -> str:
    """That the same tensors are there under other names; "" where they are not."""
    theirs = [(name, shape) for name, shape in unexpected if shape and not name.endswith("num_batches_tracked")]
    if 2 * len(missing) < tensors or not theirs:  # a few: they are listed
        return ""
    shapes = [shape for _, shape in missing]
    ours, others = _layers(missing), _layers(theirs)
    in_order = [held for _, held in sorted(others.items(), key=lambda one: _natural(one[0]))]
    if [shape for _, shape in theirs] == shapes or in_order == list(ours.values()):
        return f"shapes agree in order: {len(shapes):,} of {len(shapes):,}; only the names differ"
    if Counter(ours.values()) == Counter(others.values()):
        example = _example(missing, theirs)
        return f"the layers agree, each with its shapes: {len(shapes):,} tensors; only names and order differ{example}"
    common = (Counter(shapes) & Counter(shape for _, shape in theirs)).total()
    if not common:
        return "no shape of the network is in the file: it is of another network"
    return f"{common:,} of the {len(shapes):,} shapes are in the file under other names"


def _natural(name: str) -> list[tuple[int, str]]:
    """For sorting: numbers in a name as numbers. Files have their tensors sorted by plain text."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]{1,9})", name)]


def _layers(tensors: Sequence[Named]) -> dict[str, tuple[tuple[int, ...], ...]]:
    """The shapes that each layer holds, sorted."""
    found: dict[str, list[tuple[int, ...]]] = {}
    for name, shape in tensors:
        found.setdefault(name.rpartition(".")[0], []).append(shape)
    return {layer: tuple(sorted(shapes)) for layer, shapes in found.items()}


def _example(missing: Sequence[Named], theirs: Sequence[Named]) -> str:
    """A tensor whose shape is there once in both."""
    counts = Counter(shape for _, shape in missing)
    others = {shape: name for name, shape in theirs}  # of the same shapes, as often: the layers agree
    once = next(((name, shape) for name, shape in missing if counts[shape] == 1), None)
    return f", such as '{printable(others[once[1]])}' for '{once[0]}' {sizes(once[1])}" if once else ""
