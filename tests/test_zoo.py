"""The zoo: published totals, models that are the planned ones, the wiring of hand-written PyTorch."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import cnnplan
from cnnplan import zoo
from cnnplan.emit import emit
from tests.zoo import families

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

TOTALS = {name: totals for family in families() for name, totals in family.TOTALS.items()}
VARIANTS = [variant for family in families() for variant in getattr(family, "VARIANTS", ())]
SMALL: dict[str, Sequence[int] | Mapping[str, Any] | None] = {
    name: size for family in families() for name, size in getattr(family, "SMALL", {}).items()
}
INPUTS: dict[tuple[str, str], Callable[[cnnplan.Plan, int], Tensor]] = {
    key: make for family in families() for key, make in getattr(family, "INPUTS", {}).items()
}
NO_CLASSES = {name for family in families() for name in getattr(family, "NO_CLASSES", ())}
REFERENCES: dict[str, Callable[[], nn.Module]] = {
    name: make for family in families() for name, make in getattr(family, "REFERENCES", {}).items()
}
REFERENCE_VARIANTS: list[tuple[str, dict[str, Any], Callable[[], nn.Module]]] = [
    variant for family in families() for variant in getattr(family, "REFERENCE_VARIANTS", ())
]
IMAGE = (64, 64)

every_spec = pytest.mark.parametrize("name", zoo.names())


def test_every_spec_has_its_totals() -> None:
    assert zoo.names() == sorted(TOTALS)


@every_spec
def test_totals(name: str) -> None:
    plan = cnnplan.plan(zoo.find(name))
    assert plan.name == name
    assert (plan.parameters, plan.macs) == TOTALS[name]


@pytest.mark.parametrize(("name", "variables", "size", "totals"), VARIANTS)
def test_totals_of_variants(name: str, variables: dict[str, Any], size: int | None, totals: tuple[int, int]) -> None:
    plan = cnnplan.plan(zoo.find(name), variables=variables, input_size=size)
    assert (plan.parameters, plan.macs) == totals
    with torch.device("meta"):
        model = cnnplan.build(zoo.find(name), variables=variables, input_size=size).eval()
        assert shapes(model(*inputs(plan))) == outputs(plan)
    assert sum(p.numel() for p in model.parameters()) == plan.parameters


@every_spec
def test_it_says_what_it_is(name: str) -> None:
    plan = cnnplan.plan(zoo.find(name))
    assert plan.spec.description
    assert plan.spec.reference


@pytest.mark.parametrize("name", [name for name in zoo.names() if name not in NO_CLASSES])
def test_classes_are_a_variable(name: str) -> None:
    """Each class is a channel of what leaves the network."""
    plan = cnnplan.plan(zoo.find(name), variables={"classes": 7})
    assert {shape[0] for shape in outputs(plan)} == {7}


@every_spec
def test_the_built_model_is_the_planned_one(name: str) -> None:
    """At full size, on torch's meta device: shapes without numbers. Torch counts the work, too."""
    plan = cnnplan.plan(zoo.find(name))
    with torch.device("meta"):
        model = cnnplan.build(zoo.find(name)).eval()
        x = inputs(plan)
    planned = [
        (f"{layer.name}.{tensor}", shape)
        for layer in plan.layers
        if not layer.node.shared_with
        for tensor, shape in layer.work.tensors.items()
    ]
    assert [(name, tuple(p.shape)) for name, p in model.named_parameters()] == planned
    assert sum(b.numel() for b in model.buffers()) == plan.buffers
    with FlopCounterMode(display=False) as counter:
        assert shapes(model(*x)) == outputs(plan)
    assert counter.get_total_flops() == 2 * len(x[0]) * plan.macs


@every_spec
def test_the_built_model_runs_and_learns(name: str) -> None:
    plan = small(name)
    torch.manual_seed(0)
    model = cnnplan.build(plan)
    x = inputs(plan)
    with torch.no_grad():
        y = model.eval()(*x)
    assert shapes(y) == outputs(plan)
    assert all(value.isfinite().all() for value in values(y))
    y = model.train()(*x)
    assert shapes(y) == outputs(plan)
    torch.stack([value.square().sum() for value in values(y)]).sum().backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


def small(name: str, variables: Mapping[str, Any] | None = None, **options: Any) -> cnnplan.Plan:
    """A network at a size at which a test is quick."""
    size = SMALL.get(name, IMAGE)
    options |= size if isinstance(size, Mapping) else {"input_size": size}
    variables = {**options.pop("variables", {}), **(variables or {})}
    return cnnplan.plan(zoo.find(name), variables=variables, **options)


def inputs(plan: cnnplan.Plan, batch: int = 2, scale: float = 1) -> list[Tensor]:
    return list(given(plan, batch, scale))


def given(plan: cnnplan.Plan, batch: int, scale: float) -> Iterator[Tensor]:
    for value in plan.graph.inputs:
        if make := INPUTS.get((plan.name, value.name)):
            yield make(plan, batch)
        elif value.dtype == "int64":
            known = min(node.op.num_embeddings for node in plan.graph.nodes if hasattr(node.op, "num_embeddings"))
            yield torch.randint(known, (batch, *value.shape))
        else:
            yield scale * torch.randn(batch, *value.shape)


def outputs(plan: cnnplan.Plan) -> list[tuple[int, ...]]:
    return [tuple(value.shape) for value in plan.graph.outputs.values()]


def values(y: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return y if isinstance(y, tuple) else (y,)


def shapes(y: Tensor | tuple[Tensor, ...]) -> list[tuple[int, ...]]:
    """The shapes of a model's outputs, without the batch."""
    return [tuple(value.shape[1:]) for value in values(y)]


# ------------------------------------------------------------------------- the emitted source


@pytest.mark.parametrize(
    ("name", "most"), [("resnet50", 150), ("googlenet", 150), ("unet", 120), ("mobilenet_v3_large", 200)]
)
def test_the_source_is_short(name: str, most: int) -> None:
    text = emit(cnnplan.plan(zoo.find(name)).graph).text
    assert len([line for line in text.splitlines() if line.strip()]) <= most


def test_the_source_is_as_a_formatter_leaves_it(tmp_path: Path) -> None:
    for name in zoo.names():
        (tmp_path / f"{name}.py").write_text(emit(cnnplan.plan(zoo.find(name)).graph).text, encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    for command in (
        [*ruff, "check", "--isolated", "--select", "E,F,I,B,UP", "--line-length", "120", tmp_path],
        [*ruff, "format", "--isolated", "--check", "--line-length", "100", tmp_path],
    ):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-500:]


# ------------------------------------------------------------------------- hand-written PyTorch


@pytest.mark.parametrize(
    ("name", "variables", "make"), [*((name, {}, make) for name, make in REFERENCES.items()), *REFERENCE_VARIANTS]
)
def test_weights_of_hand_written_pytorch_fit_leaf_by_leaf(
    name: str, variables: dict[str, Any], make: Callable[[], nn.Module]
) -> None:
    torch.manual_seed(0)
    plan = small(name, variables)
    theirs, ours = make().double(), cnnplan.build(plan).double()
    x = inputs(plan, scale=10)  # large enough that relu6 and lrn show
    x = [value.double() if value.is_floating_point() else value for value in x]
    sources, leaves = leaves_of(theirs, x), leaves_of(ours, x)
    assert list(map(tensors, leaves)) == list(map(tensors, sources))
    for leaf, source in zip(leaves, sources, strict=True):
        disturb(source)
        leaf.load_state_dict(source.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(*x), theirs.eval()(*x))


def leaves_of(model: nn.Module, x: Sequence[Tensor]) -> list[nn.Module]:
    """The modules with parameters and no children, in the order in which they first run."""
    found: dict[nn.Module, None] = {}
    hooks = [
        module.register_forward_hook(lambda module, *_: found.setdefault(module))
        for module in model.modules()
        if not list(module.children()) and list(module.parameters())
    ]
    with torch.no_grad():
        model.eval()(*x)
    for hook in hooks:
        hook.remove()
    assert len(found) == len(hooks)
    return list(found)


def tensors(leaf: nn.Module) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, tuple(tensor.shape)) for name, tensor in leaf.state_dict().items()]


def disturb(leaf: nn.Module) -> None:
    """Numbers that show where the leaf is: a fresh batch normalization does nothing in evaluation."""
    with torch.no_grad():
        if isinstance(leaf, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            leaf.running_mean.normal_(0, 0.2)
            leaf.running_var.uniform_(0.1, 0.3)  # the usual initial weights shrink what they multiply
            leaf.num_batches_tracked.fill_(7)
        for name, tensor in leaf.named_parameters():
            if name == "bias":
                tensor.normal_(0, 0.2)
            elif tensor.numel() == max(tensor.shape) and not isinstance(leaf, nn.Linear):  # a factor for each channel
                tensor.uniform_(0.7, 1.3)


# ------------------------------------------------------------------------- another counter


@pytest.mark.parametrize(
    "name",
    [
        "alexnet_2012",
        "c3d",
        "dcgan_discriminator",
        "dcgan_generator",
        "googlenet",
        "m5",
        "mobilenet_v3_large",
        "resnext50",
        "unet",
    ],
)
def test_macs_are_those_of_fvcore(name: str) -> None:
    plan = small(name)
    model = cnnplan.build(plan).eval()
    x = tuple(inputs(plan, batch=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(model, x)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        counts = analysis.by_operator()
    assert sum(counts[operator] for operator in ("conv", "linear", "addmm", "matmul")) == plan.macs
