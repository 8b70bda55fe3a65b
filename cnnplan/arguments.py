"""Arguments to an operation: Pydantic's findings, said in the spec's words at the spec's places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from cnnplan.diagnostics import Edit, Fix, suggest
from cnnplan.errors import ExpressionError
from cnnplan.expressions import parse
from cnnplan.source import Mapping, Scalar, Sequence, describe

if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Mapping as Mapping_
    from collections.abc import Sequence as Sequence_
    from typing import TypeAlias

    from cnnplan.diagnostics import Related, Report
    from cnnplan.source import Node

    Nodes: TypeAlias = Mapping_[str, tuple[Scalar | None, Node]]
    """Where the arguments stand: name → (key, value)."""

_TYPES = {
    "int_type": "an integer",
    "int_parsing": "an integer",
    "float_type": "a number",
    "bool_type": "`true` or `false`",
    "bool_parsing": "`true` or `false`",
    "string_type": "a text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def build(
    model: type[BaseModel],
    values: dict[str, Any],
    owner: str,
    place: Node,
    nodes: Nodes,
    report: Report,
    layer: str | None = None,
    related: Sequence_[Related] = (),
) -> Any:
    """An instance of `model`, or None and a finding for each thing that is wrong.

    Args:
        values: the arguments, expressions already evaluated.
        owner: what the messages call it, such as `'conv'`.
        place: where a missing argument is reported.
        nodes: where the arguments stand.
        layer, related: added to each finding.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        _explain(error.errors(include_url=False), model, values, owner, place, nodes, report, layer, related)
    return None


def check(
    model: type[BaseModel],
    values: dict[str, Any],
    unknown: Collection[str],
    owner: str,
    place: Node,
    nodes: Nodes,
    report: Report,
) -> bool:
    """Whether `values` are right, whatever the arguments that are still `unknown` will be."""
    try:
        model.model_validate(values)
    except ValidationError as error:
        findings = [f for f in error.errors(include_url=False) if f["loc"] and f["loc"][0] not in unknown]
        _explain(findings, model, values, owner, place, nodes, report)
        return not findings
    return True


def _explain(
    findings: Sequence_[Any],
    model: type[BaseModel],
    values: dict[str, Any],
    owner: str,
    place: Node,
    nodes: Nodes,
    report: Report,
    layer: str | None = None,
    related: Sequence_[Related] = (),
) -> None:
    for finding in findings:
        loc = finding["loc"]
        name = str(loc[0]) if loc else ""
        key, node = nodes.get(name, (None, place))
        kind = finding["type"]
        if kind == "missing":
            at, path = locate(nodes, place, loc[:-1])
            report.add(
                "Y912",
                f"{path or owner} needs `{loc[-1]}`",
                at,
                help=_missing_help(model, str(loc[-1])) if len(loc) == 1 else "",
                layer=layer,
                related=related,
                about=str(loc[-1]),
            )
            continue
        if kind == "extra_forbidden":
            at, path = locate(nodes, place, loc, key=True)
            what = "argument" if owner.startswith("'") else "key"
            report.add(
                "Y901",
                f"{path.rpartition('.')[0] + '`' if len(loc) > 1 else owner} has no {what} '{loc[-1]}'",
                at if len(loc) > 1 else key or at,
                help=suggest(str(loc[-1]), _keys(model, loc[:-1])),
                layer=layer,
                related=related,
            )
            continue
        at, _ = locate(nodes, place, loc)
        dynamic = _is_expression(node)
        too_small = kind == "size" and dynamic
        report.add(
            "S013" if too_small else "Y911",
            f"`{'.'.join(map(str, _named(loc)))}` of {owner}: {_words(finding)}",
            at,
            help=f"the expression {_shown(node)} gives {describe(values.get(name))}"
            if dynamic
            else _hint(finding, key),
            layer=layer,
            related=related,
            about=name,
            fix=_at_least(node) if too_small and name == "out_channels" else None,
        )


def _hint(finding: Any, key: Scalar | None) -> str:
    """What was probably meant by a value of the wrong type."""
    value = finding["input"]
    if isinstance(value, str):
        if value.startswith("("):
            return "a list is written in square brackets: [3, 3]"
        return "" if finding["type"] in ("literal_error", "code") else meant_as_expression(value)
    if isinstance(value, list) and key is None:
        return "arguments have names: `{out_channels: …, kernel_size: …}`"
    return ""


def meant_as_expression(text: str) -> str:
    """A hint where a text is an expression without its `=`."""
    bare = text.strip().removeprefix("$").removeprefix("{").removesuffix("}").strip()
    try:
        names = parse(bare).names()
    except ExpressionError:
        return ""
    return f"an expression starts with `=`: write `={bare}`" if names else ""


def _keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The keys that are known at a place below a model."""
    for part in loc:
        field = model.model_fields.get(str(part))
        if field is None:
            continue  # an index, or a key of a mapping of models
        inner = _model_in(field.annotation)
        if inner is None:
            return []
        model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in `M`, `M | None` or `list[M]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _named(loc: tuple[int | str, ...]) -> list[str]:
    return [str(part) for part in loc if isinstance(part, str) and part.isidentifier()]


def _is_expression(node: Node) -> bool:
    if isinstance(node, Scalar):
        return node.is_expression
    return isinstance(node, Sequence) and any(map(_is_expression, node.items))


def _at_least(node: Node) -> Fix | None:
    """At least 8 channels, where an expression divides too many times."""
    if not isinstance(node, Scalar) or "'" in node.text or '"' in node.text:
        return None
    text = f"=max(8, {node.text[1:].strip()})"
    edit = Edit(node.start, node.end, f'"{text}"' if node.flow or not node.plain else text)
    return Fix(False, f"write `{text}`", (edit,))


def _shown(node: Node) -> str:
    return f"'{node.text}'" if isinstance(node, Scalar) else "here"


def _words(finding: Any) -> str:
    """What is wanted, and what was given."""
    kind = finding["type"]
    if kind in ("value", "size", "code"):
        return str(finding["msg"])
    if kind == "literal_error":
        return f"{finding['ctx']['expected'].replace(' or ', ', ')} is wanted, not {describe(finding['input'])}"
    if kind in _TYPES:
        return f"{_TYPES[kind]} is wanted, not {describe(finding['input'])}"
    message = str(finding["msg"])
    return f"{message[:1].lower()}{message[1:]}, not {describe(finding['input'])}"


def _missing_help(model: type[BaseModel], name: str) -> str:
    field = next((f for n, f in model.model_fields.items() if n == name or f.alias == name), None)
    return f"{name}: {field.description}" if field and field.description else ""


def locate(nodes: Nodes, place: Node, loc: tuple[int | str, ...], key: bool = False) -> tuple[Node, str]:
    """The deepest node of the text on the path `loc`, and the path that led there."""
    if not loc or str(loc[0]) not in nodes:
        return place, ""
    first_key, at = nodes[str(loc[0])]
    found: Node = first_key or at if key else at
    path = [str(loc[0])]
    for part in loc[1:]:
        if isinstance(at, Sequence) and isinstance(part, int) and part < len(at.items):
            at = found = at.items[part]
        elif isinstance(at, Mapping) and part in at.entries:
            entry = at.entries[part]
            at = entry[1]
            found = entry[0] if key else at
            path.append(str(part))
    return found, "`" + ".".join(path) + "`"
