"""The network as a whole: variables, inputs, the top-level list, outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cnnplan.diagnostics import Report, suggest
from cnnplan.elaborate.items import joined, run_items
from cnnplan.elaborate.references import find, is_left_out, resolve
from cnnplan.elaborate.state import UNKNOWN, Frame, Naming, Run, TooMuch, Where
from cnnplan.elaborate.values import evaluate_plainly, known
from cnnplan.errors import UsageError
from cnnplan.expressions import Names
from cnnplan.grammar import expression_error
from cnnplan.graph import Graph, Scope, Value
from cnnplan.limits import MAX_LAYERS, MAX_NESTING, MAX_SIZES, height, least_layers
from cnnplan.ops.base import MAX_ELEMENTS, Shape
from cnnplan.source import MAX_INTEGER, Sequence, describe
from cnnplan.spec import PlacedError

if TYPE_CHECKING:
    from collections.abc import Sequence as Sequence_

    from cnnplan.elaborate.state import Values
    from cnnplan.spec import Given, Input, Spec


def elaborate(
    spec: Spec,
    report: Report,
    overrides: Mapping[str, Given] | None = None,
    input_size: Sequence_[int] | Mapping[str, Sequence_[int]] | None = None,
) -> Graph | None:
    """The graph of a spec, or None and findings in `report`.

    Args:
        overrides: values that replace those of variables.
        input_size: spatial sizes that replace the spec's, in the input's order; for one input by its
            name, or for all.

    Raises:
        UsageError: an override names no variable, has another type than the variable, or the
            input size does not fit the inputs.
    """
    variables = _variables(spec, report, overrides or {})
    inputs = {}
    for given in spec.inputs:
        size = input_size.get(given.name) if isinstance(input_size, Mapping) else input_size
        inputs[given.name] = _input(given, spec, report, variables, size)
    sizes = {given.name: _sizes(given, variables, report) for given in spec.inputs if given.sizes}
    if (nested := height(spec.items, spec.blocks)) > MAX_NESTING + 1:
        deepest = max(spec.items, key=lambda item: height((item,), spec.blocks))
        message = f"lists are nested {nested - 1} deep, through blocks, groups and branches"
        report.add("Y910", f"{message}; at most {MAX_NESTING} are planned", deepest.key)
        return None
    least = least_layers(spec.items, spec.blocks)
    if least > MAX_LAYERS:
        message = f"the network would have {least:,} layers or more; at most {MAX_LAYERS:,} are planned"
        report.add("Y910", message, spec.items[0].key)
        return None
    visible: dict[str, Values | None] = {name: (value,) if value else None for name, value in inputs.items()}
    entering = joined(list(visible.values())) if visible else None
    run = Run(spec, report, variables)
    where = Where(run, variables, Frame(spec.items, None, visible, spec.named_inputs), Naming("", spec.items))
    try:
        steps, leaving = run_items(spec.items, entering, where)
    except TooMuch:
        return None
    outputs = _outputs(spec, entering, leaving, where)
    settings = _settings(spec, report, variables)
    if report.failed or not outputs or entering is None:
        return None
    root = Scope("", "", "", "model", spec.name, entering, tuple(outputs.values()), steps)
    return Graph(spec.name, entering, outputs, tuple(run.nodes), root, spec, settings, overrides or {}, sizes)


def _settings(spec: Spec, report: Report, variables: Names) -> dict[str, Any]:
    """What the spec says of target, budget, lint and training, checked for its form."""
    found = {}
    for key, node in spec.settings.items():
        from cnnplan.settings import read_setting  # most specs have none

        found[key] = read_setting(key, node, variables, report)
    return found


def _variables(spec: Spec, report: Report, overrides: Mapping[str, Given]) -> Names:
    """The values of all variables, evaluated in order."""
    for name in overrides:
        if name not in spec.variables:
            help = suggest(name, spec.variables)
            raise UsageError(f"the spec has no variable '{name}' to set{f'; {help}' if help else ''}")
    names = Names()
    for name, (_, declared) in spec.variables.items():
        given = overrides.get(name, declared)
        value: Any = UNKNOWN
        if given and known(given, names):
            try:
                value = given.value(names)
            except PlacedError as error:
                if given is not declared:
                    raise UsageError(f"variable '{name}' cannot be set: {error.message}") from None
                expression_error(report, error)
        if value is None and given:
            report.add("Y911", f"variable '{name}' has no value", given.node)
            value = UNKNOWN
        if value is UNKNOWN or given is declared or declared is None or declared.dynamic:
            pass  # nothing to compare
        elif not _same_kind(value, declared.constant):
            wanted = f"{_kind(declared.constant)}, like {describe(declared.constant)},"
            raise UsageError(f"variable '{name}' is set to {describe(value)}, but {wanted} is wanted")
        elif type(declared.constant) is float:
            value = float(value)  # 2 for 1.0: tables tell them apart
        names[name] = value
    return names


def _input(
    given: Input, spec: Spec, report: Report, variables: Names, input_size: Sequence_[int] | None
) -> Value | None:
    """An input of the network; None, and a finding, where its shape is not one."""
    shape = evaluate_plainly(given.shape, variables, report)
    if shape is UNKNOWN:
        return None
    if not isinstance(shape, list) or not 1 <= len(shape) <= 4:
        message = f"an input has 1 to 4 sizes, [channels, *spatial], not {describe(shape)}"
        report.add("Y911", message, given.node, help="for a color image: [3, 224, 224]")
        return None
    wrong = [i for i, size in enumerate(shape) if type(size) is not int or not 1 <= size <= MAX_INTEGER]
    for index in wrong:
        at = given.node.items[index] if isinstance(given.node, Sequence) else given.node
        report.add("Y911", f"the sizes of an input are integers ≥ 1, not {describe(shape[index])}", at)
    if wrong:
        return None
    if input_size is not None:
        shape = _resized(given.name, shape, input_size, several=len(spec.inputs) > 1)
    if Shape(shape).numel > MAX_ELEMENTS:
        report.add("S022", f"input {Shape(shape)} has 2^63 elements or more", given.node)
        return None
    return Value(given.name, Shape(shape), given.dtype)


def _resized(name: str, shape: list[int], size: Sequence_[int], several: bool) -> list[int]:
    """The shape with another spatial size."""
    rank = len(shape) - 1
    if rank == 0 and several:
        return shape
    if rank == 0:
        raise UsageError(f"input '{name}' is a vector of {shape[0]}: it has no spatial size to replace")
    if len(size) == 1 and rank == 2:
        size = (size[0], size[0])
    if len(size) != rank:
        form = {1: "256", 2: "256 or 320x240", 3: "16x112x112"}[rank]
        raise UsageError(f"input '{name}' has {rank} spatial axes, not {len(size)}; write its size as {form}")
    return [shape[0], *size]


def _sizes(given: Input, variables: Names, report: Report) -> list[tuple[int, ...]]:
    """`sizes` of an input: further spatial sizes, each one number for all axes or a list."""
    assert given.sizes
    shape, found = (evaluate_plainly(x, variables, Report("")) for x in (given.shape, given.sizes))
    evaluate_plainly(given.sizes, variables, report)
    if found is UNKNOWN or not isinstance(shape, list):
        return []
    rank, node = len(shape) - 1, given.sizes.node
    if rank == 0:
        report.add("Y911", f"input '{given.name}' is a vector: it has no spatial size", node, help="remove `sizes`")
        return []
    if not isinstance(found, list) or len(found) > MAX_SIZES:
        message = f"`sizes` is a list of at most {MAX_SIZES} spatial sizes, not {describe(found)}"
        report.add("Y911", message, node)
        return []
    sizes = []
    for index, size in enumerate(found):
        axes = size if isinstance(size, list) else [size] * rank
        if len(axes) != rank or any(type(n) is not int or n < 1 for n in axes):
            message = f"a spatial size is an integer ≥ 1, or a list of {rank}, not {describe(size)}"
            report.add("Y911", message, node.items[index] if isinstance(node, Sequence) else node)
        else:
            sizes.append(tuple(axes))
    return sizes


def _outputs(spec: Spec, entering: Values | None, leaving: Values | None, where: Where) -> dict[str, Value] | None:
    """The network's outputs by name; None where they are not known."""
    report = where.run.report
    if not spec.outputs:
        if leaving and not {*leaving}.isdisjoint(entering or ()) and not report.failed:
            at = spec.items[-1].key if spec.items else None
            report.add("S016", "nothing is left of the network: its output is its input", at)
        return {value.name: value for value in leaving} if leaving else None
    outputs: dict[str, Value] = {}
    taken: set[tuple[str, int]] = set()  # the outputs of items that are named so far
    dropped = 0
    complete = True
    for reference in spec.outputs:
        if is_left_out(reference, where):
            dropped += 1
            continue
        record = find(reference, leaving, where)
        values = resolve(reference, leaving, where) if record else None
        if values is None or record is None:
            complete = False
            continue
        these = {(reference.name, i) for i, value in enumerate(record.values or ()) if value in values}
        if record.step is None:
            report.add("S016", f"an output names an item, not '{reference}'", reference.node)
        elif taken & these:
            report.add("S016", f"output '{reference}' is named twice", reference.node)
        elif len(values) == 1:
            outputs[str(reference)] = values[0]
        else:
            parts = record.parts or tuple(map(str, range(len(values))))
            outputs.update((f"{reference}.{part}", v) for part, v in zip(parts, values, strict=True))
        taken |= these
    if dropped == len(spec.outputs):
        message = "none of the outputs is left: the items they name are left out"
        report.add("S016", message, spec.outputs[0].node, help="name at least one output that always remains")
    return outputs if complete else None


def _same_kind(value: Any, declared: Any) -> bool:
    return type(value) is type(declared) or (type(value) is int and type(declared) is float)


def _kind(value: Any) -> str:
    kinds = {bool: "`true` or `false`", int: "an integer", float: "a number", str: "a text", list: "a list"}
    return kinds.get(type(value), "a mapping")
