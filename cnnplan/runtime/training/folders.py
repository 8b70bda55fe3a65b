"""Which folder a run is in: a new one, the one that is named, or that of a run that goes on."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError
from cnnplan.runtime.training.ranks import first, restarted
from cnnplan.runtime.training.run import CHECKPOINT

if TYPE_CHECKING:
    from cnnplan.planning import Plan
    from cnnplan.runtime.training.session import Asked

RUNS = Path("runs")
CHILD = "CNNPLAN_RUN"
"""The environment variable that tells further processes the folder of the first."""


def folder(plan: Plan, asked: Asked) -> tuple[Path, bool]:
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
    shown = printable(str(output))
    if output.exists() and not output.is_dir():
        raise UsageError(f"{shown} is a file: --output names a folder")
    checkpointed = (output / CHECKPOINT).exists() or any(output.glob(f"fold-*/{CHECKPOINT}"))
    if again:
        return output, checkpointed
    folded = any(output.glob("fold-*"))
    if asked.resume and folded != bool(asked.folds) and output.exists():
        has = "is a cross-validation: give its --folds" if folded else "is a run without --folds: name another --output"
        raise UsageError(f"{shown} {has}")
    if first() and output.exists() and any(output.iterdir()) and not (folded or (output / "model.py").exists()):
        raise UsageError(f"{shown} is a folder with other files: --output names a new one")
    if first() and not asked.resume and (checkpointed or (output / "summary.json").exists()):
        raise UsageError(f"{shown} has a run already: --resume goes on with it, another --output leaves it alone")
    return output, asked.resume


def _runs(name: str) -> list[Path]:
    """The runs of a network, in order."""
    pattern = re.compile(re.escape(name) + r"(?:-(\d+))?")
    found = [(pattern.fullmatch(path.name), path) for path in RUNS.glob(f"{name}*") if path.is_dir()]
    return [path for _, path in sorted((int(match[1] or 1), path) for match, path in found if match)]
