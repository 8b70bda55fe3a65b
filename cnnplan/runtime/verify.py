"""Are the plan's numbers true? Builds the model and holds every number against torch itself.

    for check in verify(plan).checks: check.what, check.planned, check.measured, check.verdict

Each check names its oracle. What is known to be wrong with an oracle is worked round and said.
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections import Counter
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cnnplan.emit import emit
from cnnplan.errors import UsageError
from cnnplan.runtime.build import build
from cnnplan.runtime.interpreter import Interpreter, Refused
from cnnplan.runtime.probe import probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from cnnplan.graph import Graph, Node
    from cnnplan.planning import Plan
    from cnnplan.runtime.probe import Miss

BATCH = 2
TOLERANCE = 1e-4
"""Outputs of the same layers in the same order: torch may still sum in another order."""

FORWARD = "layers one by one"
SOURCE = "the emitted file"
BACKWARD = "one backward pass"

EXACT, EQUAL, DIFFERS, LEFT_OUT = "exact", "equal", "differs", "left out"


class Difference(NamedTuple):
    """Something that is not as planned, at a layer where it has one."""

    layer: str
    line: int | None
    planned: str
    measured: str


class Check(NamedTuple):
    """One number or claim of the plan beside what was measured.

    Attributes:
        what: such as "parameters".
        planned, measured: in words; numbers are exact.
        oracle: what it is held against.
        verdict: "exact", "equal" (up to rounding), "differs", or "left out".
        differences: where it differs.
    """

    what: str
    planned: str
    measured: str
    oracle: str
    verdict: str
    differences: tuple[Difference, ...] = ()


class Measured(NamedTuple):
    """One layer as it ran.

    Attributes:
        node: the layer.
        outputs: the shapes of its outputs, without the batch; empty where it did not run.
        macs: of one sample, by torch's counter.
    """

    node: Node
    outputs: tuple[tuple[int, ...], ...]
    macs: int | None


class Verification(NamedTuple):
    """All checks of a plan.

    Attributes:
        plan: what was verified.
        checks: in the order they were made.
        layers: every layer as it ran.
        notes: what is known of the oracles and mattered here.
    """

    plan: Plan
    checks: tuple[Check, ...]
    layers: tuple[Measured, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing differs."""
        return all(check.verdict != DIFFERS for check in self.checks)


def verify(plan: Plan, *, device: str = "cpu", probes: int | None = None) -> Verification:
    """Build a plan's model and compare every number with what torch does.

    Args:
        device: where the model runs, such as "cpu" or "cuda"; fields are probed on the CPU.
        probes: how many inputs the receptive field is probed with; by default as many as the network's
            size allows in a few seconds.

    Raises:
        UsageError: there is no such device, or not enough memory.
    """
    place = _device(device)
    _room(plan)
    torch.manual_seed(0)
    model = build(plan.graph)
    _disturb(model)
    checks = [*_tensors(plan, model)]
    model = model.to(place).eval()
    inputs = [_input(v.shape, v.dtype, place) for v in plan.graph.inputs]
    interpreter = Interpreter(plan.graph, model)
    layers, outputs, refused = _by_layer(plan, interpreter, inputs)
    checks = [_shapes(layers, refused), *checks, _torch_macs(plan, layers)]
    if refused is None:
        ends = f"{len(plan.graph.outputs)} output{'s' if len(plan.graph.outputs) > 1 else ''}"
        checks += [
            _fvcore(plan, model, inputs),
            _checked("forward", FORWARD, ends, lambda: _outputs(plan, model, inputs, outputs)),
            _checked("source", SOURCE, ends, lambda: _source(plan, model, inputs)),
            _checked("gradients", BACKWARD, "", lambda: _gradients(plan, model, inputs)),
        ]
        if checks[0].verdict == EXACT:
            checks += [_field(plan, Interpreter(plan.graph, model.cpu()), probes)]
        else:
            checks += [Check("field", "", "", "left out: shapes differ", LEFT_OUT)]
    return Verification(plan, tuple(checks), tuple(layers), tuple(_notes(plan)))


def _device(name: str) -> torch.device:
    try:
        place = torch.device(name)
        torch.zeros(1, device=place)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise UsageError(f"there is no device '{name}' here: {reason}") from None
    return place


def _room(plan: Plan) -> None:
    """Refuse what would not fit: three times the parameters, and every value of a batch twice.

    Raises:
        UsageError: there is not so much memory.
    """
    values = sum(v.shape.numel for node in plan.graph.nodes for v in node.outputs)
    needed = 4 * (3 * plan.parameters + plan.buffers + 2 * BATCH * values)
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123 - no file of the user's
            free = next(1024 * int(line.split()[1]) for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 1 << 62
    if needed > free:
        raise UsageError(
            f"'{plan.name}' needs about {needed / 2**30:,.1f} GiB to be verified, and {free / 2**30:,.1f} GiB are "
            "free; verify it with a smaller --input-size, or smaller variables"
        )


def _input(shape: Sequence[int], dtype: str, place: torch.device) -> Tensor:
    if dtype == "int64":
        return torch.randint(0, 2, (BATCH, *shape), device=place)
    return torch.randn(BATCH, *shape, device=place)


@torch.no_grad()
def _disturb(model: nn.Module) -> None:
    """Other statistics and biases than those at the start, which hide mistakes: a fresh norm does nothing."""
    for name, buffer in model.named_buffers():
        if buffer.is_floating_point():
            buffer.copy_(torch.rand_like(buffer) + 0.5 if name.endswith("var") else 0.2 * torch.randn_like(buffer))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.add_(0.1 * torch.randn_like(parameter))


# ---------------------------------------------------------------- tensors


def _tensors(plan: Plan, model: nn.Module) -> Iterator[Check]:
    """Parameters and buffers, by name and shape."""
    parameters, buffers, frozen = {}, {}, set()
    for layer in plan.layers:
        node = layer.node
        if node.shared_with:
            continue
        parameters.update({(node, name): shape for name, shape in layer.work.tensors.items()})
        buffers.update({(node, name): shape for name, shape in node.op.buffers(*node.shapes).items()})
        if not node.trainable:
            frozen |= {f"{node.path}.{name}" for name in layer.work.tensors}
    found = {name: tuple(p.shape) for name, p in model.named_parameters()}
    yield _compared("parameters", plan.parameters, parameters, found)
    yield _compared("buffers", plan.buffers, buffers, {name: tuple(b.shape) for name, b in model.named_buffers()})
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if frozen or trained != plan.trainable_parameters:
        wrong = [name for name, p in model.named_parameters() if p.requires_grad == (name in frozen)]
        differences = tuple(Difference(name, None, "frozen" if name in frozen else "trained", "not") for name in wrong)
        verdict = DIFFERS if wrong or trained != plan.trainable_parameters else EXACT
        planned = f"{plan.trainable_parameters:,}"
        yield Check("trainable", planned, f"{trained:,}", "requires_grad", verdict, differences)


def _compared(
    what: str, total: int, planned: Mapping[tuple[Node, str], tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> Check:
    differences = []
    left = dict(found)
    for (node, name), shape in planned.items():
        measured = left.pop(f"{node.path}.{name}", None)
        if measured != shape:
            text = "none" if measured is None else _shape(measured)
            differences.append(Difference(f"{node.path}.{name}", node.line, _shape(shape), text))
    differences += [Difference(name, None, "none", _shape(shape)) for name, shape in left.items()]
    measured_total = sum(map(prod, found.values()))
    verdict = DIFFERS if differences or total != measured_total else EXACT
    oracle = f"{len(found):,} tensors by name"
    return Check(what, f"{total:,}", f"{measured_total:,}", oracle, verdict, tuple(differences))


def _shape(sizes: Iterable[int]) -> str:
    return "x".join(map(str, sizes)) or "1"


# ---------------------------------------------------------------- layer by layer


@torch.no_grad()
def _by_layer(
    plan: Plan, interpreter: Interpreter, inputs: Sequence[Tensor]
) -> tuple[list[Measured], list[Tensor], Refused | None]:
    """Every layer run by its own torch rule: shapes, and MACs by torch's counter."""
    layers: list[Measured] = []
    counter = FlopCounterMode(display=False)
    before = 0

    def watch(node: Node, values: Sequence[Tensor], outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        nonlocal before
        total = counter.get_total_flops()
        shapes = tuple(tuple(y.shape[1:]) for y in outputs)
        layers.append(Measured(node, shapes, (total - before) // (2 * BATCH)))
        before = total
        return outputs

    try:
        with counter:
            return layers, interpreter.run(inputs, watch), None
    except Refused as refused:
        return layers, [], refused


def _shapes(layers: Sequence[Measured], refused: Refused | None) -> Check:
    differences = [
        Difference(x.node.name, x.node.line, _all(v.shape for v in x.node.outputs), _all(x.outputs))
        for x in layers
        if tuple(tuple(v.shape) for v in x.node.outputs) != x.outputs
    ]
    if refused:
        node = refused.node
        planned = _all(v.shape for v in node.outputs)
        differences.append(Difference(node.name, node.line, planned, f"torch refuses: {refused.reason}"))
    ran = f"{len(layers) - len(differences) + bool(refused):,} layers"
    planned = f"{len(layers) + bool(refused):,} layers"
    return Check("shapes", planned, ran, "torch, layer by layer", DIFFERS if differences else EXACT, tuple(differences))


def _all(shapes: Iterable[Iterable[int]]) -> str:
    return ", ".join(map(_shape, shapes))


def _torch_macs(plan: Plan, layers: Sequence[Measured]) -> Check:
    differences = tuple(
        Difference(x.node.name, x.node.line, f"{planned.macs:,}", f"{x.macs:,}")
        for planned, x in zip(plan.layers, layers, strict=False)
        if planned.macs != x.macs
    )
    total = sum(x.macs or 0 for x in layers)
    verdict = DIFFERS if differences or total != plan.macs else EXACT
    return Check("MACs", f"{plan.macs:,}", f"{total:,}", "torch's flop counter", verdict, differences)


COUNTED = ("conv", "linear", "matmul", "addmm", "bmm")
"""What fvcore calls the operations that are MACs."""


def _fvcore(plan: Plan, model: nn.Module, inputs: Sequence[Tensor]) -> Check:
    """MACs of the emitted model's modules, by fvcore, which follows a trace of it."""
    planned: Counter[str] = Counter()
    nodes: dict[str, Node] = {}
    needed = _needed(plan.graph)
    for layer in plan.layers:
        if layer.node in needed:
            planned[layer.node.path] += layer.macs
            nodes.setdefault(layer.node.path, layer.node)
    whole = sum(planned.values())
    if importlib.util.find_spec("fvcore") is None:
        return Check("MACs", f"{whole:,}", "", "fvcore: pip install fvcore", LEFT_OUT)
    from importlib.metadata import version

    oracle = f"fvcore {version('fvcore').partition('.post')[0]}"
    try:
        counts = _count(model, inputs)
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        return Check("MACs", f"{whole:,}", "", f"{oracle}: {str(error).partition(chr(10))[0]:.60}", LEFT_OUT)
    found = {name: sum(of[operator] for operator in COUNTED) for name, of in counts.items()}
    differences = tuple(
        Difference(path, nodes[path].line, f"{macs:,}", f"{found.get(path, 0):,}")
        for path, macs in planned.items()
        if macs != found.get(path, 0) and (macs or path not in _parents(found))
    )
    total = found.get("", 0)
    verdict = DIFFERS if differences or total != whole else EXACT
    return Check("MACs", f"{whole:,}", f"{total:,}", oracle, verdict, differences)


def _needed(graph: Graph) -> set[Node]:
    """The layers that some output depends on."""
    wanted = set(graph.outputs.values())
    found = set()
    for node in reversed(graph.nodes):
        if not wanted.isdisjoint(node.outputs):
            found.add(node)
            wanted.update(node.inputs)
    return found


def _parents(names: Iterable[str]) -> set[str]:
    """Names of modules that hold others."""
    return {name.rpartition(".")[0] for name in names}


def _count(model: nn.Module, inputs: Sequence[Tensor]) -> Mapping[str, Counter[str]]:
    import logging

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

        logging.getLogger("fvcore").setLevel(logging.ERROR)
        analysis = FlopCountAnalysis(model, tuple(x[:1] for x in inputs))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        counts: Mapping[str, Counter[str]] = analysis.by_module_and_operator()
    return counts


# ---------------------------------------------------------------- the emitted source


class _Failed(Exception):
    """The emitted model does not run."""


def _run(model: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    try:
        outputs = model(*inputs)
    except (RuntimeError, ValueError, IndexError, TypeError, AttributeError) as error:
        raise _Failed(f"torch refuses: {str(error).partition(chr(10))[0]}") from error
    return [outputs] if isinstance(outputs, Tensor) else list(outputs)


def _checked(what: str, oracle: str, planned: str, check: Callable[[], Check]) -> Check:
    """A check whose model may not run at all."""
    try:
        return check()
    except _Failed as failed:
        return Check(what, planned, "", oracle, DIFFERS, (Difference(what, None, "runs", str(failed)),))


@torch.no_grad()
def _outputs(plan: Plan, model: nn.Module, inputs: Sequence[Tensor], expected: Sequence[Tensor]) -> Check:
    """The emitted `forward` gives what the planned layers give, one after the other."""
    return _same(plan, "forward", FORWARD, _run(model, inputs), expected)


@torch.no_grad()
def _source(plan: Plan, model: nn.Module, inputs: Sequence[Tensor]) -> Check:
    """The file that `cnnplan build` writes, run as a file of its own, is the built model."""
    source = emit(plan.graph)
    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(source.text, "<emitted>", "exec"), namespace)  # noqa: S102 - our own emitter's output
    with torch.device("meta"):
        other: nn.Module = namespace[source.model]()
    other.load_state_dict(model.state_dict(), strict=True, assign=True)
    return _same(plan, "source", SOURCE, _run(other.eval(), inputs), _run(model, inputs))


def _same(plan: Plan, what: str, oracle: str, found: Sequence[Tensor], expected: Sequence[Tensor]) -> Check:
    names = list(plan.graph.outputs)
    differences = []
    apart = 0.0
    for index, (name, value) in enumerate(plan.graph.outputs.items()):
        if index >= len(found) or index >= len(expected) or found[index].shape != expected[index].shape:
            differences.append(Difference(name, None, str(value.shape), "missing, or of another shape"))
            continue
        a, b = found[index].double(), expected[index].double()
        both = a.isnan() & b.isnan() | (a == b)
        away = torch.where(both, 0.0, (a - b).abs() / b[~b.isnan()].abs().amax().clamp(min=1e-6) if b.numel() else 0.0)
        off = float("inf") if bool((a.isnan() != b.isnan()).any()) else float(away.max())
        apart = max(apart, off)
        if not off <= TOLERANCE:
            differences.append(Difference(name, None, "the same", f"{off:.2g} of the largest value apart"))
    text = "the same bits" if apart == 0 else f"{apart:.1g} apart"
    planned = f"{len(names)} output{'s' if len(names) > 1 else ''}"
    verdict = DIFFERS if differences or len(found) != len(names) else EXACT if apart == 0 else EQUAL
    return Check(what, planned, text, oracle, verdict, tuple(differences))


# ---------------------------------------------------------------- gradients


def _gradients(plan: Plan, model: nn.Module, inputs: Sequence[Tensor]) -> Check:
    """One backward pass reaches every trainable parameter."""
    wanted = {name: p for name, p in model.named_parameters() if p.requires_grad}
    oracle = BACKWARD
    if not wanted:
        return Check("gradients", "none", "none", "no parameter is trainable", EXACT)
    total = torch.zeros((), device=inputs[0].device)
    for y in _run(model, inputs):
        if y.requires_grad:
            total = total + (y * torch.randn_like(y)).sum()
    if total.requires_grad:
        total.backward()  # type: ignore[no-untyped-call]
    missing = [name for name, p in wanted.items() if p.grad is None]
    model.zero_grad(set_to_none=True)
    lines = {f"{x.node.path}.{name}": x.line for x in plan.layers for name in x.work.tensors}
    differences = tuple(
        Difference(name, lines.get(name), "a gradient", "none: no path to an output") for name in missing
    )
    measured = f"{len(wanted) - len(missing):,} tensors"
    return Check("gradients", f"{len(wanted):,} tensors", measured, oracle, DIFFERS if missing else EXACT, differences)


# ---------------------------------------------------------------- the field


def _field(plan: Plan, interpreter: Interpreter, probes: int | None) -> Check:
    """What sampled units of every layer see, probed with NaNs."""
    probed = probe(plan.graph, interpreter, plan.macs, probes)
    if not probed.units:
        return Check("field", "none", "none", "no layer has spatial axes", EXACT)
    misses = {(miss.sample.node.name, miss.sample.unit): miss for miss in reversed(probed.misses)}
    hulls = list(_outside_spans(plan.graph, plan))
    differences = (*(_missed(miss) for miss in misses.values()), *hulls)
    planned = f"{probed.units:,} units of {len(probed.layers):,} layers"
    measured = f"{probed.answers:,} answers"
    oracle = f"NaNs in {probed.inputs:,} inputs"
    if probed.bounds:
        oracle += f"; a bound for {probed.bounds:,} units"
    return Check("field", planned, measured, oracle, DIFFERS if differences else EXACT, differences)


def _missed(miss: Miss) -> Difference:
    sample = miss.sample
    unit = f"[{','.join(map(str, sample.unit))}]"
    seen = ", ".join(str(sample.local.interval(axis)) for axis in range(sample.local.shape.rank))
    measured = "sees a place outside it" if miss.tainted else "does not see a place in it"
    return Difference(f"{sample.node.name}{unit}", sample.node.line, seen, f"{measured} ({miss.probe})")


def _outside_spans(graph: Graph, plan: Plan) -> Iterator[Difference]:
    """Where a unit sees more than the field that the plan reports."""
    from cnnplan.analyses.region import Look

    look = Look(graph)
    for node in graph.nodes:
        value = node.output
        if not value.shape.rank:
            continue
        unit = tuple(n // 2 for n in value.shape.spatial)
        for given, region in enumerate(look.seen(value, unit, local=True)):
            paths = plan.reach.fields[value][given]
            for axis, known in enumerate(paths.axes if paths else ()):
                span = known.span
                found = region.interval(span.axis) if span and region.boxes else None
                if span is None or found is None:
                    continue
                low, high = span.at(unit[axis])
                if not (low <= found[0] and found[1] <= high) and not _wraps(graph):
                    yield Difference(node.name, node.line, f"({low}, {high})", str(found))


def _wraps(graph: Graph) -> bool:
    """Whether some padding repeats units of the input, so that a unit sees beyond its field."""
    return any(w.beyond for node in graph.nodes for w in node.op.reads(0, 0, *node.shapes))


# ---------------------------------------------------------------- what is known of the oracles


def _notes(plan: Plan) -> Iterator[str]:
    """Faults of the oracles that matter for this network, and how they are worked round."""
    nodes = plan.graph.nodes
    if any(getattr(node.op, "groups", 1) > 1 or node.op.kind == "depthwise_conv" for node in nodes):
        yield (
            "torch.utils.flop_counter counts the backward pass of grouped convolutions as if they were dense: "
            "forward passes alone are counted"
        )
    if len(_needed(plan.graph)) < len(nodes):
        yield "fvcore follows a trace without the layers that no output depends on: their MACs are left out there"
    if any(node.op.interpolates() for node in nodes):
        yield (
            "interpolation multiplies with weights that are exactly 0, and 0 * NaN is NaN: there, NaNs are followed "
            "by the interpolation of a mask"
        )
    if any(layer.receptive_field and layer.receptive_field.is_global for layer in plan.layers):
        yield (
            "behind an operation that reads a whole axis everything would be NaN: its output is made finite, "
            "so that local paths are probed, and that it sees everything is probed apart"
        )
    if _wraps(plan.graph):
        yield "padding that repeats the input lets units see beyond their field; which units is probed all the same"
