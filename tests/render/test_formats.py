"""The formats for machines: valid by each platform's own rules, whatever stands in names, messages and paths."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnplan.codes import CODES
from cnnplan.diagnostics import Diagnostic, Edit, Fix, Position, Related, Report
from cnnplan.lint.edits import applied
from cnnplan.lint.engine import rules
from cnnplan.lint.fingerprints import fingerprints
from cnnplan.planning import load
from cnnplan.render import github, gitlab, json_lines, junit, sarif
from cnnplan.render.checked import Checked
from cnnplan.version import __version__
from tests.language.helpers import dedent, net, plan

DATA = Path(__file__).parent.parent / "data"
SCHEMA = json.loads((DATA / "sarif" / "sarif-2.1.0-rtm.4.json").read_bytes())
FORMATS = (json_lines, github, gitlab, junit, sarif)
every_format = pytest.mark.parametrize("module", FORMATS, ids=lambda module: module.__name__.rpartition(".")[2])

HOSTILE = [
    "100 % of %0A and %3A, %25",
    "a::b, c=d,e",
    "::error file=x::y",
    "##[error]x",
    "'single' \"double\" `tick`",
    "<a href='x'>&amp; ]]> <!-- -->",
    "tab\tand\nline\r\nends\r",
    "naïve ü ñ 日本語 العربية",
    "🙂 👩‍👩‍👧 𝕏",
    "\x1b[31mred\x1b[0m\x07\x08\x7f\x9b",
    "\x01\x0b\x0c\x1f \ufffe\uffff",
    "\u2028\u2029\x85\u202e",
    "{0} {name} [link](1) [link](http://x)",
    "back\\slash \\n \\u0041",
]


START, END = Position(5, 5), Position(5, 9)


def finding(
    code: str = "N201",
    start: Position | None = START,
    end: Position | None = END,
    *,
    severity: str = "",
    message: str = "message",
    path: str = "a.yaml",
    **more: Any,
) -> Diagnostic:
    """A finding that nobody made."""
    kind = CODES[code]
    return Diagnostic(code, kind.name, severity or kind.severity, message, path, start, end, **more)


def broken(path: str, text: str) -> Checked:
    """A spec that is not valid, with its errors."""
    report = Report(path)
    assert load(text, report) is None
    return Checked(path, text, report.diagnostics)


ERRORS = """
    cnnplan: 1
    name: broken
    input: [3, 32, 32]
    layers:
      - conv: {out_channels: 30, kernel_size: 3, paddding: 1}
      - add:
          body:
            - conv: {out_channels: 30, kernel_size: 3, groups: 4}
          shortcut: []
      - linear: 10
"""
WARNED = net("- conv: {out_channels: 8, kernel_size: 3}\n- batchnorm\n- relu")
CLEAN = Checked("specs/clean.yaml", net("- relu"), ())


def several() -> list[Checked]:
    """Two specs that are not valid, a clean one, and one that is warned about."""
    first = broken("specs/broken.yaml", dedent(ERRORS))
    assert len(first.diagnostics) > 2
    assert any(r.start for d in first.diagnostics for r in d.related)
    second = broken("specs/nothing.yaml", "cnnplan: 1\n")
    warned = [finding("N201"), finding("R406", None, None)]
    return [first, CLEAN, Checked("specs/warned.yaml", WARNED, warned), second]


# ------------------------------------------------------------------------ what all have in common


@every_format
def test_output_ends_in_a_line_and_is_the_same_again(module: Any) -> None:
    text = module.render(several())
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert text == module.render(several())


@every_format
def test_findings_of_the_same_file_named_otherwise_are_named_alike(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if module is not json_lines:  # there, the path is what was given
        texts = {module.render([Checked(p, "x", [finding()])]) for p in ("a.yaml", "./a.yaml", f"{tmp_path}/a.yaml")}
        assert len(texts) == 1


@pytest.mark.parametrize("module", [json_lines, gitlab, junit, sarif], ids=lambda m: m.__name__)
@pytest.mark.parametrize("text", HOSTILE)
def test_files_are_ascii_whatever_a_shell_makes_of_them(module: Any, text: str) -> None:
    assert module.render(hostile(text)).isascii()


def hostile(text: str) -> list[Checked]:
    """Findings with this text wherever there is one; a path has no line ends, a name no slash."""
    path = "specs/" + re.sub("[\r\n/]", "", text) + ".yaml"
    fix = Fix(True, text, (Edit(Position(1, 1), Position(1, 2), text),))
    related = (Related(text, Position(2, 1)), Related(text))
    diagnostics = [
        finding(message=text, help=text, layer=text, related=related, fix=fix, path=path),
        finding("S006", message=text, path=path),
        finding("R406", None, None, message=text, path=path),
    ]
    return [Checked(path, f"# {text}\n" * 6, diagnostics), Checked(path.replace("specs", "clean"), text, ())]


# ------------------------------------------------------------------------ JSON lines


def test_json_lines() -> None:
    found = several()
    lines = json_lines.render(found).splitlines()
    assert [json.loads(line) for line in lines] == [d.as_dict() for x in found for d in x.diagnostics]
    assert json_lines.render([CLEAN]) == json_lines.render([]) == ""


@pytest.mark.parametrize("text", HOSTILE)
def test_json_lines_of_hostile_text(text: str) -> None:
    (checked, _) = found = hostile(text)
    lines = json_lines.render(found).splitlines()  # at all that Python takes for the end of a line
    assert [json.loads(line) for line in lines] == [d.as_dict() for d in checked.diagnostics]


# ------------------------------------------------------------------------ GitHub's annotations


def commands(output: str) -> list[tuple[str, dict[str, str], str]]:
    """Workflow commands as GitHub's runner reads them: name, properties, message."""
    found = []
    for line in re.split("\r\n|\r|\n", output.removesuffix("\n")):
        assert line.startswith("::")
        head, separator, data = line[2:].partition("::")
        assert separator
        name, _, listed = head.partition(" ")
        properties = {}
        for one in filter(None, listed.strip().split(",")):
            key, equals, value = one.partition("=")
            assert equals
            assert value
            properties[key] = unescaped(value, "\r\n:,%")
        found.append((name, properties, unescaped(data, "\r\n%")))
    return found


def unescaped(text: str, marks: str) -> str:
    for mark in marks:  # the percent sign is the last
        text = text.replace(f"%{ord(mark):02X}", mark)
    return text


def test_github() -> None:
    found = commands(github.render(several()))
    name, properties, message = found[0]
    assert name == "error"
    assert properties == {
        "file": "specs/broken.yaml",
        "line": "5",
        "endLine": "5",
        "col": "46",
        "endColumn": "54",
        "title": "cnnplan (Y901)",
    }
    assert message == "'conv' has no argument 'paddding'; did you mean 'padding'?"
    assert {p["file"] for _, p, _ in found} == {"specs/broken.yaml", "specs/warned.yaml", "specs/nothing.yaml"}


def test_github_shows_errors_first_and_keeps_the_order_otherwise() -> None:
    def each(path: str) -> Checked:
        codes = [("R406", 1), ("N201", 2), ("S006", 3), ("N202", 4), ("S001", 5)]
        return Checked(path, "\n" * 9, [finding(code, Position(n, 1), Position(n, 2)) for code, n in codes])

    found = commands(github.render([each("b.yaml"), each("a.yaml")]))
    assert [name for name, _, _ in found] == ["error"] * 4 + ["warning"] * 4 + ["notice"] * 2
    places = [p["file"][0] + p["line"] for _, p, _ in found]
    assert places == ["b3", "b5", "a3", "a5", "b2", "b4", "a2", "a4", "b1", "a1"]


def test_github_takes_columns_of_one_line_only() -> None:
    ((_, properties, _),) = commands(
        github.render([Checked("a.yaml", "one\ntwo\nthree\n", [finding(start=Position(1, 2), end=Position(3, 4))])])
    )
    assert properties.items() >= {"line": "1", "endLine": "3"}.items()
    assert not properties.keys() & {"col", "endColumn"}


def test_github_without_a_place_and_without_findings() -> None:
    ((_, properties, message),) = commands(github.render([Checked("a.yaml", "x", [finding("S018", None, None)])]))
    assert properties == {"file": "a.yaml", "title": "cnnplan (S018)"}
    assert message == "message"
    assert github.render([CLEAN]) == github.render([]) == ""


@pytest.mark.parametrize("text", HOSTILE)
def test_github_escapes_what_it_would_read(text: str) -> None:
    checked, _ = found = hostile(text)
    read = commands(github.render(found))
    assert [name for name, _, _ in read] == ["error", "warning", "notice"]
    assert {p["file"] for _, p, _ in read} == {checked.path}
    assert [message for _, _, message in read] == [text, f"{text}; {text}", text]


@given(st.text(), st.text(st.characters(exclude_characters="/\0\r\n", exclude_categories=["Cs"]), min_size=1))
def test_github_round_trip(message: str, name: str) -> None:
    path = f"specs/{name}.yaml"
    ((_, properties, data),) = commands(github.render([Checked(path, "x" * 20, [finding(message=message)])]))
    assert data == message
    assert properties["file"] == path


# ------------------------------------------------------------------------ GitLab's Code Quality


def issues(found: Sequence[Checked]) -> list[dict[str, Any]]:
    """The report, held against what GitLab requires."""
    report = json.loads(gitlab.render(found))
    assert isinstance(report, list)
    for issue in report:
        assert issue.keys() == {"description", "check_name", "fingerprint", "severity", "location"}
        assert all(isinstance(issue[key], str) and issue[key] for key in issue.keys() - {"location"})
        assert issue["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert not issue["location"]["path"].startswith(("/", "./"))
        for place in issue["location"]["positions"].values():
            assert place.keys() == {"line", "column"}
            assert all(isinstance(n, int) and n > 0 for n in place.values())
    known = [issue["fingerprint"] for issue in report]
    assert len(set(known)) == len(known)
    return report


def test_gitlab() -> None:
    found = several()
    report = issues(found)
    assert report[0] == {
        "description": "Y901: 'conv' has no argument 'paddding'; did you mean 'padding'?",
        "check_name": "Y901",
        "fingerprint": fingerprints(*found[0])[0],
        "severity": "critical",
        "location": {
            "path": "specs/broken.yaml",
            "positions": {"begin": {"line": 5, "column": 46}, "end": {"line": 5, "column": 54}},
        },
    }
    assert [i["location"]["path"] for i in report] == [x.path for x in found for _ in x.diagnostics]


def test_gitlab_levels() -> None:
    report = issues([Checked("a.yaml", "", [finding(code) for code in ("S006", "N201", "R406")])])
    assert [issue["severity"] for issue in report] == ["critical", "major", "info"]


def test_gitlab_without_a_place_and_without_findings() -> None:
    (issue,) = issues([Checked("./a.yaml", "first\n", [finding("S018", None, None)])])
    assert issue["location"]["path"] == "a.yaml"
    assert issue["location"]["positions"] == {"begin": {"line": 1, "column": 1}, "end": {"line": 1, "column": 6}}
    assert issues([CLEAN]) == issues([]) == []


def test_gitlab_tells_equal_findings_apart_and_has_one_file_once() -> None:
    text = "- conv: 3\n- conv: 3\n"
    twice = [finding(start=Position(n, 3), end=Position(n, 7)) for n in (1, 2)]
    assert len(issues([Checked("a.yaml", text, twice), Checked("b.yaml", text, twice)])) == 4
    assert len(issues([Checked("a.yaml", text, twice), Checked("./a.yaml", text, twice)])) == 2


@pytest.mark.parametrize("text", HOSTILE)
def test_gitlab_of_hostile_text(text: str) -> None:
    checked, _ = found = hostile(text)
    report = issues(found)
    assert [i["description"] for i in report] == [f"N201: {text}; {text}", f"S006: {text}", f"R406: {text}"]
    assert {i["location"]["path"] for i in report} == {checked.path}


# ------------------------------------------------------------------------ JUnit


def suites(found: Sequence[Checked]) -> ET.Element:
    """The report, held against what its readers agree on."""
    root = ET.fromstring(junit.render(found))
    assert root.tag == "testsuites"
    assert [suite.tag for suite in root] == ["testsuite"] * len(found)
    names = set()
    for suite in root:
        cases = list(suite)
        assert cases
        for case in cases:
            assert case.tag == "testcase"
            assert set(case.keys()) >= {"name", "classname", "file", "time"}
            assert {child.tag for child in case} <= {"failure", "system-out"}
            names.add((case.get("classname"), case.get("name")))
    assert len(names) == len(list(root.iter("testcase")))
    for element in (root, *root):
        assert element.get("tests") == str(len(list(element.iter("testcase"))))
        assert element.get("failures") == str(len(list(element.iter("failure"))))
        assert element.get("errors") == element.get("skipped") == "0"
    return root


def test_junit() -> None:
    found = several()
    root = suites(found)
    assert [suite.get("name") for suite in root] == [x.path for x in found]
    case = root[0][0]
    assert case.attrib == {
        "classname": "specs/broken",
        "name": "Y901 unknown-key 5:46",
        "file": "specs/broken.yaml",
        "line": "5",
        "time": "0",
    }
    assert case[0].attrib == {"message": "'conv' has no argument 'paddding'", "type": "error"}
    assert (case[0].text or "").splitlines() == [
        "specs/broken.yaml:5:46: error[Y901] 'conv' has no argument 'paddding'; did you mean 'padding'?",
        found[0].diagnostics[0].url,
    ]
    merge = next(case for case in root[0] if "S005" in (case.get("name") or ""))
    assert "branch 'shortcut' ends in 30x32x32 (line 9)\n" in (merge[0].text or "")


def test_junit_a_clean_spec_is_a_case_that_passes() -> None:
    (suite,) = suites([CLEAN])
    (case,) = suite
    assert (case.get("name"), case.get("classname"), len(case)) == ("cnnplan check", "specs/clean", 0)
    assert len(suites([])) == 0


def test_junit_errors_and_warnings_fail_and_notes_do_not() -> None:
    ((*cases,),) = suites([Checked("a.yaml", "", [finding(code) for code in ("S006", "N201", "R406")])])
    assert [[child.tag for child in case] for case in cases] == [["failure"], ["failure"], ["system-out"]]
    assert [case[0].get("type") for case in cases] == ["error", "warning", None]


def test_junit_tells_equal_findings_apart() -> None:
    found = [finding("S018", None, None, message=m) for m in "abc"]
    ((*cases,),) = suites([Checked("a.yaml", "", found)])
    assert [case.get("name") for case in cases] == [f"S018 declared-sizes-illegal{n}" for n in ("", " (2)", " (3)")]
    assert not any("line" in case.attrib for case in cases)


@pytest.mark.parametrize("text", HOSTILE)
def test_junit_of_hostile_text(text: str) -> None:
    checked, clean = found = hostile(text)
    root = suites(found)
    path = readable(checked.path)
    assert root[0].get("name") == path
    failure = root[0][0][0]
    assert failure.get("message") == readable(text)
    expected = readable(f"{path}:5:5: warning[N201] {text}; {text}\n{text} (line 2)\n{text}\n")
    assert (failure.text or "").startswith(re.sub("\r\n?", "\n", expected))  # as XML reads the end of a line
    assert root[1].get("name") == readable(clean.path)


def readable(text: str) -> str:
    """Without what XML 1.0 has no way to write."""
    return "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff"))


def test_junit_of_a_path_that_is_no_text() -> None:
    (suite,) = suites([Checked("a\udcff\x00.yaml", "", ())])
    assert suite.get("name") == "a.yaml"


# ------------------------------------------------------------------------ SARIF


def log(found: Sequence[Checked]) -> dict[str, Any]:
    """The run, held against the schema and against what GitHub's code scanning requires beside it."""
    whole = json.loads(sarif.render(found))
    validator = jsonschema.Draft4Validator(SCHEMA)
    assert [error.message for error in validator.iter_errors(whole)] == []
    assert whole["$schema"].endswith("sarif-2.1.0.json")
    assert "" not in list(strings(whole))
    (run,) = whole["runs"]
    rules = run["tool"]["driver"]["rules"]
    for rule in rules:
        assert rule["id"] in CODES
        assert len(rule["name"]) <= 255
        assert len(rule["shortDescription"]["text"]) <= 1024
        assert len(rule["fullDescription"]["text"]) <= 1024
        assert rule["help"].keys() == {"text", "markdown"}
        properties = rule["properties"]
        assert len(properties["tags"]) <= 10
        assert properties["precision"] in ("very-high", "high", "medium", "low")
        assert properties["problem.severity"] in ("error", "warning", "recommendation")
        assert "security-severity" not in properties
    assert run["automationDetails"]["id"].endswith("/")
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("note", "warning", "error")
        assert result["message"]["text"]
        assert result["partialFingerprints"].keys() == {"cnnplan/v1"}  # GitHub makes its own beside it
        (location,) = result["locations"]
        region = location["physicalLocation"]["region"]
        assert region.keys() == {"startLine", "startColumn", "endLine", "endColumn"}
        assert (region["startLine"], region["startColumn"]) <= (region["endLine"], region["endColumn"])
    return run


def strings(value: Any) -> Iterator[str]:
    """All texts in a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def path_of(location: dict[str, Any]) -> str:
    """The file that a location names, read as a URI."""
    parts = urlsplit(location["uri"])
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
    assert location["uriBaseId"] == "%SRCROOT%"
    return unquote(parts.path, errors="surrogateescape")


def test_sarif() -> None:
    found = several()
    run = log(found)
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["semanticVersion"]) == ("cnnplan", __version__)
    assert run["columnKind"] == "unicodeCodePoints"
    assert [rule["id"] for rule in driver["rules"]] == sorted({d.code for x in found for d in x.diagnostics})
    results = run["results"]
    assert [r["ruleId"] for r in results] == [d.code for x in found for d in x.diagnostics]
    known = [r["partialFingerprints"]["cnnplan/v1"] for r in results]
    assert known == [known for x in found for known in fingerprints(*x)]
    first = results[0]
    assert first["message"]["text"] == "'conv' has no argument 'paddding'; did you mean 'padding'?"
    place = first["locations"][0]["physicalLocation"]
    assert path_of(place["artifactLocation"]) == "specs/broken.yaml"
    assert place["region"] == {"startLine": 5, "startColumn": 46, "endLine": 5, "endColumn": 54}


def test_sarif_related_places_are_locations_and_the_others_part_of_the_message() -> None:
    related = (Related("from here", Position(2, 3)), Related("the same in 'b'"), Related("to there", Position(4, 1)))
    run = log([Checked("a.yaml", "x\n" * 9, [finding(help="way out", related=related)])])
    (result,) = run["results"]
    assert result["message"]["text"] == "message; way out\nthe same in 'b'"
    places = result["relatedLocations"]
    assert [(p["id"], p["message"]["text"]) for p in places] == [(1, "from here"), (2, "to there")]
    assert [p["physicalLocation"]["region"] for p in places] == [
        {"startLine": 2, "startColumn": 3},
        {"startLine": 4, "startColumn": 1},
    ]


def test_sarif_levels_are_those_of_the_findings() -> None:
    found = [finding(code) for code in ("S006", "N201", "R406")] + [finding("N201", severity="info")]
    run = log([Checked("a.yaml", "", found)])
    assert [r["level"] for r in run["results"]] == ["error", "warning", "note", "note"]
    rules = run["tool"]["driver"]["rules"]
    assert [(r["id"], r["defaultConfiguration"]["level"]) for r in rules] == [
        ("N201", "warning"),
        ("R406", "note"),
        ("S006", "error"),
    ]
    assert [r["properties"]["problem.severity"] for r in rules] == ["warning", "recommendation", "error"]


def test_sarif_explains_rules_by_their_documentation() -> None:
    (rule,) = log([Checked("a.yaml", "", [finding("N201")])])["tool"]["driver"]["rules"]
    assert rule["name"] == "bias-before-batchnorm"
    assert rule["shortDescription"]["text"] == CODES["N201"].meaning
    assert "arXiv:1502.03167" in rule["help"]["text"]
    assert rule["help"]["markdown"].startswith(rule["help"]["text"].removesuffix(rule["helpUri"]))
    assert rule["help"]["markdown"].endswith(f"[N201 bias-before-batchnorm]({rule['helpUri']})")
    full = rule["fullDescription"]["text"]
    assert full.startswith("A bias that the normalization behind it subtracts again.")
    assert "\n" not in full
    assert "Source" not in full
    assert rule["properties"]["tags"] == ["normalization"]


def test_sarif_of_every_rule() -> None:
    """Each rule's documentation fits, and its own `bad` spec makes a valid run."""
    codes = [rule.code for rule in rules()]
    run = log([Checked("a.yaml", "", [finding(code) for code in CODES])])
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == sorted(CODES)
    for code in codes:
        (rule,) = (rule for rule in run["tool"]["driver"]["rules"] if rule["id"] == code)
        assert rule["help"]["text"] != CODES[code].meaning


def test_sarif_cuts_what_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    class Long:
        __doc__ = "word " * 400

    monkeypatch.setattr(sarif, "rule", lambda code: Long)
    (rule,) = log([Checked("a.yaml", "", [finding("N201")])])["tool"]["driver"]["rules"]
    assert len(rule["fullDescription"]["text"]) == 1024
    assert rule["fullDescription"]["text"].endswith("…")
    assert len(rule["help"]["text"]) > 1024


def test_sarif_where_python_runs_without_docstrings(monkeypatch: pytest.MonkeyPatch) -> None:
    class Undocumented:
        __doc__ = None

    monkeypatch.setattr(sarif, "rule", lambda code: Undocumented)
    (rule,) = log([Checked("a.yaml", "", [finding("N201")])])["tool"]["driver"]["rules"]
    assert rule["fullDescription"]["text"] == CODES["N201"].meaning


def test_sarif_without_findings() -> None:
    for found in ([CLEAN], []):
        run = log(found)
        assert run["results"] == run["tool"]["driver"]["rules"] == []


def test_sarif_without_a_place() -> None:
    (result,) = log([Checked("a.yaml", "first\nsecond\n", [finding("S018", None, None)])])["results"]
    region = result["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 6}


@pytest.mark.parametrize("text", HOSTILE)
def test_sarif_of_hostile_text(text: str) -> None:
    checked, _ = found = hostile(text)
    first, *_ = results = log(found)["results"]
    assert first["message"]["text"] == f"{text}; {text}\n{text}"
    assert {path_of(r["locations"][0]["physicalLocation"]["artifactLocation"]) for r in results} == {checked.path}
    (fix,) = first["fixes"]
    (change,) = fix["artifactChanges"]
    assert change["replacements"][0]["insertedContent"]["text"] == text
    assert fix["description"]["text"] == text


def test_sarif_of_paths_that_are_no_text_or_lie_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    paths = ["a\udcff.yaml", "<stdin>", "../b c.yaml", "c:d.yaml", "//e.yaml"[1:]]
    results = log([Checked(path, "x", [finding()]) for path in paths])["results"]
    places = [r["locations"][0]["physicalLocation"]["artifactLocation"] for r in results]
    assert [path_of(places[n]) for n in (0, 1, 3)] == ["a\udcff.yaml", "<stdin>", "c:d.yaml"]
    assert [places[n] for n in (2, 4)] == [
        {"uri": (tmp_path.resolve() / "b c.yaml").as_uri()},
        {"uri": "file:///e.yaml"},
    ]


# ------------------------------------------------------------------------ fixes in SARIF


def replaced(text: str, fix: dict[str, Any], newlines: Sequence[str]) -> str:
    """The text with a SARIF fix, by SARIF's rules: lines and columns from 1, the end exclusive."""
    ends = re.compile("|".join(map(re.escape, newlines)))
    starts = [0, *(end.end() for end in ends.finditer(text))]
    (change,) = fix["artifactChanges"]
    spans = []
    for replacement in change["replacements"]:
        region = replacement["deletedRegion"]
        start = starts[region["startLine"] - 1] + region["startColumn"] - 1
        end = starts[region["endLine"] - 1] + region["endColumn"] - 1
        spans.append((start, end, replacement.get("insertedContent", {"text": ""})["text"]))
    for start, end, new in sorted(spans, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def edit(start: tuple[int, int], end: tuple[int, int], text: str) -> Edit:
    return Edit(Position(*start), Position(*end), text)


FIXES = {
    "one": ("a: 1\nb: 2\n", [edit((2, 4), (2, 5), "3")]),
    "several": ("a: 1\nb: 2\nc: 3\n", [edit((1, 4), (1, 5), "x\n  y"), edit((3, 1), (3, 1), "- ")]),
    "a line goes": ("a: 1\nb: 2\nc: 3\n", [edit((2, 1), (3, 1), "")]),
    "other ends of lines": ("a: 1\r\nb: 2\rc: 3\n", [edit((2, 4), (2, 5), "x"), edit((3, 1), (3, 2), "d")]),
    "beyond 16 bits": ("# 🙂𝕏: [🙂, 1]\n", [edit((1, 10), (1, 11), "2")]),
    "at the end": ("a: 1\nb: 2", [edit((2, 5), (2, 5), "\nc: 3")]),
}


@pytest.mark.parametrize(("text", "edits"), FIXES.values(), ids=FIXES)
def test_a_fix_in_sarif_does_what_its_edits_do(text: str, edits: list[Edit]) -> None:
    fix = Fix(True, "mend it", tuple(edits))
    run = log([Checked("a.yaml", text, [finding(start=Position(1, 1), end=Position(1, 2), fix=fix)])])
    (found,) = run["results"][0]["fixes"]
    mended = applied(text, edits)
    assert mended != text
    assert replaced(text, found, run["newlineSequences"]) == mended
    assert path_of(found["artifactChanges"][0]["artifactLocation"]) == "a.yaml"


def test_the_fix_of_a_real_finding() -> None:
    diagnostics = plan(WARNED).diagnostics
    run = log([Checked("a.yaml", WARNED, diagnostics)])
    (fix,) = run["results"][0]["fixes"]
    mended = replaced(WARNED, fix, run["newlineSequences"])
    assert mended == WARNED.replace("kernel_size: 3", "kernel_size: 3, bias: false")
    assert not plan(mended).diagnostics
    assert fix["properties"] == {"safe": True}


def test_a_fix_that_changes_the_network_says_so_and_one_without_edits_is_none() -> None:
    edits = (edit((1, 1), (1, 2), "y"),)
    found = [finding(fix=Fix(False, "mend it", edits)), finding(fix=Fix(True, "nothing", ())), finding()]
    first, *others = log([Checked("a.yaml", "x", found)])["results"]
    assert first["fixes"][0]["description"]["text"] == "mend it (changes what the network computes)"
    assert first["fixes"][0]["properties"] == {"safe": False}
    assert all("fixes" not in other for other in others)


# ------------------------------------------------------------------------ where findings end

SPANS = {
    "as given": ("abc def", (1, 1), (1, 4), (1, 4)),
    "not said: its line": ("abc def  \nx", (1, 3), None, (1, 8)),
    "blank lines behind a block": ("a:\n  b\n\n  \nc", (1, 1), (5, 1), (2, 4)),
    "blanks behind it": ("a:\n  b   \nc", (1, 1), (2, 7), (2, 4)),
    "several lines": ("a:\n  b\nc", (1, 1), (2, 4), (2, 4)),
    "what ends no line in YAML": ("a\u2028b\x85c\nabc  ", (2, 1), None, (2, 4)),
    "nothing there": ("\n\n", (2, 1), None, (2, 1)),
    "blanks alone": ("a\n     \n", (2, 3), (2, 5), (2, 3)),
    "outside of the text": ("a", (7, 3), (7, 5), (7, 5)),
    "far outside": ("", (3, 4), None, (3, 4)),
}


@pytest.mark.parametrize(("text", "start", "end", "expected"), SPANS.values(), ids=SPANS)
def test_where_findings_end(
    text: str, start: tuple[int, int], end: tuple[int, int] | None, expected: tuple[int, int]
) -> None:
    found = finding(start=Position(*start), end=Position(*end) if end else None)
    ((same, first, last),) = Checked("a.yaml", text, [found]).spans()
    assert same is found
    assert (first, last) == (start, expected)
