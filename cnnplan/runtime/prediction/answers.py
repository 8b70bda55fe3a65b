"""What an output says of a sample: classes, labels, values, or shares of a map.

Numbers are rounded, probabilities to 4 decimals and values to 5 digits, and are then the same whatever else is in the
batch: kernels for batches of other sizes add in another order, which moves float32 outputs by about 1e-6 of the
largest. An answer that such a difference could change, in a digit or in the order, is not `sure`: it is asked for again
in a batch of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from cnnplan.planning import Plan
    from cnnplan.runtime.training.artifact import Trained

NOISE: Final = 5e-6
"""Of an output's largest number. Batches of 2 to 32 changed at most 1.5e-6 on a CPU, of 14 networks of the zoo."""
DECIMALS: Final = 4
"""Of probabilities and shares."""
DIGITS: Final = 5
"""Of values."""
CLASSES, LABELS, SCORES, VALUES, SHARES, RANGE = "classes", "labels", "scores", "values", "shares", "range"


class Answer(NamedTuple):
    """What is said of one sample.

    Attributes:
        pairs: names and numbers, in the order to print; None where the output is not finite.
        sure: whether a difference of `NOISE` would change nothing.
    """

    pairs: tuple[tuple[str, float], ...] | None
    sure: bool


class Reading(NamedTuple):
    """How an output is read.

    Attributes:
        output: its index among those of the network.
        loss: that it was trained with.
        kind: "classes": exclusive, the likeliest; "labels": all at or above 0.5; "scores": the class with the largest
            value; "values"; "shares": of the positions of a map, by class; "range": mean, minimum and maximum of a map.
        names: of the classes, or of the values.
        top: how many classes are wanted; None for the kind's own number.
    """

    output: int
    loss: str
    kind: str
    names: tuple[str, ...]
    top: int | None

    def __call__(self, y: Tensor) -> Answer:
        """Read the output of one sample, float64 on the CPU, [K] or [K, *spatial]."""
        if self.kind not in (SHARES, RANGE):
            y = y.flatten()
        limit = y.nan_to_num(nan=0, posinf=0, neginf=0).abs().max().item() * NOISE
        if not (y.isfinite() | (y == -torch.inf) & (self.kind in (CLASSES, LABELS))).all():
            return Answer(None, sure=True)
        if len(self.names) == 2 and len(y) == 1:  # one unit for two classes: its sigmoid is the softmax of 0 and it
            y = torch.cat([torch.zeros_like(y), y])
        return _READERS[self.kind](self, y, limit)


def _asked(trained: Trained | None) -> str:
    """The options that the spec had in training, where it had some."""
    return f", or to this one with{printable(trained.options)}" if trained and trained.options else ""


def reading_of(plan: Plan, trained: Trained | None, top: int | None) -> Reading:
    """How the first output that has a loss is read.

    Raises:
        UsageError: the classes of the weights are not as many as the output's, or --top makes no sense.
    """
    losses = plan.conditions.losses
    output = next((i for i, loss in enumerate(losses) if loss), None)
    if output is None:
        raise UsageError(f"no output of '{plan.name}' has a loss: nothing says what its numbers mean")
    name, value = list(plan.graph.outputs.items())[output]
    loss = (trained and trained.loss) or losses[output]
    assert loss
    dense = bool(value.shape.spatial) and value.shape.numel > value.shape[0]
    count, classes = value.shape[0], trained.classes if trained else ()
    if loss in ("mse", "l1") and (dense or len(classes) != count or count == 1):
        if top is not None:
            raise UsageError(f"--top is about classes, and '{name}' of '{plan.name}' gives values ({loss})")
        several = tuple(f"value{i}" for i in range(count)) if count > 1 else ("value",)
        found = (RANGE, ("mean", "minimum", "maximum")) if dense else (VALUES, several)
        return Reading(output, loss, *found, None)
    if loss == "binary_cross_entropy" and len(classes) == 2 and count == 1:
        return Reading(output, "cross_entropy", SHARES if dense else CLASSES, classes, top)
    if classes and len(classes) != count:
        line = f" (line {value.node.line})" if value.node else ""
        shown = ", ".join(map(printable, classes[:3]))
        raise UsageError(
            f"output '{name}'{line} gives {count:,} classes, and the weights were trained for {len(classes):,} "
            f"({shown}{', …' if len(classes) > 3 else ''}): they belong to another spec{_asked(trained)}"
        )
    kinds = {"binary_cross_entropy": LABELS, "mse": SCORES, "l1": SCORES}
    kind = SHARES if dense else kinds.get(loss, CLASSES)
    return Reading(output, loss, kind, classes or tuple(map(str, range(count))), top)


def _classes(how: Reading, y: Tensor, limit: float) -> Answer:
    """Of log-probabilities, as nll takes them, the softmax is those probabilities."""
    return _ranked(how, y, y.softmax(0), how.top or 1, limit)


def _labels(how: Reading, y: Tensor, limit: float) -> Answer:
    count = how.top or int((y >= 0).sum())
    found = _ranked(how, y, y.sigmoid(), count, limit)
    return found._replace(sure=found.sure and (how.top is not None or bool((y.abs() > limit).all())))


def _ranked(how: Reading, y: Tensor, p: Tensor, count: int, limit: float) -> Answer:
    """The likeliest classes. An error dy of outputs makes one of p (1 - p) 2 dy in softmax, and less in sigmoid."""
    values, order = y.sort(descending=True, stable=True)
    found, classes = p[order[:count]], order[:count].tolist()
    error = 2 * limit * (found * (1 - found)).abs()
    gaps = (values[:-1] - values[1:])[:count]
    sure = _same(found - error, found + error) and bool((gaps > 2 * limit).all())
    numbers = [round(n, DECIMALS) for n in found.tolist()]
    return Answer(tuple((how.names[c], n) for c, n in zip(classes, numbers, strict=True)), sure)


def _scores(how: Reading, y: Tensor, limit: float) -> Answer:
    """Classes by value, where a distance to 0 and 1 was trained."""
    ranked = y.sort(descending=True, stable=True)
    found = zip(ranked.indices.tolist(), map(_digits, ranked.values.tolist()), strict=True)
    return Answer(tuple((how.names[c], n) for c, n in found)[: how.top or 1], sure=False)


def _values(how: Reading, y: Tensor, limit: float) -> Answer:
    """Never sure: of some number, 5 digits nearly always show such a difference."""
    return Answer(tuple(zip(how.names, map(_digits, y.tolist()), strict=True)), sure=False)


def _range(how: Reading, y: Tensor, limit: float) -> Answer:
    return _values(how, torch.stack([y.mean(), y.min(), y.max()]), limit)


def _shares(how: Reading, y: Tensor, limit: float) -> Answer:
    """Classes by the share of positions where they are the likeliest, or at or above 0.5, each for itself."""
    flat = y.flatten(1)
    if how.loss == "binary_cross_entropy":
        counts, sure = (flat >= 0).sum(1), bool((flat.abs() > limit).all())
    else:
        counts, best = flat.argmax(0).bincount(minlength=len(flat)), flat.topk(min(2, len(flat)), 0).values
        sure = bool((best[0] - best[-1] > 2 * limit).all()) if len(flat) > 1 else True
    order = counts.sort(descending=True, stable=True).indices.tolist()
    found = [(how.names[c], int(counts[c])) for c in order if counts[c]]
    return Answer(tuple((name, round(n / flat.shape[1], DECIMALS)) for name, n in found[: how.top]), sure)


def _digits(n: float) -> float:
    return float(f"{n:.{DIGITS}g}") + 0.0  # no -0


def _same(low: Tensor, high: Tensor) -> bool:
    """Whether the numbers are the same after rounding."""
    return all(round(a, DECIMALS) == round(b, DECIMALS) for a, b in zip(low.tolist(), high.tolist(), strict=True))


_READERS: Final[dict[str, Callable[[Reading, Tensor, float], Answer]]] = {
    CLASSES: _classes,
    LABELS: _labels,
    SCORES: _scores,
    VALUES: _values,
    SHARES: _shares,
    RANGE: _range,
}
