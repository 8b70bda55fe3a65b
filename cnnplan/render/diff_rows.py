"""The rows of a difference: whole blocks in one, and copies of the same line of the spec in one."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.differences import AFFECTED, Metric
from cnnplan.render.numbers import plural, short
from cnnplan.render.rows import described

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnnplan.differences import Argument, Difference, LayerDifference
    from cnnplan.graph import Scope, Step
    from cnnplan.planning import Layer, Plan

MARKS = {"added": "+", "removed": "−", "changed": "~", "moved": "↕", "renamed": "→", AFFECTED: "≈", "same": " "}


class Row(NamedTuple):
    """A layer, a block, or several of them that one line of the spec made.

    Attributes:
        status: of all its layers.
        name: with `*` for what differs between several.
        times: how many layers or blocks of the same kind it stands for.
        words: what it is, or what the spec says otherwise.
        details: its shapes and numbers, where it is one layer.
        line: in the spec that has it, the new one where both have.
        parameters, macs: of all its layers.
    """

    status: str
    name: str
    times: int
    words: str
    details: tuple[str, ...]
    line: int
    parameters: Metric
    macs: Metric

    @property
    def said(self) -> str:
        """Everything but its name and what it costs."""
        return "; ".join(filter(None, (f"line {self.line}: {self.words}" if self.words else "", *self.details)))


def rows(found: Difference, every: bool = False) -> list[Row]:
    """The layers that the change is about; all layers, each by itself, where `every` one is wanted."""
    if every:
        return [_row([layer], found) for layer in found.layers]
    sizes = _sizes(found.old), _sizes(found.new)
    words = _scopes(found.old), _scopes(found.new)
    out = []
    for (status, _), group in groupby(found.layers, lambda x: (x.status, _values(x.arguments))):
        if status not in ("same", AFFECTED):
            side = int(status != "removed")
            out += [_row(part, found, words[side], prefix) for prefix, part in _parts([*group], sizes[side])]
    return list(_merged(out))


def rest(found: Difference, status: str) -> Row:
    """All layers of a status in one row."""
    layers = found.of(status)
    return Row(status, plural(len(layers), "layer"), len(layers), "", (), 0, *_sums(layers))


def _values(arguments: Sequence[Argument]) -> str:
    return repr([one for one in arguments if one.name != "inputs"])


def _sizes(plan: Plan) -> Counter[str]:
    """How many layers each part of the tree has, by its name."""
    return Counter(prefix for layer in plan.layers for prefix in _prefixes(layer.name))


def _prefixes(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _scopes(plan: Plan) -> dict[str, str]:
    """The words of blocks, groups, branches and merges, by their names."""
    found: dict[str, str] = {}

    def of_scope(scope: Scope) -> None:
        found[scope.name] = scope.label if scope.kind in ("block", "merge") else scope.kind
        of_steps(scope.steps)
        for _, branch in scope.branches:
            if branch:
                of_scope(branch)

    def of_steps(steps: Sequence[Step]) -> None:
        for step in steps:
            for copy in step.copies:
                if copy.scope:
                    of_scope(copy.scope)
                of_steps(copy.steps)

    of_scope(plan.graph.root)
    return found


def _parts(layers: Sequence[LayerDifference], sizes: Counter[str]) -> Iterator[tuple[str, list[LayerDifference]]]:
    """Layers of one status as whole blocks, by name, and what is left as single layers."""
    at = 0
    while at < len(layers):
        name = layers[at].name
        for prefix in _prefixes(name):
            count = sizes[prefix]
            part = list(layers[at : at + count])
            whole = len(part) == count > 1 and all(x.name == prefix or x.name.startswith(f"{prefix}.") for x in part)
            if whole and (part[0].status != "renamed" or _old_prefix(part, prefix)):
                yield prefix, part
                at += count
                break
        else:
            yield "", [layers[at]]
            at += 1


def _old_prefix(part: Sequence[LayerDifference], prefix: str) -> str:
    """What a renamed block was called; "" where its layers were in several."""
    found = set()
    for one in part:
        assert one.old
        inside = one.name[len(prefix) :]
        found.add(one.old.name.removesuffix(inside) if one.old.name.endswith(inside) else "")
    return found.pop() if len(found) == 1 else ""


def _sums(layers: Sequence[LayerDifference]) -> tuple[Metric, Metric]:
    pairs = [[getattr(layer, name) for layer in layers] for name in ("parameters", "macs")]
    one, other = (Metric(sum(p.old for p in pair), sum(p.new for p in pair)) for pair in pairs)
    return one, other


def _row(
    part: Sequence[LayerDifference], found: Difference, scopes: dict[str, str] | None = None, prefix: str = ""
) -> Row:
    first = part[0]
    shown = first.new or first.old
    assert shown
    words = [_arguments(first.arguments)] if first.status == "changed" else []
    if prefix:
        name = prefix
        words += [f"{(scopes or {}).get(prefix, 'block')}, {plural(len(part), 'layer')}"]
        if first.status == "renamed":
            words.append(f"was {_old_prefix(part, prefix)}")
        details: tuple[str, ...] = ()
    else:
        name = first.name
        words += [] if first.status in ("changed", AFFECTED, "same") else [described(shown.node.op)]
        if first.old and first.old.name != name:
            words.append(f"was {first.old.name}")
        details = tuple(_details(first))
    if first.status == "moved":
        words.append(_places(first, found))
    return Row(first.status, name, 1, ", ".join(filter(None, words)), details, shown.line, *_sums(part))


def _arguments(arguments: Sequence[Argument]) -> str:
    return ", ".join(f"{one.name} {plain(one.old)} → {plain(one.new)}" for one in arguments)


def plain(value: Any) -> str:
    """A value as the spec would say it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(plain, value))}]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _details(one: LayerDifference) -> Iterator[str]:
    """Shapes and numbers, old and new where they differ."""
    old, new = (", ".join(map(str, shapes)) for shapes in one.outputs)
    if not old or not new:
        yield f"output {old or new}"
        return
    if old != new:
        yield f"output {old} → {new}"
    for word, pair in (("parameters", one.parameters), ("MACs", one.macs)):
        if pair.change:
            yield f"{word} {short(pair.old or 0) or 0} → {short(pair.new or 0) or 0}"
    fields = one.receptive_field
    if fields[0] != fields[1] and all(fields):
        yield f"field {'x'.join(map(plain, fields[0] or ()))} → {'x'.join(map(plain, fields[1] or ()))}"


def _places(one: LayerDifference, found: Difference) -> str:
    assert one.old
    assert one.new
    behind = [_before(one.old, found.old), _before(one.new, found.new)]
    return f"behind {behind[1]}, was behind {behind[0]}"


def _before(layer: Layer, plan: Plan) -> str:
    index = layer.node.index
    return plan.layers[index - 1].name if index else "the input"


def _merged(found: Sequence[Row]) -> Iterator[Row]:
    """The rows of one line, which say the same, as one, where the first of them stands."""
    alike: dict[tuple[Any, ...], list[Row]] = {}
    for row in found:
        moved = row.name if row.status == "moved" else ""
        said = row.words.partition(", was ")[0]
        alike.setdefault((row.status, row.line, said, _without_numbers(row.name)[-1], moved), []).append(row)
    for several in alike.values():
        first = several[0]
        if len(several) == 1:
            yield first
            continue
        pairs = [[getattr(row, name) for row in several] for name in ("parameters", "macs")]
        sums = [Metric(sum(p.old for p in pair), sum(p.new for p in pair)) for pair in pairs]
        head, comma, _ = first.words.partition(", was ")
        was = [row.words.partition(", was ")[2] for row in several]
        words = head + (f"{comma}{pattern(was)}" if all(was) else "")
        yield first._replace(
            name=pattern([row.name for row in several]),
            times=len(several),
            words=words,
            details=(),
            parameters=sums[0],
            macs=sums[1],
        )


def _without_numbers(name: str) -> list[str]:
    return [part.rstrip("0123456789") for part in name.split(".")]


def pattern(names: Sequence[str]) -> str:
    """One name for several: stage*.conv1 for stage1.conv1 and stage2.conv1."""
    several = [name.split(".") for name in names]
    if len({len(parts) for parts in several}) == 1:
        columns = [set(column) for column in zip(*several, strict=True)]
        words = [{part.rstrip("0123456789") for part in column} for column in columns]
        return ".".join(
            c.pop() if len(c) == 1 else f"{w.pop()}*" if len(w) == 1 else "*"
            for c, w in zip(columns, words, strict=True)
        )
    tail = []
    for column in zip(*(reversed(parts) for parts in several), strict=False):
        if len(set(column)) > 1:
            break
        tail.append(column[0])
    return ".".join(["*", *reversed(tail)])
