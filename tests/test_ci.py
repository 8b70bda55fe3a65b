"""What others' CI takes from here: the pre-commit hooks, the action, the snippets in docs/ci.md. All of it is run."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml  # noqa: TID251 - these files are read by parsers that are not ours

from cnnplan.version import HOME, __version__
from tests.cli.run import ROOT, Result

HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
PAGE = (ROOT / "docs" / "ci.md").read_text()
SNIPPETS = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]
ANNOTATIONS, SCANNING, COST, GITLAB, PRE_COMMIT = SNIPPETS
SLUG = HOME.removeprefix("https://github.com/")

GOOD = "cnnplan: 1\nname: good\ninput: [3, 8, 8]\nlayers:\n  - relu\n"
BAD = "cnnplan: 1\nname: bad\ninput: [3, 8, 8]\nlayers:\n  - conv: {out_channels: 4, kernel_size: 9}\n"
OTHER = "key: value\nlayers: [layer]\n"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with a good spec and YAML that is none."""
    (tmp_path / "repo" / "specs").mkdir(parents=True)
    (tmp_path / "repo" / "specs" / "good.yaml").write_text(GOOD)
    (tmp_path / "repo" / "other.yaml").write_text(OTHER)
    return tmp_path / "repo"


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder of commands: `cnnplan` is this one, `pip` and `gh` do nothing but say that they were called."""
    folder = tmp_path / "tools"
    folder.mkdir()
    command(folder / "cnnplan", f'exec "{sys.executable}" -m cnnplan "$@"')
    for name in ("pip", "gh"):
        command(folder / name, f'echo "{name} $*" >> "{tmp_path}/called"')
    return folder


def command(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def bash(script: str, cwd: Path, tools: Path | None = None, **variables: str) -> Result:
    """Run a script as GitHub and GitLab do: it ends where a command fails."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "PIP_"))}
    environment |= {"PYTHONPATH": str(ROOT), "COLUMNS": "100", **variables}
    if tools:
        environment["PATH"] = f"{tools}{os.pathsep}{environment['PATH']}"
    result = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Result(result.returncode, result.stdout, result.stderr)


def git(cwd: Path, *arguments: str) -> str:
    """Run git as somebody, whatever is configured here."""
    who = {f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    result = subprocess.run(["git", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=True)
    return result.stdout


def commit(folder: Path) -> None:
    """All files there as a commit on main."""
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x", "--no-gpg-sign")


# ------------------------------------------------------------------------ pre-commit


def test_hooks_have_what_they_need() -> None:
    assert [hook["id"] for hook in HOOKS] == ["cnnplan-check", "cnnplan-fix"]
    for hook in HOOKS:
        assert hook.keys() >= {"id", "name", "entry", "language", "description"}
        assert hook["language"] == "python"
        assert hook["types"] == ["yaml"]
        assert hook["require_serial"] is True
        assert hook.get("pass_filenames", True)
        assert hook["entry"].startswith("cnnplan check --skip-others")


def test_pre_commit_takes_the_manifest_and_the_snippet(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(PRE_COMMIT))
    for what, path in (("manifest", ROOT / ".pre-commit-hooks.yaml"), ("config", tmp_path / "config.yaml")):
        result = pre_commit(tmp_path, tmp_path, f"validate-{what}", str(path))
        assert result.returncode == 0, result.stdout
    ((repository,),) = PRE_COMMIT.values()
    assert repository["repo"] == HOME
    assert {hook["id"] for hook in repository["hooks"]} <= {hook["id"] for hook in HOOKS}


def pre_commit(cwd: Path, home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | {"PRE_COMMIT_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "pre_commit", *arguments], cwd=cwd, env=environment, capture_output=True, text=True
    )


def test_the_hooks_in_a_repository(tmp_path: Path, repo: Path) -> None:
    """Installs the checkout from scratch, as pre-commit does for its users, and runs the snippet's hooks."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("cnnplan", "specs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml"):
        shutil.copy(ROOT / name, source / name)
    commit(source)
    ((snippet,),) = PRE_COMMIT.values()
    local = snippet | {"repo": str(source), "rev": git(source, "rev-parse", "HEAD").strip()}
    (repo / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [local]}))
    commit(repo)

    def run() -> tuple[int, list[str], str]:
        git(repo, "add", "-A")
        result = pre_commit(repo, tmp_path / "home", "run", "--all-files")
        verdicts = re.findall(r"^cnnplan check.*?(Passed|Failed|Skipped)$", result.stdout, re.MULTILINE)
        return result.returncode, verdicts, result.stdout + result.stderr

    code, verdicts, said = run()
    assert (code, verdicts) == (0, ["Passed", "Passed"]), said

    (repo / "specs" / "bad.yaml").write_text(BAD)
    code, verdicts, said = run()
    assert (code, verdicts) == (1, ["Failed", "Failed"]), said
    assert "specs/bad.yaml:5:42" in said
    assert "other.yaml" not in said

    warned = GOOD.replace("- relu", "- conv: {out_channels: 4, kernel_size: 3}\n  - batchnorm\n  - relu")
    (repo / "specs" / "bad.yaml").write_text(warned)
    code, verdicts, said = run()
    assert (code, verdicts) == (1, ["Failed", "Passed"]), said  # as it has changed a file
    assert (repo / "specs" / "bad.yaml").read_text() == warned.replace("size: 3", "size: 3, bias: false")
    code, verdicts, said = run()
    assert (code, verdicts) == (0, ["Passed", "Passed"]), said
    assert (repo / "other.yaml").read_text() == OTHER


# ------------------------------------------------------------------------ the action

STEPS = {step.get("id"): step for step in ACTION["runs"]["steps"]}


def filled(step: dict[str, Any], **inputs: str) -> dict[str, str]:
    """A step's variables, with these inputs and the others' defaults."""
    values = {name: given["default"] for name, given in ACTION["inputs"].items()} | inputs

    def fill(text: str) -> str:
        return re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: values[found[1]], text)

    return {name: fill(text) for name, text in step["env"].items()}


def check(repo: Path, tools: Path, **inputs: str) -> tuple[Result, str]:
    """Run the action's step `check`; its output and the summary."""
    summary = repo.parent / "summary.md"
    summary.write_text("before\n")
    variables = filled(STEPS["check"], **inputs) | {"CNNPLAN": str(tools / "cnnplan")}
    return bash(STEPS["check"]["run"], repo, GITHUB_STEP_SUMMARY=str(summary), **variables), summary.read_text()


def test_the_action_is_one_that_github_takes() -> None:
    assert ACTION.keys() >= {"name", "description", "inputs", "runs"}
    assert set(ACTION["inputs"]) == {"paths", "args", "format", "version", "python-version"}
    assert all(given.keys() == {"description", "default"} for given in ACTION["inputs"].values())
    assert all(isinstance(given["default"], str) for given in ACTION["inputs"].values())
    assert ACTION["inputs"]["format"]["default"] == "github"
    assert ACTION["runs"]["using"] == "composite"
    for step in ACTION["runs"]["steps"]:
        assert "uses" in step or step["shell"] == "bash"
        assert "${{" not in step.get("run", ""), "what comes from outside would be run"


def test_actions_are_named_with_their_whole_version() -> None:
    used = [step["uses"] for step in ACTION["runs"]["steps"] if "uses" in step]
    used += re.findall(r"uses: (\S+)", PAGE)
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+\.\d+\.\d+|github/codeql-action/upload-sarif@v4", action), action


def test_the_action_passes_what_is_clean(repo: Path, tools: Path) -> None:
    result, summary = check(repo, tools)
    assert (result.code, result.out) == (0, "")
    assert summary.startswith("before\n")
    assert "## good" in summary


def test_the_action_annotates_and_reports_and_fails(repo: Path, tools: Path) -> None:
    (repo / "specs" / "bad.yaml").write_text(BAD)
    result, summary = check(repo, tools, paths="specs/good.yaml\n  specs/bad.yaml\n")
    assert result.code == 1
    assert result.out.startswith(
        "::error file=specs/bad.yaml,line=5,endLine=5,col=42,endColumn=43,title=cnnplan (S001)::"
    )
    assert len(result.out.splitlines()) == 1
    assert "| `specs/good.yaml` | 1 |" in summary
    assert "- **error** `S001` `specs/bad.yaml:5:42`" in summary


def test_the_action_keeps_the_exit_code_of_wrong_usage(repo: Path, tools: Path) -> None:
    result, summary = check(repo, tools, paths="nowhere.yaml")
    assert result.code == 2
    assert result.err.count("nowhere.yaml") == 1
    assert summary == "before\n"
    assert check(repo, tools, args="--no-such-option")[0].code == 2


def test_the_action_passes_options_on(repo: Path, tools: Path) -> None:
    (repo / "specs" / "good.yaml").write_text(GOOD.replace("relu", "split: 3") + "  - share: nothing\n")
    assert check(repo, tools, format="json")[0].out.startswith("{")
    args = "--output out.sarif\n--fail-on   warning --quiet"
    result, summary = check(repo, tools, format="sarif", args=args)
    assert (result.code, result.out) == (1, "")
    assert json.loads((repo / "out.sarif").read_text())["version"] == "2.1.0"
    assert "- **error**" in summary


def test_what_the_summary_cannot_show_is_no_failure(repo: Path, tools: Path) -> None:
    result, summary = check(repo, tools, paths="specs/good.yaml", format="table", args="--draw field")
    assert (result.code, result.err, summary) == (0, "", "before\n")
    assert "receptive field" in result.out


@pytest.mark.parametrize(
    "text",
    ["$(touch pwned)", "`touch pwned`", "; touch pwned", '" && touch pwned "', "a\ntouch pwned", "* ?", "-x", "\\"],
)
def test_the_action_runs_and_expands_nothing_of_its_inputs(text: str, repo: Path, tools: Path) -> None:
    command(tools / "cnnplan", 'printf "%s\\n" "$@"')
    result, summary = check(repo, tools, paths=text, args=text, format=text)
    assert not (repo / "pwned").exists()
    words = text.split()
    assert result.out == "".join(f"{word}\n" for word in ["check", "--format", text, *words, "--", *words])
    second = ["before", "check", *words, "--format", "markdown", "--output", "-", "--", *words]
    assert summary == "".join(f"{word}\n" for word in second)


def test_the_action_without_a_summary_and_without_a_path(repo: Path, tools: Path) -> None:
    variables = filled(STEPS["check"], paths="") | {"CNNPLAN": str(tools / "cnnplan")}
    (repo / "cnnplan.toml").write_text('files = ["specs/*.yaml"]\n')
    result = bash(STEPS["check"]["run"], repo, **variables)
    assert (result.code, result.out, result.err) == (0, "", "")


@pytest.mark.parametrize(
    ("version", "wanted"), [("", "{root}"), ("0.1.0", "cnnplan==0.1.0"), ("1 --x", "cnnplan==1 --x")]
)
@pytest.mark.parametrize("python", ["python", "python3"])
def test_the_action_installs_into_an_environment_of_its_own(
    version: str, wanted: str, python: str, tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    command(tools / "installed", 'printf "%s\\n" "$@" > "$(dirname "$0")/called"')
    venv = '[ "$1 $2" = "-m venv" ] && mkdir -p "$3/bin" && cp "$(dirname "$0")/installed" "$3/bin/python"'
    command(tools / python, venv)
    for name in ("bash", "cp", "dirname", "mkdir"):
        (tools / name).symlink_to(shutil.which(name) or "")
    result = bash(
        STEPS["install"]["run"],
        tmp_path,
        PATH=str(tools),
        RUNNER_TEMP=str(tmp_path / "temp"),
        GITHUB_OUTPUT=str(tmp_path / "output"),
        GITHUB_ACTION_PATH=str(ROOT),
        **filled(STEPS["install"], version=version),
    )
    assert result.code == 0, result.err
    home = tmp_path / "temp" / "cnnplan"
    assert (tmp_path / "output").read_text() == f"command={home}/bin/cnnplan\n"
    called = (home / "bin" / "called").read_text().splitlines()
    assert called[:3] == ["-m", "pip", "install"]
    assert called[-1] == wanted.format(root=ROOT)


# ------------------------------------------------------------------------ the snippets


def test_snippets_name_this_version() -> None:
    assert set(re.findall(r"(\S+?)@v" + re.escape(__version__), PAGE)) == {SLUG}
    assert set(re.findall(r"cnnplan==(\S+)", PAGE)) == {__version__}
    assert re.findall(r"rev: (\S+)", PAGE) == [f"v{__version__}"]


@pytest.mark.parametrize("workflow", [ANNOTATIONS, SCANNING], ids=["annotations", "scanning"])
def test_workflows_use_inputs_that_the_action_has(workflow: dict[Any, Any], repo: Path, tools: Path) -> None:
    (job,) = workflow["jobs"].values()
    (step,) = [step for step in job["steps"] if step["uses"].startswith(f"{SLUG}@")]
    assert step["with"].keys() <= ACTION["inputs"].keys()
    result, _ = check(repo, tools, **step["with"])
    assert (result.code, result.err) == (0, "")
    for other in job["steps"]:
        if "sarif_file" in other.get("with", {}):
            assert json.loads((repo / other["with"]["sarif_file"]).read_text())["runs"]


def test_the_snippet_for_gitlab(repo: Path, tools: Path) -> None:
    script = "\n".join(GITLAB["cnnplan"]["script"])
    reports = GITLAB["cnnplan"]["artifacts"]["reports"]
    assert bash(script, repo, tools).code == 0
    assert (tools.parent / "called").read_text() == f"pip install --quiet cnnplan=={__version__}\n"
    assert json.loads((repo / reports["codequality"]).read_text()) == []
    (repo / "specs" / "bad.yaml").write_text(BAD)
    result = bash(script, repo, tools)
    assert result.code == 1
    assert "error[S001]" in result.out
    assert [i["check_name"] for i in json.loads((repo / reports["codequality"]).read_text())] == ["S001"]
    assert ET.parse(repo / reports["junit"]).getroot().get("failures") == "1"
    assert GITLAB["cnnplan"]["artifacts"]["when"] == "always"


def test_the_snippet_for_costs(repo: Path, tools: Path) -> None:
    (job,) = COST["jobs"].values()
    scripts = {step["name"]: step["run"] for step in job["steps"] if "name" in step}
    commit(repo)
    git(repo, "update-ref", "refs/remotes/origin/main", "HEAD")

    def run(name: str) -> Result:
        return bash(scripts[name], repo, tools, BASE="origin/main", NUMBER="7")

    assert [run(name).code for name in ("compare", "comment", "limit")] == [0, 0, 0]
    assert (repo / "diff.md").read_text() == ""
    assert not (tools.parent / "called").exists()

    layer = "  - conv: {out_channels: 4, kernel_size: 3}\n"
    (repo / "specs" / "good.yaml").write_text(GOOD + layer)
    (repo / "specs" / "new.yaml").write_text(GOOD)
    commit(repo)
    assert [run(name).code for name in ("compare", "comment", "limit")] == [0, 0, 1]
    assert "good" in (repo / "diff.md").read_text()
    called = (tools.parent / "called").read_text()
    assert called == "gh pr comment 7 --edit-last --create-if-none --body-file diff.md\n"
