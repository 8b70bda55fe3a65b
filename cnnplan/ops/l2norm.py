"""l2norm: vectors of length 1."""

from typing import ClassVar

from pydantic import Field

from cnnplan.ops.base import Argument, Module, Op, Shape, axis_of
from cnnplan.ops.fields import Epsilon, Integer, Number
from cnnplan.ops.layer_scale import channel_shape
from cnnplan.ops.needs import Kept, Needs, Saved, Scratch
from cnnplan.ops.window import POINTWISE, WHOLE, Window


class L2Norm(Op):
    """L2 normalization: x / max(eps, norm of x along an axis); by default over the channels of each position.

    With `scale`, each channel is multiplied by a learned factor that starts there.

    Source: Liu, Rabinovich & Berg 2015, arXiv:1506.04579; torch.nn.functional.normalize.
    """

    kind: ClassVar[str] = "l2norm"
    group: ClassVar[str] = "normalization"
    layout: ClassVar[str] = "same"
    writable: ClassVar[bool] = True
    formulas: ClassVar[dict[str, str]] = {
        "output": "the input's shape",
        "parameters": "0; channels with scale",
        "flops": "3 * prod(input) + prod(input) / normalized, and prod(input) with scale",
    }

    axis: Integer = Field(0, description="axis of the sample; 0 = channels")
    scale: Number | None = Field(None, description="start of a learned factor for each channel; none by default")
    eps: Epsilon = Field(1e-12, description="least norm that is divided by")

    def output(self, *xs: Shape) -> Shape:
        axis_of(self.kind, self.axis, xs[0])
        return xs[0]

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        return {} if self.scale is None else {"weight": channel_shape(*xs)}

    def normalized(self, x: Shape) -> int:
        """How many values are normalized together."""
        return x[axis_of(self.kind, self.axis, x)]

    def flops(self, *xs: Shape) -> int:
        (x,) = xs
        return (3 if self.scale is None else 4) * x.numel + x.numel // self.normalized(x)

    def formula(self, number: str, *xs: Shape) -> str:
        if number == "flops":
            return f"{3 if self.scale is None else 4} * prod(input) + prod(input) / normalized"
        if number == "parameters":
            return "0" if self.scale is None else "channels"
        return super().formula(number, *xs)

    def terms(self, *xs: Shape) -> dict[str, int | tuple[int, ...]]:
        return {"normalized": self.normalized(*xs)}

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        (x,) = xs
        axis = axis_of(self.kind, self.axis, x)
        return tuple(WHOLE if axis == i + 1 else POINTWISE for i in range(x.rank))

    def channels(self, *xs: Shape) -> Window:
        return POINTWISE if axis_of(self.kind, self.axis, xs[0]) else WHOLE

    def norms(self, x: Shape) -> tuple[Kept, ...]:
        n = x.numel // self.normalized(x)
        return Kept("norms", n, "reduced"), Kept("limited norms", n, "reduced")

    def saved(self, *xs: Shape) -> Saved:
        return self.kept(Needs((True,), self.scale is not None), *xs)

    def kept(self, needs: Needs, *xs: Shape) -> Saved:
        (x,) = xs
        if not needs.any:
            return Saved()
        product = (Kept("normalized input", x.numel, "reduced"),) if needs.parameters else ()
        return Saved((0,), own=(*self.norms(x), *product)) if needs.inputs[0] else Saved(own=product)

    def autocasts(self, device: str, *xs: Shape) -> str:
        return "result" if device == "cuda" or self.scale is not None else ""

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        (x,) = xs
        scaled = self.scale is not None
        made = Kept("normalized input", x.numel, "reduced") if scaled else self.norms(x)[1]
        return Scratch(evaluation=(made,), backward=(Kept("quotients", (3 - scaled) * x.numel, "reduced"),))

    def torch(self, *xs: Shape) -> Module:
        (x,) = xs
        options = (Argument("dim", axis_of(self.kind, self.axis, x) + 1, 1, True), *self.options("eps", "scale"))
        shape = () if self.scale is None else (Argument("shape", channel_shape(x), (), True),)
        return Module("L2Norm", (*options, *shape))
