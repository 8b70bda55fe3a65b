"""U501 deconv-checkerboard."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING, Any, ClassVar

from cnnplan.lint.base import Finding, Rule, at
from cnnplan.lint.geometry import by, fill, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.net import Net


class DeconvCheckerboard(Rule):
    """A transposed convolution whose kernel is no multiple of its stride: it covers its output unevenly.

    With a kernel of 3 and a stride of 2, one unit gets one tap, the next one two: in an image, 1, 2 or 4 of them, a
    checkerboard that training rarely takes away in full. With 4 and 2 every unit gets two.

    Source: Odena, Dumoulin & Olah 2016, doi:10.23915/distill.00003.
    """

    code: ClassVar[str] = "U501"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [16, 8, 8]
        layers:
          - conv_transpose: {out_channels: 8, kernel_size: 3, stride: 2, padding: 1, output_padding: 1}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [16, 8, 8]
        layers:
          - conv_transpose: {out_channels: 8, kernel_size: 4, stride: 2, padding: 1}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for node in net.of("conv_transpose"):
            op: Any = node.op
            x = node.shapes[0]
            windows = op.spread(x)
            uneven = [
                i
                for i, w in enumerate(windows)
                if w.kernel > w.stride and w.kernel % w.stride and gcd(w.stride, w.dilation) == 1 and x.spatial[i] > 1
            ]
            if not uneven:
                continue
            window = windows[uneven[0]]
            few, axis = window.kernel // window.stride, named(x, uneven[0])
            kernel, stride = (by([getattr(w, name) for w in windows]) for name in ("kernel", "stride"))
            help, change = fill(node, windows)
            yield at(
                node,
                f"the kernel {kernel} of '{node.name}' is no multiple of its stride {stride}: "
                f"along {axis}, units get {few} or {few + 1} taps in turn",
                help=f"{help}, or `upsample` before a convolution",
                argument="kernel_size",
                change=change,
            )
