"""Small networks to train on `digits`, and what a training leaves, to be compared."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor

from cnnplan.runtime.training import charts, records

CHECKPOINT = Path("checkpoints") / "last.ckpt"

FULL = """\
cnnplan: 1
name: full
input: [1, 8, 8]
layers:
  - conv: {out_channels: 6, kernel_size: 3, bias: false}
  - batchnorm
  - relu
  - flatten
  - dropout: 0.3
  - linear: 10
train:
  optimizer: {adamw: {lr: 3e-3, weight_decay: 0.02}}
  schedule: {one_cycle: {warmup: 0.3}}
  epochs: 3
  batch: 128
  augment:
    - random_crop: {padding: 1}
    - horizontal_flip
    - rotation: 10
    - color_jitter: {brightness: 0.2}
    - random_erasing
    - mixup: 0.2
  ema: 0.9
  clip_gradient: 1.0
  regularize: {l1: 1e-3, max_norm: 1.0}
"""
"""Everything that has a state of its own, or draws random numbers."""

PLAIN = """\
cnnplan: 1
name: plain
input: [1, 8, 8]
layers:
  - conv: {out_channels: 8, kernel_size: 3, padding: 1}
  - relu
  - maxpool: 2
  - flatten
  - linear: 16
  - tanh
  - linear: 10
train:
  optimizer: {sgd: {lr: 0.1, momentum: 0.9}}
  epochs: 3
  batch: 64
"""
"""Nothing in it looks at other samples of a batch: it trains alike on one device and on several."""


IDLE = PLAIN.replace("lr: 0.1, momentum: 0.9", "lr: 1.0e-30") + "  early_stopping: {patience: 2}\n"
"""No step changes a weight: the first epoch is the best, and the third the last."""


def drawing() -> Iterator[tuple[ModuleType, str]]:
    """Where the functions are found that draw charts, which takes longer than the trainings of these tests."""
    for module in (charts, records):
        for name, value in [*vars(module).items()]:
            if value in (charts.curves, charts.confusion):
                yield module, name


class Left(NamedTuple):
    """What a training leaves, without times.

    Attributes:
        last: the checkpoint, as far as it decides how a run goes on.
        best: model.safetensors.
        rows: of metrics.csv, as texts.
        summary: summary.json.
    """

    last: dict[str, Any]
    best: dict[str, Tensor]
    rows: list[dict[str, str]]
    summary: dict[str, Any]


def checkpoint(folder: Path) -> dict[str, Any]:
    """The checkpoint of a run."""
    found: dict[str, Any] = torch.load(folder / CHECKPOINT, weights_only=True)
    return found


def rows(folder: Path) -> list[dict[str, str]]:
    """metrics.csv, without the seconds."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def left(folder: Path) -> Left:
    """What a run left in a folder."""
    found = checkpoint(folder)
    keys = ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "epoch", "global_step")
    last = {key: found[key] for key in keys}
    last["history"] = {key: found["history"][key] for key in ("best", "sums")}
    last["rows"] = [
        {name: value for name, value in row.items() if name != "seconds"} for row in found["history"]["rows"]
    ]
    summary = json.loads((folder / "summary.json").read_text())
    times = ("seconds", "samples_per_second", "finished")
    summary = {name: value for name, value in summary.items() if name not in times}
    return Left(last, load_file(folder / "model.safetensors"), rows(folder), summary)


def differences(a: Any, b: Any, path: str = "") -> list[str]:
    """Where two results are not the same, bit for bit."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        alike = a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
        return [] if alike else [path]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        a, b = [*a], [*b]
    if type(a) is not type(b):
        return [f"{path}: {type(a)}, {type(b)}"]
    if isinstance(a, dict):
        if a.keys() != b.keys():
            return [f"{path}: {[*a]}, {[*b]}"]
        return [found for key in a for found in differences(a[key], b[key], f"{path}/{key}")]
    if isinstance(a, list):
        if len(a) != len(b):
            return [f"{path}: {len(a)}, {len(b)}"]
        return [found for i, (x, y) in enumerate(zip(a, b, strict=True)) for found in differences(x, y, f"{path}/{i}")]
    return [] if a == b or (a != a and b != b) else [f"{path}: {a}, {b}"]


def same(a: Left, b: Left) -> None:
    """Nothing differs but the times."""
    found = differences(a._asdict(), b._asdict())
    assert not found, found
    assert len(a.rows) == a.summary["epochs"]


def no_leftovers(folder: Path) -> None:
    """No temporary files."""
    found = [path for path in folder.rglob("*") if path.name.endswith(".tmp")]
    assert not found, found
