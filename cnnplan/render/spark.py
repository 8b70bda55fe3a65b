"""A curve on one line of a terminal: memory over a training step."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.analyses.tape import Played, Tape

EIGHTHS = " ▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[int], columns: int) -> str:
    """The largest value of each of `columns` parts of a row of numbers, from 0 to the largest of all."""
    top = max(values, default=0) or 1
    return "".join(EIGHTHS[-(-8 * max(values[a:b]) // top)] for a, b in pairwise(_edges(len(values), columns)))


def _edges(count: int, columns: int) -> list[int]:
    """Where each part of a row of numbers begins, and where the last one ends."""
    columns = max(1, min(columns, count))
    return [index * count // columns for index in range(columns + 1)] if count else []


def curve(tape: Tape, played: Played, columns: int) -> tuple[str, str, str]:
    """The bytes alive over a step, a mark below the peak, and below that where its phases are."""
    start = sum(place.phase == "start" for place in tape.places)
    live = played.live[start:] or [0]
    line = sparkline(live, columns)
    edges = _edges(len(live), columns)
    at = max(0, min(len(line), bisect_right(edges, max(0, played.at - start))) - 1)
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
