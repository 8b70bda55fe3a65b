"""Which activations and sums overwrite their input: where that is safe, that it changes nothing, what it saves."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from torch import Tensor, nn

import cnnplan
from cnnplan.analyses.inplace import in_place
from cnnplan.ops import registry
from cnnplan.ops.base import Shape
from cnnplan.runtime.interpreter import Interpreter
from cnnplan.runtime.memory import saved_bytes
from cnnplan.runtime.runner import Runner
from tests.emit.small_networks import NAMES, SPECS
from tests.language.helpers import blocked, net, plan
from tests.networks import Spec, networks

if TYPE_CHECKING:
    from collections.abc import Sequence

CONV = "conv: {out_channels: 3, kernel_size: 3, padding: 1}"

# the layers, and those that run in place
SAFE = {
    "behind a convolution": (f"- {CONV}\n- relu", "relu1"),
    "behind a norm": ("- batchnorm\n- relu", "relu1"),
    "behind a group norm": ("- groupnorm: 3\n- relu", "relu1"),
    "behind a depthwise convolution": ("- depthwise_conv: 3\n- relu", "relu1"),
    "behind a transposed convolution": ("- conv_transpose: {out_channels: 2, kernel_size: 2}\n- relu", "relu1"),
    "behind a dense layer": ("- flatten\n- linear: 4\n- elu", "elu1"),
    "behind a sum of branches": (f"- add:\n    a: [{{{CONV}}}]\n    b: []\n- relu", "add1 relu1"),
    "behind a sum of values": (f"- {CONV}\n  name: a\n- add:\n  from: [a, input]\n- relu", "add1 relu1"),
    "behind a sum that cannot": (f"- add:\n    a: []\n    b: [{{{CONV}}}]\n- relu", "relu1"),
    "a sum of two that are new": (f"- add:\n    a: [{{{CONV}}}]\n    b: [{{{CONV}}}, sigmoid]", "add1"),
    "a sum of sums": (
        f"- {CONV}\n  name: a\n- {CONV}\n  name: b\n- {CONV}\n  name: c\n- add:\n  from: [c, b]\n"
        f"- add:\n  from: [previous, a]",
        "add1 add2",
    ),
    "those of which a copy is kept": (
        "\n".join(f"- {CONV}\n- {kind}" for kind in ("relu6", "silu", "mish", "hardswish", "hardsigmoid")),
        "all",
    ),
    "behind values joined": (f"- concat:\n    a: [{{{CONV}}}]\n    b: []\n- relu", "relu1"),
    "behind dropout, which is a convolution's result in evaluation": (
        "\n".join(f"- {CONV}\n- {kind}\n- relu" for kind in ("dropout", "dropout2d", "alpha_dropout", "dropout: 0")),
        "all",
    ),
    "behind noise, twice": (f"- {CONV}\n- gaussian_noise: 0.1\n- dropout\n- relu", "relu1"),
    "a residual branch that is dropped": (
        f"- add:\n    a: [{{{CONV}}}, layer_scale, {{stochastic_depth: 0.2}}]\n    b: []",
        "add1",
    ),
    "a residual branch that is never dropped": (
        f"- add:\n    a: [{{{CONV}}}, {{stochastic_depth: 0}}]\n    b: []",
        "add1",
    ),
    "at the end of a branch": (f"- add:\n    a: [{{{CONV}}}, relu]\n    b: []", "add1.a.relu1"),
    "the output itself": (f"- {CONV}\n- relu\n- gelu", "relu1"),
    "every kind": ("\n".join(f"- {CONV}\n- {kind}" for kind in ("relu", "elu", "celu", "selu", "leaky_relu")), "all"),
    "copies": (f"- layers: [{{{CONV}}}, relu]\n  repeat: 3", "relu1 relu2 relu3"),
    "inside what is recomputed": (f"- layers: [{{{CONV}}}, relu]\n  checkpoint: true", "relu1"),
    "shared, and safe each time": (
        f"- layers: [{{{CONV}}}, relu]\n  name: twice\n- share: twice",
        "twice.relu1 share1.relu1",
    ),
    "a slope of 0": (f"- {CONV}\n- leaky_relu: 0\n- {CONV}\n- elu: 0", "leaky_relu1 elu1"),
}
UNSAFE = {
    "the network's input": "- relu",
    "a value that is read twice": f"- {CONV}\n  name: a\n- relu\n- add:\n  from: [a, previous]",
    "a value that enters branches": f"- {CONV}\n- add:\n    a: [relu]\n    b: []",
    "a value whose size is taken": f"- {CONV}\n  name: a\n- relu\n- maxpool: 2\n- upsample: {{like: a}}",
    "an output of the network": (
        f"- {CONV}\n  name: a\n- relu:\n  name: b\noutputs: [a, b]"  # `outputs` is behind the list
    ),
    "behind what keeps its output": f"- {CONV}\n- sigmoid\n- relu",
    "behind what keeps its output, too": f"- {CONV}\n- softmax\n- relu",
    "behind another activation in place": f"- {CONV}\n- tanh\n- elu",
    "behind a view": f"- {CONV}\n- flatten\n- relu",
    "behind a cut": f"- {CONV}\n- slice: {{stop: 2}}\n- relu",
    "behind one of several outputs": f"- {CONV}\n- split: [1, 2]\n  name: part\n- relu:\n  from: part.0",
    "behind a pooling": f"- {CONV}\n- maxpool: 2\n- relu",
    "behind dropout, which is its input in evaluation": f"- {CONV}\n- sigmoid\n- dropout\n- relu",
    "behind dropout of a value that is read twice": (
        f"- {CONV}\n  name: a\n- dropout\n- relu\n- add:\n  from: [a, previous]"
    ),
    "behind dropout of the network's input": "- dropout\n- dropout2d\n- relu",
    "behind dropout that is recomputed": f"- {CONV}\n- layers: [dropout, relu]\n  checkpoint: true",
    "the first of what is recomputed": f"- {CONV}\n- layers: [relu, {{{CONV}}}]\n  checkpoint: true",
    "behind what is recomputed": f"- layers: [relu, {{{CONV}}}]\n  checkpoint: true\n- relu",
    "between two parts that are recomputed": (
        f"- layers: [{{{CONV}}}]\n  checkpoint: true\n- layers: [relu]\n  checkpoint: true"
    ),
    "a slope below 0": f"- {CONV}\n- leaky_relu: -0.1",
    "a limit above 0": f"- {CONV}\n- elu: -0.5",
    "a limit above 0, too": f"- {CONV}\n- celu: -0.5",
    "an activation that torch cannot run in place": f"- {CONV}\n- gelu\n- {CONV}\n- tanh\n- {CONV}\n- softplus",
    "a sum with what is kept": f"- add:\n    a: [{{{CONV}}}, sigmoid]\n    b: []",
    "a sum with itself": f"- {CONV}\n  name: a\n- add:\n  from: [a, a]",
    "a sum that grows": f"- add:\n    a: [{{{CONV}}}, {{global_avgpool: {{keepdim: true}}}}]\n    b: []",
    "a sum of three": f"- add:\n    a: [{{{CONV}}}]\n    b: []\n    c: [{{{CONV}}}]",
    "a product": f"- multiply:\n    a: [{{{CONV}}}]\n    b: []",
    "a sum with a value that is read again": (
        f"- {CONV}\n  name: a\n- add:\n  from: [a, input]\n- concat:\n  from: [a, previous]"
    ),
    "a sum with the input's own": "- add:\n    a: []\n    b: [batchnorm]",
    "shared, once on a value that is read twice": (
        f"- {CONV}\n- relu:\n  name: act\n- {CONV}\n  name: x\n- share: act\n- add:\n  from: [x, previous]"
    ),
}


def rewritten(text: str) -> set[str]:
    """The layers that run in place."""
    return {node.name for node in in_place(plan(text).graph)}


@pytest.mark.parametrize("name", SAFE)
def test_safe(name: str) -> None:
    layers, expected = SAFE[name]
    text = net(layers)
    activations = {layer.name for layer in plan(text).layers if layer.node.op.group == "activation"}
    assert rewritten(text) == (activations if expected == "all" else set(expected.split()))
    unchanged(text)


@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe(name: str) -> None:
    text = net(UNSAFE[name])
    assert not rewritten(text)
    unchanged(text)


def test_a_block_is_used_in_two_ways() -> None:
    """One source for both uses: where one of them is not safe, neither runs in place."""
    block = "act:\n  params: {}\n  layers: [relu]"
    safe = f"- {CONV}\n- act\n- {CONV}\n- act"
    assert rewritten(blocked(block, safe)) == {"act1.relu1", "act2.relu1"}
    for layers in (f"{safe}\n- sigmoid\n- act", f"{safe}\n- add:\n    a: [act]\n    b: []"):
        text = blocked(block, layers)
        assert not rewritten(text)
        unchanged(text)


# ------------------------------------------------------------------------- the same numbers


class Results(NamedTuple):
    """Outputs in training and in evaluation with the statistics; and the gradients of inputs and parameters."""

    values: list[Tensor]
    gradients: list[Tensor | None]


def listed(y: Any) -> list[Tensor]:
    """What a model gives, as a list."""
    return [y] if isinstance(y, Tensor) else list(y)


def run(model: nn.Module, inputs: Sequence[Tensor]) -> Results:
    """A training step, and an evaluation."""
    torch.manual_seed(3)
    given = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
    outputs = listed(model.train()(*given))
    values = [y.detach().clone() for y in outputs]
    total = torch.zeros(())
    for y in outputs:
        if y.requires_grad:
            total = total + (y * torch.linspace(-1, 1, y.numel()).view(y.shape)).sum()
    if total.requires_grad:
        total.backward()  # type: ignore[no-untyped-call]
    values += [b.clone() for b in model.buffers()]
    with torch.no_grad():
        values += listed(model.eval()(*inputs))
    return Results(values, [t.grad for t in (*given, *model.parameters())])


def spared(model: nn.Module) -> int:
    """Let no activation of a model run in place any more; how many did."""
    found = [module for module in model.modules() if getattr(module, "inplace", False)]
    for module in found:
        vars(module)["inplace"] = False
    return len(found)


FROM_OUTPUT = {"elu", "celu", "selu"}
"""Their slope is computed from the output where that is all there is: another formula, which rounds differently."""
ROUNDING = 1e-4


def evaluated(run: Any, inputs: Sequence[Any], model: nn.Module) -> tuple[list[Tensor], list[Tensor | None]]:
    """Outputs in evaluation, and the gradients of parameters."""
    outputs = listed(run(*inputs))
    parameters = [p for p in model.parameters() if p.requires_grad]
    losses = [(y * torch.linspace(-1, 1, y.numel()).view(y.shape)).sum() for y in outputs if y.requires_grad]
    gradients = torch.autograd.grad(losses, parameters, allow_unused=True) if losses and parameters else ()
    return outputs, list(gradients)


def unchanged(spec: Any, batch: int = 3) -> int:
    """Hold a built model against the same with no activation in place, bit by bit; how many there are."""
    planned = plan(spec)
    torch.manual_seed(1)
    model = cnnplan.build(planned)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    other = copy.deepcopy(model)
    count = spared(other)
    overwriting = in_place(planned.graph)
    apart = {n.path for n in overwriting if n.op.kind == "add"} - dict(model.named_modules()).keys()  # expressions
    assert count == len({node.path for node in overwriting} - apart)
    inputs = [
        torch.randint(0, 2, (batch, *v.shape)) if v.dtype == "int64" else torch.randn(batch, *v.shape)
        for v in planned.graph.inputs
    ]
    before = [x.clone() for x in inputs]
    found, expected = run(model, inputs), run(other, inputs)
    assert all(torch.equal(a, b) for a, b in zip(inputs, before, strict=True))
    same(found.values, expected.values, 0)
    if apart:
        layers = Interpreter(planned.graph, model.eval())  # the same parameters, and no sum in place
        for a, b in zip(evaluated(model, inputs, model), evaluated(layers.run, [inputs], model), strict=True):
            same(a, b, 0)
    same(found.gradients, expected.gradients, ROUNDING if FROM_OUTPUT & {n.op.kind for n in planned.graph.nodes} else 0)
    return count


def same(found: Sequence[Tensor | None], expected: Sequence[Tensor | None], tolerance: float) -> None:
    """Compare tensors, some of which may be missing."""
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("name", NAMES)
def test_small_networks_compute_the_same(name: str) -> None:
    unchanged(SPECS[name])


@given(networks())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much])
def test_random_networks_compute_the_same(spec: Spec) -> None:
    unchanged(spec)


# ------------------------------------------------------------------------- what torch keeps

Case = tuple[str, dict[str, Any]]

ARGUMENTS: list[Case] = [
    ("leaky_relu", {"negative_slope": 0.3}),
    ("leaky_relu", {"negative_slope": 0}),
    ("leaky_relu", {"negative_slope": -0.3}),
    ("elu", {"alpha": 0.5}),
    ("elu", {"alpha": 0}),
    ("elu", {"alpha": -0.5}),
    ("celu", {"alpha": 0.5}),
    ("celu", {"alpha": -0.5}),
]


def activations() -> list[Case]:
    """Those whose torch modules can run in place, with their defaults."""
    found: list[Case] = []
    for name in registry.names():
        op = registry.find(name)
        if op is not None and op.group == "activation" and hasattr(Runner(op(), (Shape((4,)),)).core, "inplace"):
            found.append((name, {}))
    return found


def keeps_its_output_alone(name: str, arguments: dict[str, Any]) -> bool:
    """Whether torch's module, run in place, keeps its output and nothing else, and has a gradient."""
    op = registry.find(name)
    assert op is not None
    runner = Runner(op(**arguments), (Shape((64,)),))
    vars(runner.core)["inplace"] = True
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    x = torch.linspace(-4, 4, 64).view(1, 64).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        try:
            y = runner(x + 0)
            y.sum().backward()
        except RuntimeError:
            return False
    (gradient,) = torch.autograd.grad(Runner(op(**arguments), (Shape((64,)),))(x).sum(), x)
    assert x.grad is not None
    return list(kept) == [y.untyped_storage().data_ptr()] and torch.allclose(x.grad, gradient, atol=1e-6)


@pytest.mark.parametrize(("name", "arguments"), [*activations(), *ARGUMENTS])
def test_which_activations_can(name: str, arguments: dict[str, Any]) -> None:
    """Those that torch can run in place keeping no copy of their input, and right: no others gain anything."""
    op = registry.find(name)
    assert op is not None
    assert op(**arguments).overwrites() == keeps_its_output_alone(name, arguments)


SAVING = {"leaky_relu": 2, "leaky_relu: 0": 2, "elu": 2, "celu": 2, "selu": 2, "relu": 1}


@pytest.mark.parametrize("kind", SAVING)
def test_what_it_saves(kind: str) -> None:
    """Behind ELU and its kin a convolution keeps the map, in front of it nobody does: half of the bytes."""
    planned = plan(net(f"- {CONV}\n- {kind}\n- {CONV}\n- {kind}\n- {CONV}"), batch=2, target="cpu")
    model, inputs = cnnplan.build(planned), [torch.randn(2, 3, 8, 8)]
    assert planned.training.saved_activations == saved_bytes(model, inputs) == 2 * (2 * 3 * 64 * 4)
    assert spared(model) == 2
    assert saved_bytes(model, inputs) == SAVING[kind] * planned.training.saved_activations
