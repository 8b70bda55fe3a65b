"""The other commands: build, ops, zoo, init, schema."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from cnnplan.diagnostics import Report
from cnnplan.source import Mapping, Node, Scalar, Sequence, parse
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
    assert json.loads(checked.out)["summary"] == {"errors": 0, "warnings": 0, "info": 0}
    (tmp_path / "network.yaml").write_text("mine")
    again = cnnplan("init", cwd=tmp_path)
    assert (again.code, again.err) == (2, "error: network.yaml is there already; it is left as it is\n")
    assert (tmp_path / "network.yaml").read_text() == "mine"
    assert cnnplan("init", "3d-net.yaml", cwd=tmp_path).code == 0
    assert "name: net_3d_net\n" in (tmp_path / "3d-net.yaml").read_text()


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    schema = json.loads(cnnplan("schema").out)
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def errors(validator: jsonschema.Draft7Validator, text: str) -> list[str]:
    top = parse(text, Report("spec.yaml"))
    assert top is not None
    return [error.message for error in validator.iter_errors(plain(top))]


def plain(node: Node) -> object:
    """What an editor's YAML 1.2 parser makes of a node."""
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    if isinstance(node, Mapping):
        return {key.value: plain(value) for key, value in node}
    assert isinstance(node, Scalar)
    return node.value


def test_the_schema_accepts_the_zoo(validator: jsonschema.Draft7Validator) -> None:
    for path in sorted((ROOT / "specs").glob("*.yaml")):
        assert errors(validator, path.read_text()) == [], path.name


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("conv: {out_channels: true, kernel_size: 3}", "True is not of type 'integer', 'string'"),
        ("conv: {out_channels: 8, kernel_size: 3, paddding: 1}", "'paddding' was unexpected"),
        ("conv: {out_channels: 8}", "'kernel_size' is a required property"),
        ("conv: 8", "8 is not of type 'object'"),
        ("linear: 0", "0 is less than the minimum of 1"),
        ("maxpool: {kernel_size: 2, padding: sam}", "'sam' does not match"),
        ("upsample: {scale_factor: 2, mode: cubic}", "'cubic' does not match"),
        ("relu: {slope: 1}", "'slope' was unexpected"),
        ("add: [relu, conv]", "'relu' is not of type 'array', 'object'"),
    ],
)
def test_a_mistake_has_one_message(validator: jsonschema.Draft7Validator, layer: str, message: str) -> None:
    text = f"cnnplan: 1\nname: x\ninput: [3, 8, 8]\nlayers:\n  - {layer}\n"
    found = errors(validator, text)
    assert found
    assert message in found[0]
    assert len(found) == 1 or all("is not of type" in m for m in found)


def test_expressions_may_stand_for_values(validator: jsonschema.Draft7Validator) -> None:
    layers = "- conv: {out_channels: =w, kernel_size: =k, padding: =p, bias: =b, padding_mode: =m}\n  - dropout: =p"
    text = f"cnnplan: 1\nname: x\ninput: [3, =s, 8]\nlayers:\n  {layers}\n    if: =w > 3\n    repeat: {{i: =n}}\n"
    assert errors(validator, text) == []


def test_help_and_version() -> None:
    assert cnnplan("--version").out == "cnnplan 0.1.0\n"
    out = cnnplan("--help").out
    for name in ("check", "build", "ops", "zoo", "init", "schema"):
        assert f"  {name} " in out
    wrong = cnnplan("chek")
    assert wrong.code == 2
    assert "No such command" in wrong.err
