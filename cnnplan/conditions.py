"""What memory and time are planned for: batch, dtypes, optimizer, device.

What is asked for comes first, then the spec's `target`, then its `train`, then the configuration's `target`, then the
defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnnplan.devices import Device
    from cnnplan.graph import Graph

DTYPES: Final = ("float32", "float16", "bfloat16")
CPU: Final = "cpu"
CUDA: Final = "cuda"
"""Any CUDA device."""
MAX_BATCH: Final = 1 << 62
NO_DEFAULTS: Final[Mapping[str, Any]] = {}


class Conditions(NamedTuple):
    """What a plan is for.

    Attributes:
        batch: samples in a batch, on one device.
        dtype: "float32", "float16" or "bfloat16".
        pure: whether training casts the whole model to a narrow dtype.
        optimizer: of `analyses.optimizers.OPTIMIZERS`.
        implementation: torch's "foreach", "fused" or "forloop".
        decayed: whether the optimizer decays weights, which some do with a tensor more: only that of `train` may.
        losses: for each output, of `analyses.optimizers.LOSSES`; None where it has none.
        averaged: whether training holds an average of the weights.
        target: "cpu", or "cuda" for any CUDA device.
        device: the device whose figures are meant, where one is named.
    """

    batch: int
    dtype: str
    pure: bool
    optimizer: str
    implementation: str
    decayed: bool
    losses: tuple[str | None, ...]
    averaged: bool
    target: str
    device: Device | None

    @property
    def mixed(self) -> bool:
        """Whether parameters stay float32 in training, and torch.autocast uses the narrow dtype where it may."""
        return self.dtype != "float32" and not self.pure


def conditions(
    graph: Graph,
    *,
    batch: int | None = None,
    dtype: str | None = None,
    mixed: bool | None = None,
    optimizer: str | None = None,
    implementation: str | None = None,
    target: str | None = None,
    defaults: Mapping[str, Any] = NO_DEFAULTS,
) -> Conditions:
    """What a plan of this graph is for.

    Args:
        defaults: what the configuration says of `device`, `batch`, `dtype` and `optimizer`, where nothing else does.

    Raises:
        UsageError: a name is not known, or the batch size is no integer ≥ 1.
    """
    from cnnplan.analyses.optimizers import IMPLEMENTATIONS, OPTIMIZERS, UNFUSED

    wanted, train = graph.settings.get("target"), graph.settings.get("train")
    batch = _first(batch, wanted and wanted.batch, _said(train, "batch"), defaults.get("batch"), 1)
    if type(batch) is not int or batch < 1:
        raise UsageError(f"batch is an integer ≥ 1, not {batch!r:.40}")
    if batch > MAX_BATCH:
        raise UsageError(f"batch is at most {MAX_BATCH:,}")
    chosen = _first(dtype, wanted and wanted.dtype, _said(train, "precision"), defaults.get("dtype"), "float32")
    dtype = _known("dtype", chosen, DTYPES)
    named = _first(target, wanted and wanted.device, defaults.get("device"), CUDA)
    named = named.lower() if isinstance(named, str) and named.lower() in (CPU, CUDA) else named
    trained = _trained(train)
    chosen = _first(optimizer, wanted and wanted.optimizer, trained, defaults.get("optimizer"), "sgd")
    optimizer = _known("optimizer", chosen, tuple(OPTIMIZERS))
    if implementation == "fused" and optimizer in UNFUSED:
        raise UsageError(f"torch has no fused implementation of '{optimizer}': use foreach or forloop")
    implementation = _first(implementation, "forloop" if named == CPU else "foreach")
    return Conditions(
        batch=batch,
        dtype=dtype,
        pure=mixed is False,
        optimizer=optimizer,
        implementation=_known("implementation", implementation, IMPLEMENTATIONS),
        decayed=decays(graph, optimizer),
        losses=_losses(graph, train),
        averaged=bool(train and train.ema is not None),
        target=CPU if named == CPU else CUDA,
        device=_device(named),
    )


def _first(*several: Any) -> Any:
    return next(value for value in several if value is not None)


def _said(setting: Any, key: str) -> Any:
    """What a setting says itself, not its default."""
    return getattr(setting, key) if setting is not None and key in setting.model_fields_set else None


def _known(what: str, word: object, known: Sequence[str]) -> str:
    from cnnplan.diagnostics import suggest

    if isinstance(word, str) and word in known:
        return word
    raise UsageError(f"there is no {what} '{word}'; {suggest(str(word), known)}")


def _device(named: str) -> Device | None:
    if named in (CPU, CUDA):
        return None
    from cnnplan.devices import device

    return device(named)


def decays(graph: Graph, optimizer: str) -> bool:
    """Whether an optimizer decays weights: that of `train`, if it says so; another one has none of its options."""
    train = graph.settings.get("train")
    return _trained(train) == optimizer and bool(train and train.optimizer.options.weight_decay)


def _trained(train: Any) -> str | None:
    """The optimizer of `train`."""
    chosen = _said(train, "optimizer")
    if chosen is None:
        return None
    name: str = chosen.name
    options = chosen.options
    if name == "sgd" and options.momentum:
        name = "nesterov" if options.nesterov else "momentum"
    if name == "rmsprop" and options.momentum:
        name = "rmsprop_momentum"
    return name


def _losses(graph: Graph, train: Any) -> tuple[str | None, ...]:
    """The loss of each output: cross entropy where the spec says none, as for `train`."""
    from cnnplan.diagnostics import suggest

    loss = train.loss if train is not None else None
    for name in loss if isinstance(loss, dict) else ():
        if name not in graph.outputs:
            raise UsageError(f"`train` has a loss for '{name}', which is no output; {suggest(name, graph.outputs)}")
    found = []
    for name, value in graph.outputs.items():
        own = loss.get(name) if isinstance(loss, dict) else loss
        chosen = None if isinstance(loss, dict) and own is None else own.name if own else "cross_entropy"
        found.append(None if value.dtype == "int64" else chosen)
    return tuple(found)
