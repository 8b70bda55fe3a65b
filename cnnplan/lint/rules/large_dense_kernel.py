"""P706 large-dense-kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Finding, Rule, at
from cnnplan.render.numbers import short

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnnplan.graph import Node, Value
    from cnnplan.lint.net import Net
    from cnnplan.ops.window import Sliding

CHANNELS = 32
"""Fewer channels on either side are left alone."""

SAVED = 0.25
"""The share of the work that the stack must save."""


class LargeDenseKernel(Rule):
    """A large dense kernel where a stack of kernels of 3 sees as much for less.

    Two 3x3 convolutions see 5x5 units with 18 weights for each pair of channels instead of 25, and three see 7x7
    with 27 instead of 49; and there are activations between them. It is said where the stack, as wide as the layer's
    output throughout, would save a quarter of the multiplications: narrow inputs with wide outputs are better off
    with the large kernel.

    The first convolutions of a network, depthwise and grouped ones, strides, even kernels and fewer than 32 channels
    are not meant.

    Source: Simonyan & Zisserman 2014, arXiv:1409.1556, section 2.3; Szegedy et al. 2015, arXiv:1512.00567, section
    3.1.
    """

    code: ClassVar[str] = "P706"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 64, kernel_size: 3, padding: 1}
          - relu
          - conv: {out_channels: 64, kernel_size: 7, padding: 3}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 64, kernel_size: 3, padding: 1}
          - layers:
              - relu
              - conv: {out_channels: 64, kernel_size: 3, padding: 1}
            repeat: 3
    """

    def check(self, net: Net) -> Iterator[Finding]:
        large = [node for node, windows in net.slides.items() if _is_meant(node, windows)]
        first = _first(net) if large else frozenset()
        for node in large:
            windows = net.slides[node]
            macs, instead = net.layer(node).macs, _stacked(node, windows)
            if node in first or instead > (1 - SAVED) * macs:
                continue
            kernel = "x".join(str(w.kernel) for w in windows)
            small = "x".join(str(min(w.kernel, 3)) for w in windows)
            count = max(w.kernel for w in windows) // 2
            channels = node.output.shape.channels
            yield at(
                node,
                f"the {kernel} kernel of '{node.name}' takes {short(macs)} MACs; {count} convolutions of {small} and "
                f"{channels:,} channels see as much with {short(instead)}",
                help=f"write {count} convolutions with `kernel_size: 3` and an activation between them",
                argument="kernel_size",
            )


def _first(net: Net) -> frozenset[Node]:
    """Layers with weights that no other stands before."""
    behind: set[Value] = set()
    found = set()
    for node in net.nodes:
        if any(value in behind for value in node.inputs):
            behind.update(node.outputs)
        elif net.is_weighted(node):
            found.add(node)
            behind.update(node.outputs)
    return frozenset(found)


def _is_meant(node: Node, windows: Sequence[Sliding]) -> bool:
    """Whether it has a large kernel that a stack of small ones can take the place of."""
    if node.op.kind != "conv" or max(w.kernel for w in windows) < 5 or getattr(node.op, "groups", 1) > 1:
        return False
    if min(node.shapes[0].channels, node.output.shape.channels) < CHANNELS:
        return False
    return all(w.kernel % 2 and w.stride == 1 for w in windows)


def _stacked(node: Node, windows: Sequence[Sliding]) -> int:
    """The multiplications of a stack of kernels of 3 that sees as much, and whose maps shrink as evenly."""
    entered, channels = node.shapes[0].channels, node.output.shape.channels
    sizes = list(zip(windows, node.shapes[0].spatial, node.output.shape.spatial, strict=True))
    macs = 0
    for layer in range(1, max(w.kernel for w in windows) // 2 + 1):
        work = (entered if layer == 1 else channels) * channels
        for w, before, after in sizes:
            several = w.kernel // 2
            work *= before + (after - before) * min(layer, several) // several if several else after
            work *= 3 if layer <= several else 1
        macs += work
    return macs
