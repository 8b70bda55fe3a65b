"""Which findings are wanted: the configuration, then the spec, then the command line."""

import pytest

from cnnplan.codes import CODES
from cnnplan.lint.selection import Choice, Selection, unknown

NOTHING = Choice()

CASES = [
    # configured, the spec's own, asked, code, wanted
    (NOTHING, NOTHING, NOTHING, "N201", True),
    (NOTHING, NOTHING, NOTHING, "G119", False),  # off by default
    (Choice(extend=("G119",)), NOTHING, NOTHING, "G119", True),
    (Choice(extend=("G119",)), NOTHING, NOTHING, "N201", True),
    (Choice(select=("G",)), NOTHING, NOTHING, "G119", True),
    (Choice(select=("G",)), NOTHING, NOTHING, "N201", False),
    (Choice(select=("G",)), NOTHING, Choice(extend=("N201",)), "N201", True),
    (Choice(select=("G",)), NOTHING, Choice(select=("N",)), "G101", False),
    (Choice(ignore=("N",)), NOTHING, NOTHING, "N201", False),
    (Choice(ignore=("N",)), NOTHING, Choice(select=("N",)), "N201", True),
    (Choice(ignore=("N",)), Choice(select=("N",)), NOTHING, "N201", True),
    (NOTHING, Choice(ignore=("N",)), Choice(extend=("N201",)), "N201", True),
    (NOTHING, Choice(ignore=("N",)), Choice(extend=("N201",)), "N202", False),
    (NOTHING, Choice(select=("N",), ignore=("N201",)), NOTHING, "N201", False),
    (NOTHING, Choice(select=("N201",), ignore=("N",)), NOTHING, "N201", True),
    (NOTHING, Choice(select=("N201",), ignore=("N201",)), NOTHING, "N201", False),
    (NOTHING, NOTHING, Choice(select=("N",), extend=("N201",), ignore=("N2",)), "N201", True),
    (NOTHING, NOTHING, Choice(select=("N",), extend=("N201",), ignore=("N2",)), "N202", False),
    (NOTHING, NOTHING, Choice(select=()), "N201", False),
]


@pytest.mark.parametrize(("configured", "own", "asked", "code", "wanted"), CASES)
def test_wanted(configured: Choice, own: Choice, asked: Choice, code: str, wanted: bool) -> None:
    assert (code in Selection(configured, asked).wanted(own)) is wanted


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        ({}, "warning"),
        ({"N": "info"}, "info"),
        ({"N": "info", "N201": "error"}, "error"),
        ({"N202": "error"}, "warning"),
    ],
)
def test_levels(severity: dict[str, str], level: str) -> None:
    assert Selection(severity=severity).level("N201", "warning") == level


@pytest.mark.parametrize("codes", [[], ["N"], ["N2"], ["N201", "H"], list(CODES)])
def test_codes_that_are_known(codes: list[str]) -> None:
    assert unknown(codes) is None


@pytest.mark.parametrize(
    ("code", "help"),
    [
        ("N299", "did you mean N209?"),
        ("n201", "did you mean N201?"),
        ("bias-before-batchnorm", "did you mean N201?"),
        ("Q", "`cnnplan rule` lists them"),
        ("", "`cnnplan rule` lists them"),
    ],
)
def test_codes_that_are_not(code: str, help: str) -> None:
    assert unknown(["N201", code]) == f"there is no rule '{code}'; {help}"
