"""What did a change cost? Two plans side by side: layer by layer, and in all.

found = cnnplan.diff(cnnplan.plan("old.yaml"), cnnplan.plan("new.yaml"))
found.totals["macs"].change, [layer.name for layer in found.layers if layer.status == "added"]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cnnplan.analyses.alignment import CHANGED, RENAMED, SAME, Aligned, align
from cnnplan.errors import UsageError
from cnnplan.planning import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnnplan.ops.base import Shape
    from cnnplan.planning import Layer

AFFECTED: Final = "affected"
STATUSES: Final = ("added", "removed", CHANGED, "moved", RENAMED, AFFECTED, SAME)
METRICS: Final = (
    "layers",
    "weighted_layers",
    "parameters",
    "trainable_parameters",
    "buffers",
    "macs",
    "flops",
    "training_memory",
    "inference_memory",
    "saved_activations",
    "receptive_field",
)
"""The totals. Memory is in bytes: the peaks of a training step and of an inference, under each plan's conditions."""
BYTES: Final = frozenset({"training_memory", "inference_memory", "saved_activations"})


class Metric(NamedTuple):
    """A number of both plans; None where a plan has none, such as a receptive field that is not known."""

    old: int | None
    new: int | None

    @property
    def change(self) -> int | None:
        """By how much it grew; negative where it shrank."""
        return None if self.old is None or self.new is None else self.new - self.old

    @property
    def percent(self) -> float | None:
        """The same in percent of the old number; None where that is 0."""
        return None if self.change is None or not self.old else 100 * self.change / self.old


class Argument(NamedTuple):
    """What the spec says of a layer, in both versions: an argument by its name, or `operation`, `inputs`,
    `trainable`, `checkpoint`, `shared_with`."""

    name: str
    old: Any
    new: Any


class LayerDifference(NamedTuple):
    """A layer in both plans.

    Attributes:
        status: "added", "removed", "changed" (the spec says something else of it), "moved" (other layers run
            before it), "renamed" (it, or a block it is in, is called otherwise; automatic numbers do not count),
            "affected" (the spec says the same, but it has other numbers, by what comes before it), or "same".
        old, new: None where it is added or removed.
        arguments: what the spec says otherwise.
    """

    status: str
    old: Layer | None
    new: Layer | None
    arguments: tuple[Argument, ...] = ()

    @property
    def name(self) -> str:
        """Its name, the new one where it has both."""
        return self._one.name

    @property
    def _one(self) -> Layer:
        found = self.new or self.old
        assert found
        return found

    def number(self, name: str) -> Metric:
        """A number of the layer by its name: parameters, buffers, macs, flops, saved_bytes; absent counts as 0."""
        return Metric(*(getattr(layer, name) if layer else 0 for layer in (self.old, self.new)))

    @property
    def parameters(self) -> Metric:
        return self.number("parameters")

    @property
    def macs(self) -> Metric:
        return self.number("macs")

    @property
    def flops(self) -> Metric:
        return self.number("flops")

    @property
    def saved_bytes(self) -> Metric:
        return self.number("saved_bytes")

    @property
    def outputs(self) -> tuple[tuple[Shape, ...], tuple[Shape, ...]]:
        """The shapes of its outputs, old and new; none where it is not there."""
        return (self.old.outputs if self.old else ()), (self.new.outputs if self.new else ())

    @property
    def receptive_field(self) -> tuple[tuple[int | None, ...] | None, tuple[int | None, ...] | None]:
        """The size of its field along each axis, old and new; None where it has none."""
        return field_of(self.old), field_of(self.new)


class Difference(NamedTuple):
    """Two plans side by side.

    Attributes:
        old, new: the plans.
        layers: those of both, in the order they run; what is removed stands behind what ran before it.
        totals: by the names of `METRICS`.
    """

    old: Plan
    new: Plan
    layers: tuple[LayerDifference, ...]
    totals: Mapping[str, Metric]

    @property
    def inputs(self) -> tuple[dict[str, Shape], dict[str, Shape]]:
        """The inputs and their shapes, old and new."""
        old, new = ({v.name: v.shape for v in plan.graph.inputs} for plan in (self.old, self.new))
        return old, new

    @property
    def outputs(self) -> tuple[dict[str, Shape], dict[str, Shape]]:
        """The outputs and their shapes, old and new."""
        old, new = ({name: v.shape for name, v in plan.graph.outputs.items()} for plan in (self.old, self.new))
        return old, new

    def of(self, *statuses: str) -> list[LayerDifference]:
        """The layers of these statuses."""
        return [layer for layer in self.layers if layer.status in statuses]

    @property
    def renamed(self) -> list[LayerDifference]:
        """The layers of both that go by another name, be it only by another automatic number; so do their weights."""
        return [x for x in self.layers if x.old and x.new and x.old.name != x.new.name]

    def __repr__(self) -> str:
        counts = [f"{len(found)} {status}" for status in STATUSES if (found := self.of(status))]
        return f"<Difference {self.old.path} → {self.new.path}: {', '.join(counts)}>"


def diff(old: Plan, new: Plan) -> Difference:
    """Two plans side by side: which layers are new, gone or changed, and what that costs.

    Raises:
        UsageError: one of them is no plan.
    """
    for plan in (old, new):
        if not isinstance(plan, Plan):
            raise UsageError(f"diff takes two plans, as `cnnplan.plan` makes them, not {type(plan).__name__}")
    layers = tuple(_layer(found, old, new) for found in align(old.graph, new.graph))
    numbers = totals(old), totals(new)
    return Difference(old, new, layers, {name: Metric(numbers[0][name], numbers[1][name]) for name in METRICS})


def totals(plan: Plan) -> dict[str, int | None]:
    """The numbers of `METRICS`; the receptive field is the larger of its axes, None where none is known."""
    field = plan.receptive_field
    sizes = [size for size in field.size if size is not None] if field else []
    return {
        "layers": len(plan.layers),
        "weighted_layers": plan.weighted_layers,
        "parameters": plan.parameters,
        "trainable_parameters": plan.trainable_parameters,
        "buffers": plan.buffers,
        "macs": plan.macs,
        "flops": plan.flops,
        "training_memory": plan.training.peak,
        "inference_memory": plan.inference.peak,
        "saved_activations": plan.training.saved_activations,
        "receptive_field": max(sizes, default=None),
    }


def field_of(layer: Layer | None) -> tuple[int | None, ...] | None:
    """The size of a layer's field along each axis; None where nothing of it is local."""
    field = layer.receptive_field if layer else None
    return field.size if field and any(size is not None for size in field.size) else None


_NUMBERS = ("parameters", "trainable_parameters", "buffers", "macs", "flops", "saved_bytes")


def _layer(found: Aligned, old: Plan, new: Plan) -> LayerDifference:
    before = old.layers[found.old.index] if found.old else None
    behind = new.layers[found.new.index] if found.new else None
    if before is None or behind is None:
        return LayerDifference(found.status, before, behind)
    arguments = tuple(_arguments(before, behind, found.rewired)) if found.status == CHANGED else ()
    out = LayerDifference(found.status, before, behind, arguments)
    if found.status == SAME and not _equal(out):
        return out._replace(status=AFFECTED)
    return out


def _equal(found: LayerDifference) -> bool:
    old, new = found.outputs
    if old != new or found.receptive_field[0] != found.receptive_field[1]:
        return False
    return all(pair.old == pair.new for pair in map(found.number, _NUMBERS))


def _arguments(old: Layer, new: Layer, rewired: bool) -> Sequence[Argument]:
    """What the spec says otherwise of a layer."""
    a, b = old.node, new.node
    found = []
    if a.op.kind != b.op.kind:
        found.append(Argument("operation", a.op.kind, b.op.kind))
    else:
        for name in type(b.op).model_fields:
            before, behind = getattr(a.op, name), getattr(b.op, name)
            if before != behind:
                found.append(Argument(name, before, behind))
    for name in ("trainable", "checkpoint", "shared_with"):
        before, behind = getattr(a, name), getattr(b, name)
        if before != behind and (name != "shared_with" or bool(before) != bool(behind)):
            found.append(Argument(name, before, behind))
    if rewired:
        found.append(Argument("inputs", list(old.inputs), list(new.inputs)))
    return found
