"""What findings are known by: it stays while lines move, and tells findings apart."""

from pathlib import Path

import pytest

from cnnplan.diagnostics import Diagnostic, Position
from cnnplan.lint.fingerprints import fingerprints

TEXT = "cnnplan: 1\nlayers:\n  - conv: 3\n  - relu\n  - conv: 3\n"


def at(line: int | None, code: str = "N201", message: str = "") -> Diagnostic:
    """A finding in that line."""
    start = Position(line, 5) if line else None
    return Diagnostic(code, "name", "warning", message, "a.yaml", start, None)


FOUND = [at(3), at(4), at(5), at(3, "N202"), at(None), at(None)]
KNOWN = fingerprints("a.yaml", TEXT, FOUND)


def moved(text: str, by: int, path: str = "a.yaml") -> list[str]:
    """The fingerprints of the same findings, so many lines further down."""
    return fingerprints(path, text, [d._replace(start=d.start and Position(d.start.line + by, 1)) for d in FOUND])


def test_all_are_different() -> None:
    assert len(set(KNOWN)) == len(FOUND)
    assert all(len(known) == 32 and int(known, 16) for known in KNOWN)


def test_they_do_not_change_between_versions() -> None:
    """A baseline that is written today is read by the next version."""
    assert KNOWN[0] == "6f1aff5cd34951ce1408b3cf08fe7bbb"


@pytest.mark.parametrize(
    ("text", "by"),
    [
        (f"# a comment\n\n{TEXT}", 2),
        (TEXT.replace("\n", "\r\n"), 0),
        (TEXT.replace("\n", "\r"), 0),
        (TEXT.replace("  - ", "      - "), 0),
        (TEXT.replace("relu\n", "relu  \n"), 0),
        (TEXT.replace("layers:\n", "name: x\nlayers:\n"), 1),
    ],
)
def test_they_stay_where_other_lines_change(text: str, by: int) -> None:
    assert moved(text, by) == KNOWN


def test_the_line_counts_and_the_message_does_not() -> None:
    assert fingerprints("a.yaml", TEXT, [at(3, message="30 channels")]) == KNOWN[:1]
    changed = moved(TEXT.replace("relu", "tanh"), 0)
    assert [a == b for a, b in zip(changed, KNOWN, strict=True)] == [True, False, True, True, True, True]


def test_the_file_counts_by_its_name_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert moved(TEXT, 0, "./a.yaml") == moved(TEXT, 0, str(tmp_path / "a.yaml")) == KNOWN
    assert not set(moved(TEXT, 0, "b.yaml")) & set(KNOWN)


def test_equal_lines_are_counted() -> None:
    assert KNOWN[0] != KNOWN[2]
    assert fingerprints("a.yaml", TEXT, [at(5)]) == KNOWN[:1]  # the first is mended: the second takes its place


def test_places_outside_of_the_text_have_no_line() -> None:
    assert (
        len({fingerprints("a.yaml", text, [at(line)])[0] for text, line in (("", 7), (TEXT, None), ("x", None))}) == 1
    )


def test_names_that_are_no_unicode() -> None:
    (found,) = fingerprints("\udcff.yaml", TEXT, [at(3)])
    assert found != KNOWN[0]
