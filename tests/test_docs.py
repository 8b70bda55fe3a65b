"""What the documentation shows is run: specs are planned, Python is executed, console output is compared.

In a console block `$ cat FILE` shows a file that the block's later commands read.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import cnnplan
from tests.cli.run import ROOT
from tests.cli.run import cnnplan as run

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[object]:
    """Each block of that language, named by its page and line."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in BLOCK.finditer(text):
            if match.group(1) == language:
                line = text.count("\n", 0, match.start()) + 1
                found.append(pytest.param(match.group(2), id=f"{page.name}:{line}"))
    assert found
    return found


@pytest.mark.parametrize("text", [b for b in blocks("yaml") if "cnnplan: 1" in b.values[0]])  # type: ignore[attr-defined]
def test_specs_plan(text: str) -> None:
    assert cnnplan.plan(text).layers


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code: str, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text(code)
    result = subprocess.run([sys.executable, script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("session", blocks("console"))
def test_console_output_is_what_is_shown(session: str, tmp_path: Path) -> None:
    (tmp_path / "specs").symlink_to(ROOT / "specs")
    commands = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE)
    assert commands
    for command, shown in commands:
        words = shlex.split(command)
        if words[0] == "cat":
            (tmp_path / words[1]).write_text(shown)
            continue
        assert words[0] == "cnnplan", command
        result = run(*words[1:], cwd=tmp_path)
        printed = "\n".join(line.rstrip() for line in (result.out + result.err).splitlines())
        assert printed.strip() == shown.strip(), command


@pytest.mark.parametrize("excerpt", blocks("py"))
def test_shown_source_is_what_build_writes(excerpt: str) -> None:
    assert excerpt in run("build", "specs/resnet50.yaml").out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_generated_pages_are_fresh() -> None:
    result = subprocess.run([sys.executable, "tools/docs.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
