"""The configuration: where it is found, what it says, and what is wrong with it."""

from pathlib import Path

import pytest

from cnnplan import UsageError
from cnnplan.config import DEFAULTS, Config, nearest, of, read
from cnnplan.lint.selection import Choice
from tests.cli.run import cnnplan as run

SPEC = """cnnplan: 1
name: net
input: [3, 32, 32]
layers:
  - conv: {out_channels: 8, kernel_size: 3}
  - batchnorm
"""


@pytest.fixture(autouse=True)
def anew() -> None:
    """Nothing is known of folders that were read before."""
    nearest.cache_clear()


def written(folder: Path, text: str, name: str = "cnnplan.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_everything_that_may_be_said(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        select = ["N", "H301"]
        extend-select = ["G119"]
        ignore = ["N202"]
        severity = {N201 = "error", N = "info"}
        fail-on = "warning"
        target = {device = "T4", batch = 8, dtype = "float16", optimizer = "adamw"}
        files = ["models/**/*.yaml"]
        exclude = ["models/old"]
        baseline = "known.json"
        [per-file-ignores]
        "models/x.yaml" = ["N201"]
        """,
    )
    found = of(str(tmp_path / "a" / "b.yaml"))
    assert found == Config(
        path,
        ("N", "H301"),
        ("G119",),
        ("N202",),
        {"models/x.yaml": ("N201",)},
        {"N201": "error", "N": "info"},
        "warning",
        {"device": "t4", "batch": 8, "dtype": "float16", "optimizer": "adamw"},
        ("models/**/*.yaml",),
        ("models/old",),
        "known.json",
    )


def test_pyproject(tmp_path: Path) -> None:
    written(tmp_path, '[project]\nname = "x"\n[tool.cnnplan]\nfail-on = "info"\n', "pyproject.toml")
    assert of(str(tmp_path / "x.yaml")).fail_on == "info"


@pytest.mark.parametrize(
    "text",
    [
        "[tool]\ncnnplan = {fail-on = 'info'}",
        "tool.cnnplan.fail-on = 'info'",
        "[tool]\ncnnplan.fail-on = 'info'",
        "  [ tool . 'cnnplan' ]\nfail-on = 'info'",
        "tool = {cnnplan = {fail-on = 'info'}}",
    ],
)
def test_every_way_to_write_its_table(tmp_path: Path, text: str) -> None:
    written(tmp_path, text, "pyproject.toml")
    assert of(str(tmp_path / "x.yaml")).fail_on == "info"


def test_the_nearest_counts_alone(tmp_path: Path) -> None:
    written(tmp_path, 'fail-on = "info"\nignore = ["N"]')
    written(tmp_path / "a", "[tool.other]\nx = 1\n", "pyproject.toml")
    written(tmp_path / "b", '[tool.cnnplan]\nfail-on = "never"\n', "pyproject.toml")
    written(tmp_path / "b" / "c", "")
    assert of(str(tmp_path / "x.yaml")).fail_on == "info"
    assert of(str(tmp_path / "a" / "x.yaml")).fail_on == "info"
    assert of(str(tmp_path / "b" / "x.yaml")) == Config(tmp_path / "b" / "pyproject.toml", fail_on="never")
    assert of(str(tmp_path / "b" / "c" / "x.yaml")) == Config(tmp_path / "b" / "c" / "cnnplan.toml")


def test_cnnplan_toml_goes_before_pyproject(tmp_path: Path) -> None:
    written(tmp_path, "[tool.cnnplan]\nfail-on = 'info'", "pyproject.toml")
    written(tmp_path, "fail-on = 'never'")
    assert of(str(tmp_path / "x.yaml")).fail_on == "never"


def test_a_pyproject_that_is_not_about_us_is_not_read(tmp_path: Path) -> None:
    written(tmp_path, "[tool.ruff]\n= broken", "pyproject.toml")
    assert of(str(tmp_path / "x.yaml")) == DEFAULTS


WRONG = {
    "selct = ['N']": ":1: has no key 'selct'; did you mean 'select'?",
    "\nfail_on = 'info'": ":2: has no key 'fail_on'; did you mean 'fail-on'?",
    "select = 'N'": ":1: 'select' is a list of texts, not 'N'",
    "select = ['N299']": ":1: 'select': there is no rule 'N299'; did you mean N209?",
    "ignore = [3]": ":1: 'ignore' is a list of texts, not [3]",
    "fail-on = 'warnings'": ":1: 'fail-on' is one of error, warning, info, never, not 'warnings'; did you mean 'warn",
    "severity = 'error'": ":1: 'severity' is a table, not 'error'",
    "severity = {N201 = 'fatal'}": "'N201' is one of error, warning, info, not 'fatal'",
    "severity = {N201 = 'never'}": "'N201' is one of error, warning, info, not 'never'",
    "[severity]\nX1 = 'error'": "there is no rule 'X1'",
    "target = 'a1000'": ":1: 'target': device: ",
    "target = {device = 't4', bach = 3}": "'target' has no key 'bach'; did you mean 'batch'?",
    "target = {batch = 0}": "'target': batch: ",
    "target = 3": ":1: 'target' is a table, not 3",
    "files = ['']": ":1: 'files' is a list of texts",
    "baseline = ''": ":1: 'baseline' is the name of a file, not ''",
    "per-file-ignores = ['N']": ":1: 'per-file-ignores' is a table, not ['N']",
    "[per-file-ignores]\n'x.yaml' = 'N'": ":2: 'x.yaml' is a list of texts, not 'N'",
    "select = [": " is not TOML: ",
    "a = " + "[" * 5_000: " is not TOML: ",
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:30])
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as error:
        of(str(tmp_path / "x.yaml"))
    assert str(error.value).startswith(str(path))
    assert WRONG[text] in str(error.value)


def test_a_named_file(tmp_path: Path) -> None:
    assert read(written(tmp_path, "fail-on = 'info'", "other.toml")).fail_on == "info"
    with pytest.raises(UsageError, match=r"has no table \[tool.cnnplan\]"):
        read(written(tmp_path, "[tool]\nx = 1", "pyproject.toml"))
    with pytest.raises(UsageError, match=r"cannot read .*: no such file"):
        read(tmp_path / "missing.toml")


PATTERNS = [
    ("*.yaml", "a.yaml", True),
    ("*.yaml", "x/y/a.yaml", True),
    ("./a.yaml", "a.yaml", True),
    ("models/*.yaml", "models/a.yaml", True),
    ("models/*.yaml", "models/x/a.yaml", False),
    ("models/*.yaml", "x/models/a.yaml", False),
    ("models/**/*.yaml", "models/a.yaml", True),
    ("models/**/*.yaml", "models/x/y/a.yaml", True),
    ("models/**", "models/x/y/a.yaml", True),
    ("models", "models/x/a.yaml", True),
    ("models/", "models/x/a.yaml", True),
    ("models/old", "models/old/a.yaml", True),
    ("models/old", "models/older/a.yaml", False),
    ("/a.yaml", "a.yaml", True),
    ("/a.yaml", "x/a.yaml", False),
    ("a?.yaml", "ab.yaml", True),
    ("a?.yaml", "a/.yaml", False),
    ("a.yaml", "aXyaml", False),
    ("a+(b).yaml", "a+(b).yaml", True),
]


@pytest.mark.parametrize(("pattern", "path", "covered"), PATTERNS)
def test_patterns(tmp_path: Path, pattern: str, path: str, covered: bool) -> None:
    config = Config(tmp_path / "cnnplan.toml")
    assert config.covers(pattern, str(tmp_path / path)) is covered
    assert not config.covers(pattern, str(tmp_path.parent / "elsewhere" / path))


def test_per_file_ignores(tmp_path: Path) -> None:
    config = Config(tmp_path / "cnnplan.toml", per_file_ignores={"old/*": ("N",), "*.yml": ("H",)})
    for name, expected in (("old/a.yaml", (False, True)), ("b.yml", (True, False)), ("old/c.yml", (False, False))):
        selection = config.selection(str(tmp_path / name), Choice())
        assert ("N201" in selection.wanted(Choice()), "H301" in selection.wanted(Choice())) == expected


# ------------------------------------------------------------------- on the command line


def project(folder: Path, config: str) -> Path:
    """A folder with a configuration and two specs."""
    written(folder, config)
    written(folder / "models", SPEC, "a.yaml")
    written(folder / "models" / "old", SPEC, "b.yaml")
    return folder


def checked(folder: Path, *arguments: str) -> tuple[int, list[str]]:
    """The exit code, and the files and codes of the findings."""
    result = run("check", "--format", "concise", "-q", *arguments, cwd=folder)
    found = [f"{line.split(':')[0]} {line.split('[')[1][:4]}" for line in result.out.splitlines()]
    return result.code, found


BOTH = ["models/a.yaml N201", "models/old/b.yaml N201"]

RUNS = [
    ("", ["models"], (0, BOTH)),
    ('fail-on = "warning"', ["models"], (1, BOTH)),
    ('fail-on = "warning"', ["models", "--isolated"], (0, BOTH)),
    ('fail-on = "warning"', ["models", "--fail-on", "error"], (0, BOTH)),
    ('severity = {N = "error"}', ["models"], (1, BOTH)),
    ('ignore = ["N"]', ["models"], (0, [])),
    ('ignore = ["N"]', ["models", "--select", "N201"], (0, BOTH)),
    ('select = ["H"]', ["models", "--extend-select", "N"], (0, BOTH)),
    ("", ["models", "--ignore", "N,H", "--ignore", "G"], (0, [])),
    ("", ["models", "--select", "H"], (0, [])),
    ('files = ["models/*.yaml"]', [], (0, BOTH[:1])),
    ('files = ["models/*.yaml"]', ["models"], (0, BOTH[:1])),
    ('files = ["models/*.yaml"]', ["models/old/b.yaml"], (0, BOTH[1:])),
    ('exclude = ["old"]', ["models"], (0, BOTH[:1])),
    ('exclude = ["old"]', ["models/old/b.yaml"], (0, BOTH[1:])),
    ('exclude = ["old"]', ["models/old/b.yaml", "models/a.yaml", "--skip-others"], (0, BOTH[:1])),
    ('[per-file-ignores]\n"old/" = ["N201"]', ["models"], (0, BOTH[:1])),
]


@pytest.mark.parametrize(("config", "arguments", "expected"), RUNS)
def test_runs(tmp_path: Path, config: str, arguments: list[str], expected: tuple[int, list[str]]) -> None:
    assert checked(project(tmp_path, config), *arguments) == expected


def test_another_configuration_is_named(tmp_path: Path) -> None:
    folder = project(tmp_path, 'fail-on = "warning"')
    written(folder, 'ignore = ["N"]', "other.toml")
    assert checked(folder, "models", "--config", "other.toml") == (0, [])
    both = run("check", "models", "--config", "other.toml", "--isolated", cwd=folder)
    assert (both.code, both.err) == (2, "error: --config and --isolated exclude each other\n")


def test_a_configuration_that_is_wrong_is_wrong_usage(tmp_path: Path) -> None:
    result = run("check", "models", cwd=project(tmp_path, "x = 1"))
    assert result.code == 2
    assert "has no key 'x'" in result.err
    assert run("check", "models", "--isolated", cwd=tmp_path).code == 0


def test_nothing_to_check(tmp_path: Path) -> None:
    result = run("check", cwd=project(tmp_path, ""))
    assert (result.code, result.err) == (
        2,
        "error: name a spec or a folder of specs, or set `files` in the configuration\n",
    )


def test_a_target_for_specs_that_say_none(tmp_path: Path) -> None:
    folder = project(tmp_path, 'target = {device = "t4", batch = 4}')
    (folder / "models" / "own.yaml").write_text(SPEC + "target: {device: cpu, batch: 2}\n")
    for name, given, batch, device in (
        ("a.yaml", [], 4, "t4"),
        ("own.yaml", [], 2, "cpu"),
        ("a.yaml", ["--batch", "9"], 9, "t4"),
        ("a.yaml", ["--target", "a100-80gb"], 4, "a100-80gb"),
        ("a.yaml", ["--isolated"], 1, "cuda"),
    ):
        import json

        result = run("check", f"models/{name}", "--format", "json", *given, cwd=folder)
        memory = json.loads(result.out)["specs"][0]["memory"]
        assert (memory["batch"], memory["target"]) == (batch, device)


def test_settings_are_shown(tmp_path: Path) -> None:
    folder = project(tmp_path, 'fail-on = "warning"\nignore = ["N"]\n[per-file-ignores]\n"old/" = ["H"]')
    shown = run("check", "models", "--show-settings", cwd=folder)
    assert shown.code == 0
    first, second = shown.out.split("\n\n")
    for text in (f"configuration  {folder}/cnnplan.toml", "files          models/a.yaml", 'fail-on        "warning"'):
        assert text in first
    assert "N201" in first.splitlines()[-1]
    assert "H301" not in first.splitlines()[-1]
    assert "H301" in second.splitlines()[-1]
    import json

    found = json.loads(run("check", "models/a.yaml", "--show-settings", "--format", "json", cwd=folder).out)
    assert found["settings"][0]["settings"]["ignore"] == ["N"]
