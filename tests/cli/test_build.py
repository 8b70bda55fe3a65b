"""cnnplan build: which format, what options are for, and what is refused before anything is written."""

from pathlib import Path

import pytest

import cnnplan as package
from tests.cli.inside import cnnplan
from tests.cli.run import ROOT

SPEC = ROOT / "specs" / "lenet5.yaml"


@pytest.mark.parametrize(
    ("file", "begins"), [("x.py", '"""lenet5:'), ("x.svg", "<svg"), ("x.dot", "digraph"), ("x.mmd", "flowchart")]
)
def test_the_format_is_what_the_name_ends_in(file: str, begins: str, tmp_path: Path) -> None:
    run = cnnplan("build", SPEC, "-o", tmp_path / file)
    assert (run.code, run.out) == (0, "")
    assert run.err.startswith(f"wrote {tmp_path / file}: ")
    text = (tmp_path / file).read_text()
    assert begins in text[:300]


def test_diagrams_on_standard_output() -> None:
    for name in ("svg", "dot", "mermaid"):
        run = cnnplan("build", SPEC, "--format", name)
        assert (run.code, run.err) == (0, "")
        assert "conv3" in run.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--optimize", "--format", "svg"), "--optimize is for --format torch, not svg"),
        (("--meta", "--format", "onnx"), "--meta is for --format torch, not onnx"),
        (("--weights", "w.pt"), "--weights is for --format onnx or export, not torch"),
        (("--depth", 2), "--depth is for --format svg or dot or mermaid, not torch"),
        (("--format", "onnx"), "onnx is no text: name a file, such as -o lenet5.onnx"),
        (("--format", "export", "-o", "-"), "export is no text: name a file, such as -o lenet5.pt2"),
        (("--format", "svg", "-o", "net.py"), "net.py is the name of a file of --format torch, not svg"),
        (("--format", "onnx", "-o", "net.pt2"), "net.pt2 is the name of a file of --format export, not onnx"),
        (("--format", "dot", "-o", "net.yaml"), "net.yaml is the name of a spec; write the diagram to net.dot"),
        (("-o", "net.png"), "net.png is the name of a picture, and torch is none: name an SVG, such as net.svg"),
        (("-o", SPEC), f"{SPEC} is the spec itself; write the source to another file"),
    ],
)
def test_refused(arguments: tuple[object, ...], said: str, tmp_path: Path) -> None:
    run = cnnplan("build", SPEC, *arguments, cwd=tmp_path)
    assert (run.code, run.out) == (2, "")
    assert said in run.err
    assert not list(tmp_path.iterdir())


def test_meta_says_what_it_did_not_allocate() -> None:
    run = cnnplan("build", ROOT / "specs" / "vgg16.yaml", "--meta")
    assert run.code == 0
    assert run.out.startswith('"""vgg16')
    assert "138,357,544 parameters, 527.79 MiB not allocated; its outputs are as planned" in run.err


def test_a_model_on_the_meta_device() -> None:
    model = package.build(ROOT / "specs" / "deepface.yaml", meta=True)
    assert all(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
    assert sum(p.numel() for p in model.parameters()) == package.plan(ROOT / "specs" / "deepface.yaml").parameters


def test_optimize_adds_a_function() -> None:
    run = cnnplan("build", ROOT / "specs" / "resnet18.yaml", "--optimize")
    assert run.code == 0
    assert "def optimized(model: Resnet18) -> Resnet18:" in run.out
