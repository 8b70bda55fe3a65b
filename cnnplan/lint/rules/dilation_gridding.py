"""G111 dilation-gridding."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from cnnplan.codes import INFO
from cnnplan.lint.base import Finding, Rule, at
from cnnplan.lint.geometry import MOST, named
from cnnplan.ops.window import WHOLE
from cnnplan.render.numbers import percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node, Value
    from cnnplan.lint.net import Net


class Stack(NamedTuple):
    """The last of some dilated convolutions, one behind the other, and those before it."""

    node: Node
    dilation: int
    depth: int = 1
    before: Stack | None = None


class Seen(NamedTuple):
    """What a unit reads, along one axis, of the map behind the last change of stride.

    Attributes:
        first: the first unit that it reads, from its own place.
        bits: all of them, from there on.
        stack: the dilated convolutions on the way.
    """

    first: int = 0
    bits: int = 1
    stack: Stack | None = None

    def through(self, taps: range) -> Seen:
        """What is read of it by a window with these taps; from the beginning, where that is too much to follow."""
        width, step = self.bits.bit_length(), taps.step
        if width + step * len(taps) > MOST:
            return START
        if step <= width and self.bits & (self.bits + 1) == 0:
            bits = (1 << (width + step * (len(taps) - 1))) - 1
        else:
            bits = 0
            for tap in range(len(taps)):
                bits |= self.bits << (tap * step)
        return Seen(self.first + taps.start, bits, self.stack)

    def united(self, other: Seen) -> Seen:
        """What both read, with the longer of their stacks, or the one with the larger dilation."""
        first = min(self.first, other.first)
        bits = self.bits << (self.first - first) | other.bits << (other.first - first)
        return Seen(first, bits, max(self.stack, other.stack, key=_weight))

    @property
    def depth(self) -> int:
        """How many dilated convolutions stand one behind the other."""
        return self.stack.depth if self.stack else 0

    @property
    def coverage(self) -> Fraction:
        """The share of the units from the first to the last that is read."""
        return Fraction(self.bits.bit_count(), self.bits.bit_length())


START = Seen()


def _weight(stack: Stack | None) -> tuple[int, int]:
    return (stack.depth, stack.dilation) if stack else (0, 0)


class DilationGridding(Rule):
    """A stack of dilated convolutions whose units leave holes in what they see.

    Two 3x3 convolutions with dilation 2 read 5 of 9 units along an axis, and neighbours share none of them:
    the map falls apart into grids that know nothing of each other. What counts is what is read of the map behind
    the last change of stride: dense convolutions before or behind the dilated ones fill the holes, and so does a
    stride's own window. Less than three quarters is a warning.

    Source: Wang et al. 2018, arXiv:1702.08502; Yu, Koltun & Funkhouser 2017, arXiv:1705.09914.
    """

    code: ClassVar[str] = "G111"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 64, 64]
        layers:
          - conv: {out_channels: 16, kernel_size: 3, stride: 2, padding: 1}
          - relu
          - layers:
              - conv: {out_channels: 16, kernel_size: 3, padding: 2, dilation: 2}
              - relu
            repeat: 3
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 64, 64]
        layers:
          - conv: {out_channels: 16, kernel_size: 3, stride: 2, padding: 1}
          - relu
          - layers:
              - conv: {out_channels: 16, kernel_size: 3, padding: half, dilation: "=[1, 2, 5][index]"}
              - relu
            repeat: 3
    """

    def check(self, net: Net) -> Iterator[Finding]:
        if all(getattr(node.op, "dilation", 1) == 1 for node in net.slides):
            return
        worst: dict[Node, tuple[Seen, int]] = {}
        for seen, axis in self.ends(net):
            if seen.stack and seen.depth > 1 and seen.coverage < 1:
                known = worst.get(seen.stack.node)
                if known is None or seen.coverage < known[0].coverage:
                    worst[seen.stack.node] = seen, axis
        for node, (seen, axis) in worst.items():
            part, whole = seen.bits.bit_count(), seen.bits.bit_length()
            dilations: list[str] = []
            stack = seen.stack
            while stack and len(dilations) < _SHOWN:
                dilations.insert(0, str(stack.dilation))
                stack = stack.before
            said = f"{'…, ' if stack else ''}{', '.join(dilations)}"
            yield at(
                node,
                f"the dilations {said} up to '{node.name}' leave holes: along {named(node.shapes[0], axis)}, a unit "
                f"reads {part} of the {whole} units that it spans ({percent(part, whole)})",
                help="write dilations such as 1, 2, 5, or put a convolution without dilation between them",
                argument="dilation",
                severity="" if seen.coverage < _SPARSE else INFO,
            )

    def ends(self, net: Net) -> Iterator[tuple[Seen, int]]:
        """What is seen where the stride changes next, or the map ends, and along which axis."""
        known: dict[Value, tuple[Seen, ...]] = {value: (START,) * value.shape.rank for value in net.graph.inputs}
        for node in net.nodes:
            for port, output in enumerate(node.outputs):
                leaving: list[Seen | None] = [None] * output.shape.rank
                for index, value in enumerate(node.inputs):
                    windows = node.op.reads(index, port, *node.shapes)[1:]
                    for axis, seen in enumerate(known[value]):
                        window = windows[axis] if axis < len(windows) else WHOLE
                        if len(window.phases) == window.advance == 1 and window.source in (None, axis):
                            found = self.behind(node, seen, window.phases[0], value.shape.spatial[axis])
                            other = leaving[axis]
                            leaving[axis] = other.united(found) if other else found
                        elif len(window.phases) == 1 and node in net.slides:
                            yield seen.through(window.phases[0]), axis
                        else:
                            yield seen, axis
                known[output] = tuple(seen or START for seen in leaving)
        for value in net.wanted:
            yield from ((seen, axis) for axis, seen in enumerate(known[value]))

    @staticmethod
    def behind(node: Node, seen: Seen, taps: range, n: int) -> Seen:
        """What is seen behind a window with these taps, on a map of `n` units."""
        if len(taps) == 1:
            return seen._replace(first=seen.first + taps.start) if taps.start else seen
        if node.op.group == "convolution" and taps.step > 1:
            if taps.step >= n:  # all taps but one see padding
                return seen
            seen = seen._replace(stack=Stack(node, taps.step, seen.depth + 1, seen.stack))
        return seen.through(taps)


_SHOWN = 6
_SPARSE = Fraction(3, 4)
