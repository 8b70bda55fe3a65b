"""stochastic_depth: random samples skip a residual branch."""

from typing import ClassVar

from pydantic import Field

from cnnplan.ops.base import Argument, Module, Op, Shape
from cnnplan.ops.fields import Probability
from cnnplan.ops.needs import NOTHING, PASSES, Kept, Needs, Saved, Scratch


class StochasticDepth(Op):
    """Sets whole samples to zero with probability p in training; put it last in a residual branch.

    Source: Huang et al. 2016, arXiv:1603.09382.
    """

    kind: ClassVar[str] = "stochastic_depth"
    group: ClassVar[str] = "regularization"
    layout: ClassVar[str] = "same"
    own_channels: ClassVar[bool] = True
    formulas: ClassVar[dict[str, str]] = {"output": "the input's shape", "flops": "0: nothing happens in evaluation"}

    p: Probability = Field(description="probability that a sample is dropped")

    def is_view(self, *xs: Shape) -> bool:
        return self.p == 0

    def passes_by(self, *xs: Shape) -> bool:
        return True

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return PASSES if self.p == 0 else Scratch(training=(Kept("draw", 1, "activation"),))

    def saved(self, *xs: Shape) -> Saved:
        return NOTHING if self.p == 0 else Saved(own=(Kept("sample mask", 1, "activation"),))

    def torch(self, *xs: Shape) -> Module:
        return Module("StochasticDepth", (Argument("p", self.p),))
