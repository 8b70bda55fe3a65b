"""What is said of a training before it begins, and when it is over."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

import torch

from cnnplan.diagnostics import printable
from cnnplan.render.numbers import counted, duration, plural, size
from cnnplan.render.styled import Styled
from cnnplan.runtime.training.order import Order

if TYPE_CHECKING:
    from pathlib import Path

    from cnnplan.planning import Plan
    from cnnplan.runtime.data.base import Data
    from cnnplan.runtime.training.estimate import Estimate
    from cnnplan.runtime.training.recipe import Recipe
    from cnnplan.runtime.training.run import Options

FILES = ("model.safetensors", "model.py", "summary.json", "metrics.csv", "curves.png", "confusion.png", "tensorboard/")


def begun(plan: Plan, recipe: Recipe, data: Data, options: Options) -> str:
    """One line, before it begins."""
    said = f"{plan.name} on {printable(data.name)}: {_counts(data)}"
    return f"{said}; {_steps(recipe, data, options)}; {_place(options)}"


def _counts(data: Data) -> str:
    return f"{len(data.train):,} to train, {len(data.val or ()):,} to validate, {len(data.test or ()):,} to test"


def _steps(recipe: Recipe, data: Data, options: Options) -> str:
    world = options.devices * options.nodes
    steps = len(Order(len(data.train), recipe.batch, 0, 0, world, lambda: (0, 0)))
    whole = f" ({recipe.batch} x {world} processes)" if world > 1 else ""
    return f"{plural(recipe.epochs, 'epoch')} of {plural(steps, 'step')}, batch {recipe.batch * world:,}{whole}"


def _place(options: Options) -> str:
    if options.device == "cpu":
        return f"cpu, {plural(options.threads or torch.get_num_threads(), 'thread')}"
    return f"{options.devices} x {torch.cuda.get_device_name()}"


def finished(summary: dict[str, Any], output: Path, spec_options: str = "") -> Styled:
    """The result, and where it lies."""
    out = Styled()
    out.add(summary["network"], "bold")
    out.add("  ")
    if "test_accuracy" in summary:
        out.add(f"test accuracy {summary['test_accuracy']:.2%}".replace("%", " %"), "bold green")
        out.add(f" of {summary['data']['test']:,} samples, ")
    for name in ("iou", "mse", "mae", "loss"):
        if f"test_{name}" in summary:
            out.add(f"test {name} {summary[f'test_{name}']:.4g}{', ' if name != 'loss' else ''}")
    if not any(name.startswith("test_") for name in summary):
        out.add("trained; there is no test split")
    best = f"; best epoch {summary['best_epoch']} of {summary['epochs']}" if summary["best_epoch"] else ""
    out.add(f"{best}; {duration(summary['seconds'])}\n")
    there = [name for name in FILES if (output / name).exists()]
    out.add(f"  in {printable(str(output))}: {', '.join(there)}\n", "dim")
    spec = summary["spec"] if not summary["spec"].startswith("<") else str(output / "spec.yaml")
    spec, weights = printable(spec), printable(str(output / "model.safetensors"))
    out.add(f"  cnnplan predict {spec}{spec_options} --weights {weights} PATH…\n", "dim")
    return out


def folded(over: dict[str, Any], output: Path) -> Styled:
    """The results of a cross-validation."""
    out = Styled()
    out.add(over["network"], "bold")
    out.add(f"  {len(over['folds'])} folds\n")
    names = [name for name in over if name.startswith("test_") and not name.endswith("_deviation")]
    for name in names:
        shown = name.replace("_", " ")
        values = [one[name] for one in over["folds"]]
        each = "  ".join(_value(name, value) for value in values)
        out.add(f"  {shown:<14} {_value(name, over[name])} ± {_value(name, over[f'{name}_deviation'])}", "bold")
        out.add(f"   {each}\n")
    out.add(f"  in {printable(str(output))}: summary.json, fold-1 … fold-{len(over['folds'])}\n", "dim")
    return out


def _value(name: str, value: float) -> str:
    return f"{100 * value:.2f} %" if name.endswith("accuracy") else f"{value:.4g}"


def plan_of(
    plan: Plan, recipe: Recipe, data: Data, options: Options, time: Estimate, width: int, folds: int | None = None
) -> Styled:
    """What would be trained."""
    out = Styled()
    out.add(plan.name, "bold")
    out.add(f"  {printable(plan.path)}\n\n", "dim")
    classes = f", {plural(len(data.classes), 'class', 'classes')}" if data.classes else ""
    memory = plan.training
    parts = [
        f"{size(n)} {what}"
        for what, n in (
            ("parameters", memory.parameters),
            ("gradients", memory.gradients),
            ("optimizer", memory.optimizer_state),
            ("average", memory.average),
            ("activations", memory.saved_activations),
        )
        if n
    ]
    limit = _limit(options)
    fits = f"; {size(limit)} there" if limit else ""
    rows = [
        ("data", f"{printable(data.name)}: {_counts(data)}{classes}"),
        ("network", f"{plan.parameters:,} parameters, {counted(plan.macs, 'MACs')} a sample"),
        ("loss", ", ".join(f"{loss.name} ({name})" for name, loss in recipe.losses.items())),
        ("optimizer", _optimizer(recipe)),
        ("steps", _steps(recipe, data, options)),
        ("device", f"{_place(options)}, {recipe.precision}"),
        ("memory", f"{size(memory.peak)} at the peak ({memory.peak_at}){fits}"),
        ("", "; ".join(parts)),
        *(("time" if index == 0 else "", line) for index, line in enumerate(time.lines())),
        *([("folds", f"{plural(folds, 'training')} like this one, one after the other")] if folds else []),
        ("output", printable(str(options.output))),
    ]
    for name, text in rows:
        lines = wrap(text, max(30, width - 12), break_long_words=False) or [""]
        out.add(f"{name:<10}  ", "dim")
        out.add(f"\n{'':12}".join(lines) + "\n")
    if limit and memory.peak > limit:
        out.add("it does not fit: ", "bold red")
        out.add(f"`cnnplan fit {printable(plan.path)}` says what would\n")
    return out


def _limit(options: Options) -> int:
    if options.device == "cuda":
        return int(torch.cuda.get_device_properties(0).total_memory)
    from cnnplan.fitting import machine_memory

    return machine_memory()


def _optimizer(recipe: Recipe) -> str:
    options = recipe.optimizer.options
    words = [f"{recipe.optimizer.name}, lr {recipe.lr:g}"]
    given = ("momentum", "weight_decay")
    words += [f"{name} {getattr(options, name):g}" for name in given if getattr(options, name, 0)]
    words.append(f"schedule {recipe.schedule.name}")
    if recipe.regularize.l1:
        words.append(f"l1 {recipe.regularize.l1:g}")
    if recipe.regularize.max_norm:
        words.append(f"max_norm {recipe.regularize.max_norm:g}")
    if recipe.clip_gradient:
        words.append(f"gradients clipped at {recipe.clip_gradient:g}")
    if recipe.ema:
        words.append(f"ema {recipe.ema:g}")
    if recipe.augment:
        words.append(f"augmented by {', '.join(one.name for one in recipe.augment)}")
    if recipe.patience:
        words.append(f"stops after {plural(recipe.patience, 'epoch')} without improvement")
    return ", ".join(words)
