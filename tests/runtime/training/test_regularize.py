"""Which weights are bounded; the proximal step and the projection: by hand, by autograd, by scikit-learn."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn

import cnnplan
from cnnplan import layers
from cnnplan.errors import UsageError
from cnnplan.layers.drop_connect_linear import DropConnectLinear
from cnnplan.layers.locally_connected import LocallyConnected
from cnnplan.layers.mixed_dilation_conv import MixedDilationConv
from cnnplan.layers.self_attention import SelfAttention
from cnnplan.layers.untied_bias_conv import UntiedBiasConv
from cnnplan.runtime.training import regularize
from cnnplan.runtime.training.regularize import Regularizer, decay_groups, weights_of
from cnnplan.train_settings import Regularize

Module = TypeVar("Module", bound=nn.Module)


def names(model: nn.Module) -> list[str]:
    """Of the weights."""
    return [weight.name for weight in weights_of(model)]


def stepped(model: nn.Module, lr: float = 0.1, **settings: Any) -> None:
    """One step of SGD whose gradients are 0, and what comes after it."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    Regularizer(Regularize(**settings), model).attach(optimizer)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()


def scattered(model: Module, scale: float = 1.0, seed: int = 0) -> Module:
    """The model with normal parameters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * scale)
    return model


# -------------------------------------------------------------------- which parameters are weights

NET = """
cnnplan: 1
name: net
input: [4, 9, 9]
layers:
  - conv: {out_channels: 8, kernel_size: 1}
  - batchnorm
  - prelu: {num_parameters: 8}
  - depthwise_conv: {kernel_size: 3, padding: 1}
  - conv_transpose: {out_channels: 6, kernel_size: 3, padding: 1, groups: 2}
  - layernorm
  - layer_scale
  - scale
  - grn
  - self_attention: {num_heads: 2}
  - mixed_dilation_conv: {out_channels: 8, kernel_size: 3, dilations: [1, 2], padding: half}
  - groupnorm: {num_groups: 2}
  - locally_connected: {out_channels: 4, kernel_size: 3, untied: bias}
  - locally_connected: {out_channels: 3, kernel_size: 3}
  - l2norm: {scale: 20}
  - flatten
  - dropconnect_linear: 5
  - linear: 1
"""


def test_weights_of_a_built_network() -> None:
    assert names(cnnplan.build(NET)) == [
        "conv1.weight",
        "depthwise_conv1.weight",
        "conv_transpose1.weight",
        "self_attention1.in_proj_weight",
        "self_attention1.out_proj.weight",
        "mixed_dilation_conv1.weight",
        "locally_connected1.weight",
        "locally_connected2.weight",
        "dropconnect_linear1.weight",
        "linear1.weight",
    ]


def test_weights_of_torch_modules() -> None:
    model = nn.Sequential(
        nn.Conv1d(1, 4, 1),
        nn.ConvTranspose3d(4, 4, 1, groups=2),
        nn.LayerNorm((4, 5)),
        nn.BatchNorm2d(4),
        nn.InstanceNorm2d(4, affine=True),
        nn.GroupNorm(2, 4),
        nn.RMSNorm((4, 5)),
        nn.PReLU(4),
        nn.Embedding(10, 4),
        nn.EmbeddingBag(10, 4),
        nn.Bilinear(2, 3, 1),
        nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2),
        nn.GRUCell(3, 4),
        nn.MultiheadAttention(4, 2),
        nn.MultiheadAttention(4, 2, kdim=3, vdim=5),
        nn.Linear(1, 1),
    )
    others = {str(index) for index in range(2, 10)}
    named = [name for name, _ in model.named_parameters()]
    assert names(model) == [name for name in named if "weight" in name and name.split(".")[0] not in others]
    assert {"11.weight_hr_l1_reverse", "14.q_proj_weight", "13.out_proj.weight"} < set(named)


class Odd(nn.Module):
    """As a plugin may bring one."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.ones(3, 2, 2))
        self.factor = nn.Parameter(torch.ones(3, 1, 1))
        self.bias_map = nn.Parameter(torch.ones(3, 2, 2))
        self.exponent = nn.Parameter(torch.ones(1))


def test_of_unknown_modules_what_has_axes() -> None:
    assert names(nn.Sequential(Odd())) == ["0.kernel"]


def test_every_layer_of_ours_with_parameters_is_known() -> None:
    """A class of cnnplan.layers that makes parameters itself is in one of the two lists."""
    sources = [ast.parse(file.read_text()) for file in Path(layers.__file__).parent.glob("*.py")]
    classes = [part for source in sources for part in source.body if isinstance(part, ast.ClassDef)]
    made = {one.name for one in classes if "nn.Parameter(" in ast.unparse(one)}
    assert made == regularize.OWN_WEIGHTED | regularize.OWN_OTHERS


# -------------------------------------------------------------------- the proximal step


def test_the_proximal_step_by_hand() -> None:
    model = nn.Linear(5, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.5, -0.5, 0.01, -0.02, 0.02]]))
        model.bias.fill_(0.01)
    stepped(model, lr=0.1, l1=0.2, l2=0.5)  # threshold 0.02, divisor 1.1
    assert model.weight.tolist()[0] == pytest.approx([0.48 / 1.1, -0.48 / 1.1, 0, 0, 0], abs=1e-7)
    assert model.weight[0, 2:].eq(0).all()
    assert model.bias.item() == pytest.approx(0.01)
    stepped(model, lr=0.5, l1=0.0, l2=1.0)
    assert model.weight.tolist()[0] == pytest.approx([0.24 / 1.1, -0.24 / 1.1, 0, 0, 0], abs=1e-7)


def test_it_minimizes_what_it_says() -> None:
    """argmin over u of (u - w)² / 2 + lr · (l1 · |u| + l2 · u²), found on a grid."""
    grid = torch.linspace(-3, 3, 600_001, dtype=torch.float64)
    model = scattered(nn.Linear(30, 1)).double()
    before = model.weight.detach()[0].clone()
    stepped(model, lr=0.3, l1=1.5, l2=0.7)
    for w, found in zip(before.tolist(), model.weight[0].tolist(), strict=True):
        cost = (grid - w) ** 2 / 2 + 0.3 * (1.5 * grid.abs() + 0.7 * grid**2)
        assert found == pytest.approx(grid[cost.argmin()].item(), abs=2e-5)


def test_each_group_has_the_learning_rate_of_the_step() -> None:
    parts = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)
    model = nn.Sequential(*parts)
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(1.0)
    optimizer = torch.optim.AdamW(
        [{"params": parts[0].parameters(), "lr": 0.1}, {"params": parts[1].parameters(), "lr": 0.2}], weight_decay=0
    )
    Regularizer(Regularize(l1=1.0), model).attach(optimizer)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    schedule.step()
    optimizer.step()
    assert torch.allclose(parts[0].weight, torch.full((2, 2), 1 - 0.1 - 0.05))
    assert torch.allclose(parts[1].weight, torch.full((2, 2), 1 - 0.2 - 0.1))
    assert parts[2].weight.eq(1).all()  # the optimizer does not have it
    assert all(part.bias.eq(1).all() for part in parts)


def test_frozen_and_shared_weights() -> None:
    first, second, third = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    third.weight.requires_grad_(False)
    model = nn.Sequential(first, second, third, first)
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(1.0)
    assert names(model) == ["0.weight", "2.weight"]
    stepped(model, lr=0.1, l1=1.0)
    assert torch.allclose(first.weight, torch.full((3, 3), 0.9))
    assert third.weight.eq(1).all()
    stepped(model, max_norm=0.9 * 3**0.5 / 2)
    assert torch.allclose(first.weight, torch.full((3, 3), 0.45))
    assert third.weight.eq(1).all()


def test_nothing_is_attached_where_nothing_is_asked_for() -> None:
    model = nn.Linear(3, 3)
    before = model.weight.detach().clone()
    stepped(model)
    assert torch.equal(model.weight, before)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    hooks = len(optimizer._optimizer_step_post_hooks)
    Regularizer(Regularize(), model).attach(optimizer)
    assert len(optimizer._optimizer_step_post_hooks) == hooks


def test_a_network_without_weights_is_refused() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3))
    with pytest.raises(UsageError, match=r"`train: regularize` is about the weights .* leave it out"):
        Regularizer(Regularize(l1=1.0), model).attach(torch.optim.SGD(model.parameters(), 0.1))


def test_a_skipped_step_changes_nothing() -> None:
    model = nn.Linear(3, 3)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    Regularizer(Regularize(l1=1.0), model).attach(optimizer)
    scaler = torch.amp.GradScaler("cpu")
    before = model.weight.detach().clone()
    scaler.scale(model(torch.full((1, 3), torch.inf)).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(model.weight, before)


# -------------------------------------------------------------------- sparsity


def fitted(x: Tensor, y: Tensor, **settings: Any) -> Tensor:
    """The weights of a linear model that minimize mean squared error and penalty: gradient descent to the end."""
    model = nn.Linear(x.shape[1], 1).double()
    with torch.no_grad():
        model.weight.zero_()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    Regularizer(Regularize(**settings), model).attach(optimizer)
    for _ in range(1500):
        optimizer.zero_grad()
        (model(x)[:, 0] - y).square().mean().backward()
        optimizer.step()
    return model.weight.detach()[0]


def regression() -> tuple[Tensor, Tensor]:
    """60 samples of 12 inputs, of which 4 matter."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 12, generator=generator, dtype=torch.float64)
    effects = torch.tensor([2.0, -1.0, 0.5, 0.3] + [0.0] * 8, dtype=torch.float64)
    return x, x @ effects + 1 + 0.3 * torch.randn(60, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("l1", [0.2, 0.8])
def test_lasso_is_that_of_scikit_learn(l1: float) -> None:
    """scikit-learn halves the squared error: its alpha is l1 / 2."""
    from sklearn.linear_model import Lasso

    x, y = regression()
    expected = Lasso(alpha=l1 / 2, tol=1e-10, max_iter=100_000).fit(x.numpy(), y.numpy()).coef_
    found = fitted(x, y, l1=l1)
    assert found.numpy() == pytest.approx(expected, abs=1e-3)
    assert ((found == 0).numpy() == (expected == 0)).all()
    assert 0.3 < (found == 0).double().mean() < 1
    assert not (fitted(x, y) == 0).any()


def test_elastic_net_is_that_of_scikit_learn() -> None:
    """scikit-learn minimizes alpha · ratio · |w| + alpha · (1 - ratio) / 2 · w² beside half of the squared error."""
    from sklearn.linear_model import ElasticNet

    x, y = regression()
    l1, l2 = 0.3, 0.5
    alpha = l1 / 2 + l2
    expected = ElasticNet(alpha=alpha, l1_ratio=l1 / 2 / alpha, tol=1e-10, max_iter=100_000).fit(x.numpy(), y.numpy())
    found = fitted(x, y, l1=l1, l2=l2)
    assert found.numpy() == pytest.approx(expected.coef_, abs=1e-3)
    assert ((found == 0).numpy() == (expected.coef_ == 0)).all()


# -------------------------------------------------------------------- max-norm

UNITS: list[tuple[Callable[[], nn.Module], tuple[int, ...]]] = [
    (lambda: nn.Linear(7, 5), (7,)),
    (lambda: nn.Conv1d(4, 6, 3), (4, 9)),
    (lambda: nn.Conv2d(4, 6, 3, groups=2), (4, 5, 5)),
    (lambda: nn.Conv3d(2, 3, 2), (2, 3, 3, 3)),
    (lambda: nn.ConvTranspose1d(4, 6, 3), (4, 5)),
    (lambda: nn.ConvTranspose2d(4, 6, 3, groups=2), (4, 3, 3)),
    (lambda: nn.ConvTranspose2d(4, 4, 2, stride=2, groups=4), (4, 3, 3)),
    (lambda: nn.ConvTranspose3d(2, 4, 2, groups=2), (2, 2, 2, 2)),
    (lambda: LocallyConnected(3, 4, (2,), (5,)), (3, 6)),
    (lambda: LocallyConnected(3, 2, (2, 3), (3, 2)), (3, 4, 4)),
    (lambda: MixedDilationConv(3, 4, (3,), (1, 2), padding=(1, 2)), (3, 7)),
    (lambda: UntiedBiasConv(3, 4, (2, 2), (3, 3)), (3, 4, 4)),
    (lambda: DropConnectLinear(6, 3), (6,)),
]


def incoming(module: nn.Module, shape: tuple[int, ...]) -> list[Tensor]:
    """For each unit the weights that it reads: those on which its value depends, by autograd."""
    x = torch.rand(1, *shape) + 0.5
    y = module.eval()(x)[0]
    is_shared = not isinstance(module, LocallyConnected)  # over positions
    units = [one.sum() for one in y] if is_shared else list(y.flatten())
    weight: Any = module.weight
    return [torch.autograd.grad(unit, weight, retain_graph=True)[0] != 0 for unit in units]


@pytest.mark.parametrize("index", range(len(UNITS)))
def test_the_weights_into_each_unit_are_bounded(index: int) -> None:
    make, shape = UNITS[index]
    module = scattered(make())
    masks = incoming(module, shape)
    weight: Any = module.weight
    assert torch.stack(masks).sum(0).eq(1).all()  # each weight belongs to one unit
    before = weight.detach().clone()
    bound = torch.stack([before[mask].double().norm() for mask in masks]).median().item()
    others = [p.detach().clone() for name, p in module.named_parameters() if name != "weight"]
    stepped(module, lr=0.1, max_norm=bound)
    counts = [0, 0]
    for mask in masks:
        old, new = before[mask], weight.detach()[mask]
        norm = old.double().norm().item()
        counts[norm > bound] += 1
        assert new.double().norm() <= bound * (1 + 1e-6)
        if norm <= bound * (1 - 1e-6):
            assert torch.equal(old, new)
        else:
            assert torch.allclose(new.double(), old.double() * bound / norm, rtol=1e-6)
    assert min(counts) > 0
    now = [p for name, p in module.named_parameters() if name != "weight"]
    assert all(torch.equal(a, b) for a, b in zip(others, now, strict=True))


def test_recurrent_and_attention_matrices_row_by_row() -> None:
    parts = [nn.LSTM(3, 4, bidirectional=True), SelfAttention(4, 2), nn.Bilinear(2, 3, 4)]
    model = scattered(nn.ModuleList(parts), scale=9)
    stepped(model, max_norm=0.5)
    found = {weight.name: weight.parameter for weight in weights_of(model)}
    assert len(found) == 4 + 2 + 1
    for p in found.values():
        norms = p.detach().flatten(1).double().norm(dim=1)
        assert torch.allclose(norms, torch.full_like(norms, 0.5), rtol=1e-6)


def test_zero_weights_and_huge_ones() -> None:
    model = nn.Linear(3, 3)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0, 0, 0], [1e15, -1e15, 0], [1e-30, 0, 0]]))
    stepped(model, max_norm=2.0)
    assert model.weight.tolist()[0] == [0, 0, 0]
    assert model.weight[1].norm().item() == pytest.approx(2)
    assert model.weight[2, 0].item() == pytest.approx(1e-30)


def test_the_bound_holds_after_every_step_of_any_optimizer() -> None:
    torch.manual_seed(0)
    parts = nn.Conv2d(2, 4, 3), nn.Linear(36, 3)
    model = nn.Sequential(parts[0], nn.ReLU(), nn.Flatten(), parts[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    Regularizer(Regularize(l1=1e-3, max_norm=0.3), model).attach(optimizer)
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.randn(8, 2, 5, 5)).square().mean().neg().backward()
        optimizer.step()
        for part in parts:
            assert part.weight.flatten(1).double().norm(dim=1).max() <= 0.3 * (1 + 1e-6)


# -------------------------------------------------------------------- weight decay


def test_weights_decay_and_others_do_not() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.PReLU(), nn.Embedding(5, 3), nn.Linear(3, 1))
    model[4].bias.requires_grad_(False)
    decaying, others = decay_groups(model, 0.1, all_parameters=False)
    named = {id(p): name for name, p in model.named_parameters()}
    assert [named[id(p)] for p in decaying["params"]] == ["0.weight", "4.weight"]
    assert [named[id(p)] for p in others["params"]] == ["0.bias", "1.weight", "1.bias", "2.weight", "3.weight"]
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    (every,) = decay_groups(model, 0.1, all_parameters=True)
    assert [named[id(p)] for p in every["params"]] == [n for n, p in model.named_parameters() if p.requires_grad]
    assert decay_groups(nn.BatchNorm2d(2), 0.1, all_parameters=False)[0]["weight_decay"] == 0.0
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.SGD([decaying, others], lr=0.5)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for p, old in zip(model.parameters(), before, strict=True):
        factor = 1 - 0.5 * 0.1 if named[id(p)] in ("0.weight", "4.weight") else 1
        assert torch.allclose(p, old * factor)


# -------------------------------------------------------------------- DropConnect


def test_dropconnect_has_the_evaluation_as_its_mean() -> None:
    torch.manual_seed(0)
    layer = DropConnectLinear(6, 4, p=0.3)
    x = torch.randn(3, 6)
    with torch.no_grad():
        expected = layer.eval()(x)
        layer.train()
        drawn = torch.stack([layer(x) for _ in range(4000)]).double()
    error = drawn.std(0) / 4000**0.5
    assert ((drawn.mean(0) - expected).abs() < 4.5 * error).all()
    variance = 0.3 / 0.7 * (x.double().square() @ layer.weight.double().square().T)  # of a sum of scaled Bernoullis
    assert torch.allclose(drawn.var(0), variance, rtol=0.15)
    assert torch.equal(expected, nn.functional.linear(x, layer.weight, layer.bias))
