"""`check --format github`: workflow commands, which GitHub shows as annotations of the lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.codes import ERROR, INFO, SEVERITIES, WARNING
from cnnplan.render.checked import said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.diagnostics import Diagnostic, Position
    from cnnplan.render.checked import Checked

COMMANDS = {ERROR: "error", WARNING: "warning", INFO: "notice"}


def render(found: Sequence[Checked]) -> str:
    """A command for each finding, errors first: GitHub shows ten of each kind and step, and drops the others."""
    commands = [
        (SEVERITIES.index(diagnostic.severity), _command(checked.name, diagnostic, start, end))
        for checked in found
        for diagnostic, start, end in checked.spans()
    ]
    return "".join(line for _, line in sorted(commands, key=lambda command: command[0]))


def _command(path: str, found: Diagnostic, start: Position, end: Position) -> str:
    properties: dict[str, object] = {"file": path}
    if found.start:
        properties |= {"line": start.line, "endLine": end.line}
        if start.line == end.line:  # columns of several lines are refused
            properties |= {"col": start.column, "endColumn": end.column}
    properties["title"] = f"cnnplan ({found.code})"
    listed = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    return f"::{COMMANDS[found.severity]} {listed}::{_data(said(found))}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
