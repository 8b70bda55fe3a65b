"""The unified diff: what `patch` makes of it is the new text, and no shorter script exists."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnplan.render.unified import changes, unified

lines = st.lists(st.sampled_from(["a\n", "b\n", "c\n"]), max_size=12)


def distance(a: list[str], b: list[str]) -> int:
    """Lines to remove and to add, by the table of all prefixes."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            last, row[j] = row[j], last if x == y else 1 + min(row[j], row[j - 1])
    return row[-1]


@given(a=lines, b=lines)
def test_the_changes_lead_from_one_text_to_the_other_and_none_is_needless(a: list[str], b: list[str]) -> None:
    found = changes(a, b)
    made, at = [], 0
    for a1, a2, b1, b2 in found:
        assert made + a[at:a1] == b[:b1]
        made += a[at:a1] + b[b1:b2]
        at = a2
    assert made + a[at:] == b
    assert sum(a2 - a1 + b2 - b1 for a1, a2, b1, b2 in found) == distance(a, b)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a\nb\nc\n", "a\nB\nc\n"),
        ("a\nb", "a\nb\nc"),
        ("".join(f"{i}\n" for i in range(40)), "".join(f"{i}\n" for i in range(40) if i not in (0, 6, 14, 39))),
        ("x\n" * 500, "x\n" * 250 + "y\n" + "x\n" * 250),
    ],
)
def test_git_applies_it(old: str, new: str, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(old)
    subprocess.run(["git", "apply", "-p0", "-"], cwd=tmp_path, input=unified(old, new, "x.yaml"), text=True, check=True)
    assert file.read_text() == new


def test_nothing_has_no_diff() -> None:
    assert unified("a\nb\n", "a\nb\n", "x") == ""


def test_the_context_and_the_heads_are_those_of_difflib() -> None:
    from difflib import unified_diff

    a = [f"{i}\n" for i in range(60)]
    b = [line for i, line in enumerate(a) if i not in (3, 9, 30)] + ["end\n"]
    expected = "".join(unified_diff(a, b, "x", "x"))
    assert unified("".join(a), "".join(b), "x") == expected
