"""A curve on one line of a terminal: memory over a training step."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.analyses.tape import Played, Tape

EIGHTHS = " ▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[int], columns: int) -> str:
    """The largest value of each of `columns` parts of a row of numbers, from 0 to the largest of all."""
    columns = max(1, min(columns, len(values)))
    top = max(values, default=0) or 1
    edges = [index * len(values) // columns for index in range(columns + 1)]
    return "".join(EIGHTHS[-(-8 * max(values[a:b]) // top)] for a, b in pairwise(edges))


def curve(tape: Tape, played: Played, columns: int) -> tuple[str, str, str]:
    """The bytes alive over a step, a mark below the peak, and below that where its phases are."""
    start = sum(place.phase == "start" for place in tape.places)
    live = played.live[start:] or [0]
    line = sparkline(live, columns)
    at = min(len(line) - 1, max(0, played.at - start) * len(line) // len(live))
    phases: list[tuple[str, int]] = []
    for index, place in enumerate(tape.places[start:]):
        phase = "backward" if place.phase == "recompute" else place.phase
        if phase != "loss" and (not phases or phases[-1][0] != phase):
            phases.append((phase, index * len(line) // len(live)))
    below = ""
    for phase, column in phases:
        if column < len(below) + bool(below):
            continue
        below = f"{below:<{column}}{phase}"
    return line, " " * at + "▲", below[:columns]
