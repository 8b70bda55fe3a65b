"""Operations and rules of other packages: the template of docs/plugins.md, installed and used; and broken ones."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "examples" / "plugin"
SPEC = """
cnnplan: 1
name: net
input: [3, 16, 16]
layers:
  - conv_bn_relu: 4
  - gem_pool: 9
  - linear: 5
"""


def install(place: Path, entry_points: dict[str, dict[str, str]], name: str = "gem_cnnplan") -> None:
    """What an installer leaves of a package beside its files."""
    lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in some.items()) for group, some in entry_points.items()]
    info = place / f"{name}-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n", encoding="utf-8")


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A folder like site-packages in which the template is installed."""
    project = tomllib.loads((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    install(tmp_path / "site", project["entry-points"])
    (tmp_path / "site" / "gem_cnnplan").symlink_to(TEMPLATE / "gem_cnnplan")
    return tmp_path / "site"


def python(site: Path, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), str(ROOT)])
    env = {**os.environ, "PYTHONPATH": path, "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd or site, env=env, capture_output=True, text=True, check=False
    )


def cnnplan(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (site / "net.yaml").write_text(SPEC, encoding="utf-8")
    return python(site, "-m", "cnnplan", *arguments)


def test_the_template_passes_its_own_tests(template: Path) -> None:
    ran = python(template, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TEMPLATE / "tests"), "--rootdir", ".")
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-500:]


def test_check_plans_and_lints_with_it(template: Path) -> None:
    ran = cnnplan(template, "check", "net.yaml", "--format", "json")
    (spec,) = json.loads(ran.stdout)["specs"]
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [layer["op"] for layer in spec["layers"]][-2:] == ["gem_pool", "linear"]
    assert spec["totals"]["parameters"] == 108 + 8 + 1 + 25
    (found,) = spec["diagnostics"]
    assert (found["code"], found["name"], found["start"], found["url"]) == (
        *("GEM001", "large-exponent"),
        {"line": 7, "column": 15},
        "",
    )
    for choice in (["--ignore", "GEM001"], ["--ignore", "GEM"], ["--select", "N"]):
        assert cnnplan(template, "check", "net.yaml", "--fail-on", "warning", *choice).returncode == 0
    assert cnnplan(template, "check", "net.yaml", "--fail-on", "warning").returncode == 1
    assert cnnplan(template, "check", "net.yaml", "--ignore", "GEM002").returncode == 2


@pytest.mark.parametrize("form", ["sarif", "github", "gitlab", "junit", "json-lines"])
def test_every_format_shows_its_rule(template: Path, form: str) -> None:
    ran = cnnplan(template, "check", "net.yaml", "--format", form)
    assert ran.stderr == ""
    assert "GEM001" in ran.stdout


def test_verify_and_build_know_its_layer(template: Path) -> None:
    ran = cnnplan(template, "verify", "net.yaml")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    source = cnnplan(template, "build", "net.yaml").stdout
    assert "class GemPool(nn.Module):" in source
    assert "gem_cnnplan" not in source
    (template / "model.py").write_text(source, encoding="utf-8")
    alone = python(
        template,
        "-I",
        "-c",
        "import sys; sys.path.insert(0, '.'); import model; print(len(list(model.Net().parameters())))",
    )
    assert alone.stdout.strip() == "6", alone.stderr


def test_ops_rule_and_schema_list_it(template: Path) -> None:
    assert "arXiv:1711.02512" in cnnplan(template, "ops", "gem_pool").stdout
    assert "gem_pool" in cnnplan(template, "ops").stdout
    assert "of other packages" in cnnplan(template, "rule").stdout
    assert "GEM001 large-exponent" in cnnplan(template, "rule", "gem").stdout
    schema = json.loads(cnnplan(template, "schema").stdout)
    assert "op_gem_pool" in schema["definitions"]
    assert "GEM001" in schema["definitions"]["code"]["enum"]


def test_a_spec_reaches_no_code_by_a_path(template: Path) -> None:
    """Neither a path nor a module's name is an operation, and nothing is imported for either."""
    (template / "evil.py").write_text("open('ran', 'w').close()", encoding="utf-8")
    for word in ("evil:Op", "evil", "./evil.py", "gem_cnnplan.gem_pool:GemPool"):
        (template / "bad.yaml").write_text(SPEC.replace("gem_pool", f'"{word}"'), encoding="utf-8")
        ran = python(template, "-m", "cnnplan", "check", "bad.yaml")
        assert ran.returncode == 1
        assert "unknown operation" in ran.stdout + ran.stderr
    assert not (template / "ran").exists()


def test_nothing_is_imported_that_is_not_used(template: Path) -> None:
    code = "import cnnplan, sys; cnnplan.plan('net.yaml').parameters; print(*sys.modules)"
    (template / "net.yaml").write_text(SPEC.replace("gem_pool: 9", "global_avgpool"), encoding="utf-8")
    ran = python(template, "-c", code)
    assert "cnnplan.plugins" in ran.stdout.split()
    assert not [name for name in ran.stdout.split() if name.startswith(("gem_cnnplan", "torch"))]


BROKEN = {
    "no such module": ({"cnnplan.ops": {"gem_pool": "absent:Op"}}, "ModuleNotFoundError: No module named 'absent'"),
    "no such class": ({"cnnplan.ops": {"gem_pool": "broken:Absent"}}, "AttributeError"),
    "no operation": ({"cnnplan.ops": {"gem_pool": "broken:Nothing"}}, "it is no subclass of cnnplan.ops.base.Op"),
    "another name": ({"cnnplan.ops": {"gem_pool": "broken:Named"}}, "its `kind` is 'other'"),
    "a failing module": ({"cnnplan.ops": {"gem_pool": "failing:Op"}}, "ZeroDivisionError"),
    "no rule": ({"cnnplan.rules": {"GEM001": "broken:Nothing"}}, "it is no subclass of cnnplan.lint.base.Rule"),
    "a code of ours": ({"cnnplan.rules": {"N201": "broken:Ours"}}, "two or more capital letters and three digits"),
    "another code": ({"cnnplan.rules": {"ABC001": "broken:Ours"}}, "its `code` is 'N201'"),
    "no name": ({"cnnplan.rules": {"ABC002": "broken:Unnamed"}}, "it needs a `name` in kebab-case"),
}
FILE = """
from cnnplan.lint.base import Rule
from cnnplan.ops.base import Op
class Nothing: pass
class Named(Op): kind = "other"
class Ours(Rule): code = "N201"
class Unnamed(Rule): code = "ABC002"
"""


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_named(tmp_path: Path, case: str) -> None:
    entry_points, message = BROKEN[case]
    install(tmp_path, entry_points, "broken_package")
    (tmp_path / "broken.py").write_text(FILE, encoding="utf-8")
    (tmp_path / "failing.py").write_text("1 / 0", encoding="utf-8")
    ran = cnnplan(tmp_path, "check", "net.yaml")
    assert ran.returncode in (1, 2)
    assert "Traceback" not in ran.stderr
    if "cnnplan.ops" in entry_points or ran.returncode == 2:
        assert message in ran.stdout + ran.stderr
        assert "package 'broken_package'" in ran.stdout + ran.stderr


def test_own_operations_are_not_replaced(tmp_path: Path) -> None:
    install(tmp_path, {"cnnplan.ops": {"conv": "absent:Op"}})
    (tmp_path / "own.yaml").write_text(SPEC.replace("gem_pool: 9", "flatten"), encoding="utf-8")
    assert python(tmp_path, "-m", "cnnplan", "check", "own.yaml").returncode == 0
