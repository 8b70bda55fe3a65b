"""G101 border-pixels-dropped."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, ClassVar

from cnnplan.codes import INFO
from cnnplan.lint.base import Finding, Rule, at
from cnnplan.lint.geometry import named, padding, skips, unread_end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node, Value
    from cnnplan.lint.net import Net
    from cnnplan.ops.base import Shape
    from cnnplan.ops.window import Sliding


class BorderPixelsDropped(Rule):
    """The end of a map that no window reaches, because the next step would go beyond it.

    A 7x7 window with stride 2 on 224 pixels ends at pixel 223: the last row and the last column are never
    read. What is lost of the network's input, or most of a map, is a warning; a row that a pool leaves over is
    common, and no more than a note.

    Source: Dumoulin & Visin 2016, arXiv:1603.07285, relationship 6; torch.nn.Conv2d, whose output size rounds down.
    """

    code: ClassVar[str] = "G101"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 224, 224]
        layers:
          - conv: {out_channels: 64, kernel_size: 7, stride: 2}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 224, 224]
        layers:
          - conv: {out_channels: 64, kernel_size: 7, stride: 2, padding: 3}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        reported: set[Value] = set()
        for node, windows in net.slides.items():
            if all(window.stride == 1 for window in windows) or not any(self.lost(node, windows)):
                continue
            value, x = node.inputs[0], node.shapes[0]
            if value in reported or value in net.wanted or any(map(skips, windows)):
                continue
            reported.add(value)
            every = [self.lost(user, net.slides[user]) if user in net.slides else [0] for user in net.users[value]]
            lost = [min(ends) for ends in zip(*every, strict=False)]
            if not any(lost):
                continue
            first = value.node is None and any(1000 * end >= n for end, n in zip(lost, x.spatial, strict=True))
            most = 2 * prod(n - end for end, n in zip(lost, x.spatial, strict=True)) < prod(x.spatial)
            parts = [f"{end} of {named(x, i)} {x.spatial[i]}" for i, end in enumerate(lost) if end]
            yield at(
                node,
                f"'{node.name}' never reads the end of its input {x}: {', '.join(parts)}",
                help=self.help(node, windows, x),
                severity="" if (first or most) and not net.graph.sizes else INFO,
            )

    @staticmethod
    def lost(node: Node, windows: tuple[Sliding, ...]) -> list[int]:
        """How many units at the end of each axis it does not read."""
        mode = getattr(node.op, "padding_mode", "zeros")
        return [unread_end(w, n, mode) for w, n in zip(windows, node.shapes[0].spatial, strict=True)]

    @staticmethod
    def help(node: Node, windows: tuple[Sliding, ...], x: Shape) -> str:
        """What reads all of it."""
        if node.op.group == "pooling":
            return "write `ceil_mode: true`" if hasattr(node.op, "ceil_mode") else "give it a map that the windows fill"
        sides = []
        for window, n in zip(windows, x.spatial, strict=True):
            another = window.size(n) * window.stride + window.extent - n - window.before
            sides.append((window.before, another if unread_end(window, n) else window.after))
        return f"write `padding: {padding(sides)}`, or give it a map that the windows fill"
