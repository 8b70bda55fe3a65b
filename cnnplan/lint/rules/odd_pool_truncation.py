"""G103 odd-pool-truncation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.diagnostics import Related
from cnnplan.lint.base import Finding, Rule, at
from cnnplan.lint.geometry import named, skips, unread_end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node, Value
    from cnnplan.lint.net import Net


class OddPoolTruncation(Rule):
    """A pool, or another stride, that cuts an odd map, where a copy of it is cropped later to fit what became of it.

    21 units pooled by 2 are 10, and 20 when they are large again: the copy loses its last unit, or a unit on
    either side, and the units that meet do not show the same place of the image. Where the copy keeps its size, and
    what was pooled is resized to it, nothing is cut.

    Source: Ronneberger, Fischer & Brox 2015, arXiv:1505.04597, section 2: "all 2x2 max-pooling operations are
    applied to a layer with an even x- and y-size".
    """

    code: ClassVar[str] = "G103"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 42, 42]
        layers:
          - conv_bn_relu: {out_channels: 8, stride: 2}
            name: fine
          - maxpool: 2
          - conv_bn_relu: 16
          - upsample: 2
            name: up
          - crop: {like: up}
            from: fine
            name: copy
          - concat:
            from: [copy, up]
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 40, 40]
        layers:
          - conv_bn_relu: {out_channels: 8, stride: 2}
            name: fine
          - maxpool: 2
          - conv_bn_relu: 16
          - upsample: 2
            name: up
          - concat:
            from: [fine, up]
    """

    def check(self, net: Net) -> Iterator[Finding]:
        cuts: dict[Node, list[int]] = {}
        for node, windows in net.slides.items():
            if all(window.stride == 1 for window in windows):
                continue
            pairs = enumerate(zip(windows, node.shapes[0].spatial, strict=True))
            if axes := [i for i, (window, n) in pairs if unread_end(window, n) and not skips(window)]:
                cuts[node] = axes
        if not cuts:
            return
        for cut, merge in self.met(net, cuts):
            x, y = cut.shapes[0], cut.output.shape
            axis = cuts[cut][0]
            n = x.spatial[axis]
            end = unread_end(net.slides[cut][axis], n)
            ceil = ", or write `ceil_mode: true`" if hasattr(cut.op, "ceil_mode") else ""
            yield at(
                cut,
                f"'{cut.name}' cuts {named(x, axis)} {n} to {n - end} on its way to {y.spatial[axis]}, and "
                f"'{merge.name}' merges what becomes of it with a map that is cropped to fit",
                help=f"choose an input size at which {named(x, axis)} is {n - end} here{ceil}",
                related=(Related(f"'{merge.name}' merges them", merge.at.start),),
            )

    @staticmethod
    def met(net: Net, cuts: dict[Node, list[int]]) -> Iterator[tuple[Node, Node]]:
        """Each pool whose loss is met, and the merge that first meets it."""
        open_ = (1 << len(cuts)) - 1
        bits = {cut: 1 << i for i, cut in enumerate(cuts)}
        behind: dict[Value, int] = {}
        larger: dict[Value, int] = {}
        for node in net.nodes:
            after = bits.get(node, 0)
            grown = 0
            for value in node.inputs:
                after |= behind.get(value, 0)
                grown |= larger.get(value, 0)
            for value in node.inputs if node.op.group == "merge" and grown else ():
                met = grown & open_ & ~behind.get(value, 0)
                if not met or not (cropped := _cropped(value)):
                    continue
                for cut, bit in bits.items():
                    if met & bit and not cropped.isdisjoint(cuts[cut]):
                        open_ -= bit
                        yield cut, node
            if not after:
                continue
            sizes = node.output.shape.spatial
            if node.op.kind in ("upsample", "conv_transpose", "pixel_shuffle"):
                grown = after
                if getattr(node.op, "scale_factor", 1) is None:
                    after = 0  # it is resized to a size that is given, whatever was lost
            if after and sizes != node.shapes[0].spatial:
                for cut, bit in bits.items():
                    if grown & bit and sizes == cut.shapes[0].spatial:
                        after -= bit
            for value in node.outputs:
                behind[value], larger[value] = after, grown & after


def _cropped(value: Value) -> set[int]:
    """The axes along which a map is cropped."""
    crop = value.node
    if crop is None or crop.op.kind != "crop":
        return set()
    sizes = zip(crop.shapes[0].spatial, crop.output.shape.spatial, strict=True)
    return {i for i, (n, out) in enumerate(sizes) if out < n}
