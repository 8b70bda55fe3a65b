"""G104 stride-exceeds-kernel."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, ClassVar

from cnnplan.codes import INFO
from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.geometry import by, listed, read, skips
from cnnplan.lint.net import PASSING
from cnnplan.render.numbers import percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node
    from cnnplan.lint.net import Net
    from cnnplan.ops.window import Sliding


class StrideExceedsKernel(Rule):
    """A stride larger than its window, or one that meets the gaps of a dilated window: units are stepped over.

    A 1x1 convolution with stride 2 reads a quarter of its input; what was computed of the rest is thrown away.
    On a residual's branch that is usual, and a note: there an average pool before it was worth 0.3 points of
    ResNet-50's accuracy. It is a note, too, where another layer reads what this one steps over.

    Source: He et al. 2018, arXiv:1812.01187, section 4 (ResNet-B and ResNet-D).
    """

    code: ClassVar[str] = "G104"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 1, stride: 2}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - avgpool: 2
          - conv: {out_channels: 8, kernel_size: 1}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for node, windows in net.slides.items():
            skipping = [window for window in windows if window.stride > 1 and skips(window)]
            if not skipping:
                continue
            x = node.shapes[0]
            seen, whole = self.seen(node, windows), prod(x.spatial)
            if seen == whole:
                continue
            usual = all(w.kernel == 1 for w in skipping) and self.in_add(net, node)
            noted = usual or self.elsewhere(net, node, seen)
            strides = by([w.stride for w in windows])
            if any(w.stride > w.kernel for w in skipping):
                why = f"its stride {strides} exceeds its window of {by([w.kernel for w in windows])}"
            else:
                why = f"its stride {strides} and its dilation {by([w.dilation for w in windows])} have a common factor"
            yield at(
                node,
                f"'{node.name}' reads {percent(seen, whole)} of the units of its input {x}: {why}",
                help=self.help(windows),
                argument="stride",
                severity=INFO if noted else "",
                change=None if noted else self.pooled(node, windows),
            )

    @staticmethod
    def seen(node: Node, windows: tuple[Sliding, ...]) -> int:
        """How many units of its input it reads."""
        mode = getattr(node.op, "padding_mode", "zeros")
        beyond = "" if mode == "zeros" else mode
        return prod(read(w, n, beyond) for w, n in zip(windows, node.shapes[0].spatial, strict=True))

    @classmethod
    def elsewhere(cls, net: Net, node: Node, seen: int) -> bool:
        """Whether another layer reads more of the same map, or any of the one that it was cut from."""
        value = node.inputs[0]
        cut = False
        while True:
            others = [user for user in net.users[value] if user is not node]
            if value in net.wanted or any(
                cut or user not in net.slides or cls.seen(user, net.slides[user]) > seen for user in others
            ):
                return True
            if value.node is None or value.node.op.kind not in _VIEWS:
                return False
            node = value.node
            cut = cut or node.op.kind not in PASSING
            value = node.inputs[0]

    @staticmethod
    def in_add(net: Net, node: Node) -> bool:
        """Whether what comes of it is added to something that does not: it is on a branch of a residual block."""
        reached = set(node.outputs)
        for user in net.nodes[node.index + 1 : node.index + _NEAR]:
            if reached.isdisjoint(user.inputs):
                continue
            if user.op.kind == "add" and not reached.issuperset(user.inputs):
                return True
            reached.update(user.outputs)
        return False

    @staticmethod
    def pooled(node: Node, windows: tuple[Sliding, ...]) -> Change | None:
        """A 1x1 convolution behind an average pool that takes its stride; it leaves an odd map as large."""
        if node.op.group != "convolution" or any(w.kernel > 1 or w.before or w.after for w in windows):
            return None
        strides = [w.stride for w in windows]
        pool = f"avgpool: {listed(strides)}"
        if any(n % w.stride for w, n in zip(windows, node.shapes[0].spatial, strict=True)):
            pool = f"avgpool: {{kernel_size: {listed(strides)}, ceil_mode: true, count_include_pad: false}}"
        steps = ((node, ("before", pool)), (node, ("set", "stride", "1")))
        return Change(False, f"insert `{pool}` before it, set `stride: 1`", steps)

    @staticmethod
    def help(windows: tuple[Sliding, ...]) -> str:
        """What reads all units."""
        if all(w.kernel == 1 for w in windows):
            return f"`avgpool: {listed([w.stride for w in windows])}` before it, and `stride: 1`, read all of them"
        if any(w.stride > w.kernel for w in windows):
            return f"write `kernel_size: {listed([max(w.kernel, w.stride) for w in windows])}`, or a smaller stride"
        return "write `dilation: 1`, or a dilation that has no factor in common with the stride"


_NEAR = 100
"""A residual block has fewer layers."""
_VIEWS = PASSING | {"crop", "pad", "slice", "split"}
