"""G119 aliasing-downsample."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.geometry import by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node
    from cnnplan.lint.net import Net
    from cnnplan.ops.window import Sliding


class AliasingDownsample(Rule):
    """A convolution or a max pool takes every second unit without a blur: small shifts of the image change the output.

    An average pool is a blur, and so is a frozen depthwise convolution before the stride. Zhang's networks, which
    blur wherever they take a stride, answer alike to shifted images more often, and gain in accuracy, too. Nearly
    every network has such strides: the rule is off unless it is selected.

    Source: Zhang 2019, arXiv:1904.11486.
    """

    code: ClassVar[str] = "G119"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv_bn_relu: 8
          - maxpool: 2
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv_bn_relu: 8
          - maxpool: {kernel_size: 2, stride: 1}
          - avgpool: {kernel_size: 3, stride: 2, padding: 1}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for node, windows in net.slides.items():
            if node.op.kind not in ("conv", "depthwise_conv", "maxpool"):
                continue
            sizes = node.output.shape.spatial
            if all(w.stride == 1 or out == 1 for w, out in zip(windows, sizes, strict=True)) or self.blurred(net, node):
                continue
            strides = by([w.stride for w in windows])
            pool = node.op.kind == "maxpool"
            yield at(
                node,
                f"'{node.name}' takes a stride of {strides} without a blur before it",
                help=f"a stride of 1, and `{_BLUR}` behind {'it' if pool else 'its activation'}",
                argument="stride",
                change=self.change(node, windows) if pool else None,
            )

    @staticmethod
    def blurred(net: Net, node: Node) -> bool:
        """Whether it reads a map that an average, or fixed weights, have smoothed."""
        before = net.ahead(node)
        if before is None:
            return False
        if before.op.kind == "avgpool":
            return max(w.kernel for w in net.slides[before]) > 1
        return before.op.kind == "blur_pool" or (before.op.kind == "depthwise_conv" and not before.trainable)

    @staticmethod
    def change(node: Node, windows: tuple[Sliding, ...]) -> Change | None:
        """The largest of each window first, then every second of their averages."""
        if any(w.stride != 2 for w in windows):
            return None
        steps = ((node, ("set", "stride", "1")), (node, ("after", _BLUR)))
        return Change(False, f"set `stride: 1`, insert `{_BLUR}` behind it", steps)


_BLUR = "avgpool: {kernel_size: 3, stride: 2, padding: 1}"
