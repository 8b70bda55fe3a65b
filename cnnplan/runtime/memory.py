"""Memory: what autograd keeps, to the byte, and the peaks of a training step and of an inference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from cnnplan.memory import Memory
from cnnplan.runtime.check import DIFFERS, EQUAL, EXACT, LEFT_OUT, Check, Difference
from cnnplan.runtime.measure import step_and_inference
from cnnplan.runtime.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.planning import Plan

SAVED = "saved_tensors_hooks"
ALIVE = "live storages"
PEAK = "counted storages"
BELOW, ABOVE = 0.02, 0.05
SLACK = 1 << 16
"""Bytes by which small peaks may be off: what is alive for the length of one operation."""


def planned(plan: Plan, batch: int) -> Memory:
    """The plan's memory under the rules of a CPU, in float32, at a batch size."""
    it = plan.conditions._replace(batch=batch, dtype="float32", target="cpu", device=None, implementation="forloop")
    return Memory(plan.graph, it)


def saved(plan: Plan, model: nn.Module, inputs: Sequence[Tensor]) -> Check:
    """The bytes that autograd keeps for the backward pass besides parameters, buffers and inputs."""
    memory = planned(plan, inputs[0].shape[0])
    wanted = memory.training.saved_activations
    if memory.segments:
        wanted += _of_outputs(memory)
        found, oracle = alive(model, inputs), ALIVE
    else:
        found, oracle = saved_bytes(model, inputs), SAVED
    differences = () if wanted == found else (Difference("", None, f"{wanted:,}", f"{found:,}"),)
    verdict = DIFFERS if differences else EXACT
    return Check("saved", f"{wanted:,} bytes", f"{found:,} bytes", oracle, verdict, differences)


def saved_bytes(model: nn.Module, inputs: Sequence[Tensor]) -> int:
    """What `saved_tensors_hooks` sees, each storage once."""
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with _sizes_of_volumes(model) as sizes, saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = model(*inputs)
    apart = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers(), *inputs)}
    found = sum(sizes.get(key, t.untyped_storage().nbytes()) for key, t in kept.items() if key not in apart)
    del outputs
    return found


class _sizes_of_volumes:  # noqa: N801 - a context
    """The bytes of what 3-D transposed convolutions give, by storage.

    On one thread, torch's CPU kernel puts it into a storage that is larger than the tensor.
    """

    def __init__(self, model: nn.Module) -> None:
        self.sizes: dict[int, int] = {}
        self.handles = [
            m.register_forward_hook(self._seen) for m in model.modules() if isinstance(m, nn.ConvTranspose3d)
        ]

    def _seen(self, module: nn.Module, inputs: object, output: Tensor) -> None:
        self.sizes[output.untyped_storage().data_ptr()] = output.numel() * output.element_size()

    def __enter__(self) -> dict[int, int]:
        return self.sizes

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()


def alive(model: nn.Module, inputs: Sequence[Tensor]) -> int:
    """The bytes that are alive behind a forward pass in training, the outputs among them."""
    with Tracker([*model.parameters(), *model.buffers(), *inputs]) as tracker:
        outputs = model(*inputs)
        found: int = tracker.live
        del outputs
    return found


def _of_outputs(memory: Memory) -> int:
    """The bytes of the network's outputs that autograd does not keep anyway."""
    tape = memory.tape
    kept = {number for numbers in tape.kept.values() for number in numbers}
    sizes = tape.bytes(memory.conditions.batch)
    return sum(sizes[number - 1] for number in tape.outputs if number not in kept)


def peaks(plan: Plan, model: nn.Module, inputs: Sequence[Tensor]) -> list[Check]:
    """The most that is alive at once: in a training step with its loss and optimizer, and in an inference."""
    if any(isinstance(m, nn.ConvTranspose3d) for m in model.modules()) and torch.get_num_threads() == 1:
        why = "left out: on one thread, torch's 3-D transposed convolution gives a storage larger than its tensor"
        return [Check("peak", "", "", why, LEFT_OUT)]
    regions = [m for m in model.modules() if type(m).__name__ in ("RoiAlign", "RoiPool")]
    if any(not str(m.run.__module__).startswith("torchvision") for m in regions):
        why = "left out: regions are planned with torchvision's kernels, and torchvision is not installed"
        return [Check("peak", "", "", why, LEFT_OUT)]
    memory = planned(plan, inputs[0].shape[0])
    training, inference = step_and_inference(memory, model, list(inputs))
    checks = [_near("training peak", memory.training.peak, training)]
    return checks if inference is None else [*checks, _near("inference peak", memory.inference.peak, inference)]


def _near(what: str, wanted: int, found: int) -> Check:
    near = -BELOW * found - SLACK <= wanted - found <= ABOVE * found + SLACK
    verdict = EXACT if wanted == found else EQUAL if near else DIFFERS
    differences = () if near else (Difference("", None, f"{wanted:,}", f"{found:,}"),)
    off = "" if wanted == found else f" ({100 * (wanted - found) / found:+.2f} %)"
    return Check(what, f"{wanted:,} bytes{off}", f"{found:,} bytes", PEAK, verdict, differences)
