"""`npz:PATH`: arrays that numpy.savez wrote.

The input is `x_train` (and `x_val`, `x_test`), or `x` alone; the targets are `y_train` and so on. `images` and `labels`
do as well, and the split may come first: `train_images`, as MedMNIST has it. For several inputs or targets, the words
are the names of the network's inputs and outputs. `classes` may hold the names of the classes. Without targets, the
network is trained to give its input back. Pickled objects are not read.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from cnnplan.diagnostics import printable, some
from cnnplan.errors import UsageError
from cnnplan.runtime.data.arrays import Arrays, fingerprint
from cnnplan.runtime.data.base import Data
from cnnplan.runtime.data.npz_archive import Archive
from cnnplan.runtime.data.npz_inputs import as_input, check_tokens
from cnnplan.runtime.data.npz_targets import as_target, check_range, class_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from cnnplan.planning import Plan

INPUTS: Final = ("x", "images")
TARGETS: Final = ("y", "labels")


class _Split(NamedTuple):
    """The tensors of a split, and the names of the targets' arrays."""

    inputs: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    named: tuple[str, ...]

    @property
    def parts(self) -> tuple[str | Tensor, ...]:
        """What identifies it."""
        return (*self.named, *self.inputs, *self.targets)


def open_npz(rest: str, plan: Plan, seed: int) -> Data:
    """Data in memory, in the size they have in the file.

    Raises:
        UsageError: the file cannot be read; arrays are missing, of unequal lengths, hold objects or NaN; or the network
            or its losses cannot take them.
    """
    path = Path(rest).expanduser()
    with contextlib.closing(Archive(path)) as file:
        return _read(file, plan)


def _read(file: Archive, plan: Plan) -> Data:
    inputs = plan.graph.inputs
    words = [INPUTS + (inputs[0].name,)] if len(inputs) == 1 else [(value.name,) for value in inputs]
    whole = not any(file.find(one, "train") for one in words) and any(file.find(one, "") for one in words)
    notices: list[str] = []
    train = _split(file, plan, words, "" if whole else "train", notices)
    if train is None:
        wanted = ", ".join(f"'{one[0]}_train'" for one in words)
        raise UsageError(f"{file.shown} has no {wanted}, only {some(file.names) if file.names else 'nothing'}")
    val, test = (_agreeing(file, train, _split(file, plan, words, name, notices), name) for name in ("val", "test"))
    splits = [one for one in (train, val, test) if one]
    targets = _target_names(train, plan)
    labelled = targets == ("",) and train.targets[0].ndim == 1
    classes = _classes(file, [one.targets[0] for one in splits], train.named[0]) if labelled else ()
    if unused := [name for name in file.names if name not in file.used]:
        notices.append(f"arrays that are not used: {some(map(printable, unused))}")
    return Data(
        name=f"arrays of {file.path.name}",
        train=_arrays(train, labelled),
        val=_arrays(val, labelled) if val else None,
        test=_arrays(test, labelled) if test else None,
        classes=classes,
        targets=targets,
        shapes=tuple(tuple(x.shape[1:]) for x in train.inputs),
        notices=tuple(notices),
        fingerprint=fingerprint((*classes, *(part for one in splits for part in one.parts))),
    )


def _split(file: Archive, plan: Plan, words: Sequence[Sequence[str]], split: str, notices: list[str]) -> _Split | None:
    """The arrays of a split; None where the file has none of its inputs."""
    names = [file.find(one, split) for one in words]
    if not any(names):
        if stray := file.find(TARGETS, split):
            raise UsageError(f"{file.shown} has '{printable(stray)}' without its inputs")
        return None
    if None in names:
        missing = next(one[0] for one, name in zip(words, names, strict=True) if name is None)
        raise UsageError(f"{file.shown} has no array for input '{missing}'{f' in {split}' if split else ''}")
    inputs = []
    for value, name in zip(plan.graph.inputs, names, strict=True):
        assert name
        tensor, notice = as_input(file[name], value, name)
        check_tokens(plan, value, tensor, name)
        inputs.append(tensor)
        notices += [notice] if notice else []
    targets, named = _targets(file, plan, split)
    lengths = {name: len(x) for name, x in zip((*names, *named), (*inputs, *targets), strict=True)}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"'{printable(str(name))}' {count:,}" for name, count in lengths.items())
        raise UsageError(f"the arrays in {file.shown} have unequal lengths: {shown}")
    return _Split(tuple(inputs), tuple(targets), tuple(named))


def _targets(file: Archive, plan: Plan, split: str) -> tuple[list[Tensor], list[str]]:
    """An array for each output with a loss, by its name; or one for all of them; and what they are called."""
    losses = zip(plan.graph.outputs.items(), plan.conditions.losses, strict=True)
    outputs = {name: (value, loss) for (name, value), loss in losses if loss}
    named = {name: own for name in outputs if (own := file.find((name,), split))}
    if not named:
        own = file.find(TARGETS, split)
        value, loss = next(iter(outputs.values()))
        return ([as_target(file[own], value, loss, own)], [own]) if own else ([], [])
    if missing := [name for name in outputs if name not in named]:
        raise UsageError(f"{file.shown} has {some(named.values())}, but no array for output '{missing[0]}'")
    targets = []
    for name, own in named.items():
        value, loss = outputs[name]
        targets.append(as_target(file[own], value, loss, own))
        if len(outputs) > 1:
            check_range(targets[-1], value, loss, own)
    return targets, list(named.values())


def _agreeing(file: Archive, train: _Split, other: _Split | None, split: str) -> _Split | None:
    """A split whose samples are like those of train."""
    if other is None:
        return None
    mine, yours = ([tuple(x.shape[1:]) for x in (*one.inputs, *one.targets)] for one in (train, other))
    kinds = [[x.dtype for x in (*one.inputs, *one.targets)] for one in (train, other)]
    if len(mine) != len(yours):
        has, lacks = ("train", split) if len(mine) > len(yours) else (split, "train")
        raise UsageError(f"{file.shown}: {has} has targets that {lacks} has not")
    if mine != yours or kinds[0] != kinds[1]:
        raise UsageError(f"{file.shown}: samples of train are {_shown(train)}, those of {split} {_shown(other)}")
    return other


def _shown(split: _Split) -> str:
    found = (*split.inputs, *split.targets)
    return " and ".join(
        f"{'x'.join(map(str, x.shape[1:])) or 'single'} {str(x.dtype).partition('.')[2]}" for x in found
    )


def _arrays(split: _Split, labelled: bool) -> Arrays:
    return Arrays(split.inputs, split.targets, split.targets[0] if labelled else None)


def _target_names(train: _Split, plan: Plan) -> tuple[str, ...]:
    if len(train.targets) <= 1:
        return ("",) * len(train.targets)
    return tuple(name for name, loss in zip(plan.graph.outputs, plan.conditions.losses, strict=True) if loss)


def _classes(file: Archive, labels: list[Tensor], name: str) -> tuple[str, ...]:
    """The names of the classes: those of the file, or their numbers."""
    count = class_count(labels, name)
    if "classes" not in file.names:
        return tuple(map(str, range(count)))
    found = file["classes"]
    if found.dtype.kind != "U" or found.ndim != 1:
        raise UsageError(f"'classes' in {file.shown} is a list of names, not an array of {found.dtype}, {found.shape}")
    if len(found) < count:
        raise UsageError(f"'classes' in {file.shown} has {len(found):,} names, '{name}' goes up to {count - 1:,}")
    return tuple(map(str, found.tolist()))
