"""The plan: a graph and its numbers, what every renderer reads.

    plan = cnnplan.plan("specs/vgg16.yaml")
    plan.parameters, plan.macs, plan.layers[3].output

Each number is computed when it is first asked for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.analyses.work import Work, work
from cnnplan.conditions import Conditions, conditions
from cnnplan.diagnostics import Report, TooManyFindings
from cnnplan.elaborate import elaborate
from cnnplan.errors import SpecError, UsageError
from cnnplan.grammar import read_spec
from cnnplan.memory import Memory
from cnnplan.overrides import overrides
from cnnplan.pause import no_collection
from cnnplan.reach import Reach
from cnnplan.source import MAX_BYTES, decode, parse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from cnnplan.analyses.field import ReceptiveField
    from cnnplan.analyses.region import Sight
    from cnnplan.analyses.roofline import Roof
    from cnnplan.analyses.sizes import Axis
    from cnnplan.analyses.translation import Effect
    from cnnplan.diagnostics import Diagnostic
    from cnnplan.graph import Graph, Node
    from cnnplan.lint.selection import Selection
    from cnnplan.memory import Inference, Training
    from cnnplan.ops.base import Shape
    from cnnplan.spec import Spec


class Layer(NamedTuple):
    """One layer of the plan: a row of the table.

    Sizes are per sample, channels first; `parameters`, `buffers`, `macs` and `flops` are those of
    `Work`.
    """

    node: Node
    work: Work
    reach: Reach
    memory: Memory

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def op(self) -> str:
        """The operation's name, such as "conv"."""
        return self.node.op.kind

    @property
    def line(self) -> int:
        """The line of the spec, from 1."""
        return self.node.line

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the layers (or of the network's inputs) whose outputs it takes."""
        return tuple(v.name for v in self.node.inputs)

    @property
    def output(self) -> Shape:
        """The shape of its output; of its first one, where it has several."""
        return self.node.output.shape

    @property
    def outputs(self) -> tuple[Shape, ...]:
        return tuple(v.shape for v in self.node.outputs)

    @property
    def parameters(self) -> int:
        return self.work.parameters

    @property
    def trainable_parameters(self) -> int:
        return self.work.trainable_parameters

    @property
    def buffers(self) -> int:
        return self.work.buffers

    @property
    def macs(self) -> int:
        return self.work.macs

    @property
    def flops(self) -> int:
        return self.work.flops

    @property
    def receptive_field(self) -> ReceptiveField | None:
        """What a unit of its output depends on, through local paths; None without a spatial input."""
        return self.reach.of(self.node.output)

    @property
    def connections(self) -> int | None:
        """The edges that end in its units, without weight sharing; None where they depend on the data.

        Source: LeCun et al. 1998, section II.B.
        """
        from cnnplan.analyses.counts import connections

        return connections(self.node)

    @property
    def dense_parameters(self) -> int | None:
        """Of a layer with weights: those of a fully connected layer between the same units."""
        from cnnplan.analyses.counts import dense_parameters

        return dense_parameters(self.node)

    @property
    def kept(self) -> Fraction | None:
        """Of a pool: the share of its units that is left."""
        from cnnplan.analyses.counts import kept

        return kept(self.node)

    @property
    def saved_bytes(self) -> int:
        """Bytes, for the plan's batch, of what it is the first to keep for the backward pass."""
        return self.memory.saved_bytes[self.node]

    @property
    def effective_size(self) -> tuple[float | None, ...]:
        """An estimate, at initialization, of how much of its field a unit uses along each axis.

        Source: Luo et al. 2016, arXiv:1701.04128.
        """
        return self.reach.effective_size(self.node.output)

    @property
    def coverage(self) -> tuple[float | None, ...]:
        """The share of its field that a unit reads, along each axis; 1 where it has no holes."""
        return self.reach.coverage(self.node.output)

    def sees(self, unit: int | Sequence[int]) -> Sight:
        """What a unit of its output sees of the network's inputs, exactly: every unit, clipped to their extent.

        Args:
            unit: its index along each spatial axis, from 0.

        Raises:
            UsageError: the output has no such unit.
        """
        from cnnplan.analyses.region import sight

        return sight(self.node.output, (unit,) if isinstance(unit, int) else unit, self.reach.graph)

    def __repr__(self) -> str:
        return f"<Layer {self.name}: {self.op}, {self.output}, {self.parameters:,} parameters, {self.macs:,} MACs>"


class Plan:
    """A validated network and its numbers.

    Attributes:
        graph: the network.
        path: where the spec was read; "<text>" for text and dicts.
        conditions: what memory and time are planned for: batch, dtypes, optimizer, device.
        reach: what units see.
        memory: what is alive when.
    """

    def __init__(
        self, graph: Graph, report: Report, path: str, conditions: Conditions, selection: Selection | None = None
    ) -> None:
        self.graph = graph
        self.path = path
        self.conditions = conditions
        self._report = report
        self._selection = selection
        self.reach = Reach(graph)
        self.memory = Memory(graph, conditions)

    @property
    def batch(self) -> int:
        """The batch size that memory is planned for."""
        return self.conditions.batch

    @property
    def name(self) -> str:
        return self.graph.name

    @property
    def spec(self) -> Spec:
        return self.graph.spec

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in the order they run."""
        with no_collection():
            found = zip(self.graph.nodes, work(self.graph), strict=True)
            return tuple(Layer(node, done, self.reach, self.memory) for node, done in found)

    @cached_property
    def parameters(self) -> int:
        """Elements of all parameters; shared ones count once."""
        return sum(layer.parameters for layer in self.layers)

    @cached_property
    def trainable_parameters(self) -> int:
        return sum(layer.trainable_parameters for layer in self.layers)

    @cached_property
    def buffers(self) -> int:
        """Elements of all registered buffers."""
        return sum(layer.buffers for layer in self.layers)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions and matrix products for one sample."""
        return sum(layer.macs for layer in self.layers)

    @cached_property
    def flops(self) -> int:
        """Floating point operations for one sample: 2 · macs and the elementwise work."""
        return sum(layer.flops for layer in self.layers)

    @cached_property
    def connections(self) -> int | None:
        """The edges of the network drawn without weight sharing; None where those of a layer depend on the data."""
        found = [layer.connections for layer in self.layers]
        return None if None in found else sum(n or 0 for n in found)

    @cached_property
    def weighted_layers(self) -> int:
        """Convolutions and dense layers on the longest path from an input to an output."""
        from cnnplan.analyses.counts import weighted_layers

        return weighted_layers(self.graph)

    @cached_property
    def translation(self) -> list[Effect]:
        """What shifts of each input do to each output, along each spatial axis, borders left aside."""
        from cnnplan.analyses.translation import translation

        return translation(self.graph)

    @property
    def training(self) -> Training:
        """The memory of a training step, in bytes: its parts, its peak, and where that is."""
        return self.memory.training

    @property
    def inference(self) -> Inference:
        """The memory of an inference, in bytes."""
        return self.memory.inference

    @cached_property
    def roofline(self) -> Mapping[Node, Roof]:
        """The work, the bytes and the lower bound of time of each layer in training, on the plan's device."""
        from cnnplan.analyses.roofline import roofline

        return roofline(self.graph, self.memory.setting.precision, self.batch, self.conditions.device)

    @cached_property
    def inference_roofline(self) -> Mapping[Node, Roof]:
        """The same of an inference: in evaluation, the whole model in one dtype, no backward passes."""
        from cnnplan.analyses.roofline import roofline

        pure = self.memory.setting.precision._replace(mixed=False)
        return roofline(self.graph, pure, self.batch, self.conditions.device, training=False)

    @property
    def receptive_field(self) -> ReceptiveField | None:
        """That of the last value that still has local paths; None where there is none."""
        value = self.reach.last_value
        return self.reach.of(value) if value else None

    @cached_property
    def legal_sizes(self) -> list[Axis]:
        """The legal sizes along each spatial axis of the inputs: of one built model, and of the spec."""
        from cnnplan.analyses.sizes import legal_sizes

        return legal_sizes(self.graph)

    @cached_property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The findings, in the order of the text."""
        from cnnplan.lint.engine import ALL, lint

        with no_collection():
            return lint(self, self._report, self._selection or ALL)

    def layer(self, name: str) -> Layer:
        """The layer of this name.

        Raises:
            UsageError: there is none; the nearest name is given.
        """
        from cnnplan.diagnostics import some, suggest

        for layer in self.layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in self.layers]
        if inside := [other for other in names if other.startswith(f"{name}.")]:
            raise UsageError(f"'{name}' is a block, whose layers are {some(inside, 6)}: name one of them")
        raise UsageError(f"'{self.name}' has no layer '{name}'; {suggest(name, names)}")

    def under(self, conditions: Conditions) -> Plan:
        """The plan of the same network under other conditions."""
        found = Plan(self.graph, self._report, self.path, conditions, self._selection)
        found.memory = self.memory.under(conditions)
        return found

    def __repr__(self) -> str:
        return f"<Plan {self.name}: {len(self.graph.nodes)} layers, {self.parameters:,} parameters, {self.macs:,} MACs>"


def plan(
    spec: str | Path | Mapping[str, Any],
    *,
    variables: Mapping[str, Any] | None = None,
    input_size: int | Sequence[int] | None = None,
    batch: int | None = None,
    dtype: str | None = None,
    mixed: bool | None = None,
    optimizer: str | None = None,
    implementation: str | None = None,
    target: str | None = None,
    selection: Selection | None = None,
) -> Plan:
    """Plan a network, without torch.

    Args:
        spec: a path; or a spec's text (it has a newline); or the spec as a dict.
        variables: values that replace those of the spec's variables, as `--set` does.
        input_size: another spatial size, in the input's order; one number for both axes of an image.
        batch: the batch size that memory is planned for; the spec's `target` or `train` says it otherwise, or 1.
        dtype: "float32", "float16" or "bfloat16".
        mixed: whether training in a narrow dtype keeps float32 parameters, under torch.autocast; so by default.
        optimizer: "sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop" or "rmsprop_momentum".
        implementation: of the optimizer: "foreach", "fused" or "forloop".
        target: a device of `cnnplan devices`, "cuda" for any, or "cpu".
        selection: which rules look at it, and at what level; all that are on by default.

    Raises:
        SpecError: the spec is not valid; `.diagnostics` says everything that is wrong.
        UsageError: the file cannot be read, or an argument does not fit the spec.
    """
    text, path = read(spec)
    report = Report(path)
    graph = load(text, report, variables, input_size)
    if graph is None:
        from cnnplan.lint.repairs import repaired

        raise SpecError(repaired(report.diagnostics, text))
    wanted = conditions(
        graph,
        batch=batch,
        dtype=dtype,
        mixed=mixed,
        optimizer=optimizer,
        implementation=implementation,
        target=target,
    )
    return Plan(graph, report, path, wanted, selection)


def read(spec: str | Path | Mapping[str, Any]) -> tuple[str | bytes, str]:
    """The text of a spec (bytes, where it comes from a file) and what to call it.

    Raises:
        UsageError: the file cannot be read.
    """
    if isinstance(spec, str) and "\n" in spec:
        return spec, "<text>"
    if isinstance(spec, str | Path):
        return read_file(Path(spec)), str(spec)
    if isinstance(spec, dict):
        from cnnplan.dict_specs import from_data

        return from_data(spec), "<dict>"
    raise UsageError(f"a spec is a path, a text or a dict, not {type(spec).__name__}")


def read_file(path: Path) -> bytes:
    """The bytes of a file, no more than a spec may have and one.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a directory")
        # a pipe without a writer is empty, and not waited for
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as file:
            os.set_blocking(handle, True)
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        help = _spec_meant(path) if isinstance(error, FileNotFoundError) else ""
        raise UsageError(f"cannot read {path}: {reason.lower()}{help}") from None


def _spec_meant(path: Path) -> str:
    """A hint for a file that is not there."""
    from cnnplan import zoo
    from cnnplan.diagnostics import nearest

    if path.stem in zoo.names() and not path.parent.name:
        return f"; `cnnplan zoo {path.stem} -o {path.stem}.yaml` writes the zoo's {path.stem}"
    try:
        beside = [file.name for file in path.parent.iterdir() if file.suffix in (".yaml", ".yml")]
    except OSError:
        return ""
    match = nearest(path.name, beside)
    return f"; did you mean {path.parent / match}?" if match else ""


def load(
    text: str | bytes,
    report: Report,
    variables: Mapping[str, Any] | None = None,
    input_size: int | Sequence[int] | None = None,
) -> Graph | None:
    """The graph of a spec's text; None, and findings in `report`, where it is not valid.

    Raises:
        UsageError: a variable or the input size does not fit the spec.
    """
    size = (input_size,) if isinstance(input_size, int) else input_size
    if size is not None and not (
        isinstance(size, list | tuple) and size and all(type(n) is int and n >= 1 for n in size)
    ):
        raise UsageError(f"an input size is an integer ≥ 1, or one for each axis, not {input_size!r}")
    if variables is not None and not isinstance(variables, Mapping):
        raise UsageError(f"variables are a dict, such as {{'classes': 10}}, not {variables!r:.60}")
    given = overrides(variables or {})
    if isinstance(text, bytes):
        decoded = decode(text, report)
        if decoded is None:
            return None
        text = decoded
    with no_collection():
        try:
            top = parse(text, report)
            if top is None:
                return None
            return elaborate(read_spec(top, report, report.path, text), report, given, size)
        except TooManyFindings:
            report.cut()
            return None
