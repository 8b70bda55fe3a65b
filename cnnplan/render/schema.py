"""The JSON Schema of specs (draft 07), made for good messages in editors.

Editors report an arbitrary branch of a `oneOf`. Here nothing is one of many: an item's key says
which operation it is, and a value's type which form it has, so that each mistake has one message.
"""

from __future__ import annotations

import inspect
import json
from typing import Any

from cnnplan.blocks import builtin_names, load_builtin
from cnnplan.names import MERGES
from cnnplan.ops import registry
from cnnplan.render.ops import block_params, summary
from cnnplan.settings import MODELS
from cnnplan.spec import TYPES

Json = dict[str, Any]

NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
REFERENCE = r"^[A-Za-z_][A-Za-z0-9_]*(\.\w+)?$"
EXPRESSION: Json = {"type": "string", "pattern": "^="}


def schema_text() -> str:
    """The schema as JSON."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def schema() -> Json:
    """The schema as data."""
    definitions: Json = {
        "layers": _layers(),
        "item": _item(),
        "branch": _branch(),
        "block": _block(),
        "input": _input(),
    }
    for name in registry.names():
        definitions[f"op_{name}"] = _merge(name) if name in MERGES else _operation(name)
    for name in builtin_names():
        definitions[f"block_{name}"] = _builtin(name)
    for key, model in MODELS.items():
        definitions[key] = _model(model.model_json_schema())
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "cnnplan spec",
        "type": "object",
        "required": ["cnnplan", "name", "layers"],
        "additionalProperties": False,
        "properties": {
            "$schema": {"type": "string"},
            "cnnplan": {"const": 1, "description": "Version of the language."},
            "name": {"type": "string", "pattern": NAME, "description": "The network's name."},
            "description": {"type": "string"},
            "reference": {"type": "string", "description": "The paper it comes from."},
            "input": _described(_ref("input"), "Shape of one sample: [channels, *spatial]."),
            "inputs": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": NAME},
                "additionalProperties": _ref("input"),
                "description": "Several inputs by name.",
            },
            "variables": {
                "type": "object",
                "propertyNames": {"pattern": NAME},
                "description": "Named values; `--set NAME=VALUE` replaces one.",
            },
            "blocks": {
                "type": "object",
                "propertyNames": {"pattern": NAME},
                "additionalProperties": _ref("block"),
                "description": "Named lists of layers with params.",
            },
            "layers": _described({"allOf": [_ref("layers")], "minItems": 1}, "The network, from its input on."),
            "outputs": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "string", "pattern": REFERENCE},
                "description": "Names of the outputs; the last layer by default.",
            },
            **{key: _described(_ref(key), inspect.getdoc(model) or "") for key, model in MODELS.items()},
        },
        "definitions": definitions,
    }


def _ref(name: str) -> Json:
    return {"$ref": f"#/definitions/{name}"}


def _described(schema: Json, text: str) -> Json:
    """A description beside a reference, where draft 07 allows none."""
    return {"allOf": [schema], "description": text} if "$ref" in schema else {**schema, "description": text}


def _layers() -> Json:
    return {"type": "array", "items": _ref("item")}


def _item() -> Json:
    """An item: a name, or a mapping with one operation and modifiers. Other keys may be blocks of the file."""
    operations: Json = {}
    for name in registry.names():
        op = registry.find(name)
        assert op is not None
        operations[name] = _described(_ref(f"op_{name}"), summary(op))
    for name in builtin_names():
        operations[name] = _described(_ref(f"block_{name}"), f"Built-in block: {load_builtin(name).summary}")
    names = [*registry.names(), *builtin_names()]
    return {
        "type": ["string", "object"],
        "pattern": NAME,
        "minProperties": 1,
        "propertyNames": {"pattern": NAME},
        "examples": names,
        "properties": {
            **operations,
            "layers": _described(_ref("layers"), "A group, for repeat, if, from, name."),
            "share": {"type": "string", "pattern": NAME, "description": "Runs the item of this name again."},
            "name": {"type": "string", "pattern": NAME, "description": "Names the item's output."},
            "from": {
                "type": ["string", "array"],
                "pattern": REFERENCE,
                "minItems": 1,
                "items": {"type": "string", "pattern": REFERENCE},
                "description": "Takes this output, or these, instead of the value before.",
            },
            "if": {"type": ["boolean", "string"], "pattern": "^=", "description": "Left out where false."},
            "repeat": {
                "type": ["integer", "string", "object"],
                "minimum": 0,
                "pattern": "^=",
                "minProperties": 1,
                "maxProperties": 1,
                "propertyNames": {"pattern": NAME},
                "additionalProperties": {"type": ["integer", "string"], "minimum": 0, "pattern": "^="},
                "description": "Runs the item so many times in a row; {name: N} names the counter.",
            },
            "trainable": {"type": "boolean", "description": "false freezes the parameters."},
            "checkpoint": {"type": "boolean", "description": "Recomputes activations in the backward pass."},
        },
    }


def _branch() -> Json:
    return {
        "type": ["array", "object"],
        "items": _ref("item"),
        "required": ["layers"],
        "additionalProperties": False,
        "properties": {"layers": _ref("layers"), "if": {"type": ["boolean", "string"], "pattern": "^="}},
    }


def _block() -> Json:
    return {
        "type": "object",
        "required": ["layers"],
        "additionalProperties": False,
        "properties": {
            "params": {
                "type": "object",
                "propertyNames": {"pattern": NAME},
                "description": f"A type ({', '.join(TYPES)}) = required; a value = the default.",
            },
            "inputs": {"type": "array", "items": {"type": "string", "pattern": NAME}},
            "outputs": {"type": "array", "items": {"type": "string", "pattern": REFERENCE}},
            "layers": {"allOf": [_ref("layers")], "minItems": 1},
        },
    }


def _input() -> Json:
    size: Json = {"type": ["integer", "string"], "minimum": 1, "pattern": "^="}
    shape: Json = {"type": "array", "items": size, "minItems": 1, "maxItems": 4}
    sizes: Json = {"type": "array", "items": {"type": ["integer", "string", "array"], "minimum": 1, "items": size}}
    return {
        **shape,
        "type": ["array", "object"],
        "required": ["shape"],
        "additionalProperties": False,
        "properties": {"shape": shape, "dtype": {"enum": ["float32", "int64"]}, "sizes": sizes},
    }


def _operation(name: str) -> Json:
    op = registry.find(name)
    assert op is not None
    whole = _model(op.model_json_schema())
    first = op.first()
    required = whole.get("required", [])
    arguments: Json = {
        "type": "object",
        "additionalProperties": False,
        "properties": whole.get("properties", {}),
    }
    if required:
        arguments["required"] = required
    bare = dict(arguments["properties"].get(first, {})) if first else {}
    bare.pop("description", None)
    bare.pop("default", None)
    if not first:
        return {**arguments, "type": ["object", "null"], "description": summary(op)}
    kinds = bare.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    may_be_bare = not [key for key in required if key != first]
    kinds = list(dict.fromkeys([*(kinds if may_be_bare else []), "object", *([] if required else ["null"])]))
    limits = {k: v for k, v in bare.items() if k not in ("type",)} if may_be_bare else {}
    return {**limits, **arguments, "type": kinds, "description": _text(op)}


def _text(op: Any) -> str:
    return (inspect.getdoc(op) or "").replace("\n", " ")


def _merge(name: str) -> Json:
    op = registry.find(name)
    assert op is not None
    properties = _model(op.model_json_schema()).get("properties", {})
    return {
        "type": ["object", "array", "null", *(["integer", "string"] if properties else [])],
        "items": _ref("branch"),
        "minItems": 2,
        "propertyNames": {"pattern": NAME},
        "properties": properties,
        "additionalProperties": _ref("branch"),
        "description": f"{_text(op)} Branches by name, or the values that `from` lists.",
    }


def _builtin(name: str) -> Json:
    params = block_params(name)
    kinds = {"int": "integer", "float": "number", "bool": "boolean", "str": "string", "list": "array"}
    properties: Json = {}
    for key, kind, default in params:
        properties[key] = {"type": [kinds[kind], "string"]} if kind and kind != "str" else {}
        if default:
            properties[key]["description"] = f"{default} by default"
    required = [key for key, kind, _ in params if kind]
    out: Json = {
        "type": ["object", "integer", "string", *([] if required else ["null"])],
        "additionalProperties": False,
        "properties": properties,
        "description": load_builtin(name).summary,
    }
    if required:
        out["required"] = required
    return out


def _model(schema: Json) -> Json:
    """A Pydantic schema in draft 07, inlined; an expression may stand for each value."""
    definitions = schema.get("$defs", {})

    def walk(part: Any, top: bool = False) -> Any:
        if isinstance(part, list):
            return [walk(p) for p in part]
        if not isinstance(part, dict):
            return part
        if "anyOf" in part:
            part = _united(part)
        if "$ref" in part:
            part = {**definitions[part["$ref"].rpartition("/")[2]], **{k: v for k, v in part.items() if k != "$ref"}}
        part = {k: v for k, v in part.items() if k not in ("title", "$defs")}
        if isinstance(part.get("default"), dict):
            del part["default"]  # a choice, which its description names
        if "prefixItems" in part:
            part["items"] = part.pop("prefixItems")
        out = {
            k: {n: walk(p) for n, p in v.items()} if k == "properties" else walk(v) if k in ("items",) else v
            for k, v in part.items()
        }
        return out if top else _or_expression(out)

    found: Json = walk(schema, top=True)
    return found


def _united(part: Json) -> Json:
    """`X or nothing` as X alone: an argument is left out, never null."""
    (only,) = [p for p in part["anyOf"] if p.get("type") != "null"]
    return {**only, **{k: v for k, v in part.items() if k not in ("anyOf", "default")}}


def _or_expression(part: Json) -> Json:
    """The value, or an expression."""
    if "enum" in part:
        words = part.pop("enum")
        part.pop("type", None)
        return {**part, "type": "string", "pattern": f"^(=.*|{'|'.join(words)})$", "examples": words}
    kinds = part.get("type")
    if kinds is None:
        return part
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    pattern = part.get("pattern")
    if pattern is None:
        pattern = "^=" if "string" not in kinds else None
    elif not pattern.startswith("^(="):
        pattern = pattern.replace("^(", "^(=.*|") if pattern.startswith("^(") else f"^(=.*|{pattern[1:-1]})$"
    out = {**part, "type": [*dict.fromkeys([*kinds, "string"])]}
    if pattern:
        out["pattern"] = pattern
    return out
