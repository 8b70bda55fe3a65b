"""U502 deconv-holes."""

from __future__ import annotations

from math import gcd, prod
from typing import TYPE_CHECKING, Any, ClassVar

from cnnplan.codes import ERROR, WARNING
from cnnplan.lint.base import Finding, Rule, at
from cnnplan.lint.geometry import by, fill, reached
from cnnplan.render.numbers import percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.lint.net import Net


class DeconvHoles(Rule):
    """A transposed convolution whose stride exceeds its kernel, or meets its dilation: no input reaches some units.

    With a kernel of 2 and a stride of 3, every third row and column is the bias alone. The same comes of a stride and
    a dilation with a common factor, whatever the kernel. Units at the border alone, where `output_padding` goes
    beyond `padding`, are a warning.

    Source: Dumoulin & Visin 2016, arXiv:1603.07285, section 4; torch.nn.ConvTranspose2d.
    """

    code: ClassVar[str] = "U502"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [16, 8, 8]
        layers:
          - conv_transpose: {out_channels: 8, kernel_size: 2, stride: 3}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [16, 8, 8]
        layers:
          - conv_transpose: {out_channels: 8, kernel_size: 3, stride: 3, padding: 1, output_padding: 1}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for node in net.of("conv_transpose"):
            op: Any = node.op
            x, y = node.shapes[0], node.output.shape
            windows = op.spread(x)
            if all(w.kernel >= w.stride and w.dilation == 1 and w.output_padding <= w.padding for w in windows):
                continue
            got = [reached(w, n) for w, n in zip(windows, x.spatial, strict=True)]
            whole = prod(y.spatial)
            if prod(got) == whole:
                continue
            inside = [w for w, n in zip(windows, x.spatial, strict=True) if n > 1]
            help, change = fill(node, windows)
            if short := [w for w in inside if w.kernel < w.stride]:
                why, level = f"stride {short[0].stride} exceeds kernel {short[0].kernel}", ERROR
            elif common := [w for w in inside if gcd(w.stride, w.dilation) > 1]:
                why, level = f"stride {common[0].stride} and dilation {common[0].dilation} have a common factor", ERROR
                help, change = "write `dilation: 1`", None
            else:
                why, level = "they lie at the border", WARNING
            yield at(
                node,
                f"no input reaches {percent(whole - prod(got), whole)} of the units that '{node.name}' gives "
                f"({by(y.spatial)}): {why}",
                help=help,
                argument="kernel_size",
                severity=level,
                change=change,
            )
