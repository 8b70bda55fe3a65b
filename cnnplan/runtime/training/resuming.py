"""Whether a run can go on from a checkpoint: it has to be the same run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError
from cnnplan.runtime.training.files import read

if TYPE_CHECKING:
    from pathlib import Path


class Marks(NamedTuple):
    """What makes a run the run it is.

    Attributes:
        architecture: SHA-256 of the emitted source.
        recipe: as `Recipe.as_dict` has it.
        data: their fingerprint.
        processes: that train together.
    """

    architecture: str
    recipe: dict[str, Any]
    seed: int
    data: str
    processes: int

    def as_dict(self) -> dict[str, Any]:
        """As checkpoints keep it."""
        return self._asdict()


class Restored(NamedTuple):
    """How far a run came.

    Attributes:
        rows: of the epochs that are complete.
        best: the best of them, from 1.
        done: whether nothing is left to train.
        mean, std: of the data, by input and channel.
        step: of the epoch that follows, up to which it came.
        threads: that computed: sums of another number of threads have other roundings.
    """

    rows: list[dict[str, float]]
    best: int | None
    done: bool
    mean: Any
    std: Any
    threads: int
    step: int

    def where(self, steps: int) -> str:
        """Where the run goes on, in words."""
        if self.done:
            return f"the run has ended after epoch {len(self.rows)}: nothing is left to train"
        within = f"step {self.step} of {steps} of epoch {len(self.rows) + 1}"
        return f"the run goes on behind {within if 0 < self.step < steps else f'epoch {len(self.rows)}'}"


def restored(path: Path, marks: Marks, epochs: int) -> Restored:
    """What a checkpoint holds.

    Raises:
        UsageError: there is none, it cannot be read, or it is that of another run: the first difference is named.
    """
    shown = printable(str(path))
    if not path.exists():
        raise UsageError(f"there is nothing to resume: {shown} is not there")
    found = read(path)
    known = found["cnnplan"]
    _compare(marks.as_dict(), known, shown)
    history = found["history"]
    rows, best = history["rows"], history["best"]
    step = int(found["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]["ready"])
    patience = marks.recipe["patience"]
    stopped = patience is not None and best is not None and len(rows) - best >= patience
    return Restored(rows, best, stopped or len(rows) >= epochs, known["mean"], known["std"], known["threads"], step)


def _compare(now: dict[str, Any], then: dict[str, Any], shown: str) -> None:
    if now["architecture"] != then["architecture"]:
        raise UsageError(
            f"{shown} is that of another architecture: the spec has changed since, or other variables were set; "
            "train anew with another --output, and --weights to start from its weights"
        )
    if now["data"] != then["data"]:
        raise UsageError(f"{shown} was trained on other data: they have changed since, or --data names others")
    for key in ("seed", "processes"):
        if now[key] != then[key]:
            raise UsageError(f"{key} is {now[key]}, {shown} was trained with {then[key]}: a run goes on as it began")
    before, after = _flat(then["recipe"]), _flat(now["recipe"])
    names = [name for name in {**after, **before} if name != "epochs" and before.get(name) != after.get(name)]
    changed = [f"{name} is {after.get(name)}, was {before.get(name)}" for name in names]
    if changed:
        raise UsageError(f"{shown} was trained otherwise: {'; '.join(changed)}; a run goes on as it began")


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Settings in settings under one name: optimizer.sgd.lr."""
    if not isinstance(value, dict) or not value:
        return {name: value}
    return {k: v for key, inner in value.items() for k, v in _flat(inner, f"{name}.{key}" if name else key).items()}
