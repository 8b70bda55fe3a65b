"""How reports name files."""

from pathlib import Path

import pytest

from cnnplan.relative import below, relative


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory `here` with a folder `specs`, beside another that a link leads to."""
    (tmp_path / "here" / "specs").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "here")
    (tmp_path / "here" / "out").symlink_to(tmp_path / "other")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.yaml", "a.yaml"),
        ("./a.yaml", "a.yaml"),
        ("specs//a.yaml", "specs/a.yaml"),
        ("specs/../a.yaml", "a.yaml"),
        ("../here/specs/a.yaml", "specs/a.yaml"),
        ("{here}/specs/a.yaml", "specs/a.yaml"),
        ("{here}/../link/specs/a.yaml", "specs/a.yaml"),
        ("out/a.yaml", "out/a.yaml"),
        ("<stdin>", "<stdin>"),
        ("..a.yaml", "..a.yaml"),
        ("../a.yaml", None),
        ("out/../a.yaml", None),
        ("{here}.yaml", None),
        ("/etc/a.yaml", None),
    ],
)
def test_a_path_is_relative_where_it_lies_below(path: str, name: str | None, here: Path) -> None:
    given = path.format(here=here)
    assert below(given) == name
    assert relative(given) == (name or given)


def test_the_same_directory_by_another_way(here: Path) -> None:
    assert below(str(here.parent / "link" / "specs" / "a.yaml")) == "specs/a.yaml"
