"""What is minimized: the weighted sum of the losses of the outputs.

Source: torch.nn.functional (cross_entropy, binary_cross_entropy_with_logits, nll_loss, mse_loss, l1_loss).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.graph import Graph
    from cnnplan.train_settings import Loss


IGNORED = -100
"""What stands in a map of classes where there is nothing to learn, as torch.nn.functional.cross_entropy has it."""


class Term(NamedTuple):
    """The loss of one output.

    Attributes:
        output: its index among the network's outputs.
        loss: "cross_entropy" …
        weight: in the sum.
        smoothing: of labels.
        target: its index among the targets of a batch; None where the input is the target.
        classes: units of the output.
    """

    output: int
    loss: str
    weight: float
    smoothing: float
    target: int | None
    classes: int

    def __call__(self, outputs: Sequence[Tensor], inputs: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        """The loss, averaged over the batch."""
        y = outputs[self.output]
        aim = inputs[0] if self.target is None else self.aim(targets[self.target])
        if self.loss == "cross_entropy":
            return F.cross_entropy(y, aim, label_smoothing=self.smoothing)
        if self.loss == "nll":
            return F.nll_loss(y, aim)
        aim = aim.to(y.dtype).reshape(y.shape)
        if self.loss == "binary_cross_entropy":
            return F.binary_cross_entropy_with_logits(y, aim)
        return F.mse_loss(y, aim) if self.loss == "mse" else F.l1_loss(y, aim)

    def aim(self, target: Tensor) -> Tensor:
        """The target as the loss takes it: classes as they are, or one unit for each, or one for two."""
        if self.exclusive:
            return target.long()
        if target.is_floating_point() or target.dim() > 1:
            return target.float()
        if self.classes == 1:
            return target.float().unsqueeze(1)
        return F.one_hot(target.long(), self.classes).float()

    @property
    def exclusive(self) -> bool:
        """Whether the target is a class."""
        return self.loss in ("cross_entropy", "nll")


class Objective:
    """The sum.

    Attributes:
        terms: of the outputs that have a loss; the first one is what accuracy is about.
    """

    def __init__(self, graph: Graph, losses: dict[str, Loss], targets: Sequence[str]) -> None:
        self.terms = []
        for index, (name, value) in enumerate(graph.outputs.items()):
            if name not in losses:
                continue
            loss = losses[name]
            target = None if not targets else 0 if "" in targets else targets.index(name)
            self.terms.append(
                Term(index, loss.name, loss.options.weight, loss.options.label_smoothing, target, value.shape[0])
            )

    def __call__(self, outputs: Sequence[Tensor], inputs: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        """The weighted sum of the losses: a scalar."""
        total: Tensor | None = None
        for term in self.terms:
            own = term(outputs, inputs, targets)
            own = own if term.weight == 1 else own * term.weight
            total = own if total is None else total + own
        assert total is not None
        return total

    @property
    def main(self) -> Term:
        """The first output's."""
        return self.terms[0]

    def right(self, outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> tuple[Tensor, int] | None:
        """How many classes of a batch are right, and of how many; None where there are no classes."""
        main = self.main
        if main.target is None:
            return None
        aim = targets[main.target]
        if not main.exclusive and (aim.is_floating_point() or aim.dim() > 1 or main.classes == 1):
            return None
        found = outputs[main.output].argmax(1)
        aim = aim.reshape(found.shape)
        judged = found.numel() if aim.dim() == 1 else int((aim != IGNORED).sum())
        return (found == aim).sum(), judged


def as_outputs(given: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """What a network gives, as a list."""
    return [given] if isinstance(given, torch.Tensor) else list(given)
