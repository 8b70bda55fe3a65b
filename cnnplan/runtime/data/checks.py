"""Whether data fit a network, before anything is trained: inputs, classes, the targets of each loss.

What does not fit is said with its place in the spec, both numbers, and what to write.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from cnnplan.diagnostics import printable, some
from cnnplan.errors import UsageError
from cnnplan.runtime.data.arrays import Arrays
from cnnplan.runtime.data.input_checks import input_takes, inputs_of, shown
from cnnplan.runtime.data.pictures import Pictures
from cnnplan.runtime.data.places import class_fix, giver, place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from cnnplan.graph import Value
    from cnnplan.planning import Plan
    from cnnplan.runtime.data.base import Data, Samples

CLASSES: Final = ("cross_entropy", "nll")
"""Losses of exclusive classes."""
DISTANCES: Final = ("mse", "l1")
"""Losses of numbers."""


def fitted(data: Data, plan: Plan) -> Data:
    """The data as the network is trained on them, and all there is to read about that.

    Classes are left out where the network reconstructs its input.

    Raises:
        UsageError: they do not fit.
    """
    if data.classes and data.targets == ("",) and _reconstructs(plan, len(data.classes)):
        val, test = (None if split is None else _unlabelled(split) for split in (data.val, data.test))
        notices = (*data.notices, "the classes are not used: the network is trained to give its input back")
        data = replace(data, train=_unlabelled(data.train), val=val, test=test, classes=(), targets=(), notices=notices)
    return replace(data, notices=(*data.notices, *check(data, plan)))


def check(data: Data, plan: Plan) -> tuple[str, ...]:
    """What the user should read of data and network that fit: sizes that change, classes without samples.

    Raises:
        UsageError: they do not fit: another number of inputs, channels, axes or classes, targets that a loss cannot
            take, or no loss at all.
    """
    has_loss(plan)
    batch = data.train.blank() if isinstance(data.train, Pictures) else data.train.__getitems__([0])
    inputs_of(plan, len(data.shapes))
    notices = []
    for value, shape, tensor in zip(plan.graph.inputs, data.shapes, batch.inputs, strict=True):
        notices += input_takes(plan, value, shape, tensor.dtype)
    for index, (value, loss) in enumerate(zip(plan.graph.outputs.values(), plan.conditions.losses, strict=True)):
        if loss:
            _output(plan, data, list(plan.graph.outputs)[index], value, loss, batch.targets)
    if missing := [name for name in data.targets if name and name not in plan.graph.outputs]:
        raise UsageError(f"{printable(plan.path)} has no output {some(missing)}")
    return (*notices, *_classes_without_samples(data))


def has_loss(plan: Plan) -> None:
    """Refuse a network that nothing trains.

    Raises:
        UsageError: no output has a loss.
    """
    if not any(plan.conditions.losses):
        raise UsageError(f"{printable(plan.path)}: no output has a loss, so there is nothing to train")


def _output(plan: Plan, data: Data, name: str, value: Value, loss: str, targets: Sequence[Tensor]) -> None:
    """Whether a loss can be computed of an output and its target."""
    node = giver(value)
    at = f"{place(plan, node.line)}: '{node.name}'"
    shape = shown(value.shape)
    if not targets:
        if loss in DISTANCES and len(plan.graph.inputs) == 1 and value.shape == plan.graph.inputs[0].shape:
            return
        more = f", and it is no {shown(plan.graph.inputs[0].shape)} like the input" if loss in DISTANCES else ""
        raise UsageError(f"{at} gives {shape}, which {loss} compares with targets; the data have none{more}")
    if data.targets != ("",) and name not in data.targets:
        have = some(target for target in data.targets if target)
        raise UsageError(
            f"{at} is output '{name}' with the loss {loss}, for which the data have no targets, only {have}"
        )
    target = targets[0] if data.targets == ("",) else targets[data.targets.index(name)]
    found = tuple(target.shape[1:])
    if target.is_floating_point():
        if loss in CLASSES:
            raise UsageError(f"{at} is trained with {loss}, which takes classes; the targets are {target.dtype}")
        if found != tuple(value.shape):
            raise UsageError(f"{at} gives {shape}, the targets are {shown(found) or 'single numbers'}")
    elif found:
        if loss not in CLASSES:
            raise UsageError(f"{at} is trained with {loss}, which takes numbers; the targets are maps of classes")
        if found != value.shape.spatial:
            raise UsageError(f"{at} gives {shape}, the targets are {shown(found)}: their sizes have to agree")
    else:
        _one_class(plan, data, name, value, loss, at)


def _one_class(plan: Plan, data: Data, name: str, value: Value, loss: str, at: str) -> None:
    """Whether an output has a number for each class."""
    shape, count = value.shape, len(data.classes)
    if shape.rank:
        fix = "targets of that shape are needed"
        if loss in CLASSES:
            fix = f"put `global_avgpool` behind it, or have one for each of its {shown(shape.spatial)} places"
        if loss not in DISTANCES and shape == plan.graph.inputs[0].shape:
            fix = "to have it give its input back, write `train: {loss: mse}`"
        raise UsageError(f"{at} gives {shown(shape)}, the data have one class for each sample: {fix}")
    if not count or shape.channels == count or (shape.channels == 1 and count == 2 and loss not in CLASSES):
        return
    labels = data.train.labels
    if labels is not None and shape.channels == count - 1 and int(labels.min()) == 1:
        raise UsageError(f"{at} gives {shape.channels:,} classes, the labels are 1 to {count - 1:,}: count them from 0")
    names = ", ".join(printable(one) for one in data.classes[:3])
    gives = f"{shape.channels:,} class{'es' if shape.channels > 1 else ''}"
    raise UsageError(
        f"{at} gives {gives}, the data have {count:,} ({names}{' …' if count > 3 else ''}): "
        f"{class_fix(plan, name, count)}"
    )


def _reconstructs(plan: Plan, classes: int) -> bool:
    """Whether every loss compares an output with the input, not with classes."""
    if len(plan.graph.inputs) != 1 or not any(plan.conditions.losses):
        return False
    wanted = plan.graph.inputs[0].shape
    found = zip(plan.graph.outputs.values(), plan.conditions.losses, strict=True)
    return all(
        loss in DISTANCES and value.shape == wanted and tuple(wanted) != (classes,) for value, loss in found if loss
    )


def _unlabelled(samples: Samples) -> Samples:
    assert isinstance(samples, Arrays | Pictures)
    return samples.unlabelled()


def _classes_without_samples(data: Data) -> list[str]:
    labels = data.train.labels
    if labels is None or not data.classes:
        return []
    counts = labels.bincount(minlength=len(data.classes))
    names = [printable(data.classes[i]) for i in (counts[: len(data.classes)] == 0).nonzero().flatten().tolist()]
    return [f"no sample to train on is of {some(names)}"] if names else []
