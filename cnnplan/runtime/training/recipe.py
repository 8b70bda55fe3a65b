"""How a network is trained: the spec's `train`, and what the command line puts in its place.

recipe = recipe_of(plan, epochs=10, lr=0.01)
recipe.batch, recipe.optimizer.name, recipe.losses
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.conditions import DTYPES, conditions
from cnnplan.diagnostics import Report, suggest
from cnnplan.errors import UsageError
from cnnplan.planning import Plan
from cnnplan.train_settings import Loss, Optimizer, Train

if TYPE_CHECKING:
    from cnnplan.train_settings import Augmentation, Regularize, Schedule

NAMES = {
    "sgd": {"sgd": {}},
    "momentum": {"sgd": {"momentum": 0.9}},
    "nesterov": {"sgd": {"momentum": 0.9, "nesterov": True}},
    "adam": {"adam": {}},
    "adamw": {"adamw": {}},
    "rmsprop": {"rmsprop": {}},
    "rmsprop_momentum": {"rmsprop": {"momentum": 0.9}},
}
"""What `--optimizer` and `target` call an optimizer, as `train` does."""


class Recipe(NamedTuple):
    """How a network is trained.

    Attributes:
        losses: of the outputs that have one.
        optimizer: with the learning rate that counts.
        batch: samples in a batch, on one device.
        precision: "float32", or mixed "bfloat16" or "float16".
        patience: epochs without improvement after which training stops; None for never.
    """

    losses: dict[str, Loss]
    optimizer: Optimizer
    schedule: Schedule
    epochs: int
    batch: int
    precision: str
    regularize: Regularize
    clip_gradient: float | None
    ema: float | None
    augment: tuple[Augmentation, ...]
    patience: int | None

    @property
    def lr(self) -> float:
        """The learning rate, before the schedule."""
        rate: float = self.optimizer.options.lr
        return rate

    def as_dict(self) -> dict[str, Any]:
        """The recipe as JSON has it."""
        return {
            "losses": {name: _plain(loss) for name, loss in self.losses.items()},
            "optimizer": _plain(self.optimizer),
            "schedule": _plain(self.schedule),
            "epochs": self.epochs,
            "batch": self.batch,
            "precision": self.precision,
            "regularize": self.regularize.model_dump(),
            "clip_gradient": self.clip_gradient,
            "ema": self.ema,
            "augment": [_plain(one) for one in self.augment],
            "patience": self.patience,
        }


def _plain(choice: Any) -> dict[str, Any]:
    options = choice.options
    return {choice.name: options.model_dump() if hasattr(options, "model_dump") else options}


def recipe_of(
    plan: Plan,
    *,
    epochs: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    optimizer: str | None = None,
    dtype: str | None = None,
) -> Recipe:
    """What counts: the arguments, then the spec's `train`, then its `target`, then the defaults.

    Raises:
        UsageError: a name is not known, or the spec's `train` has a loss for what is no output.
    """
    settings = plan.graph.settings
    train = settings.get("train") or Train()
    target = settings.get("target")
    said = train.model_fields_set
    if optimizer is None and "optimizer" not in said and target and target.optimizer:
        optimizer = target.optimizer
    if optimizer is not None and optimizer not in NAMES:
        raise UsageError(f"there is no optimizer '{optimizer}'; {suggest(optimizer, NAMES)}")
    if batch is None:
        batch = target.batch if target and target.batch and "batch" not in said else train.batch
    if dtype is None:
        dtype = target.dtype if target and target.dtype and "precision" not in said else train.precision
    if dtype not in DTYPES:
        raise UsageError(f"there is no dtype '{dtype}'; {suggest(dtype, DTYPES)}")
    chosen = train.optimizer
    if optimizer is not None and optimizer != _named(chosen):
        chosen = Optimizer.model_validate(NAMES[optimizer])
    if lr is not None:
        chosen = Optimizer.model_validate({chosen.name: chosen.options.model_dump() | {"lr": lr}})
    return Recipe(
        losses=_losses(plan, train),
        optimizer=chosen,
        schedule=train.schedule,
        epochs=epochs if epochs is not None else train.epochs,
        batch=batch,
        precision=dtype,
        regularize=train.regularize,
        clip_gradient=train.clip_gradient,
        ema=train.ema,
        augment=tuple(train.augment),
        patience=train.early_stopping.patience if train.early_stopping else None,
    )


def _named(optimizer: Optimizer) -> str:
    options = optimizer.options
    if optimizer.name == "sgd" and options.momentum:
        return "nesterov" if options.nesterov else "momentum"
    return "rmsprop_momentum" if optimizer.name == "rmsprop" and options.momentum else optimizer.name


def _losses(plan: Plan, train: Train) -> dict[str, Loss]:
    found = {}
    for name, kind in zip(plan.graph.outputs, plan.conditions.losses, strict=True):
        if kind is not None:
            found[name] = train.loss[name] if isinstance(train.loss, dict) else train.loss
    if not found:
        raise UsageError(f"no output of '{plan.name}' has a loss: there is nothing to train for")
    return found


def planned_for(plan: Plan, recipe: Recipe, target: str) -> Plan:
    """The same network, its memory planned for this training on "cpu" or "cuda"."""
    wanted = conditions(
        plan.graph, batch=recipe.batch, dtype=recipe.precision, optimizer=_named(recipe.optimizer), target=target
    )
    return Plan(plan.graph, Report(plan.path), plan.path, wanted)
