"""The built-in blocks: one YAML file each, written in the spec language.

A file holds `summary`, `source`, and what an entry of `blocks:` holds. A block of the same name in
a spec replaces it there.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from cnnplan.diagnostics import Report
from cnnplan.source import Scalar, parse

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from cnnplan.source import Node


def _folder() -> Traversable:
    return files(__name__)


@cache
def builtin_names() -> tuple[str, ...]:
    """The names of the built-in blocks."""
    return tuple(sorted(f.name[: -len(".yaml")] for f in _folder().iterdir() if f.name.endswith(".yaml")))


class Builtin(NamedTuple):
    """A built-in block: its node and text, a summary, and its source."""

    node: Node
    text: str
    summary: str
    source: str


@cache
def load_builtin(name: str) -> Builtin:
    """The built-in block of this name."""
    text = (_folder() / f"{name}.yaml").read_text(encoding="utf-8")
    report = Report(f"<{name}>")
    node = parse(text, report)
    assert node, report.diagnostics
    about = {}
    for key in ("summary", "source"):
        _, value = node.entries.pop(key)
        assert isinstance(value, Scalar)
        about[key] = str(value.value)
    return Builtin(node, text, about["summary"], about["source"])
