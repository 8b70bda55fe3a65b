"""The JSON Schema of specs (draft 07), made for good messages in editors.

Editors report an arbitrary branch of a `oneOf`. Here nothing is one of many: an item's key says
which operation it is, and a value's type which form it has, so that each mistake has one message.

What a file's own blocks take, and what expressions give, is not known here. A block that replaces an
operation of its name is held against the operation.
"""

from __future__ import annotations

import inspect
import json
from typing import Any

from cnnplan import plugins
from cnnplan.blocks import builtin_names, load_builtin
from cnnplan.codes import CODES
from cnnplan.conditions import CPU, CUDA
from cnnplan.devices import devices
from cnnplan.limits import MAX_SIZES
from cnnplan.names import MAX_NAME, MERGES, MODIFIERS
from cnnplan.ops import registry
from cnnplan.render.ops import builtin, summary
from cnnplan.settings import MODELS
from cnnplan.source import Scalar
from cnnplan.spec import TYPES
from cnnplan.train_settings import Loss

Json = dict[str, Any]

NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
REFERENCE = r"^[A-Za-z_][A-Za-z0-9_]*(\.\w+)?$"
NAMED: Json = {"type": "string", "pattern": NAME, "maxLength": MAX_NAME}
REFERRING: Json = {"type": "string", "pattern": REFERENCE}
CONDITION: Json = {
    "type": ["boolean", "string"],
    "pattern": "^=",
    "default": True,
    "description": "Left out where false; an expression starts with `=`.",
}


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
        definitions[f"op_{name}"] = {"title": name, **(_merge(name) if name in MERGES else _operation(name))}
    for name in builtin_names():
        definitions[f"block_{name}"] = {"title": name, **_builtin(name)}
    for key, model in MODELS.items():
        definitions[key] = _model(model.model_json_schema())
    _complete(definitions)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "cnnplan spec",
        "description": "A convolutional network in the spec language of cnnplan, version 1.",
        "type": "object",
        "required": ["cnnplan", "name", "layers"],
        "if": {"required": ["inputs"]},
        "then": {"properties": {"input": False}},
        "else": {"required": ["input"]},
        "additionalProperties": False,
        "properties": {
            "$schema": {"type": "string", "description": "Where this schema is, for editors; ignored by cnnplan."},
            "cnnplan": {"const": 1, "default": 1, "description": "Version of the language."},
            "name": {**NAMED, "description": "The network's name."},
            "description": {"type": "string", "default": "", "description": "What the network is, in a few words."},
            "reference": {"type": "string", "default": "", "description": "The paper it comes from."},
            "input": _described(_ref("input"), "Shape of one sample: [channels, *spatial]."),
            "inputs": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": NAMED,
                "additionalProperties": _ref("input"),
                "description": "Several inputs by name, instead of `input`; the first item then says `from`.",
            },
            "variables": {
                "type": ["object", "null"],
                "propertyNames": NAMED,
                "additionalProperties": {"type": ["number", "string", "boolean", "array", "object"]},
                "default": {},
                "description": "Named values; `--set NAME=VALUE` replaces one.",
            },
            "blocks": {
                "type": ["object", "null"],
                "propertyNames": NAMED,
                "additionalProperties": _ref("block"),
                "default": {},
                "description": "Named lists of layers with params.",
            },
            "layers": _described({"allOf": [_ref("layers")], "minItems": 1}, "The network, from its input on."),
            "outputs": {
                "type": ["array", "null"],
                "minItems": 1,
                "items": REFERRING,
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
    words = [*operations, "layers", "share"]
    return {
        "type": ["string", "object"],
        "pattern": NAME,
        "minProperties": 1,
        "propertyNames": {"pattern": NAME},
        "not": {"type": "object", "propertyNames": {"enum": list(MODIFIERS)}},
        "dependencies": {word: {"propertyNames": {"enum": [word, *_beside(word)]}} for word in words},
        "description": "A name, or a mapping with one operation, block, `layers` or `share`, and modifiers beside it.",
        "properties": {
            **operations,
            "layers": _described({"allOf": [_ref("layers")], "minItems": 1}, "A group, for repeat, if, from, name."),
            "share": {**NAMED, "description": "Runs the item of this name again, with the same parameters."},
            "name": {
                **NAMED,
                "description": "Names the item's output; by default the operation's name and a number.",
            },
            "from": {
                "type": ["string", "array"],
                "pattern": REFERENCE,
                "minItems": 1,
                "items": REFERRING,
                "default": "previous",
                "description": "Takes this output, or these, instead of the value before.",
            },
            "if": CONDITION,
            "repeat": {
                "type": ["integer", "string", "object"],
                "minimum": 0,
                "pattern": "^=",
                "minProperties": 1,
                "maxProperties": 1,
                "propertyNames": NAMED,
                "additionalProperties": {
                    "type": ["integer", "string"],
                    "minimum": 0,
                    "pattern": "^=",
                    "description": "How often; the name counts the copies from 0.",
                },
                "default": 1,
                "description": "Runs the item so many times in a row; {name: N} names the counter.",
            },
            "trainable": {"type": "boolean", "default": True, "description": "false freezes the parameters."},
            "checkpoint": {
                "type": "boolean",
                "default": False,
                "description": "Recomputes activations in the backward pass instead of keeping them.",
            },
            "each": {
                "type": "integer",
                "description": "Runs the item on every slice along this axis of the sample, with the same parameters.",
            },
        },
    }


def _beside(word: str) -> list[str]:
    """The modifiers that may stand beside a word: how parameters are treated is said where they are made."""
    return [key for key in MODIFIERS if word != "share" or key not in ("trainable", "checkpoint")]


def _branch() -> Json:
    return {
        "type": ["array", "object"],
        "items": _ref("item"),
        "required": ["layers"],
        "additionalProperties": False,
        "properties": {
            "layers": _described(_ref("layers"), "The branch's layers; [] is the identity."),
            "if": CONDITION,
        },
        "description": "A branch: a list of layers, [] for the identity, or {layers: […], if: =…}.",
    }


def _block() -> Json:
    return {
        "type": "object",
        "required": ["layers"],
        "additionalProperties": False,
        "properties": {
            "params": {
                "type": ["object", "null"],
                "propertyNames": NAMED,
                "additionalProperties": {
                    "type": ["number", "string", "boolean", "array", "object"],
                    "description": f"A type ({', '.join(TYPES)}) = required; a value = the default.",
                },
                "default": {},
                "description": f"A type ({', '.join(TYPES)}) = required; a value = the default.",
            },
            "inputs": {
                "type": ["array", "null"],
                "items": NAMED,
                "default": [],
                "description": "Names of several inputs; the first item then says `from`.",
            },
            "outputs": {
                "type": ["array", "null"],
                "minItems": 1,
                "items": REFERRING,
                "description": "Names of several outputs; the last layer by default.",
            },
            "layers": _described({"allOf": [_ref("layers")], "minItems": 1}, "What the block runs."),
        },
        "description": "A block: a list of layers with params, used by its name.",
    }


def _input() -> Json:
    size: Json = {"type": ["integer", "string"], "minimum": 1, "pattern": "^="}
    shape: Json = {"type": ["array", "string"], "pattern": "^=", "items": size, "minItems": 1, "maxItems": 4}
    return {
        **shape,
        "type": ["array", "string", "object"],
        "required": ["shape"],
        "additionalProperties": False,
        "properties": {
            "shape": {**shape, "description": "[channels, *spatial], with 0 to 3 spatial sizes."},
            "dtype": {"enum": ["float32", "int64"], "default": "float32", "description": "int64 for indices."},
            "sizes": {
                "type": ["array", "string"],
                "pattern": "^=",
                "items": {
                    **size,
                    "type": ["integer", "string", "array"],
                    "items": size,
                    "minItems": 1,
                    "maxItems": 3,
                },
                "maxItems": MAX_SIZES,
                "description": "Further spatial sizes that must work too.",
            },
        },
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
    kinds = {"int": "integer", "float": "number", "bool": "boolean", "str": "string", "list": "array"}
    params = builtin(name).params.values()
    properties: Json = {}
    for param in params:
        about: Json = {}
        if param.type and param.type != "str":
            about |= {"type": [kinds[param.type], "string"], "pattern": "^="}
        if param.type == "int":
            about["minimum"] = 1  # they count channels
        about["description"] = _PARAMS.get(param.name) or _shared(param.name)
        if param.default and isinstance(param.default.node, Scalar):
            about["default"] = param.default.node.value
        properties[param.name] = about
    required = [param.name for param in params if param.type]
    out: Json = {
        "type": ["object", "integer", "string", *([] if required else ["null"])],
        "minimum": 1,
        "pattern": "^=",
        "additionalProperties": False,
        "properties": properties,
        "description": load_builtin(name).summary,
    }
    if required:
        out["required"] = required
    return out


_PARAMS = {
    "width": "channels of the 3x3 convolution",
    "reduction": "how many times fewer channels the gate has inside",
    "channels": "channels between the two convolutions of the gate",
    "hard": "a hard sigmoid, as in MobileNetV3",
    "inputs": "channels that are weighted",
}
"""Params of built-in blocks that are not called like an argument of `conv`."""


def _shared(param: str) -> str:
    conv = registry.find("conv")
    assert conv is not None
    return conv.model_fields[param].description or ""


def _complete(definitions: Json) -> None:
    """What Pydantic does not know of the settings: the codes, the devices, that outputs have losses."""
    plugins.rules()
    beginnings = sorted({code[:length] for code in CODES for length in range(1, len(code) + 1)})
    definitions["code"] = {
        "type": "string",
        "enum": beginnings,
        "description": "A code of `cnnplan rule`, or how several begin.",
    }
    for chosen in definitions["lint"]["properties"].values():
        chosen |= {"type": "array", "items": _ref("code")}
        del chosen["pattern"]
    definitions["target"]["properties"]["device"] |= {"minLength": 1, "examples": [*devices(), CPU, CUDA]}
    one = definitions["loss"] = _or_expression(_model(Loss.model_json_schema()))
    words = {key: one[key] for key in ("pattern", "examples")}
    options = {
        name: {**found, "type": ["object", "string", "null"], **words} for name, found in one["properties"].items()
    }
    loss = definitions["train"]["properties"]["loss"]
    loss |= {**words, "minProperties": 1, "properties": options, "additionalProperties": _ref("loss")}
    loss["default"] = next(iter(loss["default"]))


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
            part["default"] = _default(part["default"], is_choice="maxProperties" in part)
        if "prefixItems" in part:
            part["items"] = part.pop("prefixItems")
        out = {
            k: {n: walk(p) for n, p in v.items()} if k == "properties" else walk(v) if k in ("items",) else v
            for k, v in part.items()
        }
        if "maxProperties" in part:
            out["properties"] = {name: _or_nothing(options) for name, options in out["properties"].items()}
        return out if top else _or_expression(out)

    found: Json = walk(schema, top=True)
    return found


def _default(value: Json, is_choice: bool) -> Any:
    """A default as it is written: of a choice its name, of a mapping what it says."""
    given = {key: inner for key, inner in value.items() if inner is not None}
    return next(iter(given)) if is_choice else given


def _or_nothing(options: Json) -> Json:
    """The options of a choice, all of which have defaults."""
    return {**options, "type": [*options["type"], "null"]} if "type" in options else options


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
    if kinds is None or part.get("pattern") == REFERENCE:
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
    return out if kinds[0] == "array" else _number_first(out)


def _number_first(part: Json) -> Json:
    """A value that may be a list, in a form in which editors do not complete it as one."""
    lists = {key: part.pop(key) for key in ("items", "minItems", "maxItems") if key in part}
    return {**part, "allOf": [lists]} if lists else part
