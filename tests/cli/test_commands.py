"""The other commands: build, ops, zoo, init, schema."""

import json
import subprocess
import sys
from pathlib import Path

from cnnplan.render.schema import schema
from tests.cli.run import ROOT, cnnplan

BROKEN = "cnnplan: 1\nname: broken\ninput: [3, 8, 8]\nlayers:\n  - linear: 10\n"


def test_build_prints_source_that_runs_without_cnnplan(tmp_path: Path) -> None:
    result = cnnplan("build", "specs/resnet18.yaml")
    assert (result.code, result.err) == (0, "")
    (tmp_path / "resnet18.py").write_text(result.out)
    code = "import sys, torch, resnet18; y = resnet18.Resnet18()(torch.randn(2, 3, 64, 64)); "
    code += "assert y.shape == (2, 1000); assert 'cnnplan' not in sys.modules"
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    imports = {line.split()[1].split(".")[0] for line in result.out.splitlines() if line.startswith(("import", "from"))}
    assert imports == {"torch"}


def test_build_writes_a_file_and_says_what_is_in_it(tmp_path: Path) -> None:
    target = tmp_path / "net.py"
    result = cnnplan("build", "specs/vgg11.yaml", "-o", target, "--set", "classes=10")
    assert (result.code, result.out) == (0, "")
    assert result.err == f"wrote {target}: class Vgg11, 128,807,306 parameters\n"
    assert "nn.Linear(4096, 10)" in target.read_text()
    assert cnnplan("build", "specs/vgg11.yaml", "-o", target, "-q").err == ""


def test_build_of_a_broken_spec_writes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "net.py"
    target.write_text("old")
    result = cnnplan("build", "-", "-o", target, stdin=BROKEN)
    assert (result.code, result.out) == (1, "")
    assert "error[S003] 'linear' takes a vector, but its input is a map of 3x8x8" in result.err
    assert "put `- flatten` before it (192 features)" in result.err
    assert target.read_text() == "old"


def test_a_full_disk_leaves_the_old_file() -> None:
    result = cnnplan("build", "specs/resnet18.yaml", "-o", "/dev/full")
    assert result.code == 2
    assert "cannot write /dev/full: no space left on device" in result.err


def test_ops_lists_every_operation_and_explains_one() -> None:
    listed = cnnplan("ops").out
    for name in ("conv", "maximum", "alpha_dropout", "squeeze_excite", "layer_scale"):
        assert f"  {name} " in listed
    page = cnnplan("ops", "conv").out
    assert "floor((size + before + after - dilation * (kernel_size - 1) - 1)" in page
    assert "arXiv:1603.07285; torch.nn.Conv2d." in page
    assert "padding_mode" in page
    block = cnnplan("ops", "squeeze_excite").out
    assert "- global_avgpool: {keepdim: true}" in block
    wrong = cnnplan("ops", "conv2d")
    assert (wrong.code, wrong.err) == (2, "error: no operation 'conv2d'; did you mean 'conv'?\n")


def test_every_line_of_ops_fits_the_width() -> None:
    for columns in (80, 160):
        out = cnnplan("ops", COLUMNS=str(columns)).out
        assert max(map(len, out.splitlines())) <= columns


def test_zoo_lists_and_writes(tmp_path: Path) -> None:
    listed = cnnplan("zoo").out
    assert "vgg16 " in listed
    assert "138.36 M" in listed
    assert cnnplan("zoo", "vgg16").out == (ROOT / "specs" / "vgg16.yaml").read_text()
    target = tmp_path / "mine.yaml"
    assert cnnplan("zoo", "unet", "-o", target).code == 0
    assert cnnplan("check", target).code == 0
    wrong = cnnplan("zoo", "resnet5")
    assert wrong.code == 2
    assert "no spec 'resnet5' in the zoo; did you mean 'resnet50'?" in wrong.err


def test_init_writes_a_spec_that_passes_and_never_replaces_one(tmp_path: Path) -> None:
    first = cnnplan("init", cwd=tmp_path)
    assert first.code == 0
    spec = (tmp_path / "network.yaml").read_text()
    assert spec.startswith("# yaml-language-server: $schema=./cnnplan.schema.json\ncnnplan: 1\nname: network\n")
    checked = cnnplan("check", "network.yaml", "--format", "json", cwd=tmp_path)
    summary = json.loads(checked.out)["summary"]
    assert (summary["errors"], summary["warnings"]) == (0, 0)
    (tmp_path / "network.yaml").write_text("mine")
    again = cnnplan("init", cwd=tmp_path)
    assert (again.code, again.err) == (2, "error: network.yaml is there already; it is left as it is\n")
    assert (tmp_path / "network.yaml").read_text() == "mine"
    assert cnnplan("init", "3d-net.yaml", cwd=tmp_path).code == 0
    assert "name: net_3d_net\n" in (tmp_path / "3d-net.yaml").read_text()


def test_schema_prints_the_schema(tmp_path: Path) -> None:
    result = cnnplan("schema")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out) == schema()
    assert cnnplan("schema", "-o", tmp_path / "schema.json").out == ""
    assert (tmp_path / "schema.json").read_text() == result.out


def test_help_and_version() -> None:
    assert cnnplan("--version").out == "cnnplan 0.1.0\n"
    out = cnnplan("--help").out
    for name in ("check", "rule", "build", "ops", "zoo", "init", "schema"):
        assert f"  {name} " in out
    wrong = cnnplan("chek")
    assert wrong.code == 2
    assert "No such command" in wrong.err
