"""Clocks that mark moments: of a CPU by its timer, of a CUDA device by events in its stream.

    clock.start(); clock.mark(); …; clock.spans()     # seconds between the marks

Source: PyTorch's documentation, "CUDA semantics: Asynchronous execution".
"""

from __future__ import annotations

import time
from itertools import pairwise

import torch


class Clock:
    """A CPU's: what runs has run when the call returns."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def start(self) -> None:
        """Forget the marks, and wait for what still runs."""
        self.moments.clear()

    def mark(self) -> None:
        """This moment."""
        self.moments.append(time.perf_counter())

    def spans(self) -> list[float]:
        """Seconds from each mark to the next."""
        return [b - a for a, b in pairwise(self.moments)]

    def host(self) -> list[float]:
        """The same, of the CPU that calls."""
        return self.spans()


class CudaClock(Clock):
    """A CUDA device's: its own time between events, in which it also waits for the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[torch.cuda.Event] = []

    def start(self) -> None:
        super().start()
        torch.cuda.synchronize()

    def mark(self) -> None:
        number = len(self.moments)
        if number == len(self.events):  # made once: making one takes longer than recording it
            self.events.append(torch.cuda.Event(enable_timing=True))  # type: ignore[no-untyped-call]
        self.events[number].record()
        super().mark()

    def spans(self) -> list[float]:
        torch.cuda.synchronize()
        used = self.events[: len(self.moments)]
        return [a.elapsed_time(b) / 1000 for a, b in pairwise(used)]

    def host(self) -> list[float]:
        return super().spans()


def clock(place: torch.device) -> Clock:
    """The clock of a device."""
    return CudaClock() if place.type == "cuda" else Clock()
