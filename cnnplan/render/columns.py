"""The columns of a plan's table: what `--columns` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cnnplan.errors import UsageError
from cnnplan.render.numbers import bar, exact, percent, seconds, short, size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cnnplan.analyses.field import ReceptiveField
    from cnnplan.analyses.roofline import Pass
    from cnnplan.planning import Plan
    from cnnplan.render.rows import Row

BAR = 8


class Column(NamedTuple):
    """A column.

    Attributes:
        title: what stands above it.
        meaning: of its numbers, for `cnnplan check --help` and the docs.
        cell: its text for a row.
        right: whether it is aligned to the right.
        style: of its cells.
    """

    title: str
    meaning: str
    cell: Callable[[Row, Plan], str]
    right: bool = False
    style: str | None = None


def axes(values: Sequence[object]) -> str:
    """One value where all axes agree: 212; else 76x150x150."""
    words = ["?" if value is None else str(value) for value in values]
    return words[0] if len(set(words)) == 1 else "x".join(words)


def _of_field(row: Row, plan: Plan, text: Callable[[ReceptiveField], str]) -> str:
    """A text about the field of a row's last output; "all" where nothing of it is local."""
    field = plan.reach.of(row.end) if row.end else None
    if field is None:
        return ""
    if any(size is not None for size in field.size):
        return text(field)
    return "?" if field.unknown else "all"


def _estimate(row: Row, plan: Plan) -> str:
    sizes = plan.reach.effective_size(row.end) if row.end else ()
    return f"~{axes([size if size is None else round(size) for size in sizes])}" if any(sizes) else ""


def _coverage(row: Row, plan: Plan) -> str:
    shares = plan.reach.coverage(row.end) if row.end else ()
    return axes([s if s is None else f"{100 * s:.0f} %" for s in shares]) if any(shares) else ""


def _connections(row: Row, plan: Plan) -> str:
    found = [plan.layers[node.index].connections for node in row.nodes]
    return "?" if None in found else exact(sum(n or 0 for n in found))


def _dense(row: Row, plan: Plan) -> str:
    found = [plan.layers[node.index].dense_parameters for node in row.nodes]
    return exact(sum(n or 0 for n in found))


def _kept(row: Row) -> str:
    from cnnplan.analyses.counts import kept

    share = kept(row.nodes[-1]) if row.nodes and not row.opened else None
    return "" if share is None or len({id(node.item) for node in row.nodes}) > 1 else f"{100 * float(share):.4g} %"


def _bytes(n: int) -> str:
    return size(n) if n else ""


def _saved(row: Row, plan: Plan) -> int:
    return sum(plan.memory.saved_bytes[node] for node in row.nodes)


def _forward(row: Row, plan: Plan) -> Pass:
    return _total([plan.roofline[node].forward for node in row.nodes])


def _both(row: Row, plan: Plan) -> Pass:
    return _total([one for node in row.nodes for one in (plan.roofline[node].forward, plan.roofline[node].backward)])


def _total(passes: Sequence[Pass]) -> Pass:
    from cnnplan.analyses.roofline import total

    return total(passes)


def _time(found: Pass) -> str:
    return seconds(found.seconds) if found.seconds is not None else ""


COLUMNS: dict[str, Column] = {
    "layer": Column(
        "layer", "its name", lambda row, _: "  " * row.level + row.name + (f" ×{row.times}" if row.times > 1 else "")
    ),
    "operation": Column("operation", "the operation and its arguments", lambda row, _: row.what, style="dim"),
    "line": Column("line", "its line in the spec", lambda row, _: str(row.line), True, "dim"),
    "output": Column("output", "the shape of its output", lambda row, _: row.output),
    "parameters": Column(
        "parameters",
        "elements of its parameters",
        lambda row, _: "shared" if row.shared and not row.parameters else exact(row.parameters),
        True,
    ),
    "parameters_share": Column(
        "share", "of all parameters", lambda row, plan: percent(row.parameters, plan.parameters), True
    ),
    "macs": Column("MACs", "multiply-accumulates", lambda row, _: short(row.macs), True),
    "macs_share": Column("share", "of all MACs", lambda row, plan: percent(row.macs, plan.macs), True),
    "flops": Column("FLOPs", "floating point operations", lambda row, _: short(row.flops), True),
    "field": Column(
        "field",
        "size of the receptive field, through local paths; all = the whole input",
        lambda row, plan: _of_field(row, plan, lambda field: axes(field.size)),
        True,
    ),
    "min_field": Column(
        "min field",
        "the same of the smallest single path",
        lambda row, plan: _of_field(row, plan, lambda field: axes(field.min_size)),
        True,
    ),
    "stride": Column(
        "stride",
        "input units from one unit to the next",
        lambda row, plan: _of_field(row, plan, lambda field: axes(field.stride)),
        True,
    ),
    "start": Column(
        "start",
        "first input unit of unit 0, negative in padding",
        lambda row, plan: _of_field(row, plan, lambda field: axes(field.start)),
        True,
    ),
    "connections": Column("connections", "edges that end in its units, without weight sharing", _connections, True),
    "dense_parameters": Column("dense", "parameters of a dense layer between the same units", _dense, True),
    "kept": Column("kept", "share of its units that a pool keeps", lambda row, p: _kept(row), True),
    "effective": Column("effective", "estimate of the effective field's size, at initialization", _estimate, True),
    "coverage": Column("coverage", "share of the field that is read; below 100 % it has holes", _coverage, True),
    "bar": Column(
        "",
        "the share of all MACs, drawn",
        lambda row, p: "" if row.opened else bar(row.macs, p.macs, BAR),
        style="cyan",
    ),
    "saved": Column(
        "saved", "bytes that it is the first to keep for the backward pass", lambda row, p: _bytes(_saved(row, p)), True
    ),
    "saved_share": Column(
        "share",
        "of all saved activations",
        lambda row, p: percent(_saved(row, p), p.training.saved_activations),
        True,
    ),
    "memory": Column(
        "",
        "the share of all saved activations, drawn",
        lambda row, p: "" if row.opened else bar(_saved(row, p), p.training.saved_activations, BAR),
        style="cyan",
    ),
    "bytes": Column(
        "bytes", "read and written by the forward pass", lambda row, p: _bytes(_forward(row, p).bytes), True
    ),
    "intensity": Column(
        "FLOP/B",
        "FLOPs for each byte of the forward pass",
        lambda row, p: f"{n:.1f}" if (n := _forward(row, p).intensity) is not None else "",
        True,
    ),
    "bound": Column(
        "bound",
        "compute or memory: what the forward pass waits for on the device",
        lambda row, p: _forward(row, p).bound,
    ),
    "format": Column(
        "format",
        "what its products are computed in",
        lambda row, p: " ".join(sorted({p.roofline[n].format for n in row.nodes} - {""})),
    ),
    "time": Column(
        "time ≥", "lower bound of the forward pass on the device", lambda row, p: _time(_forward(row, p)), True
    ),
    "training_time": Column(
        "training ≥",
        "lower bound of the forward and the backward pass",
        lambda row, p: _time(_both(row, p)),
        True,
    ),
}

DEFAULT = ("layer", "operation", "output", "field", "parameters", "parameters_share", "macs", "macs_share", "bar")
DROPPED = ("bar", "parameters_share", "macs_share", "operation", "field")
"""The default columns that go where the width is short, first to last."""


def chosen(text: str | None) -> tuple[str, ...] | None:
    """The columns that `--columns` names, separated by commas; None for the default.

    Raises:
        UsageError: one of them is not a column.
    """
    if text is None:
        return None
    from cnnplan.diagnostics import suggest

    names = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    for name in names:
        if name not in COLUMNS:
            raise UsageError(f"there is no column '{name}'; {suggest(name, COLUMNS, limit=len(COLUMNS))}")
    if not names:
        raise UsageError(f"--columns takes names such as layer,output,field: {', '.join(COLUMNS)}")
    return names if "layer" in names else ("layer", *names)
