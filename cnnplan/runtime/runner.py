"""Runs one operation, from the rule that says how torch does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cnnplan.emit.calls import helper_text, inline_text, module_text
from cnnplan.ops.base import Inline, Module, Op, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Runner(nn.Module):
    """A module that runs an operation, made from its `torch` rule, or from the one that is given."""

    def __init__(self, op: Op, shapes: Sequence[Shape], rule: Module | Inline | None = None) -> None:
        super().__init__()
        rule = rule or op.torch(*shapes)
        namespace: dict[str, Any] = {"nn": nn, "torch": torch, "F": F, "Tensor": Tensor}
        self.core: nn.Module | None = None
        self.before: nn.Module | None = None
        self.after: nn.Module | None = None
        self.run: Callable[..., Any] | None = None
        if isinstance(rule, Module):
            self.core = _make(rule, namespace)
            self.before = _make(rule.before, namespace) if rule.before else None
            self.after = _make(rule.after, namespace) if rule.after else None
        else:
            assert isinstance(rule, Inline)
            if rule.helper:
                exec(helper_text(rule.helper)[0], namespace)  # noqa: S102 - a file of this package
            names = [f"x{i}" for i in range(len(shapes))]
            source = f"lambda {', '.join(names)}: {inline_text(rule, names)}"
            self.run = eval(source, namespace)  # noqa: S307 - a template of this package, and numbers

    def forward(self, *xs: Tensor) -> Any:
        if self.run:
            return self.run(*xs)
        assert self.core is not None
        x = self.before(xs[0]) if self.before else xs[0]
        x = self.core(x, *xs[1:])
        return self.after(x) if self.after else x


def _make(rule: Module, namespace: dict[str, Any]) -> nn.Module:
    if not rule.target.startswith("nn."):
        exec(helper_text(rule.target)[0], namespace)  # noqa: S102 - a file of this package
    made: nn.Module = eval(module_text(rule), namespace)  # noqa: S307 - a constant target, and numbers
    return made
