"""max_unpool: each pooled value back at the place that it came from."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Inline, Module, Op, Shape, plain
from cnnplan.ops.maxpool import MaxPool
from cnnplan.ops.needs import Needs, Saved, Scratch
from cnnplan.ops.upsample import Reference
from cnnplan.ops.window import Spread, Window


class IndexedMaxPool(MaxPool):
    """A `maxpool` whose places are asked for: its second output."""

    hidden: ClassVar[int] = 1

    def outputs(self, *xs: Shape) -> tuple[Shape, ...]:
        out = self.output(*xs)
        return (out, out)

    def dtype_of(self, port: int, first: str) -> str:
        return "int64" if port else first

    def saved(self, *xs: Shape) -> Saved:
        return Saved((0,), ports=(1,))

    def torch(self, *xs: Shape) -> Module:
        module = super().torch(*xs)
        asked = Argument("return_indices", True, False, True)
        return module._replace(arguments=(*module.arguments, asked))


class MaxUnpool(Op):
    """Undoes a `maxpool` as far as it can be undone: each value goes back where the largest was, the rest is 0.

    `of` names the pool; the output has the size of what entered it. Where the pool's windows overlap, a place
    may be given twice: which value stays is not defined.

    Source: Zeiler, Taylor & Fergus 2011; Noh, Hong & Han 2015, arXiv:1505.04366; torch.nn.functional.max_unpool2d.
    """

    kind: ClassVar[str] = "max_unpool"
    group: ClassVar[str] = "unpooling and resizing"
    inline: ClassVar[bool] = True
    own_channels: ClassVar[bool] = True
    autocast: ClassVar[Mapping[str, str]] = {"cpu": "float32"}
    writable: ClassVar[bool] = True
    refers: ClassVar[str] = "of"
    formulas: ClassVar[dict[str, str]] = {"output": "the size of what entered the pool", "flops": "0"}

    of: Reference = Field(description="the name of the `maxpool` that it undoes")

    @staticmethod
    def refusal(pool: Op, x: Shape) -> str:
        """Why torch cannot undo this pool; "" where it can."""
        assert isinstance(pool, MaxPool)
        if pool.torch(x).before is not None:
            return "its sides are padded by a layer of its own, in which the places would be counted"
        if any(w.dilation > 1 for w in pool.sliding(x)):
            return "torch undoes no dilated pooling"
        return ""

    def bound(self, pool: Op, x: Shape) -> "BoundMaxUnpool":
        """The operation with the windows of the pool."""
        assert isinstance(pool, MaxPool)
        windows = pool.sliding(x)
        kernel, stride, padding = (tuple(getattr(w, n) for w in windows) for n in ("kernel", "stride", "before"))
        return BoundMaxUnpool(of=self.of, kernel_size=kernel, stride=stride, padding=padding)


class BoundMaxUnpool(MaxUnpool):
    """A `max_unpool` whose pool is known. It takes the values, the places, and the pool's input for its size."""

    kernel_size: tuple[int, ...] = Field(repr=False)
    stride: tuple[int, ...] = Field(repr=False)
    padding: tuple[int, ...] = Field(repr=False)

    def output(self, *xs: Shape) -> Shape:
        x, places, whole = xs
        if x != places:
            raise ShapeError(
                "S005",
                f"'{self.kind}' puts {x} back, but the pool `{self.of}` gave {places}",
                argument="of",
                help="bring it to the pool's channels and size first",
                assume=whole,
            )
        return whole

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        sides = zip(self.kernel_size, self.stride, self.padding, strict=True)
        return tuple(Spread(kernel, stride, 1, padding).window for kernel, stride, padding in sides)

    def bounds(self, *xs: Shape) -> str:
        return "always"

    def saved(self, *xs: Shape) -> Saved:
        return Saved(inputs=(1,))

    def kept(self, needs: Needs, *xs: Shape) -> Saved:
        return self.saved(*xs) if needs.inputs[0] else Saved()

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        return Scratch()

    def torch(self, *xs: Shape) -> Inline:
        kernel = plain(self.kernel_size)
        options = (
            Argument("kernel", kernel),
            Argument("stride", plain(self.stride), kernel, True),
            Argument("padding", plain(self.padding), 0, True),
        )
        rank = xs[0].rank
        return Inline(f"F.max_unpool{rank}d({{0}}, {{1}}, {{kernel}}{{options}}, output_size={{2}}.shape[2:])", options)
