"""cnnplan check: what it prints, in every format, and its exit codes."""

import json
import stat
from pathlib import Path

import pytest

from tests.cli.run import cnnplan

GOOD = """\
cnnplan: 1
name: good
input: [3, 16, 16]
variables: {width: 8, classes: 10}
layers:
  - conv: {out_channels: =width, kernel_size: 3, padding: 1}
  - relu
  - maxpool: 2
    repeat: 2
  - flatten
  - linear: =classes
"""
BAD = GOOD.replace("- flatten\n", "- conv: {out_channels: 4, kernel_size: 7}\n  - flatten\n").replace("relu", "rellu")


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "also_good.yml").write_text(GOOD)
    (tmp_path / "inner" / "not_a_spec.yaml").write_text("services: {web: {image: x}}\n")
    (tmp_path / ".hidden.yaml").write_text(BAD)
    return tmp_path


TABLE = """\
good  good.yaml
input 3x16x16 → linear1 10

layer     operation                    output   field  parameters   share     MACs   share
────────────────────────────────────────────────────────────────────────────────────────────────────
conv1     conv 8 kernel_size=3 paddi…  8x16x16      3         224  14.8 %  55.30 K  97.7 %  ███████▉
relu1     relu                         8x16x16      3
maxpool1  maxpool 2                    8x8x8        4
maxpool2  maxpool 2                    8x4x4        6
flatten1  flatten                      128        all
linear1   linear 10                    10         all       1,290  85.2 %   1.28 K   2.3 %  ▏

layers            6  2 of them with weights on the longest path
parameters    1,514  5.91 KiB in float32
MACs         56,576  multiply-accumulates of convolutions, matrix products
FLOPs       119,178  2 a MAC; bias, norm, activation, pooling, merges
shifts            4  maps move along up to flatten1 (line 10), which joins positions to features
training    41.50 KiB  peak at batch 1, sgd: backward of relu1
inference   24.00 KiB  peak at batch 1

"""


def test_a_table_for_one_spec(specs: Path) -> None:
    # 8·(27 + 1) + 10·(128 + 1) parameters; 8·256·27 + 10·128 MACs; 2·MACs + biases 2,048 + 10,
    # ReLU 2,048, max pools 3·512 + 3·128
    assert 2 * 56_576 + 2_048 + 10 + 2_048 + 1_536 + 384 == 119_178
    # in blocks of 512 bytes: weights and biases, input, and in training class, loss, its gradient, logits,
    # gradients of the dense layer; then what ReLU gave (the map it overwrote), and a gradient before and behind it;
    # in inference the map, the indices of the first pool, and what it gives
    weights, batch, around, dense = 1_024 + 512 + 5_120 + 512, 3_072, 4 * 512, 5_120 + 512
    assert weights + batch + around + dense + 3 * 8_192 == 41.5 * 1024
    assert weights + batch + 8_192 + 512 * 8 + 512 * 4 == 24 * 1024
    result = cnnplan("check", "good.yaml", cwd=specs)
    assert (result.code, result.out, result.err) == (0, f"{TABLE}1 info (-v shows all)\n", "")


def test_tables_fit_their_width() -> None:
    for columns in (60, 80, 120, 160):
        out = cnnplan("check", "specs/resnet50.yaml", "-v", COLUMNS=str(columns)).out
        table = out.split("\nlayers   ")[0]
        assert max(map(len, table.splitlines())) <= columns
        assert "        batchnorm1" in table
        assert (" field " in table) == (columns >= 80)
        assert ("operation" in table) == (columns >= 80)


def test_depth_opens_blocks() -> None:
    shallow = cnnplan("check", "specs/vgg16.yaml", "--depth", 1).out
    deep = cnnplan("check", "specs/vgg16.yaml", "--depth", 2).out
    assert "stage1" in shallow
    assert "conv1" not in shallow
    assert "  conv2–3 ×2" in deep


def test_several_specs_have_a_line_each_and_a_broken_one_hides_none(specs: Path) -> None:
    result = cnnplan("check", ".", cwd=specs)
    assert result.code == 1
    lines = result.out.splitlines()
    assert lines[0].startswith("error  bad.yaml")
    assert lines[1].startswith("ok     good.yaml")
    assert lines[2].startswith("ok     inner/also_good.yml")
    assert "not_a_spec" not in result.out
    assert ".hidden" not in result.out
    assert "error[Y913] unknown operation 'rellu'" in result.out
    assert "error[S001] kernel 7x7 does not fit into the input 8x4x4: height 4 < 7, width 4 < 7" in result.out
    assert result.out.rstrip().endswith("2 errors, 2 info (-v shows all); --fix mends 1")


def test_concise(specs: Path) -> None:
    result = cnnplan("check", "bad.yaml", "good.yaml", "--format", "concise", cwd=specs)
    assert result.code == 1
    assert result.out.splitlines() == [
        "bad.yaml:7:5: error[Y913] unknown operation 'rellu'; did you mean 'relu'?",
        "bad.yaml:10:42: error[S001] kernel 7x7 does not fit into the input 8x4x4: height 4 < 7, width 4 < 7; "
        "use a smaller kernel, more padding, fewer strides before it, or a larger input",
        "good.yaml: 6 layers, 1,514 parameters, 56,576 MACs, 119,178 FLOPs",
    ]


def test_json_is_the_contract() -> None:
    result = cnnplan("check", "specs/vgg16.yaml", "--format", "json")
    assert result.code == 0
    found = json.loads(result.out)
    assert found["format_version"] == "1.0"
    assert found["tool"] == {"name": "cnnplan", "version": "0.1.0"}
    assert found["summary"] == {"errors": 0, "warnings": 1, "info": 0}  # its first dense layer: H309
    (spec,) = found["specs"]
    assert spec["path"] == "specs/vgg16.yaml"
    assert (spec["name"], spec["valid"]) == ("vgg16", True)
    assert spec["inputs"] == {"input": [3, 224, 224]}
    assert spec["outputs"] == {"linear3": [1000]}
    # windows of 3 reach 3n - 2 units of n and no padding; a bias each; pools of 4; three dense layers
    widths = [(3, 64, 224), (64, 64, 224), (64, 128, 112), (128, 128, 112), (128, 256, 56), *[(256, 256, 56)] * 2]
    widths += [(256, 512, 28), *[(512, 512, 28)] * 2, *[(512, 512, 14)] * 3]
    edges = sum((3 * n - 2) ** 2 * a * b + n * n * b for a, b, n in widths)
    edges += sum(c * n * n for c, n in ((64, 224), (128, 112), (256, 56), (512, 28), (512, 14)))
    edges += sum((a + 1) * b for a, b in ((25_088, 4096), (4096, 4096), (4096, 1000)))
    assert spec["totals"] == {
        "layers": 39,
        "weighted_layers": 16,
        "parameters": 138_357_544,
        "trainable_parameters": 138_357_544,
        "buffers": 0,
        "macs": 15_470_264_320,
        "flops": 30_972_232_168,
        "connections": edges,
    }
    assert [d["code"] for d in spec["diagnostics"]] == ["H309"]
    first = spec["layers"][0]
    assert first["name"] == "stage1.conv1"
    assert (first["op"], first["line"], first["inputs"], first["output"]) == ("conv", 13, ["input"], [64, 224, 224])
    assert (first["parameters"], first["macs"], first["flops"]) == (1792, 86_704_128, 176_619_520)
    assert spec["receptive_field"] == {
        "size": [212, 212],
        "stride": [32, 32],
        "start": [-90, -90],
        "min_size": [212, 212],
        "coverage": [1.0, 1.0],
        "estimate": {"effective_size": [110.56, 110.56]},
    }
    assert first["receptive_field"] == {"size": [3, 3], "stride": [1, 1], "start": [-1, -1], "min_size": [3, 3]} | {
        "coverage": [1.0, 1.0],
        "estimate": {"effective_size": [3.0, 3.0]},
    }
    last = spec["layers"][-1]["receptive_field"]
    assert last == {"size": None, "stride": None, "start": None, "min_size": None, "coverage": None, "global": True}


def test_json_of_a_periodic_field(specs: Path) -> None:
    text = (
        "cnnplan: 1\nname: up\ninput: [1, 8]\nlayers:\n  - conv: {out_channels: 1, kernel_size: 3}\n  - upsample: 2\n"
    )
    (specs / "up.yaml").write_text(text)
    (spec,) = json.loads(cnnplan("check", "up.yaml", "--format", "json", cwd=specs).out)["specs"]
    assert spec["layers"][-1]["receptive_field"] == {
        "size": [3],
        "stride": ["1/2"],
        "start": [0],
        "min_size": [3],
        "coverage": [1.0],
        "estimate": {"effective_size": [3.0]},
        "phases": [[[0, 2], [0, 2]]],
    }


def test_json_of_a_spec_that_is_not_valid(specs: Path) -> None:
    result = cnnplan("check", "bad.yaml", "--format", "json", cwd=specs)
    assert result.code == 1
    (spec,) = json.loads(result.out)["specs"]
    assert (spec["name"], spec["valid"]) == ("good", False)
    for key in ("totals", "memory", "receptive_field", "layers"):
        assert spec[key] is None
    first = spec["diagnostics"][0]
    assert first["code"] == "Y913"
    assert first["name"] == "unknown-operation"
    assert first["severity"] == "error"
    assert first["path"] == "bad.yaml"
    assert (first["start"], first["end"]) == ({"line": 7, "column": 5}, {"line": 7, "column": 10})
    assert first["fix"] == {
        "safe": True,
        "message": "write `relu`",
        "edits": [{"start": {"line": 7, "column": 5}, "end": {"line": 7, "column": 10}, "text": "relu"}],
    }
    assert {"message", "layer", "related", "url"} <= first.keys()


def test_markdown(specs: Path) -> None:
    one = cnnplan("check", "good.yaml", "--format", "markdown", cwd=specs).out
    assert one.startswith("## good\n")
    assert "| `conv1` | `conv 8 kernel_size=3 padding=1` | 8x16x16 | 3 | 224 |" in one
    several = cnnplan("check", ".", "--format", "markdown", cwd=specs).out
    assert "| `good.yaml` | 6 | 1,514 | 56.58 K |  |" in several
    assert "- **error** `Y913` `bad.yaml:7:5`: unknown operation 'rellu'" in several


def test_standard_input(specs: Path) -> None:
    assert cnnplan("check", "-", stdin=GOOD).out.startswith("good  <stdin>\n")
    named = cnnplan("check", "-", "--stdin-filename", "here.yaml", "--format", "concise", stdin=BAD)
    assert named.out.startswith("here.yaml:7:5: error[Y913]")


def test_set_and_input_size(specs: Path) -> None:
    result = cnnplan("check", "good.yaml", "--set", "classes=3", "--input-size", "32x20", "--format", "json", cwd=specs)
    (spec,) = json.loads(result.out)["specs"]
    assert spec["outputs"] == {"linear1": [3]}
    assert spec["inputs"] == {"input": [3, 32, 20]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "clases=3"), "the spec has no variable 'clases' to set; did you mean 'classes'?"),
        (("--set", "classes"), "--set takes NAME=VALUE, not 'classes'"),
        (("--set", "classes=many"), "variable 'classes' is set to 'many', but an integer, like 10, is wanted"),
        (("--set", "classes=[1"), "is not a YAML value"),
        (("--set", "classes==nothing"), "unknown name 'nothing'"),
        (("--input-size", "0"), "--input-size takes a size such as 256 or 320x240, not '0'"),
        (("--input-size", "3x4x5"), "input 'input' has 2 spatial axes, not 3"),
        (("--input-size", "wide"), "--input-size takes a size"),
        (("--format", "xml"), "xml"),
        (("--depth", "0"), "Invalid value for '--depth'"),
    ],
)
def test_wrong_usage_exits_with_2(specs: Path, arguments: tuple[str, ...], message: str) -> None:
    result = cnnplan("check", "good.yaml", *arguments, cwd=specs)
    assert result.code == 2
    assert message in result.err
    assert not result.out


def test_unreadable_paths_exit_with_2_and_hide_nothing(specs: Path) -> None:
    result = cnnplan("check", "missing.yaml", "good.yaml", cwd=specs)
    assert result.code == 2
    assert "error: cannot read missing.yaml: no such file or directory" in result.err
    assert "good  good.yaml" in result.out
    empty = specs / "empty"
    empty.mkdir()
    assert "no spec in empty" in cnnplan("check", "empty", cwd=specs).err


def test_fail_on_sets_the_level(specs: Path) -> None:
    (specs / "warns.yaml").write_text(GOOD.replace("- relu\n", "- relu:\n    name: kept\n") + "outputs: [kept]\n")
    assert "warning[R401]" in cnnplan("check", "warns.yaml", cwd=specs).out
    assert cnnplan("check", "warns.yaml", cwd=specs).code == 0
    assert cnnplan("check", "warns.yaml", "--fail-on", "warning", cwd=specs).code == 1
    assert cnnplan("check", "bad.yaml", "--fail-on", "never", cwd=specs).code == 1


def test_quiet_prints_findings_only(specs: Path) -> None:
    assert cnnplan("check", "good.yaml", "-q", cwd=specs).out == ""
    assert cnnplan("check", "bad.yaml", "-q", cwd=specs).out.startswith("error[Y913]")


def test_colors(specs: Path) -> None:
    assert "\x1b[" not in cnnplan("check", "good.yaml", cwd=specs).out
    assert "\x1b[" in cnnplan("check", "good.yaml", "--color", "always", cwd=specs).out
    assert "\x1b[" in cnnplan("check", "good.yaml", cwd=specs, FORCE_COLOR="1").out
    assert "\x1b[" not in cnnplan("check", "good.yaml", cwd=specs, FORCE_COLOR="1", NO_COLOR="1").out
    assert "\x1b[" not in cnnplan("check", "good.yaml", "--color", "never", cwd=specs, FORCE_COLOR="1").out
    assert "\x1b[" not in cnnplan("check", "good.yaml", cwd=specs, FORCE_COLOR="0").out


def test_a_terminal_that_knows_ascii_alone_is_no_error(specs: Path) -> None:
    result = cnnplan("check", "good.yaml", cwd=specs, PYTHONIOENCODING="ascii", LC_ALL="C")
    assert result.code == 0


def test_output_replaces_a_file_or_leaves_it(specs: Path) -> None:
    target = specs / "report.json"
    target.write_text("old")
    target.chmod(0o640)
    assert cnnplan("check", "good.yaml", "--format", "json", "-o", target, cwd=specs).out == ""
    assert json.loads(target.read_text())["specs"][0]["valid"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    failed = cnnplan("check", "good.yaml", "-o", specs / "missing" / "report.txt", cwd=specs)
    assert failed.code == 2
    assert "error: cannot write" in failed.err
    assert sorted(path.name for path in specs.iterdir()) == [
        ".hidden.yaml",
        "bad.yaml",
        "good.yaml",
        "inner",
        "report.json",
    ]


def test_the_word_of_a_line_is_that_of_its_worst_finding(specs: Path) -> None:
    (specs / "over.yaml").write_text(GOOD.replace("layers:", "budget: {parameters: 10}\nlayers:"))
    (specs / "dead.yaml").write_text(GOOD.replace("- relu", "- relu:\n    name: a\n  - tanh:\n    from: input"))
    result = cnnplan("check", "over.yaml", "dead.yaml", "good.yaml", cwd=specs)
    words = [line.split()[0] for line in result.out.splitlines()[:3]]
    assert (result.code, words) == (1, ["error", "warn", "ok"])


def test_yaml_files_that_are_no_specs_are_named(specs: Path) -> None:
    result = cnnplan("check", ".", "--format", "concise", cwd=specs)
    assert "left out" in result.err
    assert "not_a_spec.yaml" in result.err
    assert "left out" not in cnnplan("check", "good.yaml", cwd=specs).err


def test_an_option_that_fits_one_spec_and_not_another(specs: Path) -> None:
    (specs / "sound.yaml").write_text("cnnplan: 1\nname: sound\ninput: [1, 100]\nlayers: [relu]\n")
    result = cnnplan("check", "good.yaml", "sound.yaml", "--set", "classes=3", cwd=specs)
    assert result.code == 2
    assert result.out.startswith("good  good.yaml")
    assert "sound.yaml: the spec has no variable 'classes'" in result.err
