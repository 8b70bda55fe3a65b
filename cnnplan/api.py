"""The Python API that needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnplan.diagnostics import suggest
from cnnplan.errors import UsageError
from cnnplan.planning import Plan, plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from cnnplan.runtime.profiling.profile import Profile
    from cnnplan.runtime.training.session import Outcome
    from cnnplan.runtime.verify import Verification


def build(
    spec: str | Path | Mapping[str, Any] | Plan,
    *,
    variables: Mapping[str, Any] | None = None,
    input_size: int | Sequence[int] | None = None,
    meta: bool = False,
) -> nn.Module:
    """A freshly initialized torch.nn.Module, made from the source that `cnnplan build` writes.

    Its parameters have the names and shapes of the plan; its class can be pickled. The first arguments
    are those of `cnnplan.plan`; a plan may be given instead of a spec.

    Args:
        meta: build on torch's meta device: shapes without numbers, nothing is allocated.

    Raises:
        SpecError: the spec is not valid.
        UsageError: the file cannot be read, or torch is not installed.
    """
    planned = _planned(spec, variables, input_size)
    try:
        from cnnplan.runtime.build import build as build_graph
        from cnnplan.runtime.meta import on_meta
    except ModuleNotFoundError as error:
        raise missing_torch(error) from None
    return on_meta(planned.graph) if meta else build_graph(planned.graph)


def verify(
    spec: str | Path | Mapping[str, Any] | Plan,
    *,
    variables: Mapping[str, Any] | None = None,
    input_size: int | Sequence[int] | None = None,
    device: str = "cpu",
    probes: int | None = None,
) -> Verification:
    """Build the network and hold every number of its plan against torch, layer by layer.

    The first arguments are those of `cnnplan.plan`; a plan may be given instead of a spec.

    Args:
        device: where the model runs, such as "cpu" or "cuda".
        probes: how many inputs the receptive field is probed with; by default by the network's size.

    Returns:
        The checks, each with `planned`, `measured` and `verdict`; `passed` where none differs.

    Raises:
        SpecError: the spec is not valid.
        UsageError: the file cannot be read, torch is not installed, there is no such device or
            not enough memory.
    """
    planned = _planned(spec, variables, input_size)
    try:
        from cnnplan.runtime.verify import verify as verify_plan
    except ModuleNotFoundError as error:
        raise missing_torch(error) from None
    return verify_plan(planned, device=device, probes=probes)


def profile(
    spec: str | Path | Mapping[str, Any] | Plan,
    *,
    variables: Mapping[str, Any] | None = None,
    input_size: int | Sequence[int] | None = None,
    batch: int | None = None,
    dtype: str | None = None,
    optimizer: str | None = None,
    **options: Any,
) -> Profile:
    """Measure a network on a device that is here, as `cnnplan profile` does, without printing.

    The first arguments are those of `cnnplan.plan`; a plan, with its batch, dtype and optimizer, may be given instead.

    Args:
        options: of `cnnplan.runtime.profiling.profile.profile`: device, inference, sweep, batches, memory (bytes),
            seconds, runs.

    Returns:
        `layers`, each with `forward`, `backward`, `work`, `held` and `why`; `speed` of the whole network; `costly`.

    Raises:
        SpecError: the spec is not valid.
        UsageError: there is no such device, the batch does not fit, torch refuses a layer or is not installed.
    """
    conditions = {"batch": batch, "dtype": dtype, "optimizer": optimizer}
    if isinstance(spec, Plan) and any(value is not None for value in conditions.values()):
        raise UsageError("a plan has its batch, dtype and optimizer: give them to `plan`")
    given = {"variables": variables, "input_size": input_size}
    planned = _planned(spec, **given) if isinstance(spec, Plan) else plan(spec, **given, **conditions)  # type: ignore[arg-type]
    try:
        from cnnplan.runtime.profiling.profile import profile as measure
    except ModuleNotFoundError as error:
        raise missing_torch(error) from None
    return measure(planned, **options)


def train(
    spec: str | Path | Mapping[str, Any] | Plan,
    data: str,
    *,
    variables: Mapping[str, Any] | None = None,
    input_size: int | Sequence[int] | None = None,
    **options: Any,
) -> Outcome:
    """Train a network as `cnnplan train` does, without printing.

    Args:
        spec: what `cnnplan.plan` takes, or a plan.
        data: "digits", "folder:PATH", "npz:PATH", "torchvision:NAME" or "hf:NAME".
        options: of the command line: epochs, batch, lr, optimizer, dtype, seed, output, resume, weights, folds, device,
            devices, nodes, strategy, compiled, workers, minutes (between checkpoints).

    Returns:
        `summary`, what summary.json has, and `output`, the folder.

    Raises:
        SpecError: the spec is not valid.
        UsageError: an option, the data or the device does not fit, the training cannot go on, or the extra `train` is
            not installed.
    """
    planned = _planned(spec, variables, input_size)
    try:
        from cnnplan.runtime.training import session
    except ModuleNotFoundError as error:
        raise missing_train(error) from None
    if unknown := options.keys() - set(session.Asked._fields):
        raise UsageError(f"train has no option '{min(unknown)}'; {suggest(min(unknown), session.Asked._fields)}")
    for name in ("output", "weights"):
        if options.get(name) is not None:
            options[name] = Path(options[name])
    found = session.trained(planned, session.Asked(data=data, **options), "none")
    if found is None:
        raise UsageError("several processes train from the command line: `cnnplan train --devices`")
    return found


def _planned(
    spec: str | Path | Mapping[str, Any] | Plan,
    variables: Mapping[str, Any] | None,
    input_size: int | Sequence[int] | None,
) -> Plan:
    if isinstance(spec, Plan):
        if variables is not None or input_size is not None:
            raise UsageError("a plan has its variables and its input size: give them to `plan`")
        return spec
    return plan(spec, variables=variables, input_size=input_size)


def missing_torch(error: ModuleNotFoundError) -> UsageError:
    """What to say where the extra `torch` is not installed."""
    return UsageError(f"this needs {error.name}: pip install 'cnnplan[torch]'")


def missing_train(error: ModuleNotFoundError) -> UsageError:
    """What to say where the extra `train`, which has `torch` in it, is not installed."""
    return UsageError(f"this needs {error.name}: pip install 'cnnplan[train]'")


def missing_export(error: ModuleNotFoundError) -> UsageError:
    """What to say where the extra `export`, which has `torch` in it, is not installed."""
    return UsageError(f"this needs {error.name}: pip install 'cnnplan[export]'")


def missing_profile(error: ModuleNotFoundError) -> UsageError:
    """What to say where the extra `profile`, which has `torch` in it, is not installed."""
    return UsageError(f"this needs {error.name}: pip install 'cnnplan[profile]'")
