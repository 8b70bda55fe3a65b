"""G109 kernel-exceeds-map."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, ClassVar

from cnnplan.codes import INFO
from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.geometry import collapsed, dead_taps, listed, padded, padding
from cnnplan.render.numbers import percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.net import Net
    from cnnplan.ops.window import Sliding


class KernelExceedsMap(Rule):
    """Taps of a kernel that see padding wherever the window stands, because the map is too small for them.

    Eight of the nine taps of a padded 3x3 convolution on a map of 1x1 never see a unit: their weights get no
    gradient, and cost memory and time. A 3x3 kernel with dilation 18 on a map of 14x14 is a 1x1 convolution.

    Source: Chen et al. 2017, arXiv:1706.05587, section 3.3 and figure 4.
    """

    code: ClassVar[str] = "G109"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [64, 1, 1]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [64, 1, 1]
        layers:
          - conv: {out_channels: 8, kernel_size: 1}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for node, windows in padded(net):
            x = node.shapes[0]
            own = collapsed(x)  # a finding of one-axis-collapsed
            dead = [(0, 0, 0) if i in own else dead_taps(w, x.spatial[i]) for i, w in enumerate(windows)]
            if not any(count for _, _, count in dead):
                continue
            taps = prod(w.kernel for w in windows)
            alive = prod(w.kernel - count for w, (_, _, count) in zip(windows, dead, strict=True))
            less = [self.shortened(w, n, *d) for w, n, d in zip(windows, x.spatial, dead, strict=True)]
            help, change = "use a smaller kernel, a smaller dilation, or fewer strides before it", None
            shorter = [window for window in less if window]
            if len(shorter) == len(windows):
                kernel, sides = listed([w.kernel for w in shorter]), padding([(w.before, w.after) for w in shorter])
                help = f"`kernel_size: {kernel}` with `padding: {sides}` does the same"
                step = ("drop", "padding") if sides == "0" else ("set", "padding", sides)
                steps = ((node, ("set", "kernel_size", kernel)), (node, step))
                change = Change(False, f"set `kernel_size: {kernel}`, `padding: {sides}`", steps)
            yield at(
                node,
                f"{taps - alive} of the {taps} taps of '{node.name}' see padding alone "
                f"({percent(taps - alive, taps)}): its input is {x}",
                help=help,
                argument="kernel_size",
                severity=INFO if net.graph.sizes else "",
                change=change,
            )

    @staticmethod
    def shortened(window: Sliding, n: int, low: int, high: int, count: int) -> Sliding | None:
        """The window without its dead taps; None where it cannot be written."""
        if low + high != count or count == window.kernel:
            return None
        found = window._replace(
            kernel=window.kernel - count,
            before=window.before - low * window.dilation,
            after=max(0, window.after - high * window.dilation),
        )
        return found if found.before >= 0 and found.size(n) == window.size(n) else None
