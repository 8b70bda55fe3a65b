"""cnnplan build --format onnx|export: what is printed where, and what is refused before any work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnxruntime
import pytest
import torch

from tests.cli.inside import cnnplan
from tests.emit.small_networks import SPECS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.run import Result


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with specs."""
    for name in ("two_inputs", "tokens"):
        (tmp_path / f"{name}.yaml").write_text(SPECS[name])
    return tmp_path


def build(here: Path, *arguments: str) -> Result:
    """`cnnplan build two_inputs.yaml …`; nothing is ever printed on standard output."""
    found = cnnplan("build", "two_inputs.yaml", *arguments, cwd=here)
    assert found.out == ""
    return found


@pytest.mark.parametrize(("format", "name"), [("onnx", "model.onnx"), ("export", "model.pt2")])
def test_it_is_written_and_said_in_two_lines(format: str, name: str, here: Path) -> None:
    """Exporters are chatty; none of that is seen."""
    found = build(here, "--format", format, "-o", name)
    assert found.code == 0
    lines = found.err.splitlines()
    assert lines[0].startswith(f"wrote {name}: two_inputs with ")
    assert lines[1:] == ["the weights are fresh, of seed 0: --weights model.safetensors gives trained ones"]
    quiet = build(here, "--format", format, "-o", name, "-q")
    assert (quiet.code, quiet.err) == (0, "")


def test_the_name_says_the_format(here: Path) -> None:
    """Tokens go in as integers, and come out so."""
    assert cnnplan("build", "tokens.yaml", "-o", "model.pt2", cwd=here).code == 0
    program = torch.export.load(here / "model.pt2").module()
    kept, logits = program(torch.zeros(5, 6, 4, dtype=torch.int64), torch.randn(5, 6, 4))
    assert kept.dtype == torch.int64
    assert logits.shape == (5, 3)
    assert build(here, "-o", "model.onnx").code == 0
    session = onnxruntime.InferenceSession(here / "model.onnx")
    assert [given.name for given in session.get_inputs()] == ["image", "features"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "onnx"], "-o"),
        (["--format", "export", "-o", "-"], "-o"),
        (["--format", "onnx", "-o", "model.pt2"], "model.pt2"),
        (["--format", "export", "-o", "model.onnx"], "model.onnx"),
        (["--format", "export", "-o", "model.pt"], "write it to model.pt2"),
        (["--format", "onnx", "-o", "none/model.onnx"], "cannot write none/model.onnx: there is no folder"),
        (["--format", "onnx", "-o", "."], "--format onnx"),
        (["--format", "export", "-o", "model.pt2", "--weights", "none.safetensors"], "none.safetensors"),
        (["--format", "torch", "-o", "model.py", "--weights", "none.safetensors"], "--weights"),
    ],
)
def test_what_is_refused(arguments: list[str], said: str, here: Path) -> None:
    before = sorted(here.iterdir())
    found = build(here, *arguments)
    assert found.code == 2
    assert said in found.err
    assert len(found.err.splitlines()) <= 3
    assert sorted(here.iterdir()) == before
