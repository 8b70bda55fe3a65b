"""A spec given as a dict: the YAML text that stands for it."""

from __future__ import annotations

import json
import math
import operator
import re
from typing import TYPE_CHECKING, Any

from cnnplan.errors import UsageError
from cnnplan.source import MAX_DEPTH, REFUSED, WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping


def from_data(data: Mapping[Any, Any]) -> str:
    """A spec given as a dict, as the YAML text that stands for it.

    Raises:
        UsageError: the data hold something other than dicts, lists, numbers, texts, booleans and
            None, or are nested too deeply.
    """
    lines: list[str] = []

    def write(value: object, indent: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise UsageError(f"the spec is nested more than {MAX_DEPTH} levels deep")
        if isinstance(value, dict) and value:
            for key, item in value.items():
                lines.append(f"{indent}{leaf(key)}:")
                write(item, indent + "  ", depth + 1)
        elif isinstance(value, list | tuple) and value:
            for item in value:
                lines.append(f"{indent}-")
                write(item, indent + "  ", depth + 1)
        else:
            lines[-1:] = [f"{lines[-1]} {leaf(value)}"] if lines else [leaf(value)]

    def leaf(value: object) -> str:
        if isinstance(value, str):
            plain = re.fullmatch(r"=?[A-Za-z_][\w. -]*", value) and value not in WORDS
            if plain and value == value.strip():
                return value
            return REFUSED.sub(lambda c: f"\\u{ord(c.group()):04x}", json.dumps(value, ensure_ascii=False))
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"a spec holds no number that is not finite: {value}")
        if value is None or isinstance(value, bool | int | float):
            return json.dumps(value)
        if hasattr(value, "__index__"):  # an integer of NumPy's
            return str(operator.index(value))
        if isinstance(value, dict | list | tuple):
            return "{}" if isinstance(value, dict) else "[]"
        raise UsageError(f"a spec holds no {type(value).__name__}: {value!r:.60}")

    write(data, "", 0)
    return "\n".join(lines) + "\n"
