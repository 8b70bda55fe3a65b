"""What an argument takes, in words, from its JSON Schema."""

from __future__ import annotations

import re
from typing import Any


def of_schema(schema: dict[str, Any]) -> str:
    """`integer ≥ 1, or a list of them`; `zeros, reflect, replicate or circular`."""
    if "anyOf" in schema:
        parts = [of_schema(s) for s in schema["anyOf"] if s.get("type") != "null"]
        return " or ".join(dict.fromkeys(parts))
    if "enum" in schema:
        words = [str(v) for v in schema["enum"]]
        return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
    if "const" in schema:
        return str(schema["const"])
    kinds = schema.get("type", "value")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    words = []
    for kind in kinds:
        if kind == "array":
            item = schema.get("items", {})
            deep = "array" in (item.get("type") or ())
            alone = kinds == ["array"]
            inner = f" of {_plural(of_schema(item))}" if alone and item else ""
            words.append(f"list{inner}" if alone else "one for each axis" + (" or pairs" if deep else ""))
        elif kind == "string" and (said := re.fullmatch(r"\^\(?([a-z|]+)\)?\$", schema.get("pattern", ""))):
            words += said[1].split("|")
        elif kind == "string" and "pattern" in schema:
            words.append("a reference")
        else:
            words.append(_bounded(kind, schema))
    return ", ".join(words)


def _bounded(kind: str, schema: dict[str, Any]) -> str:
    name = {"boolean": "true or false", "string": "text", "null": "nothing"}.get(kind, kind)
    if "minimum" in schema and "maximum" in schema:
        return f"{name} from {schema['minimum']} to {schema['maximum']}"
    if "minimum" in schema:
        return f"{name} ≥ {schema['minimum']}"
    if "exclusiveMinimum" in schema:
        return f"{name} > {schema['exclusiveMinimum']}"
    if schema.get("not") == {"const": 0}:
        return f"{name}, not 0"
    return str(name)


def _plural(words: str) -> str:
    head, _, tail = words.partition(" ")
    return f"{head}s{' ' + tail if tail else ''}"
