"""The keys of a spec that describe the plan, not the network: target, budget, lint, train.

Only their form is checked here; what they mean is up to those that read them.
"""

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from cnnplan.arguments import build
from cnnplan.diagnostics import Report
from cnnplan.errors import UsageError
from cnnplan.expressions import Names
from cnnplan.grammar import expression_error
from cnnplan.ops.fields import Setting, Size, refuse
from cnnplan.source import Mapping, Node
from cnnplan.spec import Given, PlacedError
from cnnplan.train_settings import Train

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?) ?([KkMGT]?)(i?B)?")
_SCALES = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def quantity(value: object) -> int:
    """A number, or one with a unit: 140M, 16G, 12GiB."""
    if type(value) in (int, float) and value >= 0:  # type: ignore[operator]
        return int(value)  # type: ignore[call-overload, no-any-return]
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) and len(value) < 40 else None
    if match is None:
        raise refuse("a number, or one with a unit such as 140M or 12GiB,", value)
    base = 1024 if match[3] == "iB" else 1000
    found = float(match[1]) * base ** _SCALES[match[2].upper()]
    if found == float("inf"):
        raise refuse("a number that can be counted,", value)
    return int(found)


_AMOUNT = {
    "type": ["number", "string"],
    "minimum": 0,
    "pattern": r"^(=|[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)? ?[KkMGT]?(i?B)?$)",
}
Quantity: TypeAlias = Annotated[int, PlainValidator(quantity), WithJsonSchema(_AMOUNT)]


def _code(value: object) -> str:
    """A code, or its beginning."""
    from cnnplan.lint.selection import unknown

    if not isinstance(value, str):
        raise refuse("a code such as N201, or its beginning,", value)
    if wrong := unknown([value]):
        raise PydanticCustomError("code", "{wrong}", {"wrong": wrong})
    return value


Codes: TypeAlias = list[
    Annotated[str, PlainValidator(_code), WithJsonSchema({"type": "string", "pattern": "^[A-Z]+[0-9]*$"})]
]


class Limit(Setting):
    """A limit of a budget."""

    at_most: Quantity | None = Field(None, description="the largest value that is allowed")
    at_least: Quantity | None = Field(None, description="the smallest value that is allowed")
    batch: Size | None = Field(None, description="the batch size at which memory is counted")


def _limit(value: object) -> Limit:
    if isinstance(value, Limit):
        return value
    if isinstance(value, dict):
        return Limit.model_validate(value)
    return Limit(at_most=quantity(value))


BudgetLimit: TypeAlias = Annotated[
    Limit,
    PlainValidator(_limit),
    WithJsonSchema(
        {
            **_AMOUNT,
            "type": ["number", "string", "object"],
            "additionalProperties": False,
            "properties": {
                "at_most": {**_AMOUNT, "description": "the largest value that is allowed"},
                "at_least": {**_AMOUNT, "description": "the smallest value that is allowed"},
                "batch": {"type": "integer", "minimum": 1, "description": "the batch size at which memory is counted"},
            },
        }
    ),
]


class Budget(Setting):
    """What the network may cost; a budget that it breaks is an error."""

    parameters: BudgetLimit | None = Field(None, description="parameters")
    macs: BudgetLimit | None = Field(None, description="multiply-accumulates for one sample")
    training_memory: BudgetLimit | None = Field(None, description="peak memory of a training step, in bytes")
    receptive_field: BudgetLimit | None = Field(None, description="receptive field of the last map, in input units")


def _device(value: object) -> str:
    """A device that is known."""
    from cnnplan.conditions import CPU, CUDA
    from cnnplan.devices import device

    if not isinstance(value, str) or not value:
        raise refuse("a device such as a100-80gb, or cpu,", value)
    if value.lower() in (CPU, CUDA):
        return value.lower()
    try:
        return device(value).key
    except UsageError as error:
        raise PydanticCustomError("value", str(error)) from None


class Target(Setting):
    """What the author plans for."""

    device: Annotated[str, PlainValidator(_device), WithJsonSchema({"type": "string"})] | None = Field(
        None, description="a device of `cnnplan devices`, or cpu"
    )
    batch: Size | None = Field(None, description="batch size")
    dtype: Literal["float32", "float16", "bfloat16"] | None = Field(None, description="precision")
    optimizer: Literal["sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop"] | None = Field(
        None, description="optimizer"
    )


class Lint(Setting):
    """Which findings this file reports."""

    ignore: Codes = Field([], description="codes that are not reported")
    select: Codes = Field([], description="codes that are reported; all by default")


MODELS: dict[str, type[Setting]] = {"target": Target, "budget": Budget, "lint": Lint, "train": Train}


def read_setting(key: str, node: Node, variables: Names, report: Report) -> Setting | None:
    """The setting under a top-level key; None, and findings, where its form is wrong."""
    if not isinstance(node, Mapping):
        report.add("Y911", f"`{key}` is a mapping, not {node.kind}", node)
        return None
    try:
        value = Given(node).value(variables)
    except PlacedError as error:
        expression_error(report, error)
        return None
    nodes = {str(k.value): (k, v) for k, v in node}
    found: Setting | None = build(MODELS[key], value, f"`{key}`", node, nodes, report)
    return found
