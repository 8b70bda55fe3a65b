"""A training as a command asks for it: which device, data and folder; one run or several folds; what is said of it."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import statistics as stats
import sys
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from cnnplan.errors import UsageError
from cnnplan.runtime.data import open_data
from cnnplan.runtime.data.splits import folds as cut_folds
from cnnplan.runtime.data.splits import with_splits
from cnnplan.runtime.files import replace
from cnnplan.runtime.training import words
from cnnplan.runtime.training.augment import check_augment
from cnnplan.runtime.training.diagnosis import is_out_of_memory
from cnnplan.runtime.training.folders import CHILD, RUNS, folder
from cnnplan.runtime.training.launch import device_of, joined, processes, threads, workers
from cnnplan.runtime.training.progress import progress
from cnnplan.runtime.training.ranks import first
from cnnplan.runtime.training.recipe import planned_for, recipe_of
from cnnplan.runtime.training.run import CHECKPOINT, Options, Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cnnplan.planning import Plan
    from cnnplan.render.styled import Styled
    from cnnplan.runtime.data.base import Data
    from cnnplan.runtime.training.estimate import Estimate
    from cnnplan.runtime.training.recipe import Recipe


class Asked(NamedTuple):
    """What the command line says; None for what it leaves open."""

    data: str
    epochs: int | None = None
    batch: int | None = None
    lr: float | None = None
    optimizer: str | None = None
    dtype: str | None = None
    seed: int = 0
    output: Path | None = None
    resume: bool = False
    weights: Path | None = None
    folds: int | None = None
    device: str = "auto"
    devices: int | None = None
    nodes: int | None = None
    strategy: str = "auto"
    compiled: bool = False
    workers: int | None = None
    minutes: float = 15.0
    spec_options: str = ""
    """Those that make the spec what it is, as further commands need them."""


class Prepared(NamedTuple):
    """What is known before anything is trained."""

    plan: Plan
    recipe: Recipe
    data: Data
    options: Options


def note(text: str) -> None:
    """Tell the user something, once."""
    if first():
        sys.stderr.write(f"note: {text}\n")


def prepared(plan: Plan, asked: Asked, output: Path, *, resume: bool) -> Prepared:
    """Everything that can be wrong is found here, before a training starts.

    Raises:
        UsageError: the device, the data, or an option does not fit the spec or this machine.
    """
    devices, nodes = processes(asked)
    device = device_of(asked, devices)
    recipe = recipe_of(
        plan, epochs=asked.epochs, batch=asked.batch, lr=asked.lr, optimizer=asked.optimizer, dtype=asked.dtype
    )
    if recipe.precision == "float16" and device == "cpu":
        raise UsageError("training in float16 needs CUDA: a CPU trains in float32 or bfloat16 (--dtype)")
    planned = planned_for(plan, recipe, device)
    data = open_data(asked.data, planned, asked.seed)
    data = data if asked.folds else with_splits(data, asked.seed)  # folds are cut later
    entry = plan.graph.inputs[0]
    maps = any(target.dim() > 2 for target in data.train.__getitems__([0]).targets)
    check_augment(recipe.augment, entry.shape, dtype=entry.dtype, inputs=len(plan.graph.inputs), maps=maps)
    if len(data.train) < devices * nodes:
        raise UsageError(f"{len(data.train)} samples are too few for {devices * nodes} processes")
    options = Options(
        output=output,
        seed=asked.seed,
        device=device,
        devices=devices,
        nodes=nodes,
        strategy=asked.strategy,
        resume=resume,
        weights=asked.weights,
        compiled=asked.compiled,
        workers=workers(data) if asked.workers is None else asked.workers,
        minutes=asked.minutes,
        threads=threads(planned, devices) if device == "cpu" else None,
        spec_options=asked.spec_options,
    )
    return Prepared(planned, recipe, data, options)


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Without what Lightning and others print by themselves."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    logging.getLogger("torch.distributed").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Outcome(NamedTuple):
    """What came out of a training.

    Attributes:
        summary: what summary.json has.
        output: the folder.
    """

    summary: dict[str, Any]
    output: Path
    spec_options: str = ""

    def page(self) -> Styled:
        """As people read it."""
        if "folds" in self.summary:
            return words.folded(self.summary, self.output)
        return words.finished(self.summary, self.output, self.spec_options)


def trained(plan: Plan, asked: Asked, how: str, *, color: bool = False) -> Outcome | None:
    """Train; None in further processes.

    Args:
        how: "bar", "lines" or "none".

    Raises:
        UsageError: it cannot begin, or cannot go on.
        Interrupted: the user asked for an end.
    """
    output, resume = folder(plan, asked)
    os.environ[CHILD] = str(output)
    try:
        with hushed():
            ready = prepared(plan, asked, output, resume=resume)
            joined(ready.options.device)
            if how != "none":
                for text in (*ready.data.notices, *_about_batches(ready)):
                    note(text)
            if asked.folds:
                summary = _cross_validated(ready, asked.folds, how, color=color)
            else:
                summary = _run(ready, how, color=color)
            return Outcome(summary, output, asked.spec_options) if summary is not None else None
    finally:
        os.environ.pop(CHILD, None)


def _about_batches(ready: Prepared) -> list[str]:
    """What is to be said of a batch that is larger than the data."""
    _, recipe, data, options = ready
    share = len(data.train) // (options.devices * options.nodes)
    return [f"there are {share:,} samples for a batch of {recipe.batch:,}"] if share < recipe.batch else []


def _run(ready: Prepared, how: str, *, color: bool) -> dict[str, Any] | None:
    plan, recipe, data, options = ready
    if how != "none" and first():
        sys.stderr.write(f"{words.begun(plan, recipe, data, options)}\n")
    kind: Any = how if first() else "none"
    printers = progress(kind, recipe.epochs, color, sys.stderr)
    said = note if how != "none" else lambda text: None
    return Run(plan, recipe, data, options, tuple(printers), said).train()


def _cross_validated(ready: Prepared, count: int, how: str, *, color: bool) -> dict[str, Any] | None:
    plan, recipe, data, options = ready
    found: list[dict[str, Any]] = []
    for index, fold in enumerate(cut_folds(data, count, options.seed), 1):
        place = options.output / f"fold-{index}"
        if options.resume and (place / "summary.json").exists():
            found.append(json.loads((place / "summary.json").read_text(encoding="utf-8")))
            continue
        if how != "none" and first():
            sys.stderr.write(f"fold {index} of {count}\n")
        resume = options.resume and (place / CHECKPOINT).exists()
        one = Prepared(plan, recipe, fold, options._replace(output=place, resume=resume))
        summary = _run(one, how, color=color)
        if summary is not None:
            found.append(summary)
    if not first():
        return None
    over = folds_summary(found)
    text = json.dumps(over, indent=1, ensure_ascii=False) + "\n"
    replace(options.output / "summary.json", lambda file: file.write(text.encode()))
    return over


def folds_summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean and the standard deviation (of a sample: n - 1) of what was measured on each fold."""
    names = [name for name in found[0] if name.startswith("test_")]
    values = {name: [one[name] for one in found] for name in names}
    return {
        "format_version": "1.0",
        "network": found[0]["network"],
        "spec_sha256": found[0]["spec_sha256"],
        "seed": found[0]["seed"],
        "folds": [{name: one[name] for name in ("best_epoch", "epochs", *names)} for one in found],
        **{name: stats.fmean(several) for name, several in values.items()},
        **{f"{name}_deviation": stats.stdev(several) for name, several in values.items()},
        "versions": found[0]["versions"],
    }


def described(plan: Plan, asked: Asked, width: int) -> Styled:
    """What would be trained, what it needs, and how long it would take, from real steps.

    Raises:
        UsageError: as `trained`.
    """
    output, _ = folder(plan, asked) if asked.output or not asked.resume else (RUNS / plan.name, False)
    with hushed():
        ready = prepared(plan, asked, output, resume=False)
        for text in ready.data.notices:
            note(text)
        if asked.folds:
            ready = ready._replace(data=cut_folds(ready.data, asked.folds, asked.seed)[0])
        one = Run(*ready, note=note)
        try:
            found = _estimated(one)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise UsageError(one.short_of_memory()) from None
    return words.plan_of(ready.plan, ready.recipe, ready.data, ready.options, found, width, asked.folds)


def _estimated(one: Run) -> Estimate:
    """How long a run would take, from real steps."""
    from cnnplan.runtime.training.estimate import estimate
    from cnnplan.runtime.training.prepare import statistics

    net = one.net()
    if one.options.threads is not None:
        torch.set_num_threads(one.options.threads)
    place = torch.device(one.options.device)
    module = one.trainee(net, *statistics(one.data.train, one.plan.graph)).to(place).train()
    module.sums = module.sums.to(place)
    optimizer = module.configure_optimizers()["optimizer"]
    train, val = one.loaders(0, lambda: (0, 0))
    batches = itertools.chain.from_iterable(iter(train) for _ in itertools.count())
    narrow = one.recipe.precision != "float32"

    def step() -> None:
        batch = next(batches)
        batch = batch._replace(
            inputs=tuple(x.to(place) for x in batch.inputs), targets=tuple(t.to(place) for t in batch.targets)
        )
        with torch.autocast(place.type, getattr(torch, one.recipe.precision), enabled=narrow):
            loss = module.training_step(batch, 0)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if place.type == "cuda":
            torch.cuda.synchronize()

    return estimate(step, one.steps, len(val), one.recipe.epochs)
