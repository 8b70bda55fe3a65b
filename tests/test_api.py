"""The Python API: what it takes, and what it says where that is not right."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import cnnplan
from cnnplan import SpecError, UsageError
from tests.language.helpers import HEAD, complaint, net

TEXT = net("- conv: {out_channels: =n, kernel_size: 1}", more="variables: {n: 4}")
DATA = {
    "cnnplan": 1,
    "name": "net",
    "input": [3, 8, 8],
    "variables": {"n": 4},
    "layers": [{"conv": {"out_channels": "=n", "kernel_size": 1}}],
}


def test_a_path_a_text_and_a_dict_are_one_plan(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(TEXT)
    plans = [cnnplan.plan(spec) for spec in (path, str(path), TEXT, DATA)]
    assert {p.parameters for p in plans} == {16}
    assert [p.path for p in plans] == [str(path), str(path), "<text>", "<dict>"]


def test_build_takes_a_plan() -> None:
    plan = cnnplan.plan(TEXT, variables={"n": 7}, input_size=5)
    model = cnnplan.build(plan)
    assert tuple(model(torch.zeros(2, 3, 5, 5)).shape) == (2, 7, 5, 5)
    with pytest.raises(UsageError, match="a plan has its variables"):
        cnnplan.build(plan, variables={"n": 3})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variables": ["n=4"]}, "a dict"),
        ({"variables": {"n": object()}}, "object"),
        ({"variables": {"n": "five"}}, "an integer"),
        ({"variables": {"m": 4}}, "no variable 'm'"),
        ({"input_size": 1.5}, "1.5"),
        ({"input_size": "8x8"}, "'8x8'"),
        ({"input_size": []}, "[]"),
        ({"input_size": [8, 8, 8]}, "2 spatial axes"),
        ({"input_size": 0}, "0"),
        ({"input_size": True}, "True"),
        ({"batch": 0}, "batch"),
        ({"batch": 2.0}, "batch"),
    ],
)
def test_wrong_options_are_usage_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        cnnplan.plan(TEXT, **options)
    assert message in str(caught.value)


@pytest.mark.parametrize("spec", [3, None, ["cnnplan"], "no_such_file.yaml", Path(), b"cnnplan: 1\n"])
def test_what_is_no_spec_is_a_usage_error(spec: Any) -> None:
    with pytest.raises(UsageError):
        cnnplan.plan(spec)


def test_integers_of_other_libraries_are_integers() -> None:
    numpy = pytest.importorskip("numpy")
    assert cnnplan.plan(DATA | {"variables": {"n": numpy.int64(5)}}).parameters == 20
    assert cnnplan.plan(TEXT, variables={"n": numpy.int32(6)}).parameters == 24


def test_errors_carry_their_findings() -> None:
    with pytest.raises(SpecError) as caught:
        cnnplan.plan(net("- rleu\n- conv: {out_channels: 0, kernel_size: 1}"))
    assert [d.code for d in caught.value.diagnostics] == ["Y913", "Y911"]
    assert "'relu'" in str(caught.value)
    assert isinstance(caught.value, cnnplan.CnnplanError)


def test_a_layer_is_found_by_its_name() -> None:
    plan = cnnplan.plan(TEXT)
    assert plan.layer("conv1").parameters == 16
    with pytest.raises(UsageError, match="'conv1'"):
        plan.layer("con1")


def test_without_torch_a_plan_is_made_and_a_build_says_what_to_install(tmp_path: Path) -> None:
    script = tmp_path / "without.py"
    script.write_text(
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "import cnnplan\n"
        f"text = {TEXT!r}\n"
        "assert cnnplan.plan(text).parameters == 16\n"
        "try:\n"
        "    cnnplan.build(text)\n"
        "except cnnplan.UsageError as error:\n"
        "    print(error)\n"
    )
    root = Path(__file__).parent.parent
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=root, env={"PYTHONPATH": "."})
    assert result.returncode == 0, result.stderr
    assert "cnnplan[torch]" in result.stdout


@pytest.mark.parametrize(
    ("shape", "hint"), [("[224, 224, 3]", "channels first"), ("[1, 3, 224, 224]", "without the batch")]
)
def test_shapes_in_another_order(shape: str, hint: str) -> None:
    head = HEAD.replace("[3, 8, 8]", shape)
    text = net("- conv: {out_channels: 4, kernel_size: «7}", head=head)
    assert hint in complaint(text, "S001")


def test_a_vector_beside_a_map() -> None:
    assert "keepdim" in complaint(
        net("- relu:\n  name: a\n- global_avgpool\n- «concat:\n  from: [a, previous]"), "S004"
    )
