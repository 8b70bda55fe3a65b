"""F601 unproductive-layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from cnnplan.codes import INFO
from cnnplan.lint.base import Finding, Rule, at
from cnnplan.render.numbers import percent, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnnplan.graph import Node
    from cnnplan.lint.lines import Line
    from cnnplan.lint.net import Net

BESIDE = 8
"""So many units from either border are looked at one by one."""

MOST = 1 << 18
"""Where there are more units than this, in the longest axis of so many layers, they are not."""

SHARE = 0.1
"""A smaller share of the multiplications is information: the heads over the last maps of a pyramid are such."""


class UnproductiveLayer(Rule):
    """Convolutions that see nothing new: what enters them has a field as large as the network's input already.

    What counts is the smallest path along every axis, so that shortcuts keep layers productive. Such layers do not
    add to what a network recognizes; VGG-16 on 32 pixels has most of its parameters in them. Where only units in
    the middle of the map see everything, and those beside the border still gain, it is worth a note alone: a
    network for a board game needs these layers.

    Convolutions of one tap are not meant, nor those that make a map larger again or stand behind that, dense layers
    written as convolutions of the whole map, and what is behind a global pool.

    Source: Richter, Schöning, Wiedenroth & Krumnack 2021, arXiv:2106.12307, the border layer.
    """

    code: ClassVar[str] = "F601"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 8, 8]
        layers:
          - layers:
              - conv: {out_channels: 8, kernel_size: 3, padding: 1}
              - maxpool: 2
              - relu
            repeat: 2
          - layers:
              - conv: {out_channels: 8, kernel_size: 3, padding: 1}
              - relu
            repeat: 3
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - layers:
              - conv: {out_channels: 8, kernel_size: 3, padding: 1}
              - maxpool: 2
              - relu
            repeat: 2
          - layers:
              - conv: {out_channels: 8, kernel_size: 3, padding: 1}
              - relu
            repeat: 3
    """

    def check(self, net: Net) -> Iterator[Finding]:
        found = [one for one in seen(net) if one.is_covered(net)]
        if not found:
            return
        first = found[0]
        widest = next((one for one in found if one.may_see_all()), None)
        whole = widest.node if widest and widest.sees_all(net) else None
        if whole is None:
            beside = ", but beside its border"
        elif whole is first.node:
            beside = ": every unit sees all there is"
        else:
            beside = f"; from '{whole.name}' on every unit sees all there is"
        wasted = sum(net.layer(one.node).macs for one in found)
        largest = max(found, key=lambda one: min(line.least for line in one.lines))
        yield at(
            first.node,
            f"what enters '{first.node.name}' has a field of {sizes(line.least for line in first.lines)}, the input "
            f"{sizes(first.extent)}; nothing new is seen by {following(found, net)}{beside}",
            help="leave them out, take strides and pools away before them, or give an input of more than "
            f"{sizes(line.least for line in largest.lines)}",
            severity="" if whole and wasted >= SHARE * net.plan.macs else INFO,
        )


class Seen(NamedTuple):
    """A convolution, and what its input sees.

    Attributes:
        lines: of each axis of its input.
        extent: of the network's input along them.
    """

    node: Node
    lines: Sequence[Line]
    extent: Sequence[int]

    def is_covered(self, net: Net) -> bool:
        """Whether the smallest path is as large as the network's input, along every axis, and leaves no holes."""
        if any(line.least < n for line, n in zip(self.lines, self.extent, strict=True)):
            return False
        return all(share is None or share == 1 for share in net.plan.reach.coverage(self.node.inputs[0]))

    def may_see_all(self) -> bool:
        """Whether the first and the last unit see both ends of the input, and so all others."""
        units = self.node.inputs[0].shape.spatial
        return all(
            line.least_high >= n - 1 and line.least_low + line.stride * (m - 1) <= 0
            for line, n, m in zip(self.lines, self.extent, units, strict=True)
        )

    def sees_all(self, net: Net) -> bool:
        """The same, exactly: units that see padding instead, or that have holes beside the border, are told apart."""
        from cnnplan.analyses.region import Look

        value = self.node.inputs[0]
        longest = max(max(v.shape.spatial, default=0) for node in net.nodes for v in node.inputs)
        if longest * len(net.nodes) > MOST:
            return True
        look, last = Look(net.graph), max(value.shape.spatial)
        places = {*range(min(last, BESIDE)), *range(max(0, last - BESIDE), last)}
        units = [[min(place, n - 1) for n in value.shape.spatial] for place in places]
        first, *others = ([one.boxes for one in look.seen(value, unit, local=True)] for unit in units)
        return all(other == first for other in others)


def seen(net: Net) -> Iterator[Seen]:
    """The convolutions that could see more than their input does, whose longest path is as large as the input."""
    known = net.lines
    for node, windows in net.slides.items():
        found = known.get(node.inputs[0])
        if found is None or found.several or node.op.group != "convolution":
            continue
        shape = found.source.shape
        lines = []
        for line, axis in zip(found.axes, found.along, strict=True):
            if line is None or line.periodic or line.high - line.low + 1 < shape[axis + 1]:
                break
            lines.append(line)
        else:
            extent = shape.spatial
            dense = node.output.shape.spatial == (1,) * len(windows) != node.shapes[0].spatial
            if not dense and max(extent) > 1 and any(window.kernel > 1 for window in windows):
                yield Seen(node, lines, [extent[axis] for axis in found.along])


def following(found: Sequence[Seen], net: Net) -> str:
    """How many convolutions there are, and how much of the work."""
    macs = sum(net.layer(one.node).macs for one in found)
    return f"{plural(len(found), 'convolution')} from here on, {percent(macs, net.plan.macs)} of the MACs"


def sizes(several: Iterator[int] | Sequence[int]) -> str:
    """One for each axis: 60x60."""
    return "x".join(map(str, several))
