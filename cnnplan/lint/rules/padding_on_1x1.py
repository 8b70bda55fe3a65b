"""G105 padding-on-1x1."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.geometry import blind, named, padded, padding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.net import Net


class PaddingOn1x1(Rule):
    """Padding around a convolution whose window is a single unit: the border of its output sees nothing.

    Padding keeps the map's size where a window is larger than a unit; around a 1x1 window it makes the map larger
    by a border of biases. So does `padding: 1` along the height of a 1x3 window.

    Source: Dumoulin & Visin 2016, arXiv:1603.07285, relationship 3: half padding of a kernel of 1 is 0.
    """

    code: ClassVar[str] = "G105"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [16, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 1, padding: 1}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [16, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 1}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for node, windows in padded(net):
            x = node.shapes[0]
            wrong = [i for i, w in enumerate(windows) if w.kernel == 1 and blind(w, x.spatial[i])]
            if not wrong:
                continue
            parts = [
                f"{blind(windows[i], x.spatial[i])} of {node.output.shape.spatial[i]} along {named(x, i)}"
                for i in wrong
            ]
            left = [(0, 0) if i in wrong else (w.before, w.after) for i, w in enumerate(windows)]
            what = "its bias" if getattr(node.op, "bias", False) else "0"
            step: tuple[str, ...] = ("set", "padding", padding(left))
            words = f"set `padding: {padding(left)}`"
            if not any(map(any, left)):
                step, words = ("drop", "padding"), "remove `padding`"
            yield at(
                node,
                f"'{node.name}' pads where its window is a single unit: {', '.join(parts)} of its output "
                f"see nothing and are {what}",
                help=words.replace("set", "write"),
                argument="padding",
                change=Change(False, words, ((node, step),)),
            )
