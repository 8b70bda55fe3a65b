"""Comments that ignore findings: where they count, and what is wrong with them."""

import pytest

import cnnplan
from cnnplan.lint.edits import applied
from cnnplan.lint.selection import Choice, Selection
from tests.language.helpers import dedent

HEAD = "cnnplan: 1\nname: net\ninput: [3, 32, 32]\nlayers:\n"
CONV = "- conv: {out_channels: 8, kernel_size: 3}"
RULES = Selection(asked=Choice(select=("N201", "Y")))


def found(layers: str, selection: Selection = RULES) -> list[tuple[str, int]]:
    """Codes and lines, those of the list of layers counted from 1."""
    diagnostics = cnnplan.plan(HEAD + dedent(layers), selection=selection).diagnostics
    return [(d.code, d.start.line - 4) for d in diagnostics if d.start]


CASES = {
    "none": (f"{CONV}\n- batchnorm", [("N201", 1)]),
    "in its line": (f"{CONV}  # cnnplan: ignore[N201] why\n- batchnorm", []),
    "without a blank": (f"{CONV}  #cnnplan:ignore[N201]\n- batchnorm", []),
    "several codes": (f"{CONV}  # cnnplan: ignore[H301, N201]\n- batchnorm", []),
    "a code too many": (f"{CONV}  # cnnplan: ignore[N201, Y9]\n- batchnorm", [("Y918", 1)]),
    "nothing at all in the whole file": ("- relu\n# cnnplan: ignore-file", [("Y918", 2)]),
    "its beginning": (f"{CONV}  # cnnplan: ignore[N]\n- batchnorm", []),
    "above it": (f"# cnnplan: ignore[N201]\n{CONV}\n- batchnorm", []),
    "above other comments": (f"# cnnplan: ignore[N201]\n\n# the stem\n{CONV}\n- batchnorm", []),
    "behind another comment": (f"{CONV}  # the stem # cnnplan: ignore[N201]\n- batchnorm", []),
    "below it": (f"{CONV}\n# cnnplan: ignore[N201]\n- batchnorm", [("N201", 1), ("Y918", 2)]),
    "in another line": (f"{CONV}\n- batchnorm  # cnnplan: ignore[N201]", [("N201", 1), ("Y918", 2)]),
    "another code": (f"{CONV}  # cnnplan: ignore[H301]\n- batchnorm", [("N201", 1)]),  # H301 is not looked for
    "the whole file": (f"{CONV}\n- batchnorm\n{CONV}\n- batchnorm\n# cnnplan: ignore-file[N201]", []),
    "all of the whole file": (f"{CONV}\n- batchnorm\n# cnnplan: ignore-file generated", []),
    "the whole file, of nothing": ("- relu\n# cnnplan: ignore-file[N201]", [("Y918", 2)]),
    "without codes": (f"{CONV}  # cnnplan: ignore\n- batchnorm", [("N201", 1), ("Y919", 1)]),
    "without brackets": (f"{CONV}  # cnnplan: ignore N201\n- batchnorm", [("N201", 1), ("Y919", 1)]),
    "with empty brackets": (f"{CONV}  # cnnplan: ignore[]\n- batchnorm", [("N201", 1), ("Y919", 1)]),
    "an open bracket": (f"{CONV}  # cnnplan: ignore[N201\n- batchnorm", [("N201", 1), ("Y919", 1)]),
    "an unknown code": (f"{CONV}  # cnnplan: ignore[N299]\n- batchnorm", [("N201", 1), ("Y919", 1)]),
    "an unknown code beside a known one": (f"{CONV}  # cnnplan: ignore[N299,N201]\n- batchnorm", [("Y919", 1)]),
    "about something else": (f"{CONV}  # cnnplan: the linter ignores this\n- batchnorm", [("N201", 1)]),
    "a word that begins so": (f"{CONV}  # cnnplan: ignored for now\n- batchnorm", [("N201", 1)]),
}


@pytest.mark.parametrize(("layers", "expected"), CASES.values(), ids=CASES)
def test_comments(layers: str, expected: list[tuple[str, int]]) -> None:
    assert sorted(found(layers)) == sorted(expected)


def test_a_comment_inside_a_text_is_none() -> None:
    text = (
        f"{HEAD}{CONV}\n- batchnorm\ndescription: 'a # cnnplan: ignore-file[N201]\n\n  # cnnplan: ignore-file[N201]'\n"
    )
    assert [d.code for d in cnnplan.plan(text, selection=RULES).diagnostics] == ["N201"]


def test_what_makes_a_spec_invalid_is_not_ignored() -> None:
    with pytest.raises(cnnplan.SpecError):
        cnnplan.plan(HEAD + "- linear: 3  # cnnplan: ignore[S003] it is fine\n# cnnplan: ignore-file[S003]\n")


def test_a_code_that_is_not_looked_for_is_not_said_to_be_idle() -> None:
    assert found("- relu  # cnnplan: ignore[N201]") == [("Y918", 1)]
    assert found("- relu  # cnnplan: ignore[N201]", Selection(asked=Choice(select=("Y", "H")))) == []
    assert found("- relu  # cnnplan: ignore[N201]", Selection(asked=Choice(ignore=("Y918",)))) == []


def test_levels_of_comments_may_be_set() -> None:
    text = HEAD + "- relu  # cnnplan: ignore[N201]\n"
    (finding,) = cnnplan.plan(text, selection=RULES._replace(severity={"Y918": "error"})).diagnostics
    assert finding.severity == "error"


FIXES = {
    "a whole comment": ("- relu  # cnnplan: ignore[N201] why\n- tanh", "- relu\n- tanh"),
    "one of several": (
        f"{CONV}  # cnnplan: ignore[H301, N201] why\n- batchnorm",
        f"{CONV}  # cnnplan: ignore[N201] why\n- batchnorm",
    ),
    "a line": ("- relu\n# cnnplan: ignore[N201]\n- tanh", "- relu\n- tanh"),
    "the last line": ("- relu\n# cnnplan: ignore[N201]", "- relu\n"),
}


@pytest.mark.parametrize(("before", "after"), FIXES.values(), ids=FIXES)
def test_idle_comments_are_removed(before: str, after: str) -> None:
    selection = Selection(asked=Choice(select=("N201", "Y", "H301")))
    (finding,) = cnnplan.plan(HEAD + dedent(before), selection=selection).diagnostics
    assert finding.code == "Y918"
    assert finding.fix
    assert finding.fix.safe
    assert applied(HEAD + dedent(before), list(finding.fix.edits)) == HEAD + dedent(after)
