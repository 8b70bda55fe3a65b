"""`cnnplan rule`: the list of the rules, and their pages."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cnnplan.codes import CODES, READING
from cnnplan.errors import UsageError
from cnnplan.lint.base import Refusal, Rule
from cnnplan.lint.engine import rules
from cnnplan.render import rules as renderer
from cnnplan.render.findings import finding, split
from tests.cli.inside import cnnplan
from tests.language.helpers import dedent

PAGE = """\
R409 dropped-branch
info, on by default, no fix

A branch that has layers, and is removed by its own `if`.

A merge that is left with one branch is that branch: the sum, and what was to be added, are gone.
That is meant where a block serves several depths, and an accident where a condition is the wrong
way round. So it is told, at level info, and the spec stays valid.

Nothing is to be done where it is meant; else correct the condition.

bad
    cnnplan: 1
    name: bad
    input: [8, 16, 16]
    variables: {residual: false}
    layers:
      - add:
          body:
            - conv: {out_channels: 8, kernel_size: 3, padding: 1}
          shortcut: {layers: [batchnorm], if: =residual}
      - relu

info[R409] branch 'shortcut' of 'add1' is removed by its `if`
 --> bad.yaml:9:7
  |
9 |       shortcut: {layers: [batchnorm], if: =residual}
  |       ^^^^^^^^

good
    cnnplan: 1
    name: good
    input: [8, 16, 16]
    variables: {residual: true}
    layers:
      - add:
          body:
            - conv: {out_channels: 8, kernel_size: 3, padding: 1}
          shortcut: {layers: [batchnorm], if: =residual}
      - relu

To ignore it in a line: `# cnnplan: ignore[R409] reason`; in a spec: `lint: {ignore: [R409]}`.
Source: docs/language.md, Branches.
"""


def heads(text: str) -> list[str]:
    """The rules that pages are about."""
    return re.findall(r"^([A-Z]\d{3}) \S+$", text, re.MULTILINE)


def test_the_page_of_a_rule() -> None:
    assert cnnplan("rule", "R409") == (0, PAGE, "")


@pytest.mark.parametrize("word", ["r409", "dropped-branch", "Dropped-Branch"])
def test_a_rule_goes_by_its_code_or_its_name(word: str) -> None:
    assert cnnplan("rule", word).out == PAGE


def test_several_rules_and_beginnings_of_codes_each_once() -> None:
    assert heads(cnnplan("rule", "Y908", "S001", "missing-flatten", "S001").out) == ["Y908", "S001", "S003"]
    assert heads(cnnplan("rule", "S00").out) == [code for code in CODES if code.startswith("S00")]


def test_pages_fit_the_width() -> None:
    out = cnnplan("rule", "Y907", "S001", COLUMNS="60").out
    prose = [line for line in out.splitlines() if not re.match(r" |error\[|\d+ \|", line)]
    assert max(map(len, prose)) <= 60
    assert "\nA spec that does not say which version of the language it is\nwritten in" in out
    assert max(map(len, cnnplan("rule", "S001", COLUMNS="200").out.splitlines())) < 120


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["N299"], "there is no rule 'N299'; did you mean N209?"),
        (["N201", "n299"], "there is no rule 'n299'; did you mean N209?"),
        (["bias-before-batchnrm"], "there is no rule 'bias-before-batchnrm'; did you mean bias-before-batchnorm?"),
        (["zzz"], "there is no rule 'zzz'; `cnnplan rule` lists them"),
        ([""], "there is no rule ''; `cnnplan rule` lists them"),
        (["x" * 99], f"there is no rule '{'x' * 40}'; `cnnplan rule` lists them"),
        (["--all", "N201"], "--all explains every rule: leave out N201"),
    ],
)
def test_what_is_no_rule_is_wrong_usage(words: list[str], message: str) -> None:
    assert cnnplan("rule", *words) == (2, "", f"error: {message}\n")


# -------------------------------------------------------------------- the list


def test_the_list_has_every_rule_in_its_group() -> None:
    result = cnnplan("rule", COLUMNS="80")
    assert (result.code, result.err) == (0, "")
    groups = [part.splitlines() for part in result.out.split("\n\n")]
    assert groups[-1] == ["`cnnplan rule CODE` explains one."]
    assert [lines[0] for lines in groups[:-1]] == [
        title for letter, title in renderer.GROUPS.items() if any(rule.code[0] == letter for rule in rules())
    ]
    listed = [(match[1], match[2]) for match in re.finditer(r"^  ([A-Z]\d{3}) (\S+)  ", result.out, re.MULTILINE)]
    assert sorted(listed) == sorted((rule.code, CODES[rule.code].name) for rule in rules())
    for lines in groups[:-1]:
        codes = [line[2:6] for line in lines if re.match(r"  \S", line)]
        assert codes == sorted(codes)
        assert len({renderer.GROUPS[code[0]] for code in codes}) == 1


@pytest.mark.parametrize("columns", [40, 80, 160])
def test_every_line_of_the_list_fits_the_width(columns: int) -> None:
    lines = cnnplan("rule", COLUMNS=str(columns)).out.splitlines()
    if columns == 40:  # names are not broken
        lines = [line for line in lines if line.startswith("       ")]
    assert max(map(len, lines)) <= columns


def test_the_list_says_what_a_rule_is_in_a_line_or_two() -> None:
    out = cnnplan("rule", COLUMNS="80").out
    assert "\n  N201 bias-before-batchnorm  warning, safe fix\n       A bias that the normalization" in out
    assert "\n  R409 dropped-branch  info\n       A branch that has layers, and is removed by its own `if`.\n" in out
    assert "\n  Y908 invalid-yaml  error\n" in out
    off = [rule.code for rule in rules() if not CODES[rule.code].default]
    assert re.findall(r"(\S+) \S+  .*off by default", out) == off


# -------------------------------------------------------------------- other formats


def document(*words: str) -> list[dict[str, Any]]:
    """The rules of the JSON document."""
    loaded = json.loads(cnnplan("rule", *words, "--format", "json").out)
    assert loaded["format_version"] == "1.0"
    assert loaded.keys() == {"format_version", "rules"}
    found: list[dict[str, Any]] = loaded["rules"]
    return found


def test_json_of_one_rule() -> None:
    (rule,) = document("Y918")
    assert rule["explanation"].startswith(
        "It is left over from a mistake that is mended by now, or stands in the wrong line. It"
    )
    assert "\n\nRemove it. A comment at the end of a line" in rule.pop("explanation")
    assert rule.pop("bad").startswith("cnnplan: 1\nname: bad\ninput: [3, 32, 32]\nlayers:\n  - conv: {out_channels: 8")
    assert rule.pop("good").endswith("# cnnplan: ignore[N201] as published\n  - batchnorm\n  - relu\n")
    assert rule == {
        "code": "Y918",
        "name": "unused-ignore",
        "severity": "warning",
        "default": True,
        "fix": "safe",
        "summary": "A comment that ignores findings where none of them is.",
        "source": "docs/lint.md, Ignoring findings.",
        "url": "https://github.com/cnnplan/cnnplan/blob/main/docs/rules/Y918.md",
    }


def test_json_has_all_rules_in_the_order_of_the_catalogue() -> None:
    found = document()
    assert [rule["code"] for rule in found] == [rule.code for rule in rules()]
    assert document("--all") == found
    assert {rule["fix"] for rule in found} == {None, "safe", "unsafe"}
    for rule in found:
        kind = CODES[rule["code"]]
        assert (rule["name"], rule["severity"], rule["default"]) == (kind.name, kind.severity, kind.default)
        assert rule["summary"]
        assert "\n" not in rule["summary"] + rule["source"]
        assert "\n " not in rule["explanation"]
        assert "cnnplan: 1\n" in rule["good"]


def test_markdown_of_one_rule_and_of_the_list() -> None:
    page = cnnplan("rule", "y918", "--format", "markdown").out
    assert page.startswith(
        "# Y918 unused-ignore\n\n| level | default | fix |\n| :-- | :-- | :-- |\n| warning | on | safe: `"
    )
    assert "\n```yaml\ncnnplan: 1\nname: bad\n" in page
    assert "\n```text\nwarning[Y918] the comment ignores nothing" in page
    assert page.endswith("\n\nSource: docs/lint.md, Ignoring findings.\n")
    two = cnnplan("rule", "Y918", "Y908", "--format", "markdown").out
    assert two.startswith(f"{page}\n# Y908 invalid-yaml\n")
    index = cnnplan("rule", "--format", "markdown").out
    assert " |\n\n# Geometry of windows and maps\n\n| code |" in index
    assert "# Shapes\n\n| code | name | level | fix | |\n| :-- | :-- | :-- | :-- | :-- |\n| S001 |" in index
    assert (
        "| Y918 | unused-ignore | warning | safe | A comment that ignores findings where none of them is |\n" in index
    )
    assert re.search(r"\| G119 \| aliasing-downsample \| info, off by default \| (unsafe|safe|) \|", index)


def test_all_pages_and_output_to_a_file(tmp_path: Path) -> None:
    target = tmp_path / "rules.txt"
    assert cnnplan("rule", "--all", "-o", target) == (0, "", "")
    assert heads(target.read_text()) == [rule.code for rule in rules()]
    assert cnnplan("rule", "--all", "--color", "always").out.startswith("\x1b[1mS001 spatial-collapse")


# -------------------------------------------------------------------- each rule


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.code)
def test_a_page_shows_the_finding_as_check_prints_it(rule: type[Rule], tmp_path: Path) -> None:
    about = renderer.about(rule)
    assert about.bad.strip() == dedent(rule.bad).strip()
    assert about.valid is (CODES[rule.code].when != READING or rule.code == "R409")
    assert about.found.code == rule.code
    shown = finding(about.found, split(about.bad)).plain
    (tmp_path / "bad.yaml").write_text(about.bad)
    options = ["-v", "--extend-select", rule.code] if about.valid else []
    assert shown in cnnplan("check", "bad.yaml", *options, cwd=tmp_path).out
    text = renderer.page(about, 80).plain
    assert shown in text
    assert ("cannot be ignored" in text) is (not about.valid)
    fenced = re.findall(r"^```(\w+)\n(.*?)^```$", renderer.markdown(about), re.MULTILINE | re.DOTALL)
    assert fenced == [
        ("yaml" if about.valid else "text", about.bad),
        ("text", f"{shown.rstrip()}\n"),
        ("yaml", about.good),
    ]


def test_how_a_rule_is_ignored_or_looked_for() -> None:
    found = {rule.code: renderer.page(renderer.about(rule), 100).plain for rule in rules()}
    assert "It cannot be ignored: there is no network to plan.\n" in found["S001"]
    assert "To ignore it in a spec: `lint: {ignore: [Y918]}`.\n" in found["Y918"]
    assert "`# cnnplan: ignore[R409] reason`" in found["R409"]
    for code, text in found.items():
        assert (f"`cnnplan check --extend-select {code}`" in text) is (not CODES[code].default)


class Listing(Refusal):
    """A rule.

    Some
    words.

    - a list whose first point is so long that a narrow terminal breaks it
    - another

    Source: Somebody
    1999.
    """

    code = "S003"
    bad = """
        cnnplan: 1
        name: bad
        input: [3, 8, 8]
        layers: [linear: 3]
    """
    good = bad


def test_lists_stay_lists_and_paragraphs_flow() -> None:
    about = renderer.about(Listing)
    assert about.source == "Somebody 1999."
    assert renderer.as_dict(about)["explanation"].startswith("Some words.\n\n- a list whose first point")
    text = renderer.page(about, 40).plain
    said = (
        "\n\nSome words.\n\n- a list whose first point is so long\n  that a narrow terminal breaks it\n- another\n\nbad"
    )
    assert said in text


def test_a_rule_that_does_not_find_its_bad_spec_is_a_mistake_of_ours() -> None:
    class Wrong(Listing):
        """A rule."""

        code = "S001"

    with pytest.raises(AssertionError, match="S001"):
        renderer.about(Wrong)
    with pytest.raises(UsageError, match="did you mean"):
        renderer.chosen(["spatial-colapse"])
