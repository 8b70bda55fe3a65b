"""A training as a command asks for it: which device, data and folder; one run or several folds; what is said of it."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import logging
import os
import re
import statistics as stats
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError
from cnnplan.runtime.data import open_data
from cnnplan.runtime.data.splits import folds as cut_folds
from cnnplan.runtime.data.splits import with_splits
from cnnplan.runtime.training import words
from cnnplan.runtime.training.augment import check_augment
from cnnplan.runtime.training.files import replace
from cnnplan.runtime.training.progress import progress
from cnnplan.runtime.training.recipe import planned_for, recipe_of
from cnnplan.runtime.training.run import CHECKPOINT, Options, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.planning import Plan
    from cnnplan.render.styled import Styled
    from cnnplan.runtime.data.base import Data
    from cnnplan.runtime.training.recipe import Recipe

RUNS = Path("runs")
WORK_OF_A_THREAD = 200_000_000
"""Multiply-accumulates of a step that keep a thread of a CPU busy."""
CHILD = "CNNPLAN_RUN"
"""The environment variable that tells further processes the folder of the first."""


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


def first() -> bool:
    """Whether this is the first of several processes, or the only one."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0


def restarted() -> bool:
    """Whether an elastic launch started this process again, after a worker was lost."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def joined(device: str) -> None:
    """Meet the other processes of an elastic launch that started again.

    The agent's store keeps the addresses of processes that are gone: each attempt needs names of its own.
    """
    distributed: Any = torch.distributed

    if not restarted() or distributed.is_initialized():
        return
    world, rank = int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"])
    agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    port = int(os.environ["MASTER_PORT"])
    store = distributed.TCPStore(os.environ["MASTER_ADDR"], port, world, is_master=not agent and rank == 0)
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    own = distributed.PrefixStore(f"attempt-{os.environ['TORCHELASTIC_RESTART_COUNT']}", store)
    distributed.init_process_group("nccl" if device == "cuda" else "gloo", store=own, rank=rank, world_size=world)


def note(text: str) -> None:
    """Tell the user something, once."""
    if first():
        sys.stderr.write(f"note: {text}\n")


def prepared(plan: Plan, asked: Asked, output: Path, *, resume: bool) -> Prepared:
    """Everything that can be wrong is found here, before a training starts.

    Raises:
        UsageError: the device, the data, or an option does not fit the spec or this machine.
    """
    devices, nodes = _processes(asked)
    device = _device(asked, devices)
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
        workers=_workers(data) if asked.workers is None else asked.workers,
        minutes=asked.minutes,
        threads=_threads(planned, devices) if device == "cpu" else None,
    )
    return Prepared(planned, recipe, data, options)


def _processes(asked: Asked) -> tuple[int, int]:
    """Devices on each machine, and machines: what the launcher says, where there is one."""
    if "LOCAL_WORLD_SIZE" not in os.environ:
        return asked.devices or 1, asked.nodes or 1
    devices = int(os.environ["LOCAL_WORLD_SIZE"])
    nodes = int(os.environ["WORLD_SIZE"]) // devices
    for option, wanted, there in (("--devices", asked.devices, devices), ("--nodes", asked.nodes, nodes)):
        if wanted is not None and wanted != there:
            raise UsageError(f"{option} {wanted}: the launcher started {there}; leave the option out")
    return devices, nodes


def _device(asked: Asked, devices: int) -> str:
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    kind = asked.device if asked.device != "auto" else "cuda" if available else "cpu"
    if kind == "cuda" and not available:
        raise UsageError("there is no CUDA device here: --device cpu trains on the CPU")
    if kind == "cuda" and devices > available:
        raise UsageError(f"--devices {devices}: this machine has {available} with CUDA")
    return kind


def _threads(plan: Plan, processes: int) -> int:
    """Threads that compute in each process: one where a step is so small that threads would wait for each other."""
    work = 3 * plan.macs * plan.batch
    return max(1, min(torch.get_num_threads() // processes, 1 + work // WORK_OF_A_THREAD))


def _workers(data: Data) -> int:
    """Processes that fetch: some where files are decoded, none where samples are in memory."""
    from cnnplan.runtime.data.pictures import Pictures

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, max(1, cores - 1)) if isinstance(data.train, Pictures) else 0


def _folder(plan: Plan, asked: Asked) -> tuple[Path, bool]:
    """Where results go, and whether a run there goes on.

    Raises:
        UsageError: there is a run already, or none to go on with.
    """
    if CHILD in os.environ:
        return Path(os.environ[CHILD]), asked.resume
    again = restarted()
    if asked.output is None:
        there = _runs(plan.name)
        if asked.resume or again:
            if not there and not again:
                raise UsageError(f"there is no run of '{plan.name}' in {RUNS}/ to resume: name it with --output")
            output = there[-1] if there else RUNS / plan.name
        else:
            numbers = (RUNS / (plan.name if n == 1 else f"{plan.name}-{n}") for n in itertools.count(1))
            output = next(path for path in numbers if not path.exists())
    else:
        output = asked.output
    if output.exists() and not output.is_dir():
        raise UsageError(f"{printable(str(output))} is a file: --output names a folder")
    checkpointed = (output / CHECKPOINT).exists() or any(output.glob(f"fold-*/{CHECKPOINT}"))
    if again:
        return output, checkpointed
    if first() and not asked.resume and (checkpointed or (output / "summary.json").exists()):
        raise UsageError(
            f"{printable(str(output))} has a run already: --resume goes on with it, another --output leaves it alone"
        )
    return output, asked.resume


def _runs(name: str) -> list[Path]:
    """The runs of a network, in order."""
    pattern = re.compile(re.escape(name) + r"(?:-(\d+))?")
    found = [(pattern.fullmatch(path.name), path) for path in RUNS.glob(f"{name}*") if path.is_dir()]
    return [path for _, path in sorted((int(match[1] or 1), path) for match, path in found if match)]


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
    output, resume = _folder(plan, asked)
    os.environ[CHILD] = str(output)
    try:
        with hushed():
            ready = prepared(plan, asked, output, resume=resume)
            joined(ready.options.device)
            if how != "none":
                for text in ready.data.notices:
                    note(text)
            if asked.folds:
                summary = _cross_validated(ready, asked.folds, how, color=color)
            else:
                summary = _run(ready, how, color=color)
            return Outcome(summary, output, asked.spec_options) if summary is not None else None
    finally:
        os.environ.pop(CHILD, None)


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
        folder = options.output / f"fold-{index}"
        if options.resume and (folder / "summary.json").exists():
            found.append(json.loads((folder / "summary.json").read_text(encoding="utf-8")))
            continue
        if how != "none" and first():
            sys.stderr.write(f"fold {index} of {count}\n")
        resume = options.resume and (folder / CHECKPOINT).exists()
        one = Prepared(plan, recipe, fold, options._replace(output=folder, resume=resume))
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
    from cnnplan.runtime.training.estimate import estimate
    from cnnplan.runtime.training.prepare import statistics

    output, _ = _folder(plan, asked) if asked.output or not asked.resume else (RUNS / plan.name, False)
    with hushed(), contextlib.redirect_stdout(io.StringIO()):
        ready = prepared(plan, asked, output, resume=False)
        for text in ready.data.notices:
            note(text)
        if asked.folds:
            ready = ready._replace(data=cut_folds(ready.data, asked.folds, asked.seed)[0])
        one = Run(*ready, note=note)
        net = one.net()
        if ready.options.threads is not None:
            torch.set_num_threads(ready.options.threads)
        place = torch.device(ready.options.device)
        module = one.trainee(net, *statistics(ready.data.train, plan.graph)).to(place).train()
        module.sums = module.sums.to(place)
        optimizer = module.configure_optimizers()["optimizer"]
        train, val = one.loaders(0, lambda: (0, 0))
        batches = itertools.chain.from_iterable(iter(train) for _ in itertools.count())
        narrow = ready.recipe.precision != "float32"

        def step() -> None:
            batch = next(batches)
            batch = batch._replace(
                inputs=tuple(x.to(place) for x in batch.inputs), targets=tuple(t.to(place) for t in batch.targets)
            )
            with torch.autocast(place.type, getattr(torch, ready.recipe.precision), enabled=narrow):
                loss = module.training_step(batch, 0)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if place.type == "cuda":
                torch.cuda.synchronize()

        found = estimate(step, one.steps, len(val), ready.recipe.epochs)
    return words.plan_of(ready.plan, ready.recipe, ready.data, ready.options, found, width)
