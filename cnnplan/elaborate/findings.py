"""Where an error is: the token to underline, the layer, its input's origin, the blocks around."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.diagnostics import Edit, Fix, Related, some
from cnnplan.source import Scalar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.diagnostics import Position
    from cnnplan.elaborate.state import Values, Where
    from cnnplan.errors import ShapeError
    from cnnplan.graph import Value
    from cnnplan.ops.base import Shape
    from cnnplan.source import Node as TextNode
    from cnnplan.spec import Item


def used_in(where: Where) -> list[Related]:
    """The uses of the blocks around, from the inside out, unless the finding is placed at one."""
    outside = [use for use in where.uses if not use.is_place]
    return [
        Related(f"in '{use.path}', this use of block '{use.item.word}'", use.item.key.start)
        for use in reversed(outside)
    ]


def problem(
    code: str,
    message: str,
    item: Item,
    where: Where,
    layer: str | None = None,
    *,
    help: str = "",
    at: TextNode | None = None,
    related: Sequence[Related] = (),
    fix: Fix | None = None,
) -> None:
    """Report what is wrong with an item."""
    use = where.place
    if use:
        message = next(u.prefix for u in where.uses if u.is_place) + message
    where.run.report.add(
        code,
        message,
        use or at or item.key,
        help=help,
        layer=layer,
        related=[*related, *used_in(where)],
        fix=None if use else fix,
    )


def shape_error(
    error: ShapeError,
    inputs: Values,
    item: Item,
    where: Where,
    layer: str,
    labels: Sequence[str],
    origins: Sequence[Related],
) -> None:
    """Report that an operation refuses its inputs."""
    message = error.message
    for index, label in enumerate(labels or [f"'{v.name}'" for v in inputs]):
        message = message.replace(f"{{{index}}}", label)
    at: TextNode | None = None
    if error.argument in item.arguments:
        key, given = item.arguments[error.argument]
        at = given.node if key is None or isinstance(given.node, Scalar) else key
    fix = None
    if error.instead is not None and isinstance(at, Scalar) and not at.is_expression:
        edit = Edit(at.start, at.end, str(error.instead))
        fix = Fix(False, f"set `{error.argument}: {error.instead}`", (edit,))
    help = error.help
    if any(v.node is None and _looks_last(v.shape) for v in inputs):
        help += "; the shape of an input has the channels first: [3, 224, 224]"
    elif any(v.node is None and len(v.shape) == 4 and v.shape[0] == 1 and v.shape[1] in (1, 3) for v in inputs):
        help += "; the shape of an input is that of one sample, without the batch"
    if not origins and len(inputs) == 1:
        origins = [Related(f"its input {inputs[0].shape} comes from '{inputs[0].name}'", origin(inputs[0]))]
    problem(
        error.code,
        message,
        item,
        where,
        layer,
        help=help.removeprefix("; "),
        at=at,
        related=origins or origins_of(inputs),
        fix=fix,
    )


def _looks_last(shape: Shape) -> bool:
    """Whether the channels of an image seem to stand last."""
    return len(shape) == 3 and shape[-1] in (1, 3) and min(shape[:2]) > 4


def wrong_count(values: Values, wanted: int, item: Item, where: Where, layer: str, owner: str = "") -> None:
    """Report that an item is fed more or fewer values than it takes."""
    given = [v.name for v in values]
    if len(values) < wanted:
        least = "at least " if item.kind == "merge" else ""
        message = f"{owner}'{item.word}' takes {least}{wanted} values, but only {some(given)} enters"
        help = "list them with `from: […]`"
        if item.kind == "merge":
            help += ", or give it branches"
    else:
        takes = "one value" if wanted == 1 else f"{wanted} values"
        message = f"{owner}'{item.word}' takes {takes}, but {len(values)} enter: {some(given)}"
        help = "choose one with `from`" if wanted == 1 else ""
    problem("S019", message, item, where, layer, help=help)


def origin(value: Value) -> Position | None:
    """Where the spec makes a value."""
    return value.node.at.start if value.node else None


def origins_of(values: Values) -> list[Related]:
    """A line for each value: its name, its shape, its place."""
    return [Related(f"'{v.name}' is {v.shape}", origin(v)) for v in values]
