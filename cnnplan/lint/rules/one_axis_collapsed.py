"""G118 one-axis-collapsed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.diagnostics import Related
from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.geometry import by, collapsed, listed, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node, Value
    from cnnplan.lint.net import Net


class OneAxisCollapsed(Rule):
    """One axis of the map has shrunk to a single unit while another is long, and square windows slide on.

    Of a 3x3 kernel on a map of 1x26, two rows of taps see padding wherever it stands. Maps that are longer than
    high want strides of 1 along their height, as where text or sound is read.

    Source: Shi, Bai & Yao 2015, arXiv:1507.05717, table 1: pools of 1x2 beside those of 2x2.
    """

    code: ClassVar[str] = "G118"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [16, 2, 32]
        layers:
          - maxpool: 2
          - conv_bn_relu: 16
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [16, 2, 32]
        layers:
          - maxpool: [1, 2]
          - conv_bn_relu: 16
    """

    def check(self, net: Net) -> Iterator[Finding]:
        known: dict[tuple[Value, int], Value] = {}
        reported = set()
        for node, windows in net.slides.items():
            x = node.shapes[0]
            axis = next((i for i in collapsed(x) if windows[i].kernel > 1), None)
            if axis is None:
                continue
            value = self.origin(node.inputs[0], axis, known)
            if (value, axis) in reported:
                continue
            reported.add((value, axis))
            cause = value.node
            long = max(range(x.rank), key=x.spatial.__getitem__)
            sizes = f"a single unit of {named(x, axis)} beside {x.spatial[long]} of {named(x, long)}"
            window = by([w.kernel for w in windows])
            if cause is None or cause not in net.slides:
                kernel = listed([w.kernel if i != axis else 1 for i, w in enumerate(windows)])
                yield at(
                    node,
                    f"'{node.name}' slides a window of {window} over {x}: {sizes}",
                    help=f"write `kernel_size: {kernel}`, without padding along {named(x, axis)}",
                    argument="kernel_size",
                )
                continue
            strides = [w.stride if i != axis else 1 for i, w in enumerate(net.slides[cause])]
            yield at(
                cause,
                f"'{cause.name}' leaves {sizes}, and '{node.name}' slides a window of {window} over it",
                help=f"write `{'kernel_size' if cause.op.group == 'pooling' else 'stride'}: {listed(strides)}`",
                related=(Related(f"'{node.name}' slides over it", node.at.start),),
                change=self.kept(cause, axis, net),
            )

    @staticmethod
    def origin(value: Value, axis: int, known: dict[tuple[Value, int], Value]) -> Value:
        """The first value on the way to this one whose axis is a single unit."""
        way = []
        while (value, axis) not in known:
            way.append(value)
            node = value.node
            if node is None or node.inputs[0].shape.spatial[axis : axis + 1] != (1,):
                known[value, axis] = value
                break
            value = node.inputs[0]
        found = known[value, axis]
        known.update(((one, axis), found) for one in way)
        return found

    @staticmethod
    def kept(node: Node, axis: int, net: Net) -> Change | None:
        """A stride, and of a pool a window, of 1 along the axis."""
        windows = net.slides[node]
        if windows[axis].stride == 1:
            return None
        names = ["stride"] if node.op.group == "convolution" else ["kernel_size", "stride"]
        steps = []
        for name in names:
            if name == "kernel_size" or name in node.item.arguments:
                values = [getattr(w, name.removesuffix("_size")) for w in windows]
                values[axis] = 1
                steps.append((node, ("set", name, listed(values))))
        return Change(False, f"take a stride of 1 along {named(node.shapes[0], axis)}", tuple(steps))
