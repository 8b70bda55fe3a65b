"""What `cnnplan ops` says of an operation or a built-in block: a page of Markdown, and the list."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from cnnplan.blocks import builtin_names, load_builtin
from cnnplan.errors import UsageError
from cnnplan.ops import registry
from cnnplan.render.words import of_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.ops.base import Op
    from cnnplan.spec import Block

GROUPS = (
    "convolution",
    "dense",
    "pooling",
    "unpooling and resizing",
    "normalization",
    "activation",
    "regularization",
    "shape",
    "merge",
    "other",
)


def listing() -> dict[str, list[tuple[str, str, str]]]:
    """Group → (name, its arguments, what it is), in the order of the groups."""
    found: dict[str, list[tuple[str, str, str]]] = {group: [] for group in GROUPS}
    for name in registry.names():
        op = registry.find(name)
        assert op is not None
        group = op.group if op.group in found else "other"
        found[group].append((name, ", ".join(op.model_fields), summary(op)))
    found["built-in blocks"] = []
    for name in builtin_names():
        params = [key for key, _, _ in block_params(name)]
        found["built-in blocks"].append((name, ", ".join(params), load_builtin(name).summary))
    return found


def summary(op: type[Op]) -> str:
    """The first sentence of its documentation."""
    text = inspect.getdoc(op) or ""
    return text.partition("\n\n")[0].replace("\n", " ").rstrip(".")


def page(name: str) -> str:
    """The page of an operation or built-in block, as Markdown.

    Raises:
        UsageError: there is none of this name.
    """
    if op := registry.find(name):
        return "\n".join(_op_page(name, op)) + "\n"
    if name in builtin_names():
        return "\n".join(_block_page(name)) + "\n"
    from cnnplan import names
    from cnnplan.diagnostics import nearest

    if name in (*names.MODIFIERS, "layers", "share"):
        raise UsageError(f"`{name}` is a word of the language, no operation: docs/language.md explains it")
    match = nearest(name, [*registry.names(), *builtin_names()])
    help = f"did you mean '{match}'?" if match else "`cnnplan ops` lists them"
    raise UsageError(f"no operation '{name}'; {help}")


def _op_page(name: str, op: type[Op]) -> Iterator[str]:
    text = inspect.getdoc(op) or ""
    body, _, source = text.partition("Source: ")
    yield f"# {name}"
    yield ""
    yield body.strip()
    yield ""
    yield from _usage(name, op)
    if op.model_fields:
        yield "## Arguments"
        yield ""
        yield "| argument | value | default | meaning |"
        yield "| :-- | :-- | :-- | :-- |"
        schema = op.model_json_schema()
        for key, field in op.model_fields.items():
            about = of_schema(_resolved(schema["properties"][key], schema))
            default = "required" if field.is_required() else _default(field.default)
            yield f"| `{key}` | {about} | {default} | {field.description or ''} |"
        yield ""
    yield "## Formulas"
    yield ""
    for key in ("output", "parameters", "buffers", "macs", "flops"):
        formula = op.formulas.get(key)
        if formula or key in ("parameters", "macs", "flops"):
            yield f"- **{_TITLES[key]}**: {formula or '0'}"
    yield ""
    yield "## Source"
    yield ""
    yield source.strip().replace("\n", " ")


_TITLES = {"output": "output", "parameters": "parameters", "buffers": "buffers", "macs": "MACs", "flops": "FLOPs"}


def _usage(name: str, op: type[Op]) -> Iterator[str]:
    """How an item of the spec is written."""
    required = [key for key, field in op.model_fields.items() if field.is_required()]
    lines = []
    if op.group == "merge":
        lines = [f"- {name}:", "    body:", "      - batchnorm", "    skip: []", f"- {name}:", "  from: [a, b]"]
    elif name in _USAGE:
        lines = [f"- {name}: {arguments}" for arguments in _USAGE[name]]
    elif not op.model_fields:
        lines = [f"- {name}"]
    else:
        if not required:
            lines.append(f"- {name}")
        if len(required) <= 1:
            lines.append(f"- {name}: {_example(op, next(iter(op.model_fields)))}")
        if len(op.model_fields) > 1:
            shown = [*required, *[k for k in op.model_fields if k not in required and k in _EXAMPLES]][:3]
            shown = shown or list(op.model_fields)[:1]
            lines.append(f"- {name}: {{{', '.join(f'{k}: {_example(op, k)}' for k in shown)}}}")
    if name in _FROM:
        lines = [part for line in lines for part in (line + ":" * (line == f"- {name}"), f"  from: {_FROM[name]}")]
    yield "```yaml"
    yield from lines
    yield "```"
    yield ""


_USAGE = {
    "upsample": ("2", "{scale_factor: 2, mode: bilinear}", "{like: a}"),
    "crop": ("5", "{like: a}"),
    "max_unpool": ("pool1",),
    "pad": ("1", "{padding: [[1, 2], [0, 1]], mode: reflect}", "{padding: 2, mode: mean}"),
    "slice": ("{start: 0, stop: 8}", "{axis: 1, start: -2}"),
    "spatial_pyramid_pool": ("[1, 2, 4]", "{levels: [1, 2, [4, 3]], mode: avg}"),
}
"""Where not every argument goes with every other."""

_FROM = {
    "roi_align": "[features, boxes]",
    "roi_pool": "[features, boxes]",
    "spatial_transformer": "[a, theta]",
}
"""What is fed to operations of several values that are no merges."""

_EXAMPLES: dict[str, str] = {
    "out_channels": "64",
    "kernel_size": "3",
    "stride": "2",
    "padding": "1",
    "dilations": "[1, 2]",
    "out_features": "1000",
    "num_embeddings": "10000",
    "embedding_dim": "300",
    "num_groups": "32",
    "size": "5",
    "p": "0.1",
    "scale_factor": "2",
    "mode": "nearest",
    "shape": "[64, 256]",
    "axes": "[0, 2, 1]",
    "sections": "2",
    "axis": "0",
    "start": "0",
    "stop": "8",
    "groups": "2",
    "upscale_factor": "2",
    "downscale_factor": "2",
    "output_size": "7",
    "negative_slope": "0.2",
    "num_parameters": "1",
    "init": "1e-6",
    "keepdim": "true",
    "hidden_size": "128",
    "last": "true",
    "num_heads": "4",
    "spatial_scale": "0.0625",
    "sampling_ratio": "2",
    "scale": "20",
    "std": "0.1",
}


def _example(op: type[Op], key: str) -> str:
    if op.kind == "lppool" and key == "p":
        return "2"
    if op.kind == "layernorm" and key == "axis":
        return "channels"
    field = op.model_fields[key]
    return _EXAMPLES.get(key) or _default(field.default).strip("`")


def _default(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        value = list(value)
    return f"`{value}`"


def _resolved(schema: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        found: dict[str, Any] = whole["$defs"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def builtin(name: str) -> Block:
    """A built-in block."""
    from cnnplan.diagnostics import Report
    from cnnplan.grammar.blocks import read_block
    from cnnplan.grammar.reading import Reading

    return read_block(Reading(Report("")), name, load_builtin(name).node, builtin=True)


def block_params(name: str) -> list[tuple[str, str, str]]:
    """The params of a built-in block: name, type, default."""
    from cnnplan.source import Scalar

    found = []
    for param in builtin(name).params.values():
        default = ""
        if param.default:
            node = param.default.node
            default = node.text if isinstance(node, Scalar) else str(param.default.constant)
        found.append((param.name, param.type or "", default))
    return found


def _about(line: str) -> bool:
    """Whether a line of a built-in block's file is about it, and no part of it."""
    return line.startswith(("summary:", "source:"))


def _block_page(name: str) -> Iterator[str]:
    found = load_builtin(name)
    yield f"# {name}"
    yield ""
    yield f"Built-in block: {found.summary}. A block of this name in a spec replaces it there."
    yield ""
    yield "## Params"
    yield ""
    yield "| param | type | default |"
    yield "| :-- | :-- | :-- |"
    for key, kind, default in block_params(name):
        yield f"| `{key}` | {kind or 'any'} | {f'`{default}`' if default else 'required'} |"
    yield ""
    yield "## In the spec language"
    yield ""
    yield "To change it, put it into a spec, under a name of your own:"
    yield ""
    yield "```yaml"
    yield "blocks:"
    yield f"  {name}:"
    yield from (f"    {line}".rstrip() for line in found.text.strip().splitlines() if not _about(line))
    yield "```"
    yield ""
    yield "## Source"
    yield ""
    yield found.source
