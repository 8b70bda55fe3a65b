"""The curve of memory over a step: its length, the mark below its peak, the phases below that."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cnnplan
from cnnplan.analyses.tape import Place, Played, Tape
from cnnplan.render.spark import EIGHTHS, curve, sparkline
from tests.language.helpers import net

sizes = st.lists(st.integers(0, 10**12), min_size=1, max_size=120)
CONVOLUTIONS = """
  - conv: {out_channels: 8, kernel_size: 3, padding: 1}
    repeat: 4
  - relu
  - maxpool: 2
  - flatten
  - linear: 10
"""


def drawn(live: list[int], columns: int, phases: list[str] | None = None) -> tuple[str, str, str]:
    """The curve of these bytes, each event in its phase; all in the forward pass by default."""
    tape = Tape(1)
    tape.places = [Place(phase, None) for phase in phases or ["forward"] * len(live)]
    peak = max(live, default=0)
    return curve(tape, Played(live, peak, live.index(peak) if live else 0), columns)


def test_heights_are_eighths_of_the_largest() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7, 8], 9) == EIGHTHS
    assert sparkline([8, 4, 0], 3) == "█▄ "
    assert sparkline([1, 1000], 2) == "▁█"  # a trace is still drawn
    assert sparkline([5, 5, 5], 3) == "███"
    assert sparkline([0, 0], 2) == "  "
    assert sparkline([2**80, 2**79], 2) == "█▄"


def test_a_column_shows_the_largest_of_its_part() -> None:
    assert sparkline([1, 8, 1, 4, 4, 4], 3) == "█▄▄"
    assert sparkline([8, 1, 1, 1, 1, 1, 1, 2], 2) == "█▂"


@given(sizes, st.integers(-3, 100))
def test_length(values: list[int], columns: int) -> None:
    """As many columns as there are to fill, and no more than there are numbers."""
    line = sparkline(values, columns)
    assert len(line) == max(1, min(columns, len(values)))
    assert ("█" in line) == any(values)


def test_no_numbers() -> None:
    assert sparkline([], 10).strip() == ""


def test_one_event() -> None:
    assert drawn([7], 78) == ("█", "▲", "forward")
    assert drawn([0], 78) == (" ", "▲", "forward")


def test_no_event() -> None:
    line, mark, below = drawn([], 78)
    assert (line.strip(), mark, below) == ("", "▲", "")


def test_what_is_there_all_the_time_is_not_drawn() -> None:
    """The curve begins with the forward pass, on top of the parameters."""
    line, mark, below = drawn([4, 6, 8, 4], 78, ["start", "start", "forward", "backward"])
    assert (line, mark, below) == ("█▄", "▲", "forward")


@given(sizes)
def test_the_mark_is_below_the_peak(live: list[int]) -> None:
    """Where each event has a column of its own."""
    _, mark, _ = drawn(live, 200)
    assert mark == " " * live.index(max(live)) + "▲"


def test_the_mark_is_below_the_highest_block() -> None:
    """Three events on two columns: the second shows the last two of them."""
    line, mark, _ = drawn([1, 8, 1], 2)
    assert line == "▁█"
    assert mark == " ▲"


def test_the_mark_is_below_its_part_at_every_width() -> None:
    """Wherever the peak is, and however many events share a column."""
    for events in range(1, 25):
        for columns in range(1, events + 1):
            for at in range(events):
                line, mark, _ = drawn([8 if index == at else 1 for index in range(events)], columns)
                assert line[len(mark) - 1] == "█", (events, columns, at)


def test_phases_are_in_order_at_their_columns() -> None:
    phases = ["forward"] * 20 + ["loss"] + ["backward"] * 30 + ["step"] * 9
    line, _, below = drawn(list(range(1, 61)), 60, phases)
    assert len(line) == 60
    assert below.index("forward") == 0
    assert below.index("backward") == 21  # behind the loss, which is too short for a word
    assert below.index("step") == 51


def test_what_is_recomputed_is_part_of_the_backward_pass() -> None:
    phases = ["forward"] * 20 + ["recompute"] * 5 + ["backward"] * 5 + ["recompute"] * 5 + ["backward"] * 5
    _, _, below = drawn(list(range(1, 41)), 40, phases)
    assert below.split() == ["forward", "backward"]
    assert below.index("backward") == 20


def test_a_phase_without_room_is_left_out() -> None:
    _, _, below = drawn([1] * 20, 20, ["forward"] * 3 + ["backward"] * 9 + ["step"] * 8)
    assert below.split() == ["forward", "step"]
    assert below.index("step") == 12


@given(
    st.lists(st.tuples(st.sampled_from(["forward", "loss", "backward", "recompute", "step"]), st.integers(1, 20))),
    st.integers(1, 100),
)
def test_words_stand_where_their_phase_begins(parts: list[tuple[str, int]], columns: int) -> None:
    """Never past the curve's end, never over each other; each at the column of its first event."""
    phases = [phase for phase, n in parts for _ in range(n)]
    line, _, below = drawn([1] * len(phases), columns, phases)
    assert len(below) <= columns
    begins = {n * len(line) // max(1, len(phases)) for n in [0, *accumulate(n for _, n in parts)]}
    at = 0
    for word in below.split():
        at = below.index(word, at)
        assert at in begins
        assert any(phase.startswith(word) for phase in ("forward", "backward", "step"))
        at += len(word)


@pytest.mark.parametrize("columns", [58, 78, 400])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_curve_of_a_network(columns: int, optimizer: str) -> None:
    plan = cnnplan.plan(net(CONVOLUTIONS), optimizer=optimizer, batch=16)
    tape, played = plan.memory.tape, plan.memory.played()
    line, mark, below = curve(tape, played, columns)
    start = sum(place.phase == "start" for place in tape.places)
    assert len(line) == min(columns, len(played.live) - start)
    assert "█" in line
    assert len(mark) <= len(line)
    assert below.split() == ["forward", "backward", *(["step"] if optimizer == "adamw" else [])]
