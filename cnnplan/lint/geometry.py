"""Windows as rules ask about them: which units they read, which of their taps read anything."""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import TYPE_CHECKING, Any

from cnnplan.lint.base import Change
from cnnplan.ops.base import AXES, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnnplan.graph import Node
    from cnnplan.lint.net import Net
    from cnnplan.ops.base import Shape
    from cnnplan.ops.window import Sliding, Spread

MOST = 1 << 16
"""Longer axes are not looked at unit by unit, nor larger kernels tap by tap."""


def named(x: Shape, axis: int) -> str:
    """A spatial axis by its name, such as height."""
    return AXES[x.rank][axis]


def listed(values: Sequence[object]) -> str:
    """Numbers of the axes as an argument is written: 2, or [1, 2]."""
    found = plain(tuple(values))
    return f"[{', '.join(map(str, found))}]" if isinstance(found, tuple) else str(found)


def padding(sides: Sequence[tuple[int, int]]) -> str:
    """A padding as it is written: 1, [0, 1] or [[0, 1], [1, 1]]."""
    if all(before == after for before, after in sides):
        return listed([before for before, _ in sides])
    return f"[{', '.join(f'[{before}, {after}]' for before, after in sides)}]"


def by(values: Sequence[int]) -> str:
    """Sizes as people say them: 3x3."""
    return "x".join(map(str, values))


def padded(net: Net) -> Iterator[tuple[Node, tuple[Sliding, ...]]]:
    """Convolutions that pad with zeros, and their windows."""
    for node, windows in net.slides.items():
        op: Any = node.op
        if op.group == "convolution" and op.padding != 0 and op.padding_mode == "zeros":
            yield node, windows


def unread_end(window: Sliding, n: int, mode: str = "zeros") -> int:
    """How many of `n` units lie behind the last window, and are not read."""
    behind = n - ((window.size(n) - 1) * window.stride - window.before + window.extent)
    if mode == "circular":
        behind -= window.before
    return max(0, behind)


def skips(window: Sliding) -> bool:
    """Whether its steps leave out units: all windows together read the same few of every `stride`."""
    return min(window.kernel, window.stride // gcd(window.stride, window.dilation)) < window.stride


@lru_cache(maxsize=1024)
def read(window: Sliding, n: int, beyond: str = "") -> int:
    """How many of `n` units any window reads; `beyond` is a padding mode that repeats units of the map."""
    if n > MOST:
        return n * min(window.kernel, window.stride // gcd(window.stride, window.dilation)) // window.stride
    return window.window._replace(beyond=beyond).units((1 << window.size(n)) - 1, n).bit_count()


@lru_cache(maxsize=1024)
def blind(window: Sliding, n: int) -> int:
    """How many windows have no tap on any of `n` units: they see padding alone."""
    out, step = window.size(n), window.stride
    if window.dilation > n and window.kernel > 1:  # taps may lie on both sides of the map
        return out - _seeing(window, n) if window.kernel <= MOST else 0
    front = min(out, -(-(window.before - window.extent + 1) // step))
    back = min(out, out + (-(n + window.before) // step))
    return max(0, front) + max(0, back)


def _seeing(window: Sliding, n: int) -> int:
    """How many windows have a tap on the map, where no window has two."""
    count = 0
    for tap in range(window.kernel):
        first = window.before - tap * window.dilation  # the window's place where this tap reads unit 0
        low = max(0, -(-first // window.stride))
        high = min(window.size(n) - 1, (first + n - 1) // window.stride)
        count += max(0, high - low + 1)
    return count


@lru_cache(maxsize=1024)
def dead_taps(window: Sliding, n: int) -> tuple[int, int, int]:
    """How many taps read nothing but padding: before the first that reads a unit, behind the last, and in all."""
    if window.kernel > MOST or not (window.before or window.after):
        return 0, 0, 0
    reach = (window.size(n) - 1) * window.stride
    if window.stride <= n:  # no tap steps over the map: those that read are neighbours
        low = max(0, -(-(window.before - reach) // window.dilation))
        high = max(0, window.kernel - -(-(n + window.before) // window.dilation))
        return low, high, low + high
    places = (tap * window.dilation - window.before for tap in range(window.kernel))
    alive = [tap for tap, at in enumerate(places) if _reads(at, at + reach, window.stride, n)]
    if not alive:
        return window.kernel, 0, window.kernel
    return alive[0], window.kernel - 1 - alive[-1], window.kernel - len(alive)


def _reads(first: int, last: int, step: int, n: int) -> bool:
    """Whether one of the places first, first + step … last is one of `n` units."""
    place = first if first >= 0 else first + -(first // step) * step
    return place < n and place <= last


def collapsed(x: Shape) -> list[int]:
    """The axes that are a single unit while another one is long."""
    if max(x.spatial) <= LONG:
        return []
    return [axis for axis, n in enumerate(x.spatial) if n == 1]


LONG = 8
"""An axis is long above it."""


def reached(window: Spread, n: int) -> int:
    """How many output units of a transposed convolution some of `n` input units reach."""
    out, step = window.size(n), window.stride
    if max(step, window.kernel) > MOST:
        return out
    count = 0
    for phase in range(min(step, out)):
        taps = window.taps(phase)
        last = (out - phase - 1) // step
        if taps and taps.step <= n:  # they reach units without a gap
            count += max(0, min(last, n - 1 - taps[0]) - max(0, -taps[-1]) + 1)
        else:
            count += sum(max(0, min(last, n - 1 - tap) - max(0, -tap) + 1) for tap in taps)
    return count


def fill(node: Node, windows: Sequence[Spread]) -> tuple[str, Change | None]:
    """Arguments of a transposed convolution that covers an output as large evenly: in words, and as a change."""
    found = []
    for window in windows:
        even = -(-window.kernel // window.stride) * window.stride
        for kernel in (even, even + window.stride):
            cut = 2 * window.padding - window.output_padding + window.dilation * (kernel - window.kernel)
            if cut >= 0 and gcd(window.stride, window.dilation) == 1:
                found.append((kernel, (cut + 1) // 2, cut % 2))
                break
    if len(found) < len(windows):
        return f"write `kernel_size: {listed([2 * w.stride for w in windows])}`, twice the stride", None
    names = ("kernel_size", "padding", "output_padding")
    values = {name: listed(v) for name, v in zip(names, zip(*found, strict=True), strict=True)}
    shown = {name: value for name, value in values.items() if name in node.item.arguments or value != "0"}
    words = ", ".join(f"`{name}: {value}`" for name, value in shown.items())
    steps = [(node, ("drop", name) if value == "0" else ("set", name, value)) for name, value in shown.items()]
    return f"write {words}", Change(False, f"set {words}", tuple(steps))
