"""cnnplan verify: plan beside measurement, for one spec and for several, and its exit codes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli import run
from tests.cli.inside import cnnplan

TINY = """\
cnnplan: 1
name: tiny
input: [3, 12, 12]
layers:
  - conv: {out_channels: 4, kernel_size: 3, padding: 1}
  - batchnorm
  - relu
  - maxpool: 2
  - flatten
  - linear: 3
"""
UNUSED = """\
cnnplan: 1
name: unused
input: [3, 8, 8]
layers:
  - conv: {out_channels: 2, kernel_size: 1}
  - conv: {out_channels: 2, kernel_size: 1}
    from: input
"""
HUGE = "cnnplan: 1\nname: huge\ninput: [3, 1000, 1000]\nlayers: [flatten, {linear: 1000000000}]\n"
BROKEN = TINY.replace("- flatten\n", "- flaten\n")
DIFFERENCES = """\
gradients by one backward pass
  conv1.weight (line 5): planned a gradient, measured none: no path to an output
  conv1.bias (line 5): planned a gradient, measured none: no path to an output

"""
CHECKS = [
    *("shapes", "parameters", "buffers", "MACs", "MACs", "forward", "source", "gradients"),
    *("saved", "training peak", "inference peak", "field", "translation"),
]


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    for name, text in (("tiny", TINY), ("unused", UNUSED), ("huge", HUGE), ("broken", BROKEN)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def verified(*arguments: object, code: int = 0, **options: Any) -> dict[str, Any]:
    """What `verify --format json` gives."""
    result = cnnplan("verify", *arguments, "--format", "json", **options)
    assert result.code == code
    found: dict[str, Any] = json.loads(result.out)
    assert found["format_version"] == "1.0"
    return found


def rows(text: str) -> dict[str, str]:
    """The lines of the table of checks by their first words, spaces as one; of both MACs, the last."""
    lines = text.split("\n\n")[1].splitlines()
    assert lines[0].split()[:2] == ["planned", "measured"]
    return {line.split()[0]: " ".join(line.split()) for line in lines[1:]}


def test_a_table_for_one_spec(specs: Path) -> None:
    # 4·27 + 4 of the convolution, 8 of the norm, 3·144 + 3 of the dense layer; 4·144·27 + 3·144 MACs
    assert (112 + 8 + 435, 15_552 + 432) == (555, 15_984)
    result = run.cnnplan("verify", "tiny.yaml", cwd=specs)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("tiny  tiny.yaml\n\n")
    assert max(map(len, result.out.splitlines())) <= 100
    found = rows(result.out)
    assert list(found) == [check.split()[0] for check in dict.fromkeys(CHECKS)]
    assert found["shapes"].startswith("shapes 6 layers 6 layers ")
    assert found["parameters"].startswith("parameters 555 555 ")
    assert found["buffers"].startswith("buffers 9 9 ")
    assert re.match(r"MACs 15,984 15,984 .*fvcore", found["MACs"])
    assert found["gradients"].startswith("gradients 6 tensors 6 tensors ")
    assert re.match(r"field \d+ units of 4 layers \d+ answers ", found["field"])
    assert all(" exact" in line for line in found.values())
    assert "differs" not in result.out
    assert "conv1" not in result.out
    # flatten reads whole axes
    assert "note: behind an operation that reads a whole axis" in result.out


@pytest.mark.parametrize("columns", [80, 100, 160])
def test_tables_fit_their_width(specs: Path, columns: int) -> None:
    out = cnnplan("verify", "unused.yaml", "-v", cwd=specs, COLUMNS=str(columns)).out
    table = out.split("\ngradients by ")[0]
    assert max(map(len, table.splitlines())) <= columns


def test_json_of_one_spec(specs: Path) -> None:
    found = verified("tiny.yaml", cwd=specs)
    assert found["passed"]
    (spec,) = found["specs"]
    assert (spec["path"], spec["name"], spec["passed"]) == ("tiny.yaml", "tiny", True)
    assert [check["what"] for check in spec["checks"]] == CHECKS
    assert all(
        check.keys() == {"what", "planned", "measured", "oracle", "verdict", "differences"} for check in spec["checks"]
    )
    assert {check["verdict"] for check in spec["checks"]} == {"exact"}
    assert [check["differences"] for check in spec["checks"]] == [[]] * len(CHECKS)
    assert all(check["oracle"] for check in spec["checks"])
    (plan,) = json.loads(cnnplan("check", "tiny.yaml", "--format", "json", cwd=specs).out)["specs"]
    assert [layer["name"] for layer in spec["layers"]] == [layer["name"] for layer in plan["layers"]]
    for layer, planned in zip(spec["layers"], plan["layers"], strict=True):
        assert layer["line"] == planned["line"]
        assert layer["planned"] == layer["measured"] == {"outputs": [planned["output"]], "macs": planned["macs"]}
    (note,) = spec["notes"]
    assert note.startswith("behind an operation that reads a whole axis")


def test_verbose_has_every_layer(specs: Path) -> None:
    out = cnnplan("verify", "tiny.yaml", "-v", cwd=specs).out
    table = out.split("\n\n")[2].splitlines()
    assert [line.split() for line in table] == [
        ["layer", "planned", "measured", "MACs", "measured"],
        ["conv1", "4x12x12", "4x12x12", "15,552", "15,552"],
        ["batchnorm1", "4x12x12", "4x12x12"],
        ["relu1", "4x12x12", "4x12x12"],
        ["maxpool1", "4x6x6", "4x6x6"],
        ["flatten1", "144", "144"],
        ["linear1", "3", "3", "432", "432"],
    ]


def test_a_difference(specs: Path) -> None:
    result = cnnplan("verify", "unused.yaml", cwd=specs)
    assert (result.code, result.err) == (1, "")
    found = rows(result.out)
    assert re.match(r"gradients 4 tensors 2 tensors .*differs", found["gradients"])
    assert sum("differs" in line for line in found.values()) == 1
    assert result.out.endswith(f"\n\n{DIFFERENCES}")
    # fvcore follows a trace, where the first convolution is not
    assert re.match(r"MACs 384 384 ", found["MACs"])
    assert "note: fvcore follows a trace without the layers that no output depends on" in result.out
    (spec,) = verified("unused.yaml", code=1, cwd=specs)["specs"]
    (check,) = [check for check in spec["checks"] if check["verdict"] == "differs"]
    assert (check["what"], spec["passed"]) == ("gradients", False)
    assert check["differences"] == [
        {"layer": name, "line": 5, "planned": "a gradient", "measured": "none: no path to an output"}
        for name in ("conv1.weight", "conv1.bias")
    ]


def test_several_specs_have_a_line_each(specs: Path) -> None:
    result = cnnplan("verify", "tiny.yaml", "unused.yaml", "tiny.yaml", cwd=specs)
    assert (result.code, result.err) == (1, "")
    first, second, *rest = result.out.splitlines(keepends=True)
    assert first == "ok       tiny.yaml    13 checks agree\n"
    assert second == "differs  unused.yaml  differs in gradients\n"
    assert "".join(rest) == f"unused.yaml: {DIFFERENCES}"
    assert not verified("tiny.yaml", "unused.yaml", code=1, cwd=specs)["passed"]
    each = cnnplan("verify", "tiny.yaml", "unused.yaml", "-v", cwd=specs).out
    assert each.count("\nlayer ") == 2
    assert "\nunused  unused.yaml\n" in each


def test_a_directory(specs: Path) -> None:
    (specs / "inner").mkdir()
    (specs / "inner" / "tiny.yaml").write_text(TINY)
    (specs / "inner" / "other.yaml").write_text(TINY)
    (specs / "inner" / "compose.yaml").write_text("services: {}\n")
    result = cnnplan("verify", "inner", cwd=specs)
    assert (result.code, len(result.out.splitlines())) == (0, 2)


def test_quiet_prints_differences_alone(specs: Path) -> None:
    assert cnnplan("verify", "tiny.yaml", "-q", cwd=specs) == (0, "", "")
    assert cnnplan("verify", "unused.yaml", "-q", cwd=specs) == (1, f"unused.yaml: {DIFFERENCES}", "")
    several = cnnplan("verify", "tiny.yaml", "unused.yaml", "-q", cwd=specs)
    assert several == (1, f"unused.yaml: {DIFFERENCES}", "")


def test_a_spec_that_is_not_valid(specs: Path) -> None:
    result = cnnplan("verify", "broken.yaml", cwd=specs)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("error[Y913] unknown operation 'flaten'\n --> broken.yaml:9:5\n")
    assert result.err.endswith("\n1 error\n")
    both = cnnplan("verify", "broken.yaml", "tiny.yaml", cwd=specs)
    assert both.code == 1
    assert "555" in both.out or "ok       tiny.yaml" in both.out
    assert "error[Y913]" in both.err


def test_nothing_passes_where_a_spec_was_not_verified(specs: Path) -> None:
    assert not verified("broken.yaml", code=1, cwd=specs)["passed"]
    assert not verified("broken.yaml", "tiny.yaml", code=1, cwd=specs)["passed"]
    assert not verified("huge.yaml", "tiny.yaml", code=2, cwd=specs)["passed"]


def test_a_spec_that_is_too_large(specs: Path) -> None:
    needed = r"'huge' needs about [\d,.]+ GiB to be verified, and [\d,.]+ GiB are free; verify it with a smaller "
    result = cnnplan("verify", "huge.yaml", cwd=specs)
    assert (result.code, result.out) == (2, "")
    assert re.match(f"error: {needed}", result.err)
    both = cnnplan("verify", "huge.yaml", "tiny.yaml", cwd=specs)
    assert both.code == 2
    assert re.match(f"error: huge.yaml: {needed}", both.err)
    assert "tiny.yaml" in both.out


def test_options(specs: Path) -> None:
    (spec,) = verified("tiny.yaml", "--input-size", "8x4", "--probes", "2", cwd=specs)["specs"]
    assert spec["layers"][0]["measured"] == {"outputs": [[4, 8, 4]], "macs": 4 * 32 * 27}
    assert "2 " in spec["checks"][-2]["oracle"]
    (named,) = verified("-", "--stdin-filename", "here.yaml", stdin=TINY)["specs"]
    assert named["path"] == "here.yaml"
    assert cnnplan("verify", "tiny.yaml", "-o", "out.txt", cwd=specs) == (0, "", "")
    assert (specs / "out.txt").read_text().startswith("tiny  tiny.yaml\n")
    assert "\x1b[32mexact" in cnnplan("verify", "tiny.yaml", "--color", "always", cwd=specs).out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tiny.yaml", "--device", "tpu9"), "error: there is no device 'tpu9' here, only cpu"),
        (("tiny.yaml", "--probes", "0"), "Invalid value for '--probes'"),
        (("tiny.yaml", "--format", "markdown"), "'markdown' is not one of 'table', 'json'"),
        (("tiny.yaml", "--set", "width=3"), "error: the spec has no variable 'width' to set"),
        (("missing.yaml",), "error: cannot read missing.yaml: no such file or directory"),
        ((), "Missing argument 'SPEC'"),
    ],
)
def test_wrong_usage_exits_with_2(specs: Path, arguments: tuple[str, ...], message: str) -> None:
    result = cnnplan("verify", *arguments, cwd=specs)
    assert (result.code, result.out) == (2, "")
    assert message in result.err


def test_without_torch(specs: Path, tmp_path: Path) -> None:
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "torch.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n"
    )
    result = run.cnnplan("verify", specs / "tiny.yaml", PYTHONPATH=str(tmp_path / "absent"))
    assert result == (2, "", "error: this needs torch: pip install 'cnnplan[torch]'\n")
