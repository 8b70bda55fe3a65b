"""What optimizers hold between steps and need for a while in one, and what losses do.

Counted in tensors of the parameters' (of the output's) size. Source: torch.optim and
torch.nn.functional. An optimizer has implementations that differ: "foreach" works on all tensors at
once (torch's default on CUDA), "fused" in one kernel, "forloop" tensor by tensor (its default on a CPU).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

IMPLEMENTATIONS: Final = ("foreach", "fused", "forloop")


class Optimizer(NamedTuple):
    """What one optimizer needs.

    Attributes:
        states: tensors that it holds for each parameter, of the parameter's size.
        counts: whether it holds the number of steps for each parameter, a float32.
        foreach, forloop: tensors in a step, for all parameters at once or for one at a time.
        decayed_foreach, decayed_forloop: the same with weight decay.

    Those that count take a root, and their loop still holds the last parameter's while it makes the next one's.
    """

    states: int
    counts: bool
    foreach: int
    forloop: int
    decayed_foreach: int
    decayed_forloop: int

    def scratch(self, implementation: str, decayed: bool, sizes: Sequence[int]) -> list[int]:
        """The sizes of the tensors in a step, from those of the parameters; none where it is fused."""
        if implementation == "foreach":
            return [*sizes] * (self.decayed_foreach if decayed else self.foreach)
        count = self.decayed_forloop if decayed else self.forloop
        if implementation != "forloop" or not count or not sizes:
            return []
        before = [0, *sizes[:-1]] if self.counts else [0] * len(sizes)
        size, left = max(zip(sizes, before, strict=True), key=lambda pair: count * pair[0] + pair[1])
        return [*[size] * count, left]


UNFUSED: Final = ("rmsprop", "rmsprop_momentum")
"""Optimizers that torch has no fused implementation of."""


OPTIMIZERS: Final = {
    "sgd": Optimizer(0, False, 0, 0, 1, 1),
    "momentum": Optimizer(1, False, 0, 0, 1, 1),
    "nesterov": Optimizer(1, False, 0, 1, 1, 2),
    "adam": Optimizer(2, True, 1, 2, 1, 3),
    "adamw": Optimizer(2, True, 1, 2, 1, 2),
    "rmsprop": Optimizer(1, True, 1, 1, 2, 2),
    "rmsprop_momentum": Optimizer(2, True, 1, 1, 2, 2),
}


class Loss(NamedTuple):
    """What a loss needs beside the output and its gradient.

    Attributes:
        kept: tensors of the output's size that it keeps for the backward pass.
        forward, backward: further ones in each pass.
        classes: whether the target is a class (int64) for each position, not a value for each element.
        whole: whether torch leaves the number in the storage of the output's size in which it was summed.
    """

    kept: int
    forward: int
    backward: int
    classes: bool
    whole: bool = False


LOSSES: Final = {
    "cross_entropy": Loss(1, 0, 1, True),
    "binary_cross_entropy": Loss(0, 0, 1, False),
    "nll": Loss(0, 0, 0, True),
    "mse": Loss(1, 0, 0, False, whole=True),
    "l1": Loss(1, 1, 2, False),
}
