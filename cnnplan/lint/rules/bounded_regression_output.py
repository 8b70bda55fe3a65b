"""H306 bounded-regression-output."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.codes import INFO
from cnnplan.lint.base import Finding, Rule, at
from cnnplan.lint.heads import PROBABILITIES, back, freed, serves
from cnnplan.lint.net import PASSING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node
    from cnnplan.lint.net import Net

HIDDEN = {
    "relu": "below 0",
    "relu6": "but 0 to 6",
    "gelu": "below -0.17",
    "silu": "below -0.28",
    "mish": "below -0.31",
    "hardswish": "below -0.375",
    "selu": "below -1.76",
}
"""What activations of hidden layers do not give; elu and celu say it with an argument."""

SCALED = {
    "softmax": "but 0 to 1",
    "sigmoid": "but 0 to 1",
    "hardsigmoid": "but 0 to 1",
    "abs_tanh": "but 0 to 1",
    "tanh": "but -1 to 1",
}
"""The same of those to which targets may be scaled, and of hardtanh."""


class BoundedRegressionOutput(Rule):
    """A regression whose output ends in an activation that leaves out a part of the numbers.

    Trained with mse or l1 on targets beyond the bounds, it sticks to them. Behind a ReLU that is below zero for each
    sample no gradient comes back, and the output is 0 for ever. Where targets are never negative, a softplus keeps
    a gradient.

    A tanh is information: targets are often scaled to its bounds, as values of games are. Not looked at are maps,
    and outputs as large as an input, which are pictures and the like.

    Source: torch.nn.MSELoss, torch.nn.L1Loss; Lu, Shin, Su & Karniadakis 2019, arXiv:1903.06733 on dying ReLUs.
    """

    code: ClassVar[str] = "H306"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 16, kernel_size: 3}
          - relu
          - global_avgpool
          - linear: 1
          - relu
        train: {loss: mse}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 16, kernel_size: 3}
          - relu
          - global_avgpool
          - linear: 1
        train: {loss: mse}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        sizes = {value.shape.numel for value in net.graph.inputs}
        for name, value, loss in net.trained():
            node = next((node for node in back(value) if node.op.kind not in PASSING), None)
            if loss not in ("mse", "l1") or node is None or value.shape.numel in sizes:
                continue
            hidden, scaled = self.without(node)
            is_map = node.output.shape.numel > node.output.shape.channels or value.shape.numel > value.shape.channels
            if is_map or not (hidden or scaled) or not serves(net, node, value):
                continue
            word = node.item.word
            softplus = f"remove `{word}`; for targets that are never negative, `softplus` keeps a gradient"
            yield at(
                node,
                f"'{name}', which is trained with {loss}, gives nothing {hidden or scaled}",
                help=softplus if hidden else f"remove `{word}`, unless the targets are scaled to its bounds",
                severity="" if hidden or node.op.kind in PROBABILITIES else INFO,
                change=freed(net, node, value, safe=False),
            )

    @staticmethod
    def without(node: Node) -> tuple[str, str]:
        """What an activation does not give: one of hidden layers, or one to which targets may be scaled."""
        op, kind = node.op, node.op.kind
        if kind in ("elu", "celu"):
            return f"below {min(0, -getattr(op, 'alpha', 1)):g}", ""
        if kind == "hardtanh":
            return "", f"but {getattr(op, 'min_val', -1):g} to {getattr(op, 'max_val', 1):g}"
        return HIDDEN.get(kind, ""), SCALED.get(kind, "")
