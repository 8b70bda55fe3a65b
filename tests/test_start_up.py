"""Start-up: what is imported is what people wait for."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def modules_after(*arguments: str) -> set[str]:
    """The modules in memory after a command, or after `import cnnplan` alone."""
    run = "sys.argv[1:] = " + repr(list(arguments)) + "; from cnnplan.cli import main; main()" if arguments else ""
    code = f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); import cnnplan; {run}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    return set(result.stderr.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "specs/vgg16.yaml"),
        ("check", "specs/resnet50.yaml", "--format", "json"),
        ("check", "specs/vgg16.yaml", "--columns", "field,effective,coverage"),
        ("check", "specs/vgg16.yaml", "--draw", "field"),
        ("check", "specs/vgg16.yaml", "--unit", "3,3"),
        ("explain", "specs/vgg16.yaml", "stage1.conv2"),
        ("explain", "specs/vgg16.yaml", "stage1.conv2", "--format", "json"),
        ("sizes", "specs/vgg16.yaml"),
        ("build", "specs/resnet50.yaml"),
        ("build", "specs/resnet50.yaml", "--format", "svg"),
        ("ops", "conv"),
        ("rule", "N201"),
        ("zoo",),
        ("schema",),
    ],
)
def test_torch_stays_unloaded(arguments: tuple[str, ...]) -> None:
    loaded = modules_after(*arguments)
    assert not loaded & {"torch", "numpy", "fvcore", "lightning"}


def test_importing_the_package_loads_nothing_else() -> None:
    loaded = modules_after()
    assert not loaded & {"torch", "pydantic", "yaml", "rich", "typer", "cnnplan.planning"}


def test_a_check_loads_the_operations_that_the_spec_names_and_no_other() -> None:
    loaded = {name.removeprefix("cnnplan.ops.") for name in modules_after("check", "specs/vgg16.yaml")}
    assert {"conv", "maxpool", "linear", "flatten", "activations"} <= loaded
    assert not loaded & {"conv_transpose", "upsample", "batchnorm", "groupnorm", "lrn", "merges", "softmaxes"}


def test_a_check_on_a_pipe_does_without_rich_and_writes_no_source() -> None:
    loaded = modules_after("check", "specs/vgg16.yaml")
    assert not {
        name
        for name in loaded
        if name.startswith(("rich", "cnnplan.settings", "cnnplan.train_settings", "cnnplan.devices"))
    }
    assert not loaded & {"cnnplan.analyses.roofline", "cnnplan.analyses.fit", "cnnplan.fitting"}
    # how long values live is asked of the emitter's structure, without its writing
    assert {name for name in loaded if name.startswith("cnnplan.emit.")} == {
        "cnnplan.emit.structure",
        "cnnplan.emit.lifetimes",
    }
