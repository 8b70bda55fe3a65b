"""cnnplan: plan convolutional networks.

text ─ source ─▶ spec ─ elaborate ─▶ Graph ─▶ analyses ─▶ Plan ─▶ render
                                       └──▶ emit ─▶ Python source ─▶ runtime

plan = cnnplan.plan("specs/vgg16.yaml")      # a path, a text or a dict; without torch
plan.parameters, plan.macs, plan.layers[3].output
model = cnnplan.build("specs/vgg16.yaml")    # torch.nn.Module, from the source `cnnplan build` writes
cnnplan.verify("specs/vgg16.yaml").passed    # every number held against torch
cnnplan.fit("specs/vgg16.yaml", target="t4")  # memory against a device's; without torch
cnnplan.train("specs/lenet5.yaml", "digits").summary["test_accuracy"]
cnnplan.profile("specs/lenet5.yaml", device="cpu", batch=64).costly[0].why
cnnplan.diff(old, new).totals["macs"].percent  # two plans side by side
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnplan.api import build, profile, train, verify
    from cnnplan.differences import Difference, diff
    from cnnplan.errors import CnnplanError, ExpressionError, ShapeError, SpecError, UsageError
    from cnnplan.fitting import Fit, fit
    from cnnplan.planning import Layer, Plan, plan
    from cnnplan.version import __version__
    from cnnplan.weights import carry_weights

__all__ = [
    "CnnplanError",
    "Difference",
    "ExpressionError",
    "Fit",
    "Layer",
    "Plan",
    "ShapeError",
    "SpecError",
    "UsageError",
    "__version__",
    "build",
    "carry_weights",
    "diff",
    "fit",
    "plan",
    "profile",
    "train",
    "verify",
]

_HOMES = {
    "build": "api",
    "profile": "api",
    "train": "api",
    "verify": "api",
    "carry_weights": "weights",
    "diff": "differences",
    "Difference": "differences",
    "fit": "fitting",
    "Fit": "fitting",
    "plan": "planning",
    "Plan": "planning",
    "Layer": "planning",
    "__version__": "version",
} | dict.fromkeys(("CnnplanError", "ExpressionError", "ShapeError", "SpecError", "UsageError"), "errors")


def __getattr__(name: str) -> Any:
    """Import on first use: `import cnnplan` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cnnplan' has no attribute '{name}'")
    from importlib import import_module

    value = getattr(import_module(f"cnnplan.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
