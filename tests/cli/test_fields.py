"""cnnplan check --columns, --draw and --unit: the receptive field as columns, as a chart, as what one unit sees."""

import json
from pathlib import Path
from typing import Any

import pytest

from cnnplan.render.columns import COLUMNS
from tests.cli import run
from tests.cli.inside import cnnplan

HOLES = """\
cnnplan: 1
name: holes
inputs:
  image: [3, 20, 24]
  sound: [1, 16]
layers:
  - conv: {out_channels: 4, kernel_size: 3, dilation: [3, 2]}
    from: image
    name: wide
  - squeeze_excite: 2
    name: gated
  - conv: {out_channels: 4, kernel_size: 3}
    name: last
  - conv: {out_channels: 2, kernel_size: 3, padding: 1}
    from: sound
    name: heard
outputs: [last, heard]
"""
VECTOR = "cnnplan: 1\nname: dense\ninput: [12]\nlayers: [{linear: 3}, relu]\n"
PLAIN: dict[str, Any] = {"NO_COLOR": "1"}


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    (tmp_path / "holes.yaml").write_text(HOLES)
    (tmp_path / "dense.yaml").write_text(VECTOR)
    return tmp_path


def checked(*arguments: object, columns: int = 160, **options: Any) -> str:
    """What a check that finds nothing prints: plain text."""
    result = cnnplan("check", *arguments, "--ignore", "N,H,G,F,P,R", COLUMNS=str(columns), **PLAIN, **options)
    assert (result.code, result.err) == (0, "")
    assert "\x1b" not in result.out
    return result.out


def table(text: str) -> list[list[str]]:
    """The cells of a table's head and rows, of those that have no spaces in them."""
    lines = text.split("\n\n")[1].splitlines()
    return [line.split() for line in (lines[0], *lines[2:])]


# ------------------------------------------------------------------------- columns


def test_the_columns_that_are_asked_for_in_their_order() -> None:
    out = checked("specs/lenet5.yaml", "--columns", "start,field,stride,line,output,flops")
    assert out.startswith("lenet5  specs/lenet5.yaml\n")
    assert table(out)[:4] == [
        ["layer", "start", "field", "stride", "line", "output", "FLOPs"],
        # 2·117,600 MACs and 4,704 biases
        ["conv1", "0", "5", "1", "9", "6x28x28", "239.90", "K"],
        ["tanh1", "0", "5", "1", "10", "6x28x28", "4.70", "K"],
        ["avgpool1", "0", "6", "2", "11", "6x14x14", "4.70", "K"],
    ]
    first = checked("specs/lenet5.yaml", "--columns", " field, layer ,field")
    assert table(first)[0] == ["field", "layer"]


def test_every_column() -> None:
    names = [name for name in COLUMNS if COLUMNS[name].title]
    out = checked("specs/resnet18.yaml", "--depth", 1, "--columns", ",".join(names), "--target", "h100")
    titles = " ".join(COLUMNS[name].title for name in names)
    head, _, first = out.split("\n\n")[1].splitlines()[:3]
    assert " ".join(head.split()) == titles
    # 7 units, from 3 before the first, of which nearly all are used; one path alone
    # edges: 147 weights of 12,544 windows, some of whose taps lie in padding; dense: in · out of both
    edges = 3 * 64 * sum(0 <= 2 * o + t < 224 for o in range(112) for t in range(-3, 4)) ** 2
    dense = f"{edges:,} {3 * 224**2 * 64 * 112**2:,}"
    assert f" 7 7 2 -3 {dense} ~7 100 % " in " ".join(first.split())
    # the convolution's output and ReLU's, and two numbers a channel: 2 · 4 · 64·112·112 + 8·64 bytes
    assert 2 * 4 * 64 * 112 * 112 + 8 * 64 == 6_422_528 + 512
    assert " 6.13 MiB 29.7 % " in " ".join(first.split())


def test_effective_coverage_and_smallest_field(specs: Path) -> None:
    rows = table(checked("holes.yaml", "-v", "--columns", "field,min_field,stride,start,effective,coverage", cwd=specs))
    found = {row[0]: row[1:] for row in rows}
    assert found["wide"] == ["7x5", "7x5", "1", "0", "~7x5", "43", "%x60", "%"]  # 3 of 7 units, 3 of 5
    assert found["gate"] == ["all", "all", "all", "all"]
    assert found["last"][:4] == ["9x7", "9x7", "1", "0"]
    assert found["heard"][:4] == ["3", "3", "1", "-1"]


def test_the_table_has_the_field_by_default(specs: Path) -> None:
    for spec in ("specs/lenet5.yaml", "specs/unet.yaml", specs / "holes.yaml"):
        assert "field" in table(checked(spec))[0]
    assert "field" not in table(checked(specs / "dense.yaml"))[0]
    assert "| layer | operation | output | field | parameters |" in checked("specs/lenet5.yaml", "--format", "markdown")


def test_columns_in_markdown() -> None:
    out = checked("specs/lenet5.yaml", "--columns", "stride,field", "--format", "markdown")
    assert "\n| layer | stride | field |\n| :-- | --: | --: |\n| `conv1` | 1 | 5 |\n" in out
    assert "| `linear2` | all | all |" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--columns", "feild"), "error: there is no column 'feild'; did you mean 'field'?\n"),
        (("--columns", "output,Stride"), "error: there is no column 'Stride'; did you mean 'stride'?\n"),
        (("--columns", " , "), "error: --columns takes names such as layer,output,field: layer, operation, line, "),
        (("--columns", "field", "--format", "json"), "error: --columns is for tables, not for --format json\n"),
        (("--columns", "field", "--format", "concise"), "error: --columns is for tables, not for --format concise\n"),
        (("--draw", "field", "--format", "json"), "error: --draw is for the terminal, not for --format json\n"),
        (("--draw", "memory"), "Invalid value for '--draw'"),
    ],
)
def test_columns_and_drawings_that_there_are_not(arguments: tuple[str, ...], message: str) -> None:
    result = cnnplan("check", "specs/lenet5.yaml", *arguments)
    assert (result.code, result.out) == (2, "")
    assert message in result.err


# ------------------------------------------------------------------------- the chart


def charts(spec: object, columns: int) -> list[list[str]]:
    """The charts below a table: a title, ten rows, an axis, names."""
    parts = checked(spec, "--draw", "field", columns=columns).split("receptive field along ")[1:]
    found = [part.rstrip("\n").splitlines() for part in parts]
    assert all(len(lines) == 13 for lines in found)
    return found


@pytest.mark.parametrize("columns", [60, 80, 160])
@pytest.mark.parametrize(
    ("spec", "title", "limit", "top"),
    [
        ("specs/resnet50.yaml", "height and width, by layer; ╌ the input's 224", 224, 427),
        ("specs/googlenet.yaml", "height and width, by layer; ╌ the input's 224", 224, 715),
        ("specs/unet.yaml", "height and width, by layer; ╌ the input's 572", 572, None),
        ("specs/m5.yaml", "length, by layer; ╌ the input's 32,000", 32_000, None),
    ],
)
def test_a_chart(spec: str, title: str, limit: int, top: int | None, columns: int) -> None:
    ((first, *lines),) = charts(spec, columns)
    assert first == title
    assert max(map(len, [first, *lines])) <= columns
    rows, axis, names = lines[:10], lines[10], lines[11]
    labels = [row.split("┼")[0].strip() for row in rows if "┼" in row]
    assert labels == [f"{n:,}" for n in (top, limit) if n]
    (marked,) = [row for row in rows if "╌" in row]
    assert marked.split("┼")[0].strip() == f"{limit:,}"
    assert len({row.index("┼" if "┼" in row else "│") for row in rows} | {axis.index("└")}) == 1
    assert set(axis.strip()) == {"└", "─"}
    assert names.strip()
    # the field grows: a row that is higher is not fuller
    filled = [
        sum(mark not in " ╌" for mark in row[len(row.split("┼" if "┼" in row else "│")[0]) + 1 :]) for row in rows
    ]
    assert filled == sorted(filled)
    assert filled[-1] == axis.count("─")


def test_axes_that_grow_otherwise_have_charts_of_their_own() -> None:
    depth, image = charts("specs/c3d.yaml", 80)
    assert depth[0] == "depth, by layer; ╌ the input's 16"
    assert image[0] == "height and width, by layer; ╌ the input's 112"
    assert [line.split("┼")[0].strip() for line in depth if "┼" in line] == ["76", "16"]
    assert [line.split("┼")[0].strip() for line in image if "┼" in line] == ["150", "112"]


def test_nothing_to_draw(specs: Path) -> None:
    out = checked("dense.yaml", "--draw", "field", cwd=specs)
    assert out.endswith("\nthere is no growth to draw: fewer than two layers have a local receptive field\n\n")


# ------------------------------------------------------------------------- what one unit sees

SIGHT = """\
holes  holes.yaml
unit 0,0 of wide 4x14x20 sees

image 3x20x24
           first … last   without clipping   read   of the axis
  height          0 … 6              0 … 6      3        15.0 %
  width           0 … 4              0 … 4      3        12.5 %
  9 of 480 positions, 1.9 %
  with holes: some units between the first and the last are not read

  ┌────────────────────────┐
  │█·█·█···················│
  │█·█·█···················│
  │························│
  │█·█·█···················│
  │························│
  │························│
  │························│
  │························│
  │························│
  │························│
  └────────────────────────┘

"""


def test_dilation_leaves_holes(specs: Path) -> None:
    sight = run.cnnplan("check", "holes.yaml", "--unit", "0,0", "--layer", "wide", "-q", cwd=specs, **PLAIN)
    assert sight.out == SIGHT


def test_without_a_layer_the_last_with_spatial_axes_is_meant(specs: Path) -> None:
    out = checked("holes.yaml", "--unit", "0", cwd=specs)
    assert "\nunit 0 of heard 2x16 sees\n\nsound 1x16\n" in out
    # a kernel of 3 around unit 0 begins in the padding
    assert "\n  length          0 … 1             -1 … 1      2        12.5 %\n" in out
    assert "┌" not in out
    assert "\nunit 5,6 of maxpool3 256x6x6 sees\n" not in checked("specs/alexnet.yaml", "--unit", "5,5")
    assert "\nunit 5,5 of maxpool3 256x6x6 sees\n" in checked("specs/alexnet.yaml", "--unit", "5x5")


def test_paths_that_see_everything_are_named(specs: Path) -> None:
    out = checked("holes.yaml", "--unit", "1,2", "--layer", "last", cwd=specs)
    assert "\nimage 3x20x24, through local paths\n" in out
    assert "\n  63 of 480 positions, 13.1 %\n" in out
    assert "\nimage 3x20x24: all of it, through gated.multiply1.gate.global_avgpool1\n" in out
    inside = checked("holes.yaml", "--unit", "0,0", "--layer", "gated.multiply1.gate.conv1", cwd=specs)
    assert "\nimage 3x20x24: all of it, through gated.multiply1.gate.global_avgpool1\n" in inside


def test_a_unit_in_each_format(specs: Path) -> None:
    arguments = ("holes.yaml", "--unit", "1,2", "--layer", "last")
    line = (
        "holes.yaml: last[1,2] sees height 1-9, width 2-8 of image 3x20x24, "
        "and more of it through gated.multiply1.gate.global_avgpool1\n"
    )
    assert checked(*arguments, "--format", "concise", cwd=specs).splitlines(keepends=True)[1] == line
    markdown = checked(*arguments, "--format", "markdown", cwd=specs)
    assert markdown == line.replace("[", "\\[").replace("]", "\\]").replace("_", "\\_")
    (spec,) = json.loads(checked(*arguments, "--format", "json", cwd=specs))["specs"]
    assert spec["unit"] == {
        "layer": "last",
        "unit": [1, 2],
        "inputs": [
            {
                "input": "image",
                "exact": True,
                "sees": {"interval": [[0, 19], [0, 23]], "units": [20, 24], "positions": 480},
                "local": {"interval": [[1, 9], [2, 8]], "units": [9, 7], "positions": 63},
            }
        ],
        "global_through": ["gated.multiply1.gate.global_avgpool1"],
    }
    (without,) = json.loads(checked("holes.yaml", "--format", "json", cwd=specs))["specs"]
    assert "unit" not in without


def test_a_unit_of_a_spec_that_is_not_valid(specs: Path) -> None:
    result = cnnplan("check", "-", "--unit", "0,0", stdin=HOLES.replace("squeeze_excite", "squeeze_exite"))
    assert (result.code, result.err) == (1, "")
    assert result.out.startswith("error[Y913] unknown operation 'squeeze_exite'")
    assert "sees" not in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--unit", "14,0", "--layer", "wide"), "unit 14 is outside the height of 'wide' (4x14x20): 0 to 13"),
        (("--unit", "0,20", "--layer", "wide"), "unit 20 is outside the width of 'wide' (4x14x20): 0 to 19"),
        (("--unit", "0", "--layer", "wide"), "'wide' is 4x14x20: a unit of it has 2 indexes, not 1"),
        (("--unit", "0,0,0", "--layer", "wide"), "'wide' is 4x14x20: a unit of it has 2 indexes, not 3"),
        (("--unit", "-1,0", "--layer", "wide"), "--unit takes an index for each spatial axis, such as 3,4, not '-1,0'"),
        (("--unit", "a"), "--unit takes an index for each spatial axis, such as 3,4, not 'a'"),
        (("--unit", ""), "--unit takes an index for each spatial axis, such as 3,4, not ''"),
        (("--unit", "0,0", "--layer", "wid"), "'holes' has no layer 'wid'; did you mean 'wide'?"),
        (("--unit", "0,0", "--layer", "gated"), "'gated' is a block, whose layers are 'gated.mul"),
        (("--layer", "wide"), "--layer says whose --unit is meant: give that too, such as --unit 0,0 --layer wide"),
        (("dense.yaml", "--unit", "0"), "--unit is about one spec, not 2"),
    ],
)
def test_units_that_there_are_not(specs: Path, arguments: tuple[str, ...], message: str) -> None:
    result = cnnplan("check", "holes.yaml", *arguments, cwd=specs)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: {message}")


def test_units_of_vectors(specs: Path) -> None:
    alone = cnnplan("check", "dense.yaml", "--unit", "0", cwd=specs)
    assert alone == (2, "", "error: no layer of 'dense' has spatial axes\n")
    named = cnnplan("check", "dense.yaml", "--unit", "0", "--layer", "linear1", cwd=specs)
    assert named == (2, "", "error: 'linear1' is a vector of 3: it has no spatial axes to index\n")


# ------------------------------------------------------------------------- widths

SHOWN = {
    "a table": (),
    "every layer": ("-v",),
    "a chart": ("--draw", "field"),
    "columns": ("-v", "--columns", "output,field,stride,start"),
    "a sight": ("--unit", "3,3"),
    "a sight of a map": ("--unit", "40,50", "--layer"),
}


@pytest.mark.parametrize("columns", [80, 100, 160])
@pytest.mark.parametrize("shown", SHOWN)
@pytest.mark.parametrize(
    ("name", "layer"), [("resnet50", "stage1.bottleneck1.add1"), ("googlenet", "lrn1"), ("unet", "dec2.copy")]
)
def test_no_line_is_wider_than_the_terminal(name: str, layer: str, shown: str, columns: int) -> None:
    arguments = SHOWN[shown]
    more = (layer,) if "--layer" in arguments else ()
    out = checked(f"specs/{name}.yaml", *arguments, *more, columns=columns)
    assert [line for line in out.splitlines() if len(line) > columns] == []


def test_long_names_are_cut_where_there_is_no_room() -> None:
    out = checked("specs/resnet50.yaml", "-v", "--columns", "output,parameters,macs,field", columns=54)
    lines = out.split("\n\n")[1].splitlines()
    assert max(map(len, lines)) <= 54
    assert "\n          co…  64x56x56 " in out


def test_a_pipe_is_plain_without_being_told() -> None:
    for arguments in (("--draw", "field"), ("--unit", "0,0"), ("--columns", "field")):
        assert "\x1b" not in run.cnnplan("check", "specs/lenet5.yaml", *arguments).out
        assert "\x1b[" in cnnplan("check", "specs/lenet5.yaml", *arguments, FORCE_COLOR="1").out
        assert "\x1b" not in cnnplan("check", "specs/lenet5.yaml", *arguments, FORCE_COLOR="1", **PLAIN).out
