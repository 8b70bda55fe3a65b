"""What `train` does to the weights is what a loop written by hand does, bit for bit."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

import cnnplan
from cnnplan.runtime.data.arrays import Arrays
from cnnplan.runtime.data.base import Data
from cnnplan.runtime.training.order import Order
from cnnplan.runtime.training.recipe import planned_for, recipe_of
from cnnplan.runtime.training.run import Options, Run
from cnnplan.runtime.training.session import hushed

LAYERS = """
cnnplan: 1
name: small
input: [2, 6, 6]
layers:
  - conv: {out_channels: 4, kernel_size: 3}
    name: conv
  - batchnorm
  - relu
  - flatten
  - linear: 3
    name: linear
"""


def data(outputs: int = 3, count: int = 44) -> Data:
    """Random images with labels."""
    generator = torch.Generator().manual_seed(7)
    x = torch.rand(count, 2, 6, 6, generator=generator)
    y = torch.randint(outputs, (count,), generator=generator)
    samples = Arrays((x,), (y,), y)
    rest = list(range(32, count))
    classes = tuple(map(str, range(outputs)))
    return Data(
        "random",
        samples.subset(range(32)),
        samples.subset(rest[:6]),
        samples.subset(rest[6:]),
        classes,
        ("",),
        ((2, 6, 6),),
        (),
        "f",
    )


def trained(
    text: str, folder: Path, given: Data, **options: Any
) -> tuple[Run, dict[str, torch.Tensor], dict[str, Any]]:
    """Train a spec's text: the run, its last checkpoint's weights, its summary."""
    plan = cnnplan.plan(text)
    recipe = recipe_of(plan)
    run = Run(planned_for(plan, recipe, "cpu"), recipe, given, Options(output=folder, **options))
    with hushed():
        summary = run.train()
    assert summary is not None
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return run, {name.removeprefix("net."): t for name, t in state["state_dict"].items()}, summary


def standardized(given: Data) -> torch.Tensor:
    """The training images with mean 0 and deviation 1 of each channel."""
    x = given.train.__getitems__(list(range(len(given.train)))).inputs[0]
    mean, std = x.double().mean((0, 2, 3)), x.double().std((0, 2, 3), correction=0)
    mean, std = (torch.tensor([float(f"{v:.6g}") for v in t.tolist()]) for t in (mean, std))
    return (x - mean[:, None, None]) * (1 / std[:, None, None])


def by_hand(run: Run, given: Data, make: Any, epochs: int, *, clip: float | None = None, scale: Any = None) -> Any:
    """The same by a plain loop; gives the model and the average of its weights with decay 0.9."""
    model = run.net().train()
    average = copy.deepcopy(model)
    decayed = [model.conv.weight, model.linear.weight]
    others = [p for p in model.parameters() if all(p is not q for q in decayed)]
    optimizer = make([{"params": decayed}, {"params": others, "weight_decay": 0.0}])
    base = optimizer.param_groups[0]["lr"]
    x, y = standardized(given), given.train.labels
    assert y is not None
    step = 0
    for epoch in range(epochs):
        for indices in Order(len(x), run.recipe.batch, run.options.seed, 0, 1, lambda e=epoch: (e, 0)):
            for group in optimizer.param_groups:
                group["lr"] = base * (scale(step) if scale else 1)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[indices]), y[indices])
            loss.backward()
            if clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            for mean, p in zip(average.parameters(), model.parameters(), strict=True):
                mean.data.lerp_(p.data, 0.1)
            step += 1
    for mean, buffer in zip(average.buffers(), model.buffers(), strict=True):
        mean.copy_(buffer)
    return model, average


CASES = {
    "sgd": (
        "{sgd: {lr: 0.1, momentum: 0.9, weight_decay: 0.01, nesterov: true}}",
        lambda groups: torch.optim.SGD(groups, 0.1, 0.9, weight_decay=0.01, nesterov=True),
    ),
    "adam": (
        "{adam: {lr: 0.01, betas: [0.8, 0.99], weight_decay: 0.01}}",
        lambda groups: torch.optim.Adam(groups, 0.01, (0.8, 0.99), weight_decay=0.01),
    ),
    "adamw": (
        "{adamw: {lr: 0.01, weight_decay: 0.1}}",
        lambda groups: torch.optim.AdamW(groups, 0.01, weight_decay=0.1),
    ),
    "rmsprop": (
        "{rmsprop: {lr: 0.01, alpha: 0.9, momentum: 0.5, weight_decay: 0.01}}",
        lambda groups: torch.optim.RMSprop(groups, 0.01, 0.9, momentum=0.5, weight_decay=0.01),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_optimizers(name: str, tmp_path: Path) -> None:
    text, make = CASES[name]
    given = data()
    run, found, _ = trained(f"{LAYERS}train: {{optimizer: {text}, epochs: 3, batch: 5}}\n", tmp_path, given)
    model, _ = by_hand(run, given, make, 3)
    for key, tensor in model.state_dict().items():
        assert torch.equal(found[key], tensor), key


def test_clipping_schedule_and_average(tmp_path: Path) -> None:
    given = data()
    settings = "{optimizer: {sgd: {lr: 0.1}}, schedule: cosine, epochs: 4, batch: 8, clip_gradient: 0.5, ema: 0.9}"
    run, found, _ = trained(f"{LAYERS}train: {settings}\n", tmp_path, given)
    model, average = by_hand(
        run,
        given,
        lambda groups: torch.optim.SGD(groups, 0.1),
        4,
        clip=0.5,
        scale=lambda step: (1 + math.cos(math.pi * step / 16)) / 2,
    )
    for key, tensor in model.state_dict().items():
        assert torch.allclose(found[key], tensor, rtol=1e-5, atol=1e-7), key
    kept = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]["Average"]["average"]
    for key, tensor in average.named_parameters():
        assert torch.allclose(kept[f"net.{key}"], tensor.detach(), rtol=1e-5, atol=1e-7), key


def test_the_summary_is_that_of_the_best_weights(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    given = data()
    _, _, summary = trained(f"{LAYERS}train: {{optimizer: {{sgd: {{lr: 0.05}}}}, epochs: 5}}\n", tmp_path, given)
    model = cnnplan.build(LAYERS)
    model.load_state_dict(load_file(tmp_path / "model.safetensors"))
    model.eval()
    assert given.test is not None
    batch = given.test.__getitems__(list(range(len(given.test))))
    x = given.train.__getitems__(list(range(32))).inputs[0]
    mean, std = x.mean((0, 2, 3))[:, None, None], x.std((0, 2, 3), correction=0)[:, None, None]
    with torch.no_grad():
        logits = model((batch.inputs[0] - mean) / std)
    truth = batch.targets[0]
    assert summary["test_accuracy"] == pytest.approx(sum(logits.argmax(1) == truth).item() / len(truth))
    assert summary["test_loss"] == pytest.approx(F.cross_entropy(logits, truth).item(), rel=1e-4)
    confusion = [[int(((truth == a) & (logits.argmax(1) == b)).sum()) for b in range(3)] for a in range(3)]
    assert summary["confusion"] == confusion
    rows = [line.split(",") for line in (tmp_path / "metrics.csv").read_text().splitlines()]
    table = [dict(zip(rows[0], map(float, row), strict=True)) for row in rows[1:]]
    best = max(table, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    assert summary["best_epoch"] == best["epoch"]
    assert summary["best"]["val_loss"] == best["val_loss"]


def test_frozen_layers_stay_and_have_no_optimizer_state(tmp_path: Path) -> None:
    frozen = LAYERS.replace("name: conv", "name: conv\n    trainable: false")
    given = data()
    run, found, summary = trained(f"{frozen}train: {{optimizer: adam, epochs: 2}}\n", tmp_path, given)
    first = run.net().state_dict()
    assert torch.equal(found["conv.weight"], first["conv.weight"])
    assert not torch.equal(found["linear.weight"], first["linear.weight"])
    state = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["optimizer_states"][0]["state"]
    assert len(state) == 4  # the norm's two, the dense layer's two
    assert summary["trainable_parameters"] == cnnplan.plan(frozen).trainable_parameters


def test_weighted_heads(tmp_path: Path) -> None:
    text = """
cnnplan: 1
name: heads
input: [2, 6, 6]
layers:
  - conv: {out_channels: 4, kernel_size: 3}
  - relu:
    name: features
  - flatten
  - linear: 3
    name: logits
  - global_avgpool:
    from: features
  - flatten
  - linear: 3
    name: side
outputs: [logits, side]
train:
  loss: {logits: cross_entropy, side: {cross_entropy: {weight: 0.3, label_smoothing: 0.1}}}
  optimizer: {sgd: {lr: 0.1}}
  epochs: 2
"""
    given = data()
    run, found, _ = trained(text, tmp_path, given)
    model = run.net().train()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    x, y = standardized(given), given.train.labels
    assert y is not None
    for epoch in range(2):
        for indices in Order(len(x), run.recipe.batch, 0, 0, 1, lambda e=epoch: (e, 0)):
            optimizer.zero_grad()
            logits, side = model(x[indices])
            loss = F.cross_entropy(logits, y[indices]) + 0.3 * F.cross_entropy(side, y[indices], label_smoothing=0.1)
            loss.backward()
            optimizer.step()
    for key, tensor in model.state_dict().items():
        assert torch.allclose(found[key], tensor, rtol=1e-5, atol=1e-6), key


def test_the_first_of_equal_epochs_is_the_best(tmp_path: Path) -> None:
    frozen = LAYERS.replace("name: conv", "name: conv\n    trainable: false").replace("batchnorm", "identity")
    _, _, summary = trained(f"{frozen}train: {{optimizer: {{sgd: {{lr: 1e-30}}}}, epochs: 3}}\n", tmp_path, data())
    assert summary["best_epoch"] == 1
