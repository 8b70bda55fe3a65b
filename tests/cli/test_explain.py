"""cnnplan explain: a layer's numbers, where they come from, and the lines that stand for it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import cnnplan as package
from cnnplan import zoo
from cnnplan.analyses.explain import explanation
from cnnplan.emit import emit
from cnnplan.ops.base import Module
from cnnplan.planning import Layer, Plan
from cnnplan.render import explain
from tests.cli import run
from tests.cli.inside import cnnplan
from tests.ops.test_formulas import evaluated

MANY = """\
cnnplan: 1
name: many
input: [3, 32, 24]
blocks:
  tower:
    params: {width: int}
    layers:
      - conv: {out_channels: =width, kernel_size: 3, padding: 1}
      - relu
layers:
  - conv: {out_channels: 8, kernel_size: [5, 3], stride: 2, padding: [2, 1]}
    trainable: false
  - batchnorm
  - tower: 8
    name: first
    checkpoint: true
  - share: first
    name: again
  - split: 2
    name: half
  - conv: {out_channels: 6, kernel_size: 3, dilation: 2, padding: 2}
    from: half.0
    name: left
  - conv_transpose: {out_channels: 6, kernel_size: 4, stride: 2, padding: 1}
    name: up
  - upsample: {like: input}
    from: half.1
    name: resized
  - concat:
    from: [up, resized]
    name: joined
  - global_avgpool
  - linear: 10
    name: classes
outputs: [joined, classes]
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("explain") / "many.yaml"
    path.write_text(MANY)
    return path


def explained(spec: object, layer: str, columns: int = 160) -> str:
    result = cnnplan("explain", spec, layer, COLUMNS=str(columns))
    assert (result.code, result.err) == (0, "")
    assert "\x1b" not in result.out
    return result.out


def flat(text: str) -> str:
    """The text without its margin and line breaks: what it says, whatever the width."""
    return " ".join(text.split())


PAGE = """\
maxpool1  maxpool 3 stride=2
spec        specs/alexnet.yaml:11
            - maxpool: {kernel_size: 3, stride: 2}
source      line 23 of what `cnnplan build` writes
            self.maxpool1 = nn.MaxPool2d(3, stride=2)  # 64x27x27

from        relu1 64x55x55 (line 10)
to          conv2 64x27x27 (line 12)

output      64x27x27
            floor((size + before + after - dilation * (kernel_size - 1) - 1) / stride) + 1
            floor((55 + 0 + 0 - 1 * (3 - 1) - 1) / 2) + 1 = 27
FLOPs       373,248  <0.1 % of the network
            prod(output) * (prod(kernel_size) - 1)
            46656 * (9 - 1) = 373,248

keeps       364.50 KiB more for the backward pass, batch 1
            indices: 364.50 KiB
            its input relu1: 756.25 KiB, kept anyway

field       19, stride 8, start -2
            size 11 + (3 - 1) * 4 = 19; stride 4 * 2 = 8; start -2 + 0 * 4 = -2
            effective about 18, an estimate at initialization (Luo et al. 2016)
"""


def test_a_whole_page() -> None:
    assert (8 * 46_656, 4 * 64 * 55 * 55) == (364.5 * 1024, 756.25 * 1024)
    assert run.cnnplan("explain", "specs/alexnet.yaml", "maxpool1", COLUMNS="160").out == PAGE


SAID = {
    # the field of conv2: that of maxpool1, 19 by 8 from -2, and four more of its units
    ("specs/alexnet.yaml", "conv2"): [
        "floor((27 + 2 + 2 - 1 * (5 - 1) - 1) / 1) + 1 = 27",
        "parameters 307,392 0.5 % of the network",
        "192 * 64 / 1 * 25 + 192 = 307,392 weight 192x64x5x5, bias 192",
        "139968 * 64 / 1 * 25 = 223,948,800",
        "2 * 223948800 + 139968 = 448,037,568",
        "field 51, stride 8, start -18",
        "size 19 + (5 - 1) * 8 = 51; stride 8 * 1 = 8; start -2 - 2 * 8 = -18",
    ],
    ("specs/alexnet.yaml", "relu1"): ["that of conv1: a unit reads the unit at its place", "1 * prod(input)"],
    # a merge: 35 through the shortcut, 43 through the body
    ("specs/resnet50.yaml", "stage2.bottleneck1.add1"): [
        "from stage2.bottleneck1.add1.body.conv_bn3.batchnorm1 512x28x28 (line 13) "
        "stage2.bottleneck1.add1.shortcut.conv_bn1.batchnorm1 512x28x28 (line 13)",
        "(inputs - 1) * prod(output) (2 - 1) * 401408 = 401,408",
        "field 43, stride 8, start -21",
        "stage2.bottleneck1.add1.body.conv_bn3.batchnorm1: 43, stride 8, start -21",
        "stage2.bottleneck1.add1.shortcut.conv_bn1.batchnorm1: 35, stride 8, start -17",
        "11 through the smallest single path",
    ],
    ("specs/unet.yaml", "dec1.concat1"): [
        "dec1.copy: 5, stride 1, start 88 dec1.up: 204, stride 1, start 0",
        "the paths that meet have different centres",
    ],
    # a transposed convolution: units in turn see what the left and the right of two inputs see
    ("many", "up"): [
        "height: (16 - 1) * 2 - 2 * 1 + 1 * (4 - 1) + 0 + 1 = 32",
        "width: (12 - 1) * 2 - 2 * 1 + 1 * (4 - 1) + 0 + 1 = 24",
        "field 23x21, stride 1, start -12x-11",
        "height repeating after 2 units: -12 … 10, -10 … 12 width repeating after 2 units: -11 … 9, -9 … 11",
    ],
    ("specs/alexnet.yaml", "linear1"): [
        "from dropout1 9216 (line 23)",
        "output 4096 out_features",
        "out_features * in_features + out_features 4096 * 9216 + 4096 = 37,752,832 weight 4096x9216, bias 4096",
        "field all of input: flatten1 reads a whole axis",
    ],
    ("many", "half"): [
        "to left 4x16x12, output 0 (line 21) resized 4x16x12, output 1 (line 26)",
        "output 4x16x12, 4x16x12",
    ],
    ("many", "again.conv1"): [
        ":17 - share: first",
        "shares the parameters of first.conv1",
        "parameters 584 out_channels",
        "from first.relu1 8x16x12 (line 9)",
    ],
    ("many", "conv1"): [
        "frozen training leaves its parameters as they are",
        "from input 3x32x24 (input of the network)",
        "height: size 1 + (5 - 1) * 1 = 5; stride 1 * 2 = 2; start 0 - 2 * 1 = -2",
        "width: size 1 + (3 - 1) * 1 = 3; stride 1 * 2 = 2; start 0 - 1 * 1 = -1",
    ],
    ("many", "batchnorm1"): ["buffers 17 2 * channels + 1 2 * 8 + 1 = 17"],
    ("many", "first.conv1"): ["recomputed in the backward pass", "to first.relu1 8x16x12 (line 9)"],
    ("many", "left"): ["from half.0 4x16x12 (line 19)", "size 13 + (5 - 1) * 2 = 21"],
    ("many", "resized"): ["from half.1 4x16x12 (line 19) like input 3x32x24 (input of the network)"],
    ("many", "joined"): [
        "from up 6x32x24 (line 24) resized 4x32x24 (line 26)",
        "to global_avgpool1 10x32x24 (line 32) output joined 10x32x24 of the network",
    ],
    ("many", "classes"): ["to output classes 10 of the network"],
}
"""What a page says, by spec and layer."""


@pytest.mark.parametrize("columns", [80, 160])
@pytest.mark.parametrize(("spec", "layer"), SAID)
def test_pages(spec: str, layer: str, columns: int, many: Path) -> None:
    out = explained(many if spec == "many" else spec, layer, columns)
    for said in SAID[spec, layer]:
        assert said in flat(out)
    # a name, a path, or a line of the spec as it stands, is not broken
    long = [line for line in out.splitlines() if len(line) > columns]
    assert all("/" in line or line.lstrip().startswith("- ") for line in long), long


def test_a_layer_whose_output_nothing_takes() -> None:
    text = "cnnplan: 1\nname: x\ninput: [1, 8]\nlayers:\n  - relu\n  - tanh:\n    from: input\n"
    assert "to no other layer" in flat(cnnplan("explain", "-", "relu1", stdin=text).out)
    dilated = cnnplan(
        "explain", "-", "conv1", stdin=text.replace("relu", "conv: {out_channels: 1, kernel_size: 2, dilation: 3}")
    )
    assert "reads 50 % of it: dilation leaves holes" in flat(dilated.out)


def test_options(many: Path, tmp_path: Path) -> None:
    sized = flat(cnnplan("explain", many, "conv1", "--input-size", "64x48").out)
    assert "output 8x32x24" in sized
    narrow = flat(cnnplan("explain", "specs/alexnet.yaml", "linear3", "--set", "classes=7").out)
    assert "7 * 4096 + 7 = 28,679" in narrow
    target = tmp_path / "page.txt"
    assert cnnplan("explain", many, "up", "-o", target).out == ""
    assert target.read_text() == explained(many, "up", 100)
    assert "\x1b[1mup\x1b[0m" in cnnplan("explain", many, "up", "--color", "always").out
    assert (
        cnnplan("explain", "-", "up", "--stdin-filename", "a.yaml", stdin=MANY)
        .out.splitlines()[1]
        .endswith("a.yaml:24")
    )


# ------------------------------------------------------------------------- JSON


def layers_of(spec: object) -> dict[str, dict[str, Any]]:
    """The layers as `check --format json` gives them."""
    (found,) = json.loads(cnnplan("check", spec, "--format", "json").out)["specs"]
    return {layer["name"]: layer for layer in found["layers"]}


@pytest.mark.parametrize("spec", ["many", "specs/shufflenet_v2.yaml", "specs/unet.yaml"])
def test_json_has_the_numbers_of_check(spec: str, many: Path) -> None:
    path = many if spec == "many" else spec
    source = cnnplan("build", path).out.splitlines()
    for name, layer in list(layers_of(path).items())[:20]:
        result = cnnplan("explain", path, name, "--format", "json")
        assert (result.code, result.err) == (0, "")
        found = json.loads(result.out)
        assert (found["format_version"], found["spec"]) == ("1.0", str(path))
        assert found["layer"] == layer
        sizes = [line["result"] for line in found["numbers"] if line["what"] == "output" and line["axis"]]
        assert sizes in ([], layer["output"][1:])
        numbers = {line["what"]: line["result"] for line in found["numbers"]}
        for what in ("parameters", "buffers", "macs", "flops"):
            if "shared_with" not in layer or what in ("macs", "flops"):
                assert numbers.get(what, 0) == layer.get(what, 0), (name, what)
        assert 1 <= found["source_line"] <= len(source)


def test_json_of_a_shared_layer_has_the_tensors_that_it_uses(many: Path) -> None:
    found = json.loads(cnnplan("explain", many, "again.conv1", "--format", "json").out)
    assert (found["layer"]["parameters"], found["layer"]["shared_with"]) == (0, "first.conv1")
    assert found["tensors"] == {"weight": [8, 8, 3, 3], "bias": [8]}
    (line,) = [line for line in found["numbers"] if line["what"] == "parameters"]
    assert line["values"] == "8 * 8 / 1 * 9 + 8"
    assert line["result"] == 8 * 8 * 9 + 8


def test_numbers_of_a_shared_norm_are_those_that_their_formulas_give() -> None:
    text = "cnnplan: 1\nname: x\ninput: [4, 8, 8]\nlayers:\n"
    text += "  - batchnorm:\n    name: norm\n  - share: norm\n    name: again\n"
    found = json.loads(cnnplan("explain", "-", "again", "--format", "json", stdin=text).out)
    lines = [line for line in found["numbers"] if line["values"]]
    assert [line["what"] for line in lines] == ["parameters", "buffers", "flops"]
    assert [line["result"] for line in lines] == [evaluated(line["values"]) for line in lines]


# ------------------------------------------------------------------------- lines of the spec and of the source


def test_the_lines_are_those_of_the_spec_and_of_the_source(many: Path) -> None:
    spec = MANY.splitlines()
    source = cnnplan("build", many).out.splitlines()
    for name, layer in layers_of(many).items():
        lines = explained(many, name).splitlines()
        where = lines[1].split(":")[-1]
        assert (lines[1].split()[0], int(where)) == ("spec", layer["line"])
        assert lines[2].strip() == spec[int(where) - 1].strip()
        written = re.fullmatch(r"source      line (\d+) of what `cnnplan build` writes", lines[3])
        assert written
        assert lines[4].strip() == source[int(written[1]) - 1].strip()


LONG = """\
cnnplan: 1
name: x
input: [3, 64, 64]
layers:
  - conv:
      out_channels: 128
      kernel_size: [5, 3]
      stride: [2, 1]
      padding: [2, 1]
      dilation: [3, 2]
      bias: false
      padding_mode: circular
    name: a_convolution_with_a_name_that_is_long_enough
"""


def test_a_statement_of_several_lines_is_shown_on_one() -> None:
    source = cnnplan("build", "-", stdin=LONG).out.splitlines()
    out = cnnplan("explain", "-", "a_convolution_with_a_name_that_is_long_enough", stdin=LONG, COLUMNS="400").out
    written = re.search(r"line (\d+) of what", out)
    assert written
    start = int(written[1]) - 1
    assert source[start].endswith("nn.Conv2d(")
    shown = out[written.end() :].splitlines()[1].strip()
    assert shown.startswith(
        "self.a_convolution_with_a_name_that_is_long_enough = nn.Conv2d(3, 128, (5, 3), stride=(2, 1)"
    )
    assert '"circular")' in shown


def words_of(layer: Layer) -> list[str]:
    """What a line that writes a layer has to mention one of: its name, its torch class, its expression."""
    call = layer.node.op.torch(*layer.node.shapes)
    written = [call.target.rpartition(".")[2]] if isinstance(call, Module) else []
    if not isinstance(call, Module):
        written = re.findall(r"[A-Za-z_.]{4,}|(?<=\}) [+*-] (?=\{)|\[:", call.template)
    return [layer.node.path.rpartition(".")[2], *written]


@pytest.mark.parametrize("name", zoo.names())
def test_every_layer_of_the_zoo(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan: Plan = package.plan(zoo.find(name))
    source = emit(plan.graph)
    lines = source.text.splitlines()
    monkeypatch.setattr(explain, "emit", lambda graph: source)
    for layer in plan.layers:
        number = source.line(layer.node)
        assert number
        assert any(word in lines[number - 1] for word in words_of(layer)), (layer.name, lines[number - 1])
        for line in explanation(layer):
            assert not line.values or evaluated(line.values) == line.result
        page = explain.page(layer, plan, 80).plain
        assert page.startswith(f"{layer.name}  {layer.op}")
        assert f"line {number} of what `cnnplan build` writes" in page
        for word in ("spec", "from", "to", "output", *(["field"] if layer.receptive_field else [])):
            assert f"\n{word} " in page


# ------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("jointed", "error: 'many' has no layer 'jointed'; did you mean 'joined'?\n"),
        ("first.conv2", "error: 'many' has no layer 'first.conv2'; did you mean 'first.conv1'?\n"),
        ("first", "error: 'first' is a block, whose layers are 'first.conv1', 'first.relu1': name one of them\n"),
    ],
)
def test_names_that_are_no_layers(layer: str, message: str, many: Path) -> None:
    assert cnnplan("explain", many, layer) == (2, "", message)


def test_no_name_is_near(many: Path) -> None:
    result = cnnplan("explain", many, "zzz")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: 'many' has no layer 'zzz'; known here: conv1, batchnorm1, first.conv1, ")


def test_a_spec_that_is_not_valid_and_one_that_is_not_there(many: Path) -> None:
    broken = cnnplan("explain", "-", "conv1", stdin=MANY.replace("- batchnorm", "- batchnrm"))
    assert (broken.code, broken.out) == (1, "")
    assert broken.err.startswith("error[Y913] unknown operation 'batchnrm'\n  --> <stdin>:13:5\n")
    assert broken.err.endswith("\n1 error\n")
    missing = cnnplan("explain", "missing.yaml", "conv1")
    assert missing == (2, "", "error: cannot read missing.yaml: no such file or directory\n")
    assert cnnplan("explain", many).code == 2
    assert "Invalid value for '--format'" in cnnplan("explain", many, "up", "--format", "table").err
    assert cnnplan("explain", many, "up", "--input-size", "32").code == 0
    assert cnnplan("explain", many, "up", "--input-size", "3x3x3").code == 2
