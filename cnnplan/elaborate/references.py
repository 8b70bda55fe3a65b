"""References: `from`, `like`, `share` and `outputs` to the values they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.diagnostics import Related, some, suggest
from cnnplan.elaborate.findings import used_in
from cnnplan.elaborate.state import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.elaborate.state import Values, Where
    from cnnplan.spec import Reference


def find(reference: Reference, previous: Values | None, where: Where) -> Record | None:
    """What the name stands for; None, and a finding, where it is not visible or left out."""
    frame, name = where.frame, reference.name
    if name == "previous":
        return Record(previous)
    if name in frame.inputs:
        return Record(frame.inputs[name])
    record = frame.find(name)
    if record is None:
        _unknown(reference, where)
    elif record.left_out:
        assert record.item is not None
        _refuse(
            reference,
            f"'{name}' is left out here: its {record.left_out}",
            where,
            related=[Related(f"'{name}' is defined here", record.item.key.start)],
            help="give both the same `if`, or refer to what comes before it",
        )
        return None
    return record


def is_left_out(reference: Reference, where: Where) -> bool:
    """Whether the reference names an item that is left out."""
    record = where.frame.find(reference.name)
    return record is not None and bool(record.left_out)


def resolve(reference: Reference, previous: Values | None, where: Where, *, single: bool = False) -> Values | None:
    """The values that a reference names; None where an error keeps them from being known."""
    record = find(reference, previous, where)
    if record is None or record.values is None:
        return None
    name, part, values = reference.name, reference.part, record.values
    choices = [f"{name}.{p}" for p in record.parts or map(str, range(len(values)))]
    if part is None:
        if single and len(values) > 1:
            _refuse(reference, f"'{name}' has {len(values)} outputs", where, help=f"say which: {some(choices)}")
            return None
        return values
    if part in record.parts:
        return (values[record.parts.index(part)],)
    if part.isdecimal() and len(part) < 6 and int(part) < len(values) and (len(values) > 1 or record.parts):
        return (values[int(part)],)
    _refuse(
        reference,
        f"'{name}' has no output '{part}'",
        where,
        help=_outputs_help(name, choices, record),
    )
    return None


def _outputs_help(name: str, choices: Sequence[str], record: Record) -> str:
    if len(choices) > 1:
        return f"it has {some(choices)}"
    if record.item and record.item.repeat:
        return f"`{name}` is what its last copy gives; single copies cannot be referred to"
    return f"it has one output: write `{name}`"


def _unknown(reference: Reference, where: Where) -> None:
    frame, name = where.frame, reference.name
    if name == "input":
        given = some(frame.inputs)
        _refuse(reference, "`input` is not defined here: the inputs have names", where, help=f"they are {given}")
    elif later := frame.later(name):
        _refuse(
            reference,
            f"'{name}' is used before it is defined",
            where,
            related=[Related(f"'{name}' is defined here", later.key.start)],
            help="a reference names an item that comes before it",
        )
    else:
        word = name.rstrip("0123456789")
        automatic = word != name and any(item.word == word for f in frame.around() for item in f.items)
        help = "automatic names cannot be used: give the item a `name`" if automatic else suggest(name, frame.known())
        _refuse(reference, f"unknown name '{name}'", where, help=help)


def _refuse(reference: Reference, message: str, where: Where, related: Sequence[Related] = (), help: str = "") -> None:
    where.run.report.add("S016", message, reference.node, help=help, related=[*related, *used_in(where)])
