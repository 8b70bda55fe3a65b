"""Are the plan's numbers true? Builds the model and holds every number against torch itself.

    for check in verify(plan).checks: check.what, check.planned, check.measured, check.verdict

    tensors     parameters and buffers, by name and shape
    counting    shapes and MACs, layer by layer; MACs of the emitted model, by fvcore
    running     the emitted `forward`, the emitted file, gradients
    memory      what autograd keeps, and the peaks of a training step and of an inference
    fields      what units see, by `probe`
    shifts      what shifts of the input do

Each check names its oracle. What is known to be wrong with an oracle is worked round and said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from cnnplan.errors import UsageError
from cnnplan.fitting import free_memory
from cnnplan.runtime import counting, fields, memory, running, shifts
from cnnplan.runtime.build import build
from cnnplan.runtime.check import DIFFERS, EXACT, LEFT_OUT, Check, Difference, counted
from cnnplan.runtime.interpreter import Interpreter
from cnnplan.runtime.places import place
from cnnplan.runtime.tensors import tensors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor, nn

    from cnnplan.planning import Plan
    from cnnplan.runtime.counting import Measured

BATCH = 2


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
    where = place(device)
    _room(plan)
    with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
        torch.manual_seed(0)
        return _verified(plan, where, probes)


def _verified(plan: Plan, where: torch.device, probes: int | None) -> Verification:
    model = build(plan.graph)
    _disturb(model)
    checks = [*tensors(plan, model)]
    model = model.to(where).eval()
    known = min((getattr(node.op, "num_embeddings", 2) for node in plan.graph.nodes), default=2)  # tokens
    inputs = [_input(v.shape, v.dtype, where, known) for v in plan.graph.inputs]
    try:
        interpreter = Interpreter(plan.graph, model)
    except KeyError as missing:  # the check of the tensors says so
        left = Check("shapes", "", "", f"the model has no {missing}: nothing else can be compared", LEFT_OUT)
        return Verification(plan, (left, *checks), (), ())
    layers, outputs, refused = counting.by_layer(interpreter, inputs)
    checks = [counting.shapes(layers, refused), *checks, counting.torch_macs(plan, layers)]
    if refused is None:
        ends = counted(len(plan.graph.outputs), "output")
        checks += [
            counting.fvcore_macs(plan, model, inputs),
            running.checked("forward", running.FORWARD, ends, lambda: running.forward(plan, model, inputs, outputs)),
            running.checked("source", running.SOURCE, ends, lambda: running.source(plan, model, inputs)),
            running.checked("gradients", running.BACKWARD, "", lambda: running.gradients(plan, model, inputs)),
        ]
        checks += _memory(plan, model, inputs, where)
        if checks[0].verdict == EXACT:
            checks += [fields.field(plan, Interpreter(plan.graph, model.cpu()), probes)]
            if moved := shifts.translation(plan, model):
                checks.append(moved)
        else:
            checks += [Check("field", "", "", "left out: shapes differ", LEFT_OUT)]
    return Verification(plan, tuple(checks), tuple(layers), tuple(_notes(plan)))


def _memory(plan: Plan, model: nn.Module, inputs: Sequence[Tensor], place: torch.device) -> list[Check]:
    """Memory under the rules of a CPU; those of a CUDA device are measured by `fit --measure`."""
    if place.type != "cpu":
        return [Check("saved", "", "", "left out: counted on a CPU", LEFT_OUT)]
    checks: list[Check] = []
    try:
        model.train()
        checks.append(memory.saved(plan, model, inputs))
        checks += memory.peaks(plan, model, inputs)
    except ValueError as error:  # a batch norm refuses to train on single values
        why = f"left out: torch does not train it at batch {BATCH}: {str(error).partition(chr(10))[0]}"
        checks.append(Check("peak" if checks else "saved", "", "", why, LEFT_OUT))
    except RuntimeError as error:
        what, oracle = ("peak", memory.PEAK) if checks else ("saved", memory.SAVED)
        why = f"torch refuses: {str(error).partition(chr(10))[0]}"
        checks.append(Check(what, "", "", oracle, DIFFERS, (Difference(what, None, "trains", why),)))
    finally:
        model.eval()
    return checks


def _room(plan: Plan) -> None:
    """Refuse what would not fit: three times the parameters, and every value of a batch twice.

    Raises:
        UsageError: there is not so much memory.
    """
    values = sum(v.shape.numel for node in plan.graph.nodes for v in node.outputs)
    needed = 4 * (3 * plan.parameters + plan.buffers + 2 * BATCH * values)
    free = free_memory()
    if needed > free:
        raise UsageError(
            f"'{plan.name}' needs about {needed / 2**30:,.1f} GiB to be verified, and {free / 2**30:,.1f} GiB are "
            "free; verify it with a smaller --input-size, or smaller variables"
        )


def _input(shape: Sequence[int], dtype: str, place: torch.device, tokens: int) -> Tensor:
    if dtype == "int64":
        return torch.randint(0, tokens, (BATCH, *shape), device=place)
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


def _notes(plan: Plan) -> Iterator[str]:
    """Faults of the oracles that matter for this network, and how they are worked round."""
    nodes = plan.graph.nodes
    if any(getattr(node.op, "groups", 1) > 1 or node.op.kind == "depthwise_conv" for node in nodes):
        yield (
            "torch.utils.flop_counter counts the backward pass of grouped convolutions as if they were dense: "
            "forward passes alone are counted"
        )
    if len(counting.needed_layers(plan.graph)) < len(nodes):
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
    if fields.wraps(plan.graph):
        yield "padding that repeats the input lets units see beyond their field; which units is probed all the same"
