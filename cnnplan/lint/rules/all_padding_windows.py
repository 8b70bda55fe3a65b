"""G106 all-padding-windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.codes import INFO
from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.geometry import blind, named, padded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node
    from cnnplan.lint.net import Net
    from cnnplan.ops.window import Sliding


class AllPaddingWindows(Rule):
    """Padding as wide as the window: the outer windows see no unit of the map, and give a border of biases.

    A 3x3 window takes 1 unit of padding to keep the map's size, and at most 2 if each window is to see a unit.
    Padding that only makes the map larger is a note. Both are right where a `crop` takes the border away later, as
    in FCN, which pads its first convolution by 100.

    Source: Dumoulin & Visin 2016, arXiv:1603.07285, relationships 3 and 4 (half and full padding).
    """

    code: ClassVar[str] = "G106"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, padding: 3}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        cropped = None
        for node, windows in padded(net):
            x = node.shapes[0]
            wrong = [i for i, w in enumerate(windows) if w.kernel > 1 and blind(w, x.spatial[i])]
            grown = [i for i, w in enumerate(windows) if w.kernel > 1 and self.grows(w)]
            if not wrong and not grown:
                continue
            if cropped is None:
                cropped = max((n.index for n in net.of("crop", "slice") if _shrinks(n)), default=-1)
            if node.index < cropped:
                continue
            axis = (wrong or grown)[0]
            window, n, out = windows[axis], x.spatial[axis], node.output.shape.spatial[axis]
            half = all(w.stride == 1 and w.extent % 2 for w in windows)
            help = "`padding: half` keeps the size" if half else f"pad by less than {window.extent}"
            if not wrong:
                message = f"'{node.name}' makes {named(x, axis)} {n} larger, {out}: it pads by "
                message += f"{window.before + window.after}, its window takes {window.extent - 1}"
                yield at(node, message, help=help, argument="padding", severity=INFO)
                continue
            step = (node, ("set", "padding", "half"))
            yield at(
                node,
                f"{blind(window, n)} of {out} windows of '{node.name}' along {named(x, axis)} see padding alone: "
                f"{max(window.before, window.after)} units of it beside a window of {window.extent}",
                help=help,
                argument="padding",
                change=Change(False, "set `padding: half`", (step,)) if half else None,
            )

    @staticmethod
    def grows(window: Sliding) -> bool:
        """Whether it makes the map larger; by a unit, an even window that is meant to keep it does, too."""
        more = window.before + window.after - window.extent + 1
        return window.stride == 1 and more > (window.extent % 2 == 0 and window.before == window.after)


def _shrinks(node: Node) -> bool:
    return node.shapes[0].spatial != node.output.shape.spatial
