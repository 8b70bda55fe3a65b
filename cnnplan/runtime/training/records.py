"""What a training leaves for people and programs: metrics.csv, TensorBoard, summary.json, pictures."""

from __future__ import annotations

import csv
import io
import json
import platform
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import lightning
import torch

from cnnplan.fitting import machine_memory
from cnnplan.render.numbers import plural, size
from cnnplan.runtime.files import replace
from cnnplan.runtime.measure import measured
from cnnplan.runtime.training.charts import confusion as confusion_chart
from cnnplan.runtime.training.charts import curves
from cnnplan.runtime.training.diagnosis import is_out_of_memory
from cnnplan.runtime.training.evaluation import judged
from cnnplan.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lightning.pytorch.callbacks import Callback

    from cnnplan.planning import Plan
    from cnnplan.runtime.data.base import Data
    from cnnplan.runtime.training.artifact import Trained
    from cnnplan.runtime.training.history import History, Row
    from cnnplan.runtime.training.run import Run


ROOM = 4
"""So many planned peaks a machine's memory has to hold for a step to be measured on its CPU."""


class Records:
    """The files of a run, kept by its first process."""

    def __init__(self, output: Path, printers: Sequence[Callback]) -> None:
        self.output = output
        self.printers = [one for one in printers if hasattr(one, "epoch")]
        self._writer: Any = None

    def told(self, rows: list[Row], is_best: bool) -> None:
        """Write and show a new row."""
        self._table(rows)
        self._board(rows[-1:])
        for printer in self.printers:
            printer.epoch(rows[-1], is_best)

    def replayed(self, rows: list[Row]) -> None:
        """Write the rows of a run that goes on."""
        if rows:
            self._table(rows)
            self._board(rows)

    def _table(self, rows: list[Row]) -> None:
        names = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        replace(self.output / "metrics.csv", lambda file: file.write(text.getvalue().encode()))

    def _board(self, rows: list[Row]) -> None:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.output / "tensorboard"))
        for row in rows:
            for name, value in row.items():
                if name != "epoch":
                    self._writer.add_scalar(name, value, int(row["epoch"]))
        self._writer.flush()

    def finished(self, run: Run, history: History, trained: Trained) -> dict[str, Any]:
        """Test with the best weights, write pictures and the summary, and return it."""
        if self._writer is not None:
            self._writer.close()
        rows = history.rows
        result, confusion = judged(run, trained)
        best = rows[history.best - 1] if history.best else {}
        curves(rows, self.output / "curves.png", run.plan.name, history.best)
        if confusion is not None:
            confusion_chart(confusion, run.data.classes, self.output / "confusion.png", run.plan.name)
        found = {
            "format_version": "1.0",
            "network": run.plan.name,
            "spec": run.plan.path,
            "spec_options": run.options.spec_options.strip(),
            "spec_sha256": sha256(run.plan.spec.text.encode()).hexdigest(),
            "source_sha256": run.marks.architecture,
            "parameters": run.plan.parameters,
            "trainable_parameters": run.plan.trainable_parameters,
            "data": {
                "name": run.data.name,
                "fingerprint": run.data.fingerprint,
                "classes": len(run.data.classes),
                "class_names": list(run.data.classes[:1000]),
                "train": len(run.data.train),
                "val": len(run.data.val or ()),
                "test": len(run.data.test or ()),
                "replaced": _replaced(run.data),
            },
            "train": run.recipe.as_dict(),
            "seed": run.options.seed,
            "device": _device(run.options.device),
            "processes": run.world,
            "epochs": len(rows),
            "best_epoch": history.best,
            "best": {name: value for name, value in best.items() if name not in ("epoch", "seconds")},
            **{f"test_{name}": value for name, value in result.items()},
            "confusion": confusion if confusion is not None and len(confusion) <= 100 else None,
            "memory": _memory(run.plan, run.options.device),
            "seconds": round(sum(row["seconds"] for row in rows), 3),
            "samples_per_second": _rate(rows, run.steps * run.recipe.batch * run.world),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": {
                "cnnplan": __version__,
                "torch": str(torch.__version__),
                "lightning": str(lightning.__version__),
                "python": platform.python_version(),
            },
        }
        text = json.dumps(found, indent=1, ensure_ascii=False, default=float) + "\n"
        replace(self.output / "summary.json", lambda file: file.write(text.encode()))
        return found


def _replaced(data: Data) -> list[str]:
    """Files that could not be decoded while the network was trained, for which others stood in."""
    splits = (data.train, data.val, data.test)
    return sorted({name for one in splits for name in getattr(one, "replaced", ())})


def _device(kind: str) -> str:
    return torch.cuda.get_device_name() if kind == "cuda" else f"cpu, {plural(torch.get_num_threads(), 'thread')}"


def _rate(rows: Sequence[Row], samples: int) -> float | None:
    """Samples that were trained on in a second, validation included: the median epoch's."""
    times = sorted(row["seconds"] for row in rows)
    return round(samples / times[len(times) // 2], 1) if times and times[len(times) // 2] else None


def _memory(plan: Plan, device: str) -> dict[str, Any]:
    """The peak of a training step, planned and measured, in bytes; where it is not measured, null, and why.

    On a CPU storages are counted in steps of their own: not where those might need more memory than is left.
    """
    training = plan.training
    found: dict[str, Any] = {"batch": plan.batch, "planned": {"training_peak": training.peak}}
    if device == "cuda":
        found["measured"] = {
            "training_peak": torch.cuda.max_memory_allocated(),
            "reserved": torch.cuda.max_memory_reserved(),
        }
        return found
    there = machine_memory()
    if training.peak * ROOM > there:
        why = f"{size(training.peak)} at the peak are more than a quarter of this machine's {size(there)}"
        return found | {"measured": None, "unknown": {"measured": why}}
    try:
        found["measured"] = {"training_peak": measured(plan).peak}
    except Exception as error:
        if not is_out_of_memory(error) and "memory" not in str(error):
            raise
        found |= {"measured": None, "unknown": {"measured": "this machine's memory was not enough"}}
    return found
