"""Values that replace a spec's variables: Python values, or YAML texts from a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.diagnostics import Report
from cnnplan.errors import ExpressionError, UsageError
from cnnplan.source import Scalar, parse
from cnnplan.spec import Given

if TYPE_CHECKING:
    from collections.abc import Mapping


def overrides(variables: Mapping[str, Any]) -> dict[str, Given]:
    """Values that replace variables: Python values, or YAML texts from a command line.

    Raises:
        UsageError: a text is not one YAML value.
    """
    found = {}
    for name, value in variables.items():
        text = f"value: {value.text}" if isinstance(value, YamlText) else _as_text(value)
        report = Report(f"--set {name}")
        top = parse(text + "\n", report)
        node = top.get("value") if top else None
        empty = isinstance(node, Scalar) and node.value is None
        if node is None or empty or report.failed or (top and len(top.entries) > 1):
            problem = report.diagnostics[0].message if report.diagnostics else "it is empty"
            raise UsageError(f"--set {name}: {value} is not a YAML value: {problem}")
        try:
            found[name] = Given(node)
        except ExpressionError as error:
            raise UsageError(f"--set {name}: {error.message}") from None
    return found


def _as_text(value: object) -> str:
    from cnnplan.dict_specs import from_data

    return from_data({"value": value}).rstrip("\n")


class YamlText(NamedTuple):
    """A value as a command line gives it, to be read as YAML."""

    text: str

    def __str__(self) -> str:
        return f"'{self.text}'"
