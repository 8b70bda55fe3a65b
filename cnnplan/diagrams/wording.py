"""What boxes say: an operation in a few words, numbers, and the whole story for the tooltip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnplan.diagnostics import printable
from cnnplan.render.numbers import counted, plural, size
from cnnplan.render.rows import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cnnplan.graph import Node, Scope, Value
    from cnnplan.planning import Plan

WIDEST = 38
"""Characters of a line; longer ones are cut, and the tooltip has all."""

WIDEST_FRAME = 28
"""The same on a frame."""

QUIET = frozenset(
    (
        "padding",
        "output_padding",
        "padding_mode",
        "bias",
        "eps",
        "momentum",
        "affine",
        "track_running_stats",
        "elementwise_affine",
        "ceil_mode",
        "count_include_pad",
        "align_corners",
        "keepdim",
        "init",
        "alpha",
        "beta",
        "k",
        "threshold",
        "sampling_ratio",
        "aligned",
        "num_parameters",
        "negative_slope",
        "approximate",
        "scale",
        "value",
    )
)
"""Arguments that a picture leaves out."""


def brief(node: Node) -> str:
    """An operation with the arguments that tell most: `conv 3x3/2, 64, groups 32`."""
    op, words = node.op, []
    fields = type(op).model_fields
    if "kernel_size" in fields:
        words.append(_window(op, node.shapes[0].rank))
    for index, (name, field) in enumerate(fields.items()):
        value = getattr(op, name)
        unsaid = not field.repr or (not field.is_required() and value == field.default)
        if unsaid or name in QUIET or name in ("kernel_size", "stride"):
            continue
        words.append(_argument(name, value, bare=index == 0 or isinstance(value, str)))
    return f"{op.kind} {', '.join(words)}".rstrip()


def _window(op: Any, rank: int) -> str:
    """A window and its stride: 3x3/2, 1x7, 2x2/2."""
    kernel = _axes(op.kernel_size, rank)
    stride = getattr(op, "stride", 1)
    steps = kernel if stride is None else _axes(stride, rank)
    text = "x".join(map(str, kernel))
    if set(steps) == {1}:
        return text
    return f"{text}/{steps[0] if len(set(steps)) == 1 else 'x'.join(map(str, steps))}"


def _axes(value: Any, rank: int) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,) * max(rank, 1)


def _argument(name: str, value: Any, bare: bool) -> str:
    if isinstance(value, bool):
        return name if value else f"{name} false"
    return f"{name} {plain(value)}" if name == "like" or not bare else plain(value)


def used(scope: Scope) -> str:
    """A block with the params that differ from their defaults: `bottleneck 64, stride 2`."""
    words = []
    assert scope.block is not None
    for index, (name, param) in enumerate(scope.block.params.items()):
        value = scope.arguments[name]
        if param.default is None or not (param.default.dynamic or param.default.constant == value):
            words.append(_argument(name, value, bare=index == 0))
    return f"{scope.label} {', '.join(words)}".rstrip()


def clipped(text: str, most: int = WIDEST) -> str:
    """The text, printable, and cut where it is too long for a box."""
    text = printable(text)
    return text if len(text) <= most else f"{text[: most - 1].rstrip(' ,')}…"


def field(plan: Plan, value: Value | None) -> str:
    """The receptive field of a value: `field 11x11`; "" where it has none."""
    found = plan.reach.of(value) if value else None
    if found is None:
        return ""
    if any(n is not None for n in found.size):
        return f"field {'x'.join('?' if n is None else str(n) for n in found.size)}"
    return "field unknown" if found.unknown else "field global"


def weights(plan: Plan, copies: Sequence[Sequence[Node]]) -> str:
    """Their parameters: `9,408 parameters`, `2 × 70,400 parameters` where copies are alike; "" for none."""
    each = [sum(plan.layers[node.index].parameters for node in nodes) for nodes in copies]
    if not any(each):
        return ""
    if len(set(each)) > 1:
        return f"{plural(sum(each), 'parameter')} in all"
    return f"{len(each)} × {plural(each[0], 'parameter')}" if len(each) > 1 else plural(each[0], "parameter")


def details(plan: Plan, name: str, what: str, nodes: Sequence[Node], line: int, outputs: Iterable[Value]) -> str:
    """All that is known of what a box stands for: one fact a line."""
    layers = [plan.layers[node.index] for node in nodes]
    facts = [name, *what.split("\n"), f"line {line} of the spec"]
    shared = sorted({node.shared_with for node in nodes if node.shared_with})
    if len(nodes) > 1:
        facts.append(plural(len(nodes), "layer"))
    facts.append(f"output {', '.join(v.size for v in outputs)}")
    if parameters := sum(layer.parameters for layer in layers):
        facts.append(plural(parameters, "parameter"))
    if shared:
        facts.append(f"weights of {shared[0]}{' …' if len(shared) > 1 else ''}")
    facts += [counted(n, unit) for n, unit in _work(layers) if n]
    if saved := sum(plan.memory.saved_bytes[node] for node in nodes):
        facts.append(f"keeps {size(saved)} for the backward pass at batch {plan.batch:,}")
    return "\n".join(map(printable, filter(None, facts)))


def _work(layers: Iterable[Any]) -> tuple[tuple[int, str], ...]:
    layers = list(layers)
    return (sum(layer.macs for layer in layers), "MACs"), (sum(layer.flops for layer in layers), "FLOPs")
