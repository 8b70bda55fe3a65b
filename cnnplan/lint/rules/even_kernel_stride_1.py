"""G108 even-kernel-stride-1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.geometry import listed, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.net import Net
    from cnnplan.ops.window import Sliding


class EvenKernelStride1(Rule):
    """An even window that slides unit by unit and is meant to keep the map's size: it has no centre.

    Padded by `same`, each such layer shifts the map by half a unit, so that a stack of them no longer meets its
    skips; padded alike on both sides, it makes the map a unit smaller or larger. Long windows, of 8 units and
    more, are those of signals, where half a unit is little; windows that a layer with a larger stride has,
    too, get their padding from there, as in the discriminators of pix2pix.

    Source: Wu et al. 2019, arXiv:1903.08385.
    """

    code: ClassVar[str] = "G108"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 4, padding: same}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 5, padding: same}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        strided: set[object] | None = None
        for node, windows in net.slides.items():
            op: Any = node.op
            if op.group != "convolution" or op.padding == 0:
                continue
            x = node.shapes[0]
            wrong = [i for i, w in enumerate(windows) if self.off(w, op.padding) and w.extent <= x.spatial[i]]
            if not wrong or any(w.extent >= _LONG for w in windows):
                continue
            if strided is None:
                strided = set(self.strided(net))
            if (op.kernel_size, op.padding) in strided:
                continue
            axis = wrong[0]
            window, n, out = windows[axis], x.spatial[axis], node.output.shape.spatial[axis]
            if n == out:
                what = (
                    f"pads {named(x, axis)} by {window.before} and {window.after}, which shifts the map by half a unit"
                )
            else:
                what = f"makes {named(x, axis)} {n} to {out}"
            kernels = [w.kernel + (i in wrong) for i, w in enumerate(windows)]
            steps = [(node, ("set", "kernel_size", listed(kernels)))]
            if any(windows[i].dilation > 1 for i in wrong) and not isinstance(op.padding, str):
                steps.append((node, ("set", "padding", "half")))
            yield at(
                node,
                f"'{node.name}' {what}: its window of {window.extent} has no centre",
                help=f"write `kernel_size: {listed(kernels)}`",
                argument="kernel_size",
                change=Change(False, f"set `kernel_size: {listed(kernels)}`", tuple(steps)),
            )

    @staticmethod
    def strided(net: Net) -> Iterator[object]:
        """The kernels and paddings of convolutions with a larger stride, as they are written."""
        for node, windows in net.slides.items():
            op: Any = node.op
            if op.group == "convolution" and any(window.stride > 1 for window in windows):
                yield op.kernel_size, op.padding

    @staticmethod
    def off(window: Sliding, padding: object) -> bool:
        """Whether it is even and padded as if to keep the size."""
        if window.stride > 1 or window.extent % 2:
            return False
        return padding in ("half", "same") or window.before == window.after == window.extent // 2


_LONG = 8
