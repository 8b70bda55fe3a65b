"""Mutated specs: whatever the text, there is a plan, or a refusal that points into the text."""

import os
import random
import re

import pytest

import cnnplan
from cnnplan.diagnostics import Diagnostic, Position
from cnnplan.planning import Plan
from tests.language.corpus import SPECS, zoo
from tests.language.mutate import mutated
from tests.language.oracle import agrees, source

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
CASES = 600 if NIGHTLY else 36
SMALL = 60
"""Layers of a network that is also built, which takes most of the time."""

TEXTS = SPECS | {name: text for name, text in zoo().items() if name in ("lenet5", "unet", "squeezenet1_1")}
HUGE = re.compile(r"\d{10}|\*\* 6")  # torch itself has narrower limits than 64 bits
LINE_BREAK = re.compile(r"\r\n|\r|\n")


def misplaced(found: Diagnostic, text: str) -> str:
    """Why a finding does not point into the text; "" where it does."""
    lines = LINE_BREAK.split(text.removeprefix("\ufeff"))

    def outside(at: Position, beyond: int = 1) -> bool:
        return not (1 <= at.line <= len(lines) and 1 <= at.column <= len(lines[at.line - 1]) + beyond)

    if found.start is None or found.end is None:
        return "no place"
    if outside(found.start) or outside(found.end, 2) or found.end < found.start:  # a caret behind the last character
        return "outside of the text"
    if any(related.start and outside(related.start) for related in found.related):
        return "related to a place outside of the text"
    return "" if found.message and found.code else "nothing is said"


def planned(text: str) -> Plan | None:
    """The plan of a text, if it is a spec; what is found points into the text either way."""
    plan, found = None, ()
    try:
        plan = cnnplan.plan(text)
        found = plan.diagnostics
    except cnnplan.SpecError as error:
        found = error.diagnostics
    except cnnplan.UsageError:  # no spec at all, such as a text of one line: a path
        return None
    assert any(d.severity == "error" for d in found) or plan
    for diagnostic in found:
        assert not misplaced(diagnostic, text), diagnostic
    return plan


def cases(name: str, seed: str, times: int) -> list[str]:
    rng = random.Random(f"{seed} of {name}")
    return [mutated(TEXTS[name], rng, rng.randint(1, times)) for _ in range(CASES)]


@pytest.mark.parametrize("name", TEXTS)
def test_a_slip_is_planned_or_refused_where_it_is(name: str) -> None:
    accepted = refused = 0
    for text in cases(name, "slip", 1):
        try:
            plan = planned(text)
            refused += plan is None
            accepted += plan is not None
            if plan and len(plan.layers) <= SMALL and not HUGE.search(text):
                agrees(text)
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}\n{text}") from error
    assert accepted
    assert refused


@pytest.mark.parametrize("name", TEXTS)
def test_several_slips_at_once(name: str) -> None:
    """Few such texts are valid; the source of those that are still compiles."""
    for text in cases(name, "slips", 6):
        try:
            plan = planned(text)
            if plan and len(plan.layers) <= SMALL:
                source(text)
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}\n{text}") from error


@pytest.mark.parametrize("name", SPECS)
def test_cut_off_anywhere(name: str) -> None:
    text = TEXTS[name]
    rng = random.Random(f"cut of {name}")
    for end in range(len(text)) if NIGHTLY else rng.sample(range(len(text)), 20):
        planned(text[:end] + "\n")


def test_positions_are_held_against_the_text() -> None:
    """The check above can fail."""
    (found,) = _refused("cnnplan: 1\nname: n\ninput: [3]\nlayers: [rel]\n")
    assert not misplaced(found, "\n\n\nlayers: [rel]\n")
    for shorter in ("\n\n\nlayers: [r\n", "\n\n\n", ""):
        assert misplaced(found, shorter) == "outside of the text"
    assert misplaced(found._replace(start=None), "") == "no place"


def _refused(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(cnnplan.SpecError) as caught:
        cnnplan.plan(text)
    return tuple(caught.value.diagnostics)
