"""Conditions about a difference, such as `macs > +5%`: what `cnnplan diff --fail-if` takes.

METRIC OP AMOUNT: `+5%` and `-3%` are changes relative to the old number, `+10M` and `-1KiB` changes, and `20M`
the new number itself. `inputs changed` and `outputs changed` are about names and shapes.
"""

from __future__ import annotations

import operator
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple

from cnnplan.diagnostics import suggest
from cnnplan.differences import METRICS
from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnnplan.differences import Difference

_OPERATORS: dict[str, Callable[[Fraction, Fraction], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_WHOLE = re.compile(r"\s*([A-Za-z_-]+)\s*(>=|<=|!=|>|<)\s*(\S.*?)\s*")
_AMOUNT = re.compile(r"([+\-−]?)\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(%|(?:[KkMGT](?:i?B)?|B)?)")
_SCALES: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
SHAPES: Final = ("inputs", "outputs")
SHOWN: Final = "such as 'macs > +5%', 'parameters > +100K', 'training_memory > 12GiB' or 'outputs changed'"


class Condition(NamedTuple):
    """A condition about one metric.

    Attributes:
        text: as it was given.
        metric: one of `METRICS`, or of `SHAPES`.
        operator: ">", ">=", "<", "<=" or "!="; "changed" of shapes.
        kind: what the amount is held against: "percent" or "change" of the metric, or its "new" number.
        amount: with its sign; percents as a number of percents.
    """

    text: str
    metric: str
    operator: str
    kind: str = ""
    amount: Fraction = Fraction(0)

    def holds(self, found: Difference) -> bool:
        """Whether it holds of a difference. From 0, any growth is more than every percentage.

        Raises:
            UsageError: a plan has no such number.
        """
        if self.operator == "changed":
            old, new = found.inputs if self.metric == "inputs" else found.outputs
            return list(old.items()) != list(new.items())
        pair = found.totals[self.metric]
        for plan, number in ((found.old, pair.old), (found.new, pair.new)):
            if number is None and (plan is found.new or self.kind != "new"):
                raise UsageError(f"'{self.text}' cannot be judged: '{plan.name}' ({plan.path}) has no {self.metric}")
        old_number, new_number = Fraction(pair.old or 0), Fraction(pair.new or 0)
        compare = _OPERATORS[self.operator]
        if self.kind == "new":
            return compare(new_number, self.amount)
        change = new_number - old_number
        if self.kind == "change":
            return compare(change, self.amount)
        if change and not old_number:
            return self.operator in (">", ">=", "!=")
        return compare(100 * change / old_number if change else change, self.amount)


def condition(text: str) -> Condition:
    """A condition as it is written.

    Raises:
        UsageError: it is none.
    """
    said = text.strip()
    words = said.split()
    if len(words) == 2 and words[1] == "changed":
        if words[0] not in SHAPES:
            raise UsageError(f"'{said}': only {' and '.join(SHAPES)} may be `changed`; write '{words[0]} != +0'")
        return Condition(said, words[0], "changed")
    match = _WHOLE.fullmatch(text) if len(text) < 200 else None
    if match is None:
        raise UsageError(f"--fail-if takes METRIC OP AMOUNT, {SHOWN}, not '{said:.60}'")
    name, sign, amount = match[1].lower().replace("-", "_"), match[2], match[3]
    if name in SHAPES:
        raise UsageError(f"'{said}': write '{name} changed'")
    if name not in METRICS:
        raise UsageError(f"'{said}': there is no metric '{match[1]}'; {suggest(name, METRICS)}")
    return Condition(said, name, sign, *_amount(amount, said))


def _amount(text: str, whole: str) -> tuple[str, Fraction]:
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise UsageError(f"'{whole}': an amount is +5%, +10M, -512KiB or 2G, not '{text}'")
    number = Fraction(match[2]) * (-1 if match[1] in ("-", "−") else 1)
    if match[3] == "%":
        if not match[1]:
            raise UsageError(f"'{whole}': a percentage is a change: write +{text} or -{text}")
        return "percent", number
    unit = match[3].removesuffix("B")
    base = 1024 if unit.endswith("i") else 1000
    number *= base ** _SCALES[unit.removesuffix("i").upper()]
    return ("change" if match[1] else "new"), number
