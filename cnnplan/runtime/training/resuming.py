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
        threads: that computed: sums of another number of threads have other roundings.
    """

    rows: list[dict[str, float]]
    best: int | None
    done: bool
    mean: Any
    std: Any
    threads: int


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
    patience = marks.recipe["patience"]
    stopped = patience is not None and best is not None and len(rows) - best >= patience
    return Restored(rows, best, stopped or len(rows) >= epochs, known["mean"], known["std"], known["threads"])


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
    for key, value in now["recipe"].items():
        before = then["recipe"].get(key)
        if key != "epochs" and value != before:
            raise UsageError(f"`{key}` is {value}, {shown} was trained with {before}: a run goes on as it began")
