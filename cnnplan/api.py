"""The Python API that needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnplan.errors import UsageError
from cnnplan.planning import Plan, plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import nn


def build(
    spec: str | Path | Mapping[str, Any] | Plan,
    *,
    variables: Mapping[str, Any] | None = None,
    input_size: int | Sequence[int] | None = None,
) -> nn.Module:
    """A freshly initialized torch.nn.Module, made from the source that `cnnplan build` writes.

    Its parameters have the names and shapes of the plan; its class can be pickled. The arguments
    are those of `cnnplan.plan`; a plan may be given instead of a spec.

    Raises:
        SpecError: the spec is not valid.
        UsageError: the file cannot be read, or torch is not installed.
    """
    if isinstance(spec, Plan):
        if variables is not None or input_size is not None:
            raise UsageError("a plan has its variables and its input size: give them to `plan`")
        planned = spec
    else:
        planned = plan(spec, variables=variables, input_size=input_size)
    try:
        from cnnplan.runtime.build import build as build_graph
    except ModuleNotFoundError as error:
        raise missing_torch(error) from None
    return build_graph(planned.graph)


def missing_torch(error: ModuleNotFoundError) -> UsageError:
    """What to say where the extra `torch` is not installed."""
    return UsageError(f"this needs {error.name}: pip install 'cnnplan[torch]'")
