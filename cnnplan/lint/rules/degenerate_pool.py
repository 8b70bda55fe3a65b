"""G117 degenerate-pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from cnnplan.codes import CODES, INFO
from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.geometry import by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node
    from cnnplan.lint.net import Net


POOLS = frozenset(CODES["G117"].when.split())


class DegeneratePool(Rule):
    """A pool whose every window is one unit: its output is its input.

    A window of 1 with stride 1, or any window on a map of a single unit. An adaptive or global pool that happens
    to change nothing is a note, as it does something at other input sizes. Where a block makes a pool from a param,
    and only some of its uses give it nothing to do, nothing is said.

    Source: torch.nn.MaxPool2d, torch.nn.AvgPool2d, torch.nn.AdaptiveAvgPool2d.
    """

    code: ClassVar[str] = "G117"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv_bn_relu: 8
          - maxpool: 1
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv_bn_relu: 8
          - maxpool: 2
    """

    def check(self, net: Net) -> Iterator[Finding]:
        judged: dict[int, bool] = {}
        for node in net.nodes:
            if node.op.kind not in POOLS or not self.idle(net, node):
                continue
            fixed = node in net.slides
            if not fixed and net.graph.sizes:
                continue
            key = id(node.item)
            if key not in judged:
                judged[key] = all(self.idle(net, other) for other in net.made_by(node))
            if not judged[key]:
                continue
            x = node.shapes[0]
            if fixed and max(w.kernel for w in net.slides[node]) == 1:
                why = "its window is a single unit, and so is its stride"
            elif fixed or max(x.spatial) == 1:
                why = f"each window sees a single unit of its input {x}"
            else:
                why = f"its input is {by(x.spatial)} already"
            yield at(
                node,
                f"'{node.name}' changes nothing: {why}",
                help="remove it" if fixed else "remove it, unless the network is built for other input sizes, too",
                severity="" if fixed else INFO,
                change=Change(fixed, f"remove `{node.item.word}`", ((node, ("remove",)),)),
            )

    @staticmethod
    def idle(net: Net, node: Node) -> bool:
        """Whether its output is its input."""
        op: Any = node.op
        x, windows = node.shapes[0], net.slides.get(node)
        if x != node.output.shape:
            return False
        if not windows:
            return True  # an adaptive pool to the size there is, or a global one of a single unit
        if op.kind == "lppool" and (op.p != 1 or any(w.kernel > 1 for w in windows)):
            return False  # even powers lose the sign, odd ones give NaN below 0; beyond the end, means are no sums
        if getattr(op, "counts_padding", False) and any(w.before or w.after for w in windows):
            return False
        pairs = zip(windows, x.spatial, strict=True)
        return all(w.kernel == w.stride == 1 or (n == 1 and list(w.window.reads(0, 1)) == [0]) for w, n in pairs)
