"""The keys of a spec file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan import names
from cnnplan.diagnostics import suggest
from cnnplan.grammar.blocks import block_name, check_recursion, needs_from, read_block, read_builtin_blocks
from cnnplan.grammar.items import read_items
from cnnplan.grammar.reading import Reading
from cnnplan.source import Mapping, Scalar, Sequence
from cnnplan.spec import Given, Input, Item, Spec

if TYPE_CHECKING:
    from cnnplan.diagnostics import Report
    from cnnplan.source import Node

KEYS = (
    "cnnplan",
    "name",
    "description",
    "reference",
    "input",
    "inputs",
    "variables",
    "blocks",
    "layers",
    "outputs",
    "target",
    "budget",
    "lint",
    "train",
)
SETTINGS = ("target", "budget", "lint", "train")


def read_spec(top: Mapping, report: Report, path: str, text: str) -> Spec:
    """The spec whose keys are those of `top`; findings go to `report`."""
    reading = Reading(report)
    for key, _ in top:
        if key.value not in KEYS and key.value != "$schema":
            report.add("Y901", f"unknown key '{key.text}'", key, help=suggest(key.text, KEYS))
    _version(reading, top)
    for key, node in reading.mapping(top.get("blocks"), "blocks"):
        if block_name(reading, key):
            reading.block_nodes[key.value] = node
    for name, node in reading.block_nodes.items():
        reading.blocks[name] = read_block(reading, name, node)
    inputs = _inputs(reading, top)
    named = "inputs" in top.entries
    reading.input_names = tuple(i.name for i in inputs) if named else ()
    items: tuple[Item, ...] = ()
    if "layers" in top.entries:
        list_key, layers = top.entries["layers"]
        items = read_items(reading, layers, "layers", list_key)
        needs_from(reading, items)
    else:
        _missing(reading, top, "layers", "the list of layers")
    check_recursion(reading)
    read_builtin_blocks(reading)
    return Spec(
        name=_name(reading, top),
        path=path,
        text=text,
        description=_words(reading, top, "description"),
        reference=_words(reading, top, "reference"),
        inputs=inputs,
        named_inputs=named,
        variables=_variables(reading, top),
        blocks=reading.blocks,
        items=items,
        outputs=reading.references(top.get("outputs"), "outputs"),
        settings={key: setting for key in SETTINGS if (setting := top.get(key)) is not None},
    )


def _version(reading: Reading, top: Mapping) -> None:
    version = top.get("cnnplan")
    if version is None:
        reading.report.add(
            "Y907",
            "`cnnplan: 1`, the version of the language, is missing",
            next(iter(top))[0] if top.entries else top,
            help="write `cnnplan: 1` at the top",
        )
    elif not (isinstance(version, Scalar) and type(version.value) is int and version.value == 1):
        help = "write `cnnplan: 1`, without quotes" if isinstance(version, Scalar) and version.text == "1" else ""
        reading.report.add("Y907", f"version 1 of the language is known, not {version.kind}", version, help=help)


def _missing(reading: Reading, top: Mapping, key: str, meaning: str) -> None:
    at = next(iter(top))[0] if top.entries else top
    reading.report.add("Y912", f"a spec needs `{key}`: {meaning}", at, about=key)


def _name(reading: Reading, top: Mapping) -> str:
    node = top.get("name")
    if node is None:
        _missing(reading, top, "name", "the network's name, such as `name: my_net`")
        return "network"
    if not isinstance(node, Scalar) or names.problem(node.value):
        shown = node.text if isinstance(node, Scalar) else node.kind
        why = names.problem(node.value) if isinstance(node, Scalar) else "a name is a word"
        reading.report.add("Y914", f"'{shown:.40}' cannot be the spec's name: {why}", node)
        return "network"
    return str(node.value)


def _words(reading: Reading, top: Mapping, key: str) -> str:
    node = top.get(key)
    if node is None:
        return ""
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return node.value
    reading.report.add("Y911", f"`{key}` is a text, not {node.kind}", node, help="put it in quotes")
    return ""


def _inputs(reading: Reading, top: Mapping) -> tuple[Input, ...]:
    given = [key for key in ("input", "inputs") if key in top.entries]
    if not given:
        _missing(reading, top, "input", "the shape of one sample, such as `input: [3, 224, 224]`")
        return ()
    if len(given) == 2:
        reading.report.add(
            "Y911", "`input` and `inputs` exclude each other", top.entries["inputs"][0], help="keep one of them"
        )
    if given[0] == "input":
        found = _input(reading, "input", top.entries["input"][1])
        return (found,) if found else ()
    inputs = []
    for key, node in reading.mapping(top.get("inputs"), "inputs"):
        if why := names.problem(key.value) or ("it names values already" * (key.value in names.REFERENCES)):
            reading.report.add("Y914", f"'{key.text:.40}' cannot name an input: {why}", key)
        if isinstance(key.value, str) and (found := _input(reading, key.value, node)):
            inputs.append(found)
    if not inputs:
        reading.report.add("Y912", "`inputs` names at least one input", top.entries["inputs"][0])
    return tuple(inputs)


def _input(reading: Reading, name: str, node: Node) -> Input | None:
    if isinstance(node, Sequence) or (isinstance(node, Scalar) and node.is_expression):
        shape = reading.given(node)
        return Input(name, node, shape, "float32", None) if shape else None
    if not isinstance(node, Mapping):
        reading.report.add(
            "Y911",
            f"an input is a shape [channels, *spatial] or a mapping, not {node.kind}",
            node,
            help="for a color image: [3, 224, 224]",
        )
        return None
    for key, _ in node:
        if key.value not in ("shape", "dtype", "sizes"):
            known = ("shape", "dtype", "sizes")
            reading.report.add("Y901", f"an input has no key '{key.text}'", key, help=suggest(key.text, known))
    dtype = node.get("dtype")
    kind = "float32"
    if dtype is not None:
        if isinstance(dtype, Scalar) and dtype.value in ("float32", "int64"):
            kind = str(dtype.value)
        else:
            reading.report.add("Y911", f"dtype is 'float32' or 'int64', not {dtype.kind}", dtype)
    shape_node = node.get("shape")
    if shape_node is None:
        reading.report.add("Y912", "an input needs `shape`", node, help="such as `shape: [3, 224, 224]`")
        return None
    shape, sizes_node = reading.given(shape_node), node.get("sizes")
    sizes = reading.given(sizes_node) if sizes_node is not None else None
    return Input(name, shape_node, shape, kind, sizes) if shape else None


def _variables(reading: Reading, top: Mapping) -> dict[str, tuple[Scalar, Given | None]]:
    found: dict[str, tuple[Scalar, Given | None]] = {}
    for key, node in reading.mapping(top.get("variables"), "variables"):
        if why := names.problem_of_variable(key.value):
            reading.report.add("Y914", f"'{key.text:.40}' cannot name a variable: {why}", key)
        if isinstance(key.value, str):
            found[key.value] = (key, reading.given(node))
    return found
