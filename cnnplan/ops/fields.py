"""The kinds of values that arguments take, each with one clear message when it is not one.

Pydantic's own unions report one mistake several times, and its integers accept `true`; these
accept exactly what the language says. They carry their JSON Schema for editors.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from cnnplan.source import MAX_INTEGER, describe

Json: TypeAlias = dict[str, Any]


def refuse(wanted: str, value: object) -> PydanticCustomError:
    """`wanted` and what was given instead."""
    return PydanticCustomError("value", "{wanted} is wanted, not {given}", {"wanted": wanted, "given": describe(value)})


def refuse_size(wanted: str, value: object) -> PydanticCustomError:
    """A size that is zero or negative: the sizes of a network are positive."""
    return PydanticCustomError("size", "{wanted} is wanted, not {given}", {"wanted": wanted, "given": describe(value)})


def integer(value: object, least: int, wanted: str) -> int:
    """The value, if it is an integer of at least `least`.

    Raises:
        PydanticCustomError: it is not; the text says what is `wanted`.
    """
    if type(value) is int and least <= value <= MAX_INTEGER:
        return value
    if isinstance(value, float) and value.is_integer():
        raise PydanticCustomError(
            "value",
            "{wanted} is wanted, not the float {given}; divide with `//` or convert with `int()`",
            {"wanted": wanted, "given": str(value)},
        )
    raise (refuse_size if type(value) is int else refuse)(wanted, value)


def number(least: float | None, most: float | None, wanted: str, *, open_: bool = False) -> Callable[[object], float]:
    """A validator of finite numbers from `least` to `most`; `open_` excludes `least` itself."""

    def check(value: object) -> float:
        if type(value) in (int, float) and math.isfinite(value):  # type: ignore[arg-type]
            low = least is None or (value > least if open_ else value >= least)  # type: ignore[operator]
            if low and (most is None or value <= most):  # type: ignore[operator]
                return value  # type: ignore[return-value]
        raise refuse(wanted, value)

    return check


def per_axis(least: int, what: str) -> Callable[[object], int | tuple[int, ...]]:
    """A validator of an integer of at least `least`, or a list of one for each spatial axis."""
    wanted = f"{what}, or one for each axis,"

    def check(value: object) -> int | tuple[int, ...]:
        if type(value) is list or type(value) is tuple:
            if not 1 <= len(value) <= 3:
                raise refuse("a list of 1 to 3 numbers, one for each spatial axis,", value)
            return tuple(integer(v, least, what) for v in value)
        return integer(value, least, wanted)

    return check


def _padding(value: object) -> Any:
    if isinstance(value, str):
        if value in ("half", "same"):
            return value
    elif isinstance(value, list | tuple):
        if 1 <= len(value) <= 3:
            if all(isinstance(v, list | tuple) for v in value):
                pairs: Any = value
                if all(len(p) == 2 for p in pairs):
                    return tuple((integer(a, 0, _SIDE), integer(b, 0, _SIDE)) for a, b in pairs)
            elif not any(isinstance(v, list | tuple) for v in value):
                return tuple(integer(v, 0, _SIDE) for v in value)
    elif type(value) is int and value >= 0:
        return integer(value, 0, _SIDE)
    raise refuse("a number ≥ 0, one for each axis, pairs [[before, after], …], `half` or `same`", value)


_SIDE = "a padding ≥ 0"


def _flag(value: object) -> bool:
    if type(value) is bool:
        return value
    raise refuse("`true` or `false`", value)


def _sizes(value: object) -> tuple[int, ...]:
    if isinstance(value, list | tuple) and value:
        return tuple(integer(v, 1, "a size ≥ 1") for v in value)
    raise refuse("a list of sizes", value)


def _list_of(item: Json, least: int = 1, most: int | None = 3) -> Json:
    return {"type": "array", "items": item, "minItems": least} | ({"maxItems": most} if most else {})


_POSITIVE: Json = {"type": "integer", "minimum": 1}
_NATURAL: Json = {"type": "integer", "minimum": 0}

Size: TypeAlias = Annotated[int, PlainValidator(lambda v: integer(v, 1, "an integer ≥ 1")), WithJsonSchema(_POSITIVE)]
Natural: TypeAlias = Annotated[int, PlainValidator(lambda v: integer(v, 0, "an integer ≥ 0")), WithJsonSchema(_NATURAL)]
Integer: TypeAlias = Annotated[
    int,
    PlainValidator(lambda v: integer(v, -MAX_INTEGER, "an integer")),
    WithJsonSchema({"type": "integer"}),
]
Spatial: TypeAlias = Annotated[
    int | tuple[int, ...],
    PlainValidator(per_axis(1, "an integer ≥ 1")),
    WithJsonSchema({**_POSITIVE, **_list_of(_POSITIVE), "type": ["integer", "array"]}),
]
Spatial0: TypeAlias = Annotated[
    int | tuple[int, ...],
    PlainValidator(per_axis(0, "an integer ≥ 0")),
    WithJsonSchema({**_NATURAL, **_list_of(_NATURAL), "type": ["integer", "array"]}),
]
Padding: TypeAlias = Annotated[
    int | tuple[int, ...] | tuple[tuple[int, int], ...] | str,
    PlainValidator(_padding),
    WithJsonSchema(
        {
            "type": ["integer", "string", "array"],
            "minimum": 0,
            "pattern": "^(half|same)$",
            "minItems": 1,
            "maxItems": 3,
            "items": {**_NATURAL, **_list_of(_NATURAL, 2, 2), "type": ["integer", "array"]},
        }
    ),
]
PaddingMode: TypeAlias = Literal["zeros", "reflect", "replicate", "circular"]
Flag: TypeAlias = Annotated[bool, PlainValidator(_flag), WithJsonSchema({"type": "boolean"})]
Sizes: TypeAlias = Annotated[tuple[int, ...], PlainValidator(_sizes), WithJsonSchema(_list_of(_POSITIVE, 1, None))]
Probability: TypeAlias = Annotated[
    float,
    PlainValidator(number(0, 1, "a probability from 0 to 1")),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]
Number: TypeAlias = Annotated[float, PlainValidator(number(None, None, "a number")), WithJsonSchema({"type": "number"})]
Epsilon: TypeAlias = Annotated[
    float,
    PlainValidator(number(0, 1, "a small number, above 0 (channels are inferred, not written),", open_=True)),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
]
Positive: TypeAlias = Annotated[
    float,
    PlainValidator(number(0, None, "a number above 0", open_=True)),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
]
NotNegative: TypeAlias = Annotated[
    float, PlainValidator(number(0, None, "a number ≥ 0")), WithJsonSchema({"type": "number", "minimum": 0})
]


class Setting(BaseModel):
    """A mapping that knows its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")
