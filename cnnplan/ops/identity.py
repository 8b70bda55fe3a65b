"""identity: the value itself."""

from typing import ClassVar

from cnnplan.ops.base import Module, Op, Shape
from cnnplan.ops.needs import PASSES, Needs, Scratch


class Identity(Op):
    """The value itself; a place to name.

    Source: torch.nn.Identity.
    """

    kind: ClassVar[str] = "identity"
    group: ClassVar[str] = "shape"
    own_channels: ClassVar[bool] = True
    formulas: ClassVar[dict[str, str]] = {"output": "the input's shape"}
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int64")

    def is_view(self, *xs: Shape) -> bool:
        return True

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return PASSES

    def torch(self, *xs: Shape) -> Module:
        return Module("nn.Identity")
