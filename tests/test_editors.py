"""What docs/editors.md tells editors to look for is what `cnnplan check --format concise` prints."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cnnplan.cli.init import TEMPLATE
from cnnplan.diagnostics import Diagnostic
from tests.cli.run import ROOT, cnnplan

PAGE = (ROOT / "docs" / "editors.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

WRONG = """\
cnnplan: 1
name: wrong
input: [3, 8, 8]
layers:
  - conv: {out_channels: 8, kernel_size: 3, paddding: 1}
  - linear: 3
"""
POOR = """\
cnnplan: 1
name: poor
input: [3, 8, 8]
layers:
  - conv: {out_channels: 8, kernel_size: 3}
  - conv: {out_channels: 8, kernel_size: 3}
    from: input
"""
FINE = POOR.replace("    from: input\n", "").replace("  - conv: {out_channels: 8, kernel_size: 3}\n", "", 1)
SPECS = {"a b/wrong one.yaml": WRONG, "a b/poor.yaml": POOR, "c:d/1:2: poor.yaml": POOR, "fine.yaml": FINE}
FOUND = [
    ("a b/poor.yaml", 5, 5, "warning", "R401"),
    ("a b/wrong one.yaml", 5, 45, "error", "Y901"),
    ("a b/wrong one.yaml", 6, 5, "error", "S003"),
    ("c:d/1:2: poor.yaml", 5, 5, "warning", "R401"),
]


def tasks() -> dict[str, Any]:
    """The tasks.json of the page."""
    (found,) = [text for language, text in BLOCKS if language == "json" and '"tasks"' in text]
    loaded: dict[str, Any] = json.loads(found)
    return loaded


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the task prints, for a folder with blanks and colons in the names of its files."""
    folder = tmp_path_factory.mktemp("my project")
    for name, text in SPECS.items():
        (folder / "specs" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "specs" / name).write_text(text)
    (task,) = tasks()["tasks"]
    assert (task["type"], task["command"]) == ("process", "cnnplan")
    arguments = [argument.replace("${workspaceFolder}", str(folder)) for argument in task["args"]]
    assert arguments != task["args"]
    result = cnnplan(*arguments)
    assert (result.code, result.err) == (1, "")
    return [line.replace(f"{folder}/specs/", "") for line in result.out.splitlines()]


def test_the_problem_matcher_reads_every_line(lines: list[str]) -> None:
    matcher = tasks()["tasks"][0]["problemMatcher"][0]["pattern"]
    found = []
    for line in lines:
        match = re.search(matcher["regexp"], line)
        assert match, line
        place = [match[matcher[key]] for key in ("file", "line", "column", "severity", "code", "message")]
        found.append((place[0], int(place[1]), int(place[2]), place[3], place[4]))
        assert line.endswith(f"] {place[5]}")
    assert sorted(found) == FOUND


def test_what_is_about_a_whole_file_is_read_by_the_other_matcher(lines: list[str]) -> None:
    first, other = (one["pattern"] for one in tasks()["tasks"][0]["problemMatcher"])
    assert other["kind"] == "file"
    out = cnnplan("check", "--format", "concise", "-q", "specs/vgg16.yaml", "--target", "rtx3090", "--batch", 9999).out
    (line,) = [line for line in out.splitlines() if "[P710]" in line]
    match = re.search(other["regexp"], line)
    assert match
    assert [match[other[key]] for key in ("file", "severity", "code")] == ["specs/vgg16.yaml", "error", "P710"]
    assert match[other["message"]].startswith("a training step at batch 9,999")
    assert not re.search(first["regexp"], line)
    diagnostic = Diagnostic("P710", "exceeds-device-memory", "error", "too large: 3; 4", "C:\\a b\\c.yaml", None, None)
    assert re.search(other["regexp"], str(diagnostic))
    plain = [line for line in lines if "c:d" not in line]
    assert not any(re.search(other["regexp"], line) for line in plain)


def test_totals_are_no_findings(tmp_path: Path) -> None:
    (tmp_path / "fine.yaml").write_text(FINE)
    out = cnnplan("check", "--format", "concise", tmp_path).out
    assert "1 layers" in out
    for one in tasks()["tasks"][0]["problemMatcher"]:
        assert not re.search(one["pattern"]["regexp"], out)


def test_severities_are_those_that_editors_know() -> None:
    (regexp, other) = (one["pattern"]["regexp"] for one in tasks()["tasks"][0]["problemMatcher"])
    assert "(error|warning|info)" in regexp
    assert "(error|warning|info)" in other


LUA = {"%d": "[0-9]", "%l": "[a-z]", "%u": "[A-Z]", "%[": r"\[", "%]": r"\]", ".-": ".*?"}


def test_the_pattern_of_nvim_lint_reads_every_line(lines: list[str]) -> None:
    (code,) = [text for language, text in BLOCKS if language == "lua"]
    pattern = re.search(r'from_pattern\(\s*"(.*)"', code)
    assert pattern
    regexp = re.sub(r"%.|\.-", lambda match: LUA[match[0]], pattern[1])
    found = []
    for line in lines:
        match = re.search(regexp, line)
        assert match, line
        found.append((int(match[1]), int(match[2]), *match.group(3, 4)))
    assert sorted(found) == sorted(place[1:] for place in FOUND)
    assert '{ "lnum", "col", "severity", "code", "message" }' in code


VIM = {"%f": "(.+?)", "%l": r"(\d+)", "%c": r"(\d+)", "%t": "(.)", "%*[a-z]": "[a-z]+", "%m": "(.+)"}


def test_the_error_format_reads_every_line(lines: list[str]) -> None:
    (vim,) = re.findall(r"^set errorformat=(.*)$", PAGE, re.MULTILINE)
    (efm,) = re.findall(r'^ *lint-formats: \["(.*)"\]$', PAGE, re.MULTILINE)
    assert vim.replace("\\ ", " ") == efm
    regexp = re.sub(r"%(\*\[a-z\]|.)", lambda match: VIM[match[0]], efm) + "$"
    for line in lines:
        match = re.search(regexp, line)
        assert match, line
        assert match[4] in "ewi"
        assert re.match(r"\[[A-Z]\d{3}\] ", match[5])


def test_the_modeline_is_what_init_writes() -> None:
    assert TEMPLATE.splitlines()[0] in PAGE
