"""Whether the inputs of a network take the samples of data: their number, dtypes, axes, channels and sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from cnnplan.diagnostics import some
from cnnplan.errors import UsageError
from cnnplan.runtime.data.places import input_fix, place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.graph import Value
    from cnnplan.planning import Plan

_KINDS: Final = {0: "vectors", 1: "signals", 2: "images", 3: "volumes"}


def image_size(plan: Plan, channels: int) -> tuple[int, int]:
    """The height and width of the images that the network takes.

    Raises:
        UsageError: it takes no images, or those of another number of channels.
    """
    inputs_of(plan, 1)
    value = plan.graph.inputs[0]
    input_takes(
        plan, value, (channels, *value.shape.spatial) if value.shape.rank == 2 else (channels, 0, 0), torch.uint8
    )
    return value.shape.spatial[0], value.shape.spatial[1]


def inputs_of(plan: Plan, count: int) -> None:
    """Refuse a network with another number of inputs.

    Raises:
        UsageError: it has.
    """
    values = plan.graph.inputs
    if len(values) != count:
        names = some(value.name for value in values)
        wanted = f"{len(values)} inputs, {names}" if len(values) > 1 else f"one input, {names}"
        raise UsageError(
            f"{place(plan, plan.spec.inputs[0].node.line)}: the network has {wanted}, the data have {count}"
            f"{'; `npz:FILE` takes an array for each' if len(values) > 1 else ''}"
        )


def input_takes(plan: Plan, value: Value, shape: tuple[int, ...], dtype: torch.dtype) -> list[str]:
    """What is changed about samples of this shape and dtype for an input to take them.

    Raises:
        UsageError: it does not take them.
    """
    wanted = value.shape
    owner = "the input" if len(plan.graph.inputs) == 1 else f"input '{value.name}'"
    line = next(given.node.line for given in plan.spec.inputs if given.name == value.name)
    at = f"{place(plan, line)}: {owner}"
    if (value.dtype == "int64") != (dtype == torch.int64):
        takes, gives = ("integers", "numbers") if value.dtype == "int64" else ("numbers", "int64 tokens")
        raise UsageError(f"{at} takes {takes} ({value.dtype}), the data are {gives}")
    kind = _KINDS[len(shape) - 1] if value.dtype != "int64" else "texts"
    if wanted.rank != len(shape) - 1:
        given = f"the {kind} are {shown(shape)}" if all(shape) else f"the data are {kind}"
        fix = f": write {input_fix(plan, value, shape)}, and `flatten`" if wanted.rank == 0 and all(shape) else ""
        raise UsageError(f"{at} is {_shaped(wanted)}, {given}{fix}")
    if value.dtype == "int64" or wanted.rank == 0:
        if tuple(wanted) != shape:
            raise UsageError(
                f"{at} has {shown(wanted)} numbers, the {kind} have {shown(shape)}: "
                f"write {input_fix(plan, value, shape)}"
            )
        return []
    if wanted.channels != shape[0]:
        raise UsageError(
            f"{at} has {_channels(wanted.channels)}, the {kind} have {shape[0]}: "
            f"write {input_fix(plan, value, (shape[0], *wanted.spatial))}"
        )
    if wanted.spatial == shape[1:]:
        return []
    sizes = f"{shown(shape[1:])} to {shown(wanted.spatial)}"
    if wanted.rank != 2:
        raise UsageError(
            f"{at} is {shown(wanted)}, the {kind} are {shown(shape)}, and only images are resized: "
            f"write {input_fix(plan, value, shape)}, or --input-size {shown(shape[1:])}"
        )
    stretched = shape[1] * wanted[2] != shape[2] * wanted[1]
    return [f"{kind} are {'stretched' if stretched else 'resized'} from {sizes}"]


def shown(shape: Sequence[int]) -> str:
    """A shape as people read it: 3x32x32."""
    return "x".join(map(str, shape))


def _channels(count: int) -> str:
    return f"{count:,} channel{'s' if count > 1 else ''}"


def _shaped(shape: Sequence[int]) -> str:
    return f"a vector of {shape[0]:,}" if len(shape) == 1 else shown(shape)
