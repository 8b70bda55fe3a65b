"""dropconnect_linear: a dense layer whose weights are dropped."""

from typing import ClassVar

from pydantic import Field

from cnnplan.ops.base import Argument, Module, Shape
from cnnplan.ops.fields import Flag, Probability, Size
from cnnplan.ops.linear import Linear
from cnnplan.ops.needs import INPUT, NO_SCRATCH, NOTHING, Kept, Needs, Saved, Scratch


class DropConnectLinear(Linear):
    """A dense layer over a vector whose weights, not its inputs, are set to zero with probability p in training.

    One mask is drawn for each batch, not for each sample; the other weights are scaled by 1 / (1 - p), so that the
    expectation is the dense layer itself, which is what runs in evaluation. (The paper draws a mask for each sample,
    and matches the moments of a Gaussian in evaluation.)

    Source: Wan et al. 2013, "Regularization of neural networks using DropConnect"; torch.nn.Linear.
    """

    kind: ClassVar[str] = "dropconnect_linear"

    out_features: Size = Field(description="output features")
    p: Probability = Field(0.5, description="probability that a weight is zero")
    bias: Flag = Field(True, description="add a learned number to each output feature")

    def left(self, x: Shape) -> dict[str, Kept]:
        """The mask, and the weights that it leaves."""
        n = self.out_features * x.channels
        mask = Kept("mask", n if self.p < 1 else 1, "weight mask", per_sample=False)
        return {"mask": mask, "weights": Kept("weights that are left", n, "activation", per_sample=False)}

    def saved(self, *xs: Shape) -> Saved:
        return self.kept(Needs((True,), True), *xs)

    def kept(self, needs: Needs, *xs: Shape) -> Saved:
        if not needs.any:
            return NOTHING
        left, own = self.left(*xs), []
        if self.p:
            own += [left["mask"]] if needs.parameters else []
            own += [left["weights"]] if needs.inputs[0] else []
        return Saved(INPUT.inputs if needs.parameters else (), own=tuple(own))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        if not self.p or not needs.any:
            return NO_SCRATCH
        left, kept = self.left(*xs), self.kept(needs, *xs).own
        gradient = (left["weights"],) if needs.parameters and not needs.inputs[0] else ()  # else instead of them
        return Scratch(training=tuple(k for k in left.values() if k not in kept), backward=gradient)

    def torch(self, *xs: Shape) -> Module:
        sizes = (Argument("in_features", xs[0].channels), Argument("out_features", self.out_features))
        return Module("DropConnectLinear", sizes + self.options("p", "bias"))
