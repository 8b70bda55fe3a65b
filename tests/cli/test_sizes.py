"""cnnplan sizes: legal input sizes, what refuses the others, and the answer about one size."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli import run
from tests.cli.inside import cnnplan

PADDED = """\
cnnplan: 1
name: padded
input: [1, 64, 48]
variables: {width: 2}
blocks:
  double:
    layers:
      - conv: {out_channels: =width, kernel_size: 3, padding: 1}
layers:
  - double:
    name: e1
  - maxpool: 2
  - double:
    name: e2
  - maxpool: 2
  - double:
    name: e3
  - maxpool: 2
  - conv_transpose: {out_channels: 2, kernel_size: 2, stride: 2}
  - concat:
    from: [previous, e3]
  - conv_transpose: {out_channels: 2, kernel_size: 2, stride: 2}
  - concat:
    from: [previous, e2]
  - conv_transpose: {out_channels: 2, kernel_size: 2, stride: 2}
  - concat:
    from: [previous, e1]
"""
TWO = """\
cnnplan: 1
name: two
inputs:
  a: [1, 12, 12]
  b: [2, 12, 12]
  c: [1, 20]
layers:
  - maxpool: 2
    from: a
  - upsample: 2
  - concat:
    from: [b, previous]
    name: image
  - maxpool: 4
    from: c
    name: sound
outputs: [image, sound]
"""
VECTOR = "cnnplan: 1\nname: dense\ninput: [12]\nlayers: [{linear: 3}]\n"


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    (tmp_path / "padded.yaml").write_text(PADDED)
    (tmp_path / "broken.yaml").write_text(PADDED.replace("64, 48", "60, 48"))
    (tmp_path / "two.yaml").write_text(TWO)
    (tmp_path / "dense.yaml").write_text(VECTOR)
    return tmp_path


def flat(text: str) -> str:
    """The text without line breaks: what it says, whatever the width."""
    return " ".join(text.split())


def found(*arguments: object, code: int = 0, **options: Any) -> dict[str, Any]:
    """What `sizes --format json` gives."""
    result = cnnplan("sizes", *arguments, "--format", "json", **options)
    assert result.code == code
    answer: dict[str, Any] = json.loads(result.out)
    assert answer["format_version"] == "1.0"
    return answer


@pytest.mark.parametrize("columns", [60, 80, 160])
def test_a_padded_unet_takes_multiples_of_8(specs: Path, columns: int) -> None:
    result = cnnplan("sizes", "padded.yaml", cwd=specs, COLUMNS=str(columns))
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("padded  padded.yaml\ninput 1x64x48\n\nheight  multiples of 8, at least 8\n")
    assert "\nwidth  multiples of 8, at least 8\n" in result.out
    assert "  … 32, 40, 48, 56, 64, 72, 80, 88, 96 …\n" in result.out
    assert "  … 16, 24, 32, 40, 48, 56, 64, 72, 80 …\n" in result.out
    for said in (
        # 63 is halved to 31, 15 and 7, and doubled to 14
        "63 is refused by concat1 (line 20): 'concat' cannot join 'conv_transpose1' (2x14x12) and 'e3.conv1' (2x15x12)",
        "input 63 → maxpool1 31 → maxpool2 15 → maxpool3 7 → conv_transpose1 14 "
        "input 63 → maxpool1 31 → maxpool2 15 65 is refused by",
        "input 65 → … → maxpool3 8 → conv_transpose1 16 → conv_transpose2 32 → conv_transpose3 64 input 65",
        "7 is refused by maxpool3 (line 18): kernel 2x2 does not fit into the input 2x1x12: height 1 < 2",
        "floor((1 + 0 + 0 - 1 * (2 - 1) - 1) / 2) + 1 < 1",
    ):
        assert said in flat(result.out)


def test_json_of_a_padded_unet(specs: Path) -> None:
    answer = found("padded.yaml", cwd=specs)
    assert answer["spec"] == "padded.yaml"
    height, width = answer["axes"]
    assert (height["inputs"], height["axis"], height["planned"]) == (["input"], "height", 64)
    assert (width["inputs"], width["axis"], width["planned"]) == (["input"], "width", 48)
    multiples = {"modulus": 8, "remainders": [0], "at_least": 8, "others": []}
    assert height["legal"] == height["valid"] == width["legal"] == width["valid"] == multiples
    assert [(why["size"], why["layer"]) for why in height["refused"]] == [
        *((63, "concat1"), (65, "concat3"), (66, "concat2"), (7, "maxpool3"), (2, "maxpool2"), (1, "maxpool1")),
    ]
    assert all(why["message"] and why["help"] for why in height["refused"] + width["refused"])
    assert "asked" not in answer


def test_vgg_takes_the_sizes_that_its_dense_layer_takes() -> None:
    # 224 to 255 all end in 7x7; 32 is the smallest that five halvings leave anything of
    result = cnnplan("sizes", "specs/vgg16.yaml")
    assert (result.code, result.err) == (0, "")
    assert "\nheight, width  only 224 to 255\n" in result.out
    assert "\n  for one model; with a model of its own for each size: any from 32\n" in result.out
    assert "223 is refused by linear1 (line 25): 'linear1' would need a weight of 4096x21504, not" in flat(result.out)
    height, width = found("specs/vgg16.yaml")["axes"]
    for axis in (height, width):
        assert axis["legal"]["others"] == [{"first": 224, "last": 255, "step": 1}]
        assert axis["legal"]["modulus"] is axis["legal"]["at_least"] is None
        assert axis["valid"] == {"modulus": 1, "remainders": [0], "at_least": 32, "others": []}


@pytest.mark.parametrize(
    ("spec", "size", "legal", "said"),
    [
        ("padded", "96x40", True, "96x40 is legal"),
        ("padded", "8", True, "8x8 is legal"),
        ("padded", "100x40", False, "the nearest legal height: 96 and 104"),
        ("padded", "64x41", False, "the nearest legal width: 40 and 48"),
        ("padded", "7", False, "the nearest legal height: 8 the nearest legal width: 8"),
        ("vgg16", "255", True, "255x255 is legal"),
        ("vgg16", "224×240", True, "224x240 is legal"),
        ("vgg16", "256x224", False, "the nearest legal height: 255"),
        ("vgg16", "200x300", False, "the nearest legal height: 224 the nearest legal width: 255"),
        ("unet", "572", True, "572x572 is legal"),
        ("unet", "100", False, "the nearest legal height: 188 the nearest legal width: 188"),
    ],
)
def test_one_size(spec: str, size: str, legal: bool, said: str, specs: Path) -> None:
    path = specs / "padded.yaml" if spec == "padded" else f"specs/{spec}.yaml"
    result = cnnplan("sizes", path, "--input-size", size)
    assert (result.code, result.err) == (int(not legal), "")
    assert said in flat(result.out)
    assert (" is not legal: " in result.out) == (not legal)
    assert ("nearest" in result.out) == (not legal)
    assert "is refused by" not in result.out
    # what `check` says of the spec at that size: no legal size is refused there
    if legal:
        assert cnnplan("check", path, "--input-size", size, "-q").code == 0


def test_json_of_one_size() -> None:
    asked = found("specs/vgg16.yaml", "--input-size", "300x224", code=1)["asked"]
    assert asked == {
        "size": [300, 224],
        "legal": False,
        "reason": "'linear1' would need a weight of 4096x32256, not 4096x25088",
        "layer": "linear1",
        "nearest": [[255], []],
    }
    asked = found("specs/vgg16.yaml", "--input-size", "240")["asked"]
    assert asked == {"size": [240, 240], "legal": True, "reason": None, "layer": None, "nearest": [[], []]}


def test_a_spec_that_is_valid_at_other_sizes_alone(specs: Path) -> None:
    result = cnnplan("sizes", "broken.yaml", cwd=specs)
    assert result.code == 1
    # 60 is halved to 30, 15 and 7
    assert result.err.startswith(
        "error[S004] 'concat' cannot join 'conv_transpose1' (2x14x12) and 'e3.conv1' (2x15x12)"
    )
    assert result.err.endswith("the spec is not valid at its own size; it is at those that follow\n\n")
    assert result.out.startswith("padded  broken.yaml\n")
    assert "multiples of 8, at least 8\n" in result.out
    axis = found("broken.yaml", code=1, cwd=specs)["axes"][0]
    assert (axis["valid"]["modulus"], axis["legal"], axis["planned"], axis["refused"]) == (8, None, None, [])


def test_a_spec_that_no_size_helps(specs: Path) -> None:
    result = cnnplan("sizes", "-", stdin=PADDED.replace("- maxpool: 2", "- maxpol: 2", 1))
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("error[Y913] unknown operation 'maxpol'\n")
    assert result.err.endswith("\n1 error\n")


def test_a_vector_has_no_sizes(specs: Path) -> None:
    assert cnnplan("sizes", "dense.yaml", cwd=specs) == (
        0,
        "dense  dense.yaml\ninput 12\n\nno input has spatial axes\n",
        "",
    )
    assert found("dense.yaml", cwd=specs)["axes"] == []


def test_inputs_of_one_size_go_together(specs: Path) -> None:
    result = cnnplan("sizes", "two.yaml", cwd=specs)
    assert result.code == 0
    assert "\nheight, width of a and b, together  multiples of 2, at least 2\n" in result.out
    assert "\nlength of c  any from 4\n" in result.out
    assert "b 11 a 11 → maxpool1 5 → upsample1 10" in flat(result.out)
    axes = found("two.yaml", cwd=specs)["axes"]
    assert [(axis["inputs"], axis["axis"], axis["planned"]) for axis in axes] == [
        (["a", "b"], "height", 12),
        (["a", "b"], "width", 12),
        (["c"], "length", 20),
    ]
    same = TWO.replace("c: [1, 20]", "c: [1, 20, 24]")
    assert found("-", "--input-size", "14", stdin=same)["asked"]["legal"]
    asked = found("-", "--input-size", "13", stdin=same, code=1)["asked"]
    assert (asked["layer"], asked["nearest"]) == ("image", [[12, 14], [12, 14]])


def test_the_nearest_sizes_are_legal_for_all_inputs() -> None:
    # a and b take multiples of 2, c, which is pooled by 4, no less than 4
    same = TWO.replace("c: [1, 20]", "c: [1, 20, 24]")
    asked = found("-", "--input-size", "3", stdin=same, code=1)["asked"]
    for near in asked["nearest"]:
        assert near
        for size in near:
            found("-", "--input-size", str(size), stdin=same)


def test_inputs_of_different_ranks_have_no_size_in_common() -> None:
    result = cnnplan("sizes", "-", "--input-size", "14x14", stdin=TWO)
    assert (result.code, result.out) == (2, "")
    assert "2 spatial axes, not 2" not in result.err


def test_a_process_of_its_own(specs: Path) -> None:
    result = run.cnnplan("sizes", "padded.yaml", "--set", "width=3", "-o", "out.txt", cwd=specs)
    assert result == (0, "", "")
    out = (specs / "out.txt").read_text()
    assert "(3x15x12)" in out
    assert run.cnnplan("sizes", "padded.yaml", "--input-size", "63", cwd=specs).code == 1
    colored = run.cnnplan("sizes", "padded.yaml", "--color", "always", cwd=specs).out
    assert "\x1b[1mmultiples of 8, at least 8\x1b[0m" in colored


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("padded.yaml", "--input-size", "big"), "--input-size takes a size such as 256 or 320x240, not 'big'"),
        (("padded.yaml", "--input-size", "0"), "--input-size takes a size such as 256 or 320x240, not '0'"),
        (("padded.yaml", "--input-size", "3x4x5"), "the input of 'padded' has 2 spatial axes, not 3"),
        (("dense.yaml", "--input-size", "3"), "'dense' has no input with spatial axes"),
        (("padded.yaml", "--set", "depth=3"), "the spec has no variable 'depth' to set"),
        (("padded.yaml", "--format", "table"), "'table' is not one of 'text', 'json'"),
        (("missing.yaml",), "error: cannot read missing.yaml: no such file or directory"),
        (("padded.yaml", "two.yaml"), "unexpected extra argument"),
        ((".",), "error: . is a directory"),
        ((), "Missing argument 'SPEC'"),
    ],
)
def test_wrong_usage_exits_with_2(specs: Path, arguments: tuple[str, ...], message: str) -> None:
    result = cnnplan("sizes", *arguments, cwd=specs)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
